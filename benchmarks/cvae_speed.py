"""Time the training of the source's network beside the loops that one writes without much thought.

All but two train the network of section 3 of the source document (500-500 ReLU, 40 latents, classes concatenated,
Adam) on MNIST at the same batch size, binarising every image afresh; the two train the default network of
``ConditionalVAE`` and that of the environment ``large`` at their own. What is compared takes turns in one
process; the first round, when torch compiles, is not counted. A loop of the source's network whose bound is not
that of the others stops the program. Then log p(x | y) is estimated by importance sampling, its products in
either precision. Where the processor emulates bfloat16, which is ten times slower than float32, what needs it is
left out. Where MNIST is not to be had, random images stand in for it.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.io import DatasetError
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from _common import data_home, interleaved, machine, markdown, positive, spread
from latents.datasets import TorchvisionImagesDataset
from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.batches import Batches, pixels_of
from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import elbo
from latents.estimators.conditional_vae.steps import Learner, learner_with_adam
from latents.estimators.conditional_vae.training import choose_pace, multiplies_bfloat16, train

N_LATENTS, WIDTH, N_CLASSES, RATE = 40, 500, 10, 1e-3
N_IMAGES, N_EPOCHS = 60_000, 30  # of a whole training
HAS_BFLOAT16 = multiplies_bfloat16(torch.device("cpu"))
PLAIN, LOADER, OURS = "plain loop", "DataLoader + transforms", "ours"
DEFAULT, LARGE = "ours, default network", "ours, --env large"
LARGE_PARAMETERS = Path(__file__).parents[1] / "conf" / "large" / "parameters_cvae.yml"

Epochs = Iterator[float]  # each item is the mean bound of one more pass over the images


class PlainVAE(nn.Module):
    """The network as one writes it down."""

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self.encoder = self._layers(n_pixels + N_CLASSES, 2 * N_LATENTS)
        self.decoder = self._layers(N_LATENTS + N_CLASSES, n_pixels)

    @staticmethod
    def _layers(n_in: int, n_out: int) -> nn.Sequential:
        hidden = nn.Linear(n_in, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
        return nn.Sequential(*hidden, nn.Linear(WIDTH, n_out))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean bound."""
        classes = one_hot(y, N_CLASSES).float()
        mean, log_variance = self.encoder(torch.cat([x, classes], dim=1)).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.decoder(torch.cat([z, classes], dim=1))
        reconstruction = -binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * torch.sum(log_variance.exp() + mean.square() - 1 - log_variance)
        return (reconstruction - kl) / len(x)


