"""A step of training on one batch: the gradient of the objective, and what it does to the weights.

A ``Learner`` is a network and what changes its weights. A step of it is made in either of two ways. The plain
one is torch's own, operation by operation. Of the other, torch compiles everything into one graph: gradients go
into the weights in the type that products left them in, nothing between is written to memory or looked up, and a
step is one call.
"""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import set_stance
from torch.func import functional_call, grad
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from latents.estimators.conditional_vae.batches import Batch
from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.estimators.conditional_vae.objective import Objective
from latents.estimators.conditional_vae.ranks import Ranks

SCHEDULES = ("constant", "cosine")

_WARM_UP = 0.02  # share of the steps: longer than batch norm and Adam take to know their scales
_END = 0.01  # of the rate: the last steps still count for something
# The width of vectors that torch compiles for, by what it says of an x86 processor. Those of others it finds out.
_VECTOR_BITS = {"AVX512": 512, "AVX2": 256, "DEFAULT": 1}


@dataclass
class Learner:
    """A network and what changes its weights.

    Every part says all that it remembers by ``state_dict``, so that a checkpoint of the parts is one of
    the learner, whatever network, optimiser and schedule these are.

    Parameters
    ----------
    network : ConditionalNetwork
    optimizer : Optimizer
        Of the network's parameters.
    schedule : LRScheduler, optional
        Advanced after each step.
    kl_warm_up : int
        Steps over which the weight of the KL term rises to 1, in even steps.
    """

    network: ConditionalNetwork
    optimizer: Optimizer
    schedule: LRScheduler | None = None
    kl_warm_up: int = 0
    n_steps: int = field(default=0, init=False)  # made so far
    untrained_bound: float | None = field(default=None, init=False)  # of the first batch, per image

    @property
    def kl_weight(self) -> float:
        """Of the next step."""
        return min(1.0, (self.n_steps + 1) / (self.kl_warm_up + 1))

    def advance(self) -> None:
        """Take note of a step that has been made."""
        if self.schedule is not None:
            self.schedule.step()
        self.n_steps += 1

    @property
    def tensors(self) -> list[Tensor]:
        """What steps change: weights, running statistics and what the optimiser remembers of each weight."""
        of_weights = [item for state in self.optimizer.state.values() for item in state.values()]
        return [
            *self.network.state_dict().values(),
            *(item for item in of_weights if isinstance(item, Tensor)),
        ]

    @property
    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part by name; tensors are shared, not copied."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        return {**state, "n_steps": self.n_steps, "untrained_bound": self.untrained_bound}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.n_steps, self.untrained_bound = state["n_steps"], state["untrained_bound"]


def learner_with_adam(
    network: ConditionalNetwork,
    n_steps: int,
    *,
    learning_rate: float,
    beta_2: float,
    schedule: str,
    kl_warm_up: float,
) -> Learner:
    """Return what trains a network for `n_steps` by Adam; the other arguments are ``ConditionalVAE``'s."""
    # The fused step updates all parameters in one kernel.
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.9, beta_2), fused=True)
    steps_of_schedule = make_schedule(schedule, optimizer, n_steps)
    return Learner(network, optimizer, steps_of_schedule, kl_warm_up=round(kl_warm_up * n_steps))


def make_schedule(name: str, optimizer: Optimizer, n_steps: int) -> LRScheduler | None:
    """Return what sets the optimiser's rate after each step; None where it stays as it is.

    Parameters
    ----------
    name : {"constant", "cosine"}
        The cosine rises to the rate in even steps, over a fiftieth of the training, and then falls by half a
        wave to a hundredth of it (Loshchilov, Hutter 2017, "SGDR").
    optimizer : Optimizer
    n_steps : int
        Of the whole training.
    """
    if name == "constant":
        return None
    warm_up = _WARM_UP * n_steps

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        gone = min(1.0, (step - warm_up) / (n_steps - warm_up))
        return _END + (1 - _END) * 0.5 * (1 + math.cos(math.pi * gone))

    return LambdaLR(optimizer, share)


