"""Models of several trainings as one stacked model, and the steps that they take on the CPU."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal
from torch.func import functional_call, grad, vmap
from torch.types import _size

from vaekit import devices
from vaekit.compatibility import traits
from vaekit.conditional import Conditional
from vaekit.data import Batch, Data
from vaekit.distributions import independent
from vaekit.errors import RunError
from vaekit.experiment import Experiment
from vaekit.linear import Linear
from vaekit.objectives import Loss
from vaekit.run import Run
from vaekit.training.compiling import Compiled
from vaekit.training.loop import Training
from vaekit.training.steps import Step, wants_compiling

log = logging.getLogger("vaekit")

T = TypeVar("T")
Named = Mapping[str, Tensor]
Differentiated = Callable[[Named, Tensor, Tensor, Named], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""(stacked weights, noise, x, what is scheduled) → gradients, and loss and terms, each with an axis over models"""


class Member(Training):
    """A training that takes its steps in a stack; it keeps its own random state, and its error if it fails."""

    captures = False

    def __init__(self, experiment: Experiment, run: Run, data: Data, device: torch.device) -> None:
        super().__init__(experiment, run, data, device)
        self.state = self.before = devices.random_state(device)
        self.began = time.perf_counter() - self.seconds
        self.latents = experiment.model.latent_dim
        self.error: RunError | None = None
        self.ended = False

    @property
    def finished(self) -> bool:
        return self.error is not None or super().finished

    @property
    def random(self) -> dict[str, Tensor]:
        return self.state

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Do something; if it fails, keep the error, which ends this training."""
        try:
            return action()
        except RunError as error:
            log.warning("%s leaves the stack: %s", self.run.path, error)
            self.error, self.ended = error, True
            return None

    def draw(self, stored: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """Return the batch as the model sees it, and the noise of its posterior draws, both as a run alone has them."""
        devices.set_random_state(self.state, self.device)
        self.before = self.state
        x = self.data.train.seen(stored).x
        noise = torch.randn(samples, len(x), self.latents, device=self.device)
        self.state = devices.random_state(self.device)
        return x, noise

    def update(self, numbers: Mapping[str, float]) -> None:
        """Update the weights with the gradients that they hold, and count the step."""
        self.descent.update()
        self.count(numbers)

    def explain(self, stored: Batch) -> None:
        """Raise the error of a batch on which the loss is NaN or infinite."""
        devices.set_random_state(self.before, self.device)
        batch = self.data.train.seen(stored)
        with devices.autocast(self.device, self.experiment.precision):
            raise self.failure(self.descent.step, batch, self.batch_name)


class Stacked:
    """The models of trainings at the same step as one model, whose weights have one more axis, (models, *shape).

    Args:
        members: the trainings.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        first = members[0]
        experiment = first.experiment
        self.members, self.device = members, first.device
        self.samples = getattr(experiment.objective, "samples", 0)
        self.widest = max(member.latents for member in members)
        with devices.seeded(0, self.device):
            vae = experiment.replace("model.latent_dim", self.widest).model.build(first.data.space)
        for layer in vae.modules():
            if isinstance(layer, Linear):
                layer.wide = False  # oneDNN's products have no axis over models
        if self.samples:
            vae.posterior = GivenNoisePosterior(vae.posterior)
        self.step = Step(vae, experiment.objective.build(vae, first.data.space)).to(self.device)

        columns = zip(*(member.vae.parameters() for member in members), strict=True)
        self.weights = dict(zip(dict(self.step.named_parameters()), columns, strict=True))
        self.stacked = {
            name: torch.zeros(len(members), *p.shape, device=self.device) for name, p in self.step.named_parameters()
        }
        self.own = [weight for column in self.weights.values() for weight in column]
        self.inside = self.parts(self.stacked)
        self.values = [w.detach().view(part.shape) for w, part in zip(self.own, self.inside, strict=True)]
        self.differentiated: Differentiated = vmap(grad(self.loss, has_aux=True))

    def parts(self, stacked: Mapping[str, Tensor]) -> list[Tensor]:
        """Return each model's part of each stacked tensor, as views; tensor by tensor, then model by model."""
        return [
            cut(part, member.latents, self.widest, weight.shape)
            for name, column in self.weights.items()
            for part, member, weight in zip(stacked[name].unbind(), self.members, column, strict=True)
        ]

    def loss(self, parameters: Named, noise: Tensor, x: Tensor, scheduled: Named) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one model to be differentiated, and loss and terms to be returned with the gradient."""
        given = {"vae.posterior.noise": noise} if self.samples else {}
        loss: Loss = functional_call(self.step, {**parameters, **given, **scheduled}, (Batch(x),))
        return loss.value, {"loss": loss.value, **loss.terms}

    def take_steps(self) -> None:
        """Take steps of every training: one, or some that end before an evaluation."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let the trainings have what the steps found."""

    def hand_back(self) -> None:
        """Let the trainings have what the steps found, and the weights that they led to."""

    def save(self) -> None:
        """Save the state of every training."""
        self.hand_back()
        for member in self.members:
            member.attempt(member.save)

    def close(self) -> None:
        """Let go of what is read ahead."""