class ImagesWithTransform(Dataset[tuple[Tensor, int]]):
    """Images one by one through Pillow, as ``torchvision.datasets.MNIST`` gives them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels
        binarise = transforms.Lambda(lambda grey: (torch.rand(grey.shape) < grey).float())
        self.transform = transforms.Compose(
            [transforms.ToTensor(), binarise, transforms.Lambda(torch.flatten)]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[row])), int(self.labels[row])


def plain_loop(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Epochs:
    """Images in memory as floats, eager Adam, ``torch.rand``."""
    grey = torch.from_numpy(images.reshape(len(images), -1) / np.float32(255))
    y = torch.from_numpy(labels).long()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(grey)).split(batch_size):
            chosen = grey[rows]
            yield (torch.rand(chosen.shape) < chosen).float(), y[rows]

    return written_out(batches, grey.shape[1], len(grey))


def loader_loop(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Epochs:
    """Images through a ``DataLoader`` in the main process."""
    loader = DataLoader(ImagesWithTransform(images, labels), batch_size=batch_size, shuffle=True)
    return written_out(lambda: iter(loader), images[0].size, len(images))


def written_out(batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], n_pixels: int, n: int) -> Epochs:
    """Train as tutorials do."""
    torch.manual_seed(0)
    model = PlainVAE(n_pixels)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    while True:
        total = 0.0
        for x, y in batches():
            optimizer.zero_grad()
            bound = model(x, y)
            (-bound).backward()
            optimizer.step()
            total += bound.item() * len(x)
        yield total / n


def ours(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    precision: str = "auto",
    compiled: bool | str = "auto",
) -> Epochs:
    """Train with ``latents.estimators.conditional_vae``."""
    network = reference(images[0].size)
    learner = Learner(network, torch.optim.Adam(network.parameters(), lr=RATE, fused=True))
    return with_us(learner, images, labels, batch_size, precision, compiled)


def default_network(images: np.ndarray, labels: np.ndarray, _: int, /, **changes: Any) -> Epochs:
    """Train what ``ConditionalVAE`` does unless told otherwise, batches of its own size included."""
    options = ConditionalVAE(**changes).get_params()
    network = build(
        options["network"],
        options["prior"],
        n_pixels=images[0].size,
        n_classes=N_CLASSES,
        n_latents=options["n_latents"],
        hidden=options["hidden"],
        spatial=options["spatial"],
        image_shape=images[0].shape,
        generator=torch.Generator().manual_seed(0),
    )
    size = options["batch_size"]
    learner = learner_with_adam(
        network,
        N_EPOCHS * -(-N_IMAGES // size),
        **{name: options[name] for name in ("learning_rate", "beta_2", "schedule", "kl_warm_up")},
    )
    return with_us(learner, images, labels, size, options["precision"], options["compiled"])


def large_network(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Epochs:
    """Train what ``kedro run --env large`` does."""
    told = OmegaConf.to_container(OmegaConf.load(LARGE_PARAMETERS).cvae.fit)
    changes = {name: value for name, value in told.items() if name in ConditionalVAE().get_params()}
    return default_network(images, labels, batch_size, **changes)


def with_us(
    learner: Learner,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    precision: str,
    compiled: bool | str,
) -> Epochs:
    """Train at the pace of a whole training."""
    batches = Batches(
        pixels_of(
            torch.from_numpy(images.reshape(len(images), -1) / np.float32(255)),
            binarise=learner.network.pixels.is_binary,
        ),
        torch.from_numpy(labels).long(),
        batch_size=batch_size,
        n_latents=learner.network.n_latents,
        generator=torch.Generator().manual_seed(0),
    )
    pace = choose_pace(precision, compiled, learner.network, n_steps=N_EPOCHS * -(-N_IMAGES // batch_size))
    for means in train(learner, batches, elbo, epochs=10**9, **vars(pace)):
        yield means.lower_bound


def reference(n_pixels: int) -> ConditionalNetwork:
    """Return the source's network."""
    return build(
        "reference",
        "standard",
        n_pixels=n_pixels,
        n_classes=N_CLASSES,
        n_latents=N_LATENTS,
        hidden=(WIDTH, WIDTH),
        generator=torch.Generator().manual_seed(0),
    )


LOOPS: dict[str, Callable[[np.ndarray, np.ndarray, int], Epochs]] = {
    PLAIN: plain_loop,
    LOADER: loader_loop,
    f"{OURS}, float32": partial(ours, precision="float32", compiled=False),
    f"{OURS}, float32, compiled": partial(ours, precision="float32", compiled=True),
    f"{OURS}, bfloat16": partial(ours, precision="bfloat16", compiled=False),
    f"{OURS}, bfloat16, compiled": partial(ours, precision="bfloat16", compiled=True),
    DEFAULT: default_network,
    LARGE: large_network,
}