class Loss(nn.Module):
    """What a step descends, the mean of the negative objective, weighted by class, as a module around the network.

    Parameters
    ----------
    network : ConditionalNetwork
    objective : Objective
    precision : torch.dtype
        What matrix products are multiplied in.
    class_weights : Tensor of shape (C,), optional
        What the objective of an image of each class is multiplied by; the sums are without them.
    """

    def __init__(
        self,
        network: ConditionalNetwork,
        objective: Objective,
        precision: torch.dtype,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._objective = objective
        self._precision = precision
        self._class_weights = class_weights

    def forward(self, batch: Batch, kl_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, (), and the sums of reconstruction, KL and trained bound over the batch, (3,).

        Of a part of a batch it is what this adds to the loss, and to the sums, of the whole.
        """
        x, y, noise, n_images = batch
        with torch.autocast(x.device.type, self._precision, enabled=self._precision != torch.float32):
            terms = self._objective(self.network, x.float(), y, noise, kl_weight)
        sums = torch.stack((terms.reconstruction, terms.kl, terms.trained_bound)).detach().sum(dim=1)
        ascended = terms.objective
        if self._class_weights is not None:
            ascended = self._class_weights.index_select(0, y) * ascended
        return -ascended.sum() / n_images, sums


def plain_step(learner: Learner, loss: Loss, ranks: Ranks | None, batch: Batch) -> Tensor:
    """Make a step of any optimiser, on a batch of any size; return the sums over the batch.

    Of several processes each brings its own part of the batch, be it none of it, and has the sums over that.
    """
    sums: Tensor
    descended, sums = loss(batch, torch.full((), learner.kl_weight, device=batch.x.device))
    learner.optimizer.zero_grad()
    descended.backward()
    if ranks is not None:
        gradients = {weight: weight.grad for weight in loss.parameters() if weight.grad is not None}
        totals = ranks.totals([*gradients.values()])
        for weight, total in zip(gradients, totals, strict=True):
            weight.grad = total
    learner.optimizer.step()
    learner.advance()
    return sums


class CompiledStep:
    r"""A step of Adam in one graph, for batches of one size.

    With gradient g, in step t,

    .. math::

        m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        w \leftarrow w - \eta \frac{m}{1 - \beta_1^t} \Big/
        \left(\sqrt{\frac{v}{1 - \beta_2^t}} + \epsilon\right)

    as ``torch.optim.Adam`` has it (Kingma, Ba 2015). All weights become parts of one vector, and so do all m and
    all v: one update is compiled in seconds, and one for each tensor of a ladder in minutes. Network and
    optimiser go on seeing tensors of their own, so that either kind of step may follow the other.

    Parameters
    ----------
    learner : Learner
        Its schedule may change Adam's rate, and nothing else.
    loss : Loss
        Of the learner's network.
    ranks : Ranks, optional
        By default one process trains alone.

    Raises
    ------
    TypeError
        If the optimiser is another than a plain Adam.
    """

    def __init__(self, learner: Learner, loss: Loss, ranks: Ranks | None = None) -> None:
        optimizer = learner.optimizer
        if (
            type(optimizer) is not torch.optim.Adam
            or len(optimizer.param_groups) > 1
            or any(optimizer.param_groups[0][name] for name in ("weight_decay", "amsgrad", "maximize"))
        ):
            raise TypeError(f"the optimiser is {optimizer!r}; what is compiled is a plain Adam, of one group")
        self._learner = learner
        self._loss = loss
        self._ranks = ranks
        self._names = [name for name, _ in loss.named_parameters()]
        parameters = list(loss.parameters())
        self._shapes = [parameter.shape for parameter in parameters]
        self._sizes = [parameter.numel() for parameter in parameters]
        self._weights = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        states = [optimizer.state[parameter] for parameter in parameters]
        for state, parameter in zip(states, parameters, strict=True):
            if not state:  # as before the first step
                zeros = torch.zeros_like(parameter)
                step = torch.zeros((), device=parameter.device)
                state.update(step=step, exp_avg=zeros, exp_avg_sq=zeros.clone())
        self._m, self._v = (
            torch.cat([state[name].reshape(-1) for state in states]) for name in ("exp_avg", "exp_avg_sq")
        )
        self._counts = torch.stack([state["step"] for state in states])
        self._betas, self._epsilon = optimizer.param_groups[0]["betas"], optimizer.param_groups[0]["eps"]
        parts = zip(*map(self._split, (self._weights, self._m, self._v)), self._counts, strict=True)
        for parameter, state, (w, m, v, count) in zip(parameters, states, parts, strict=True):
            parameter.data = w
            state.update(exp_avg=m, exp_avg_sq=v, step=count)
        self._is_compiled = False
        # Apart from those of other trainings, of which torch would only keep so many.
        self._graph = torch.compile(  # type: ignore[call-overload]  # which lacks the last one
            self._step,
            dynamic=False,
            fullgraph=True,
            isolate_recompiles=True,
            options=_compiler_options(self._weights.device),
        )

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """Return the sums over the batch, of several processes over the part that each brings."""
        learner, t = self._learner, self._learner.n_steps + 1
        rate = learner.optimizer.param_groups[0]["lr"] / (1 - self._betas[0] ** t)
        root = (1 - self._betas[1] ** t) ** 0.5
        # Tensors, or each new value would be compiled for.
        scalars = torch.tensor((learner.kl_weight, rate, root), device=batch.x.device).unbind()
        # From the second call on nothing is as it was not before: torch need not make sure of it each time.
        with set_stance(skip_guard_eval_unsafe=self._is_compiled):
            sums: Tensor = self._graph(self._weights, self._m, self._v, batch, *scalars)
        self._is_compiled = True
        self._counts += 1
        learner.advance()
        return sums

    def _step(
        self,
        weights: Tensor,
        m: Tensor,
        v: Tensor,
        batch: Batch,
        kl_weight: Tensor,
        rate: Tensor,
        root: Tensor,
    ) -> Tensor:
        sums: Tensor
        buffers = dict(self._loss.named_buffers())

        def descended(weights: Tensor) -> tuple[Tensor, Any]:
            # torch.func does not let what is differentiated change tensors that it was not given.
            changed = {name: buffer.clone() for name, buffer in buffers.items()}
            own = dict(zip(self._names, self._split(weights), strict=True))
            loss, sums = functional_call(self._loss, {**own, **changed}, (batch, kl_weight))
            return loss, (sums, changed)

        g, (sums, changed) = grad(descended, has_aux=True)(weights)
        if self._ranks is not None:
            g = self._ranks.total(g)
        for name, buffer in buffers.items():
            buffer.copy_(changed[name])
        beta_1, beta_2 = self._betas
        m.lerp_(g, 1 - beta_1)
        v.mul_(beta_2).addcmul_(g, g, value=1 - beta_2)
        weights.sub_(rate * m / (v.sqrt() / root + self._epsilon))
        return sums

    def _split(self, vector: Tensor) -> Sequence[Tensor]:
        parts = torch.split(vector, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]


def _compiler_options(device: torch.device) -> dict[str, Any]:
    """Return what torch is told when it compiles for a device.

    For a processor it makes two files of C++, one of all kernels and one of what calls them. By itself it would
    make one of each kernel, nine tenths of whose time goes into headers, and call them from Python. Two files do
    not pay for headers that are translated beforehand, or for a trial of each width of vectors.

    It is told that width, too, which it would find out by itself. It keeps what it has compiled on disk, and takes
    it up again by its options: without the width among them, what was compiled for a wider processor, or a wider
    setting of ``ATEN_CPU_CAPABILITY``, would be taken up on a narrower one, where it does not even compile.
    """
    if device.type != "cpu":
        return {}
    options: dict[str, Any] = {
        "cpp_wrapper": True,
        "cpp_wrapper_build_separate": True,
        "cpp_cache_precompile_headers": False,
    }
    if platform.machine().lower() in ("x86_64", "amd64"):
        bits = _VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability())
        if bits is not None:
            options |= {"cpp.simdlen": bits, "cpp.vec_isa_ok": True}
    return options