class Stack(Stacked):
    """A stack whose members each draw their own noise and update their own weights, one step at a time.

    Args:
        members: the trainings.
        compile: auto, on or off.
    """

    def __init__(self, members: Sequence[Member], compile: str) -> None:
        super().__init__(members)
        self.gradients = [torch.zeros_like(value) for value in self.values]
        for weight, gradient in zip(self.own, self.gradients, strict=True):
            weight.grad = gradient.view(weight.shape)

        first = members[0]
        if compiling(first, compile):
            x = torch.zeros(len(members), first.batch_size, *first.data.space.event_shape, device=self.device)
            noise = x.new_zeros(len(members), self.samples, first.batch_size, self.widest)
            self.differentiated(self.stacked, noise, x, self.scheduled)  # torch looks up the closed form of a KL
            self.differentiated = Compiled(self.differentiated, "steps", asked=compile == "on")
        self.batches = first.data.train.stream(map(self.rows, count(first.step)))

    def rows(self, step: int) -> Tensor:
        """Return the row numbers of all batches of a step, (models · batch,)."""
        return torch.cat([member.order.rows(step) for member in self.members])

    @property
    def scheduled(self) -> dict[str, Tensor]:
        """What the objectives schedule, such as the weight of the KL, each with an axis over models."""
        named = [dict(member.objective.named_buffers()) for member in self.members]
        return {f"objective.{name}": torch.stack([each[name] for each in named]) for name in named[0]}

    def take_steps(self) -> None:
        """Take one step of every training."""
        began = time.perf_counter()
        stored = next(self.batches).chunk(len(self.members))
        drawn = [member.draw(batch, self.samples) for member, batch in zip(self.members, stored, strict=True)]
        x = torch.stack([x for x, _ in drawn])
        noise = torch.stack([F.pad(noise, (0, self.widest - noise.shape[-1])) for _, noise in drawn])
        for member in self.members:
            member.advance()
        torch._foreach_copy_(self.inside, self.values)
        with devices.autocast(self.device, self.members[0].experiment.precision):
            gradients, named = self.differentiated(self.stacked, noise, x, self.scheduled)
        torch._foreach_copy_(self.gradients, self.parts(gradients))
        found = torch.stack(list(named.values()), 1).tolist()
        for member, batch, row in zip(self.members, stored, found, strict=True):
            numbers = dict(zip(named, row, strict=True))
            good = math.isfinite(numbers["loss"])
            member.attempt(partial(member.update, numbers) if good else partial(member.explain, batch))
        for member in self.members:
            member.busy += time.perf_counter() - began

    def close(self) -> None:
        self.batches.close()


def compiling(first: Member, compile: str) -> bool:
    """Whether the steps that are left are compiled."""
    matrices = "matrices" in traits(first.experiment.model.network)
    return wants_compiling(compile, first.steps - first.step, matrices, first.device)


def cut(tensor: Tensor, latents: int, widest: int, shape: torch.Size) -> Tensor:
    """Return a view of the part of a tensor of the widest model that a model with fewer latents uses.

    An axis that grows with the latents has k blocks of ``widest`` entries, such as the encoder's locations and then its
    log scales; the first ``latents`` entries of each block are kept, on an axis of their own.

    Args:
        tensor: of the widest model.
        latents, widest: numbers of latents.
        shape: of the tensor in the model with fewer latents.

    Example:
        >>> cut(torch.arange(6), 2, 3, torch.Size([4]))
        tensor([[0, 1],
                [3, 4]])
    """
    for axis in reversed(range(len(shape))):
        if tensor.shape[axis] != shape[axis]:
            tensor = tensor.unflatten(axis, (-1, widest)).narrow(axis + 1, 0, latents)
    return tensor


class GivenNoise(Normal):
    """N(μ, σ²) whose draws are μ + ε σ with a given ε, (n, *shape)."""

    def __init__(self, loc: Tensor, scale: Tensor, noise: Tensor) -> None:
        super().__init__(loc, scale, validate_args=False)
        self.noise = noise

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        return self.loc + self.noise * self.scale


class GivenNoisePosterior(Conditional):
    """A Gaussian q(z | x) whose draws use the noise in the buffer ``noise``, (n, batch, d).

    Args:
        posterior: x (batch, *event) → q(z | x).
    """

    noise: Tensor

    def __init__(self, posterior: Conditional) -> None:
        super().__init__()
        self.posterior = posterior
        self.register_buffer("noise", torch.empty(0))

    def forward(self, c: Tensor | None = None) -> Distribution:
        q = cast(Independent, self.posterior(c)).base_dist
        return independent(GivenNoise(q.loc, q.scale, self.noise), 1)