def read(n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of MNIST and their labels, or random ones."""
    try:
        data = TorchvisionImagesDataset(data_home()).load()
        return data["images"][:n_images], data["labels"][:n_images]
    except DatasetError as error:
        print(f"No MNIST; going on with random images. {error}\n")
        rng = np.random.default_rng(0)
        return rng.integers(0, 256, (n_images, 28, 28), dtype=np.uint8), rng.integers(0, N_CLASSES, n_images)


def compare_training(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    loops: Sequence[str],
    repetitions: int,
    most_seconds: float,
) -> None:
    """Print images per second of every loop, and the ratios to the first two."""
    epochs = {name: LOOPS[name](images, labels, batch_size) for name in loops}
    bounds: dict[str, list[float]] = {name: [] for name in loops}

    def one_epoch(name: str) -> None:
        bounds[name].append(next(epochs[name]))

    seconds = interleaved({name: partial(one_epoch, name) for name in loops}, repetitions, most_seconds)
    repetitions = len(seconds[PLAIN])
    last = {name: values[-1] for name, values in bounds.items()}
    alike = {name: bound for name, bound in last.items() if name not in (DEFAULT, LARGE)}
    middle = float(np.median(list(alike.values())))
    for name, bound in alike.items():
        if not abs(bound - middle) < 0.05 * abs(middle):
            raise SystemExit(
                f"{name} has a bound of {bound:.2f}, the others {middle:.2f}: not the same training"
            )
    rows = []
    for name in loops:
        ratios = {
            f"to {peer}": f"{np.median(seconds[peer]) / np.median(seconds[name]):.2f}"
            for peer in (PLAIN, LOADER)
        }
        rows.append(
            {
                "training": name,
                "images/s": f"{len(images) / np.median(seconds[name]):,.0f}",
                f"s for {N_EPOCHS} x {N_IMAGES:,}": spread(
                    seconds[name] * N_EPOCHS * N_IMAGES / len(images), 0
                ),
                **ratios,
                "bound": f"{last[name]:.2f}",
            }
        )
    print(f"{len(images):,} images a pass, batches of {batch_size}, medians of {repetitions} passes\n")
    print(markdown(pd.DataFrame(rows)), "\n")


def compare_evaluation(
    images: np.ndarray, labels: np.ndarray, n_samples: int, repetitions: int, most_seconds: float
) -> None:
    """Print what importance sampling costs, and what shorter products do to its estimate."""
    x = torch.from_numpy((images.reshape(len(images), -1) > 127).astype(np.float32))
    y = torch.from_numpy(labels).long()
    network = reference(x.shape[1])
    estimates: dict[str, Tensor] = {}

    def estimate(name: str) -> None:
        precision = getattr(torch, name)
        estimates[name] = evaluation.log_likelihood(network, x, y, n_samples, precision=precision)

    names = ["float32", "bfloat16"] if HAS_BFLOAT16 else ["float32"]
    seconds = interleaved({name: partial(estimate, name) for name in names}, repetitions, most_seconds)
    rows = [
        {
            "log p(x | y)": name,
            "s for 10,000 images": spread(seconds[name] * 10_000 / len(x), 0),
            "nats beside float32": f"{float((estimates[name] - estimates[names[0]]).mean()):+.4f}",
        }
        for name in names
    ]
    print(f"{n_samples:,} importance samples, measured on {len(x)} images\n")
    print(markdown(pd.DataFrame(rows)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=positive, default=12_800, help="images of one pass")
    parser.add_argument("--batch-size", type=positive, default=128)
    parser.add_argument("--repetitions", type=positive, default=9)
    parser.add_argument(
        "--minutes",
        type=positive,
        default=5,
        help="of training, after which no pass begins; a fifth of it for importance sampling",
    )
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS), help="beside the first two")
    parser.add_argument("--evaluated-images", type=positive, default=100)
    parser.add_argument("--samples", type=positive, default=1000)
    options = parser.parse_args(arguments)
    print(machine(), "\n")
    images, labels = read(options.images)
    loops = list(dict.fromkeys((PLAIN, LOADER, *options.loops)))
    if not HAS_BFLOAT16:
        loops = [name for name in loops if "bfloat16" not in name]
        print("This processor emulates bfloat16, ten times slower than float32: it is left out\n")
    most_seconds = 60.0 * options.minutes
    compare_training(images, labels, options.batch_size, loops, options.repetitions, most_seconds)
    some = slice(options.evaluated_images)
    compare_evaluation(images[some], labels[some], options.samples, options.repetitions, most_seconds / 5)


if __name__ == "__main__":
    main()
