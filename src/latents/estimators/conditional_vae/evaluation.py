"""A trained network over any number of images: in batches, without gradients, on its own device.

Images, latents and class codes may lie on any device. Memory beyond the results is bounded.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from latents.estimators.conditional_vae.interface import BoundTerms, ConditionalNetwork

# Rows a network sees at once: enough for fast products, few enough to stay in cache.
_ROWS = 4096
# Numbers of a layer at once: as many as so many rows of MNIST have pixels.
_NUMBERS = _ROWS * 28 * 28
# Of the noise, always the same: a model scores the same twice, and two models meet the same luck.
_SEED = 0


class Rows(Protocol):
    """Rows (N, ...) of a tensor, or what is read as they are needed."""

    def __len__(self) -> int:
        """Return N."""

    def split(self, size: int, /) -> Iterable[Tensor]:
        """Give so many at a time."""


@torch.inference_mode()
def bound(network: ConditionalNetwork, x: Rows, y: Tensor) -> BoundTerms:
    """Both terms of the single-sample bound for every image, in nats.

    Parameters
    ----------
    network : ConditionalNetwork
    x : Rows of shape (N, p)
        Pixels.
    y : Tensor of shape (N,)
        Class codes.

    Returns
    -------
    BoundTerms
        Each (N,), float64 on the CPU.
    """
    generator = torch.Generator(network.device).manual_seed(_SEED)

    def terms() -> Iterator[Tensor]:
        for rows_x, rows_y in in_batches(network, x, y):
            size = (len(rows_x), network.n_latents)
            noise = torch.randn(size, generator=generator, device=network.device)
            yield torch.stack(network.infer(rows_x, rows_y, noise), dim=1).double().cpu()

    return BoundTerms(*one_below_the_other(terms(), len(x)).unbind(1))


@torch.inference_mode()
def log_likelihood(
    network: ConditionalNetwork,
    x: Rows,
    y: Tensor,
    n_samples: int,
    *,
    precision: torch.dtype = torch.float32,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Importance-sampled log p(x | y) of every image, in nats.

    log (1/S) sum_s p(x | z_s, y) p(z_s | y) / q(z_s | x, y), the samples coming in chunks whose
    weights are added up by log-sum-exp: neither N nor S decides what memory is needed.

    Parameters
    ----------
    network, x, y
        As for ``bound``.
    n_samples : int
        S, at least 1.
    precision : torch.dtype
        What matrix products are multiplied in. With bfloat16, where the processor has it, they take half
        the time; the estimates of single images are then off by some hundredths of a nat, either way.
    on_progress : callable, optional
        Told the number of images done so far.

    Returns
    -------
    Tensor of shape (N,), float64 on the CPU
    """
    generator = torch.Generator(network.device).manual_seed(_SEED)
    at_once = rows_at_once(network)
    n_rows = max(1, at_once // n_samples)
    n_chunk = min(n_samples, at_once)
    estimates = torch.empty(len(x), dtype=torch.float64)
    done = 0
    for rows_x, rows_y in in_batches(network, x, y, n_rows):
        with torch.autocast(network.device.type, precision, enabled=precision != torch.float32):
            draw = network.sampler(rows_x, rows_y)
        log_sum = torch.full((len(rows_x),), -torch.inf, dtype=torch.float64)
        for start in range(0, n_samples, n_chunk):
            size = (min(n_chunk, n_samples - start), len(rows_x), network.n_latents)
            noise = torch.randn(size, generator=generator, device=network.device)
            weights = []
            # Half of them: outputs are used while they are still in the cache next to the processor.
            for part in torch.split(noise, max(1, at_once // 2 // len(rows_x))):
                with torch.autocast(network.device.type, precision, enabled=precision != torch.float32):
                    outputs, log_ratios = draw(part)
                weights.append(network.pixels.log_likelihood_in_place(rows_x, outputs) + log_ratios)
            log_sum = torch.logaddexp(log_sum, torch.cat(weights).double().logsumexp(0).cpu())
        estimates[done : done + len(rows_x)] = log_sum - math.log(n_samples)
        done += len(rows_x)
        if on_progress is not None:
            on_progress(done)
    return estimates


def rows_at_once(network: ConditionalNetwork) -> int:
    """Return how many images, or draws of one, a network is given together."""
    return max(1, min(_ROWS, _NUMBERS // network.widest))


def in_batches(
    network: ConditionalNetwork, x: Rows, y: Tensor, size: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut x (N, ...) and y (N, ...) alike, and bring each piece to the network's device."""
    size = rows_at_once(network) if size is None else size
    for rows_x, rows_y in zip(x.split(size), torch.split(y, size), strict=True):
        yield rows_x.to(network.device), rows_y.to(network.device)


def one_below_the_other(parts: Iterable[Tensor], n_rows: int) -> Tensor:
    """Return parts as one tensor of so many rows, one at least, put there as they come.

    Kept until the last is there, small ones would lie scattered among what was large and is gone, whose memory
    could not be used again.
    """
    whole, begin = torch.empty(0), 0
    for part in parts:
        if not begin:
            whole = part.new_empty(n_rows, *part.shape[1:])
        whole[begin : begin + len(part)] = part
        begin += len(part)
    return whole
