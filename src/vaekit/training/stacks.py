"""Many trainings at once: models that differ only in a few numbers take their steps as one stacked model."""

import logging
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
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
from vaekit.arguments import Place, to_path
from vaekit.compatibility import Needs, traits, unmet
from vaekit.conditional import Conditional
from vaekit.data import Batch, Data
from vaekit.distributions import independent
from vaekit.errors import InputError, RunError, shown
from vaekit.experiment import ADAPTER, Experiment, fields
from vaekit.linear import Linear
from vaekit.objectives import Loss
from vaekit.run import Run, alone, refuse_taken
from vaekit.training import loop
from vaekit.training.checks import check, chosen_device, refuse_another, refuse_no_experiment
from vaekit.training.compiling import Compiled
from vaekit.training.loop import Progress, Training
from vaekit.training.steps import Step, refuse_unknown, wants_compiling

log = logging.getLogger("vaekit")

T = TypeVar("T")
Named = Mapping[str, Tensor]
Differentiated = Callable[[Named, Tensor, Tensor, Named], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""(stacked weights, noise, x, what is scheduled) → gradients, and loss and terms, each with an axis over models"""

NEEDS: Needs = dict.fromkeys(("prior", "posterior", "network", "objective"), frozenset(("stackable",)))
"""what a stack asks of the parts: no weight, state or draw that it does not know how to stack"""
VARYING = ("seed", "model.latent_dim", "objective.beta", "optimizer.learning_rate")
"""prefixes of the fields that may differ in a stack; the third also covers beta_schedule"""


def train_stack(
    experiments: Sequence[Experiment],
    runs: Sequence[Run | Place],
    *,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
    resume: bool = False,
    overwrite: bool = False,
    compile: str = "auto",
) -> Generator[list[Progress], None, None]:
    """Train experiments that differ in seed, β, learning rate or number of latents at once, each in its own folder.

    The products of all networks are computed as one batched product, which saves small models the time between
    products. Each run draws the order, bits and noise that it would draw alone, and ends with the same weights up to
    rounding; each folder is that of an ordinary run. A model with fewer latents than the widest is padded with zeros: a
    padded latent has q = p, hence no KL, and no weight to the decoder.

    Yields one Progress per experiment, as often as ``train`` does; the generator may be closed at any report. If a
    training fails or stops early, the others go on; the first error is raised at the end. Resumed runs that are at
    different steps, because they were killed while being saved, are brought to the same step first. Torch's global
    state is shared with the caller as in ``train``.

    Args:
        experiments: two or more; seed, objective.beta and its schedule, optimizer.learning_rate and model.latent_dim
            may differ.
        runs: their folders.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: with ``resume``, where the runs' data are if they have moved.
        resume: continue the runs in the folders.
        overwrite: replace the runs in the folders.
        compile: auto (if there are enough steps for it to pay off), on or off.

    Raises:
        InputError: as in ``train``, or if the experiments cannot be stacked.
        RunError: as in ``train``.
    """
    paths = [to_path(run, "run") for run in runs]
    refuse_unknown(compile)
    for experiment in experiments:
        refuse_no_experiment(experiment)
    refuse_unlike(experiments)
    if not len(experiments) == len(paths) == len({path.resolve() for path in paths}):
        names = ", ".join(map(str, paths))
        raise InputError(f"runs {names} do not match {len(experiments)} experiments: name one folder for each")
    chosen = chosen_device(device)
    if resume:
        folders = [Run(path) for path in paths]
        refuse_unlike([folder.experiment for folder in folders])
        refuse_other_data(folders)
        for experiment, folder in zip(experiments, folders, strict=True):
            refuse_another(experiment, folder)
        loaded = folders[0].data(data_root, data)
    else:
        refuse_place(data)
        for path in paths:
            refuse_taken(path, overwrite)
        loaded = experiments[0].data.load(data_root)
    for experiment in experiments:
        check(experiment, loaded.space, chosen)
    loaded = loaded.to(chosen)
    with ExitStack() as locks, devices.memory_errors(f"a stack of {len(paths)} models", "train fewer at once"):
        for path in paths:
            locks.enter_context(alone(path))
        if not resume:
            folders = [Run.create(p, e, loaded.space, overwrite) for p, e in zip(paths, experiments, strict=True)]
        yield from devices.in_turns(reports(experiments, folders, loaded, chosen, compile), chosen)


def refuse_unlike(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments that cannot be stacked, naming the first field that stands in the way."""
    if len(experiments) < 2:
        raise InputError(f"a stack needs at least two experiments, not {len(experiments)}: give more, or use train")
    first, *others = (dict(fields(ADAPTER.dump_python(e, mode="json"))) for e in experiments)
    for other in others:
        for path, value in first.items():
            if not path.startswith(VARYING) and other.get(path) != value:
                raise InputError(
                    f"{path} is {value!r} in one experiment and {other.get(path)!r} in another: in a stack, only seed, "
                    "model.latent_dim, objective.beta, objective.beta_schedule and optimizer.learning_rate may differ"
                )
    if reason := unmet(NEEDS, experiments[0]):
        raise InputError(f"a stack {reason}, or train one by one")
    if corruption := experiments[0].model.corruption:
        raise InputError(f"model.corruption is {corruption}, which stacks do not draw: choose none, or train alone")
    dims = {experiment.model.latent_dim for experiment in experiments}
    free_bits = getattr(experiments[0].objective, "free_bits", 0.0)
    if free_bits and len(dims) > 1:
        raise InputError(
            f"objective.free_bits is {free_bits}, which padded latents would be charged as well: "
            "give all experiments the same model.latent_dim, or train one by one"
        )


def refuse_other_data(folders: Sequence[Run]) -> None:
    """Refuse runs that were not trained on the same data."""
    for folder in folders:
        if folder.space.digest != folders[0].space.digest:
            raise InputError(f"{folder.path} has different data from {folders[0].path}: resume them one by one")


class Member(Training):
    """A training that takes its steps in a stack; it keeps its own random state, and its error if it fails."""

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


def reports(
    experiments: Sequence[Experiment], folders: Sequence[Run], data: Data, device: torch.device, compile: str
) -> Generator[list[Progress], None, None]:
    """Train all of them to the end, as ``Training.reports`` does with one.

    Those at the lowest step are stacked; those that are done leave the stack, and those that it catches up with join.
    """
    members = [Member(e, folder, data, device) for e, folder in zip(experiments, folders, strict=True)]
    for member in members:
        member.run.begin(member.experiment)
    reported, saved = -math.inf, time.perf_counter()
    rows = {member: member.attempt(member.begin) for member in members}
    stack = Stack(lowest(members) or members, compile)
    try:
        while True:
            now = time.perf_counter()
            for member in stack.members:
                member.seconds = now - member.began
            if any(rows.values()) or now - reported > loop.SECONDS_BETWEEN_REPORTS:
                reported = now
                try:
                    yield [member.report(rows.get(member)) for member in members]
                except GeneratorExit:
                    stack.save()
                    raise_first(members)
                    raise
            for member in members:
                if member.finished and not member.ended:
                    member.ended = True
                    member.attempt(member.end)
            stacked = lowest(members)
            if not stacked:
                break
            if stacked != stack.members:
                stack.batches.close()
                stack = Stack(stacked, compile)
            if now - saved > loop.SECONDS_BETWEEN_CHECKPOINTS:
                stack.save()
                saved = now
            stack.take_step()
            rows = {m: m.attempt(m.evaluate) for m in stack.members if m.evaluation_due and not m.error}
    finally:
        stack.batches.close()
    raise_first(members)


def lowest(members: Sequence[Member]) -> list[Member]:
    """Return the unfinished trainings that have taken the fewest steps."""
    going = [member for member in members if not member.finished]
    return [member for member in going if member.step == min(each.step for each in going)]


def raise_first(members: Sequence[Member]) -> None:
    """Raise the error of the first training that failed, if one did."""
    for member in members:
        if member.error:
            raise member.error


class Stack:
    """The models of trainings at the same step as one model, whose weights have one more axis, (models, *shape).

    Args:
        members: the trainings.
        compile: auto, on or off.
    """

    def __init__(self, members: Sequence[Member], compile: str) -> None:
        first = members[0]
        experiment, event_shape = first.experiment, first.data.space.event_shape
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
        weights = [weight for column in self.weights.values() for weight in column]
        self.inside = self.parts(self.stacked)
        self.values = [w.detach().view(part.shape) for w, part in zip(weights, self.inside, strict=True)]
        self.gradients = [torch.zeros_like(value) for value in self.values]
        for weight, gradient in zip(weights, self.gradients, strict=True):
            weight.grad = gradient.view(weight.shape)

        self.differentiated: Differentiated = vmap(grad(self.loss, has_aux=True))
        matrices = "matrices" in traits(experiment.model.network)
        if wants_compiling(compile, first.steps - first.step, matrices, self.device):
            x = torch.zeros(len(members), first.batch_size, *event_shape, device=self.device)
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

    def take_step(self) -> None:
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

    def save(self) -> None:
        """Save the state of every training."""
        for member in self.members:
            member.attempt(member.save)


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


def refuse_place(data: Place | None) -> None:
    """Refuse another place for the data of a new training: its experiment names them."""
    if data is not None:
        raise InputError(f"data is {shown(data)}, which is for resuming: name the data of a new run in its experiment")
