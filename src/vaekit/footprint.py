"""The memory that a training takes, known before it is taken."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.data import Batch, Space
from vaekit.errors import InputError, shown
from vaekit.experiment import Experiment
from vaekit.model import VAE
from vaekit.objectives import Loss, Objective
from vaekit.own import Own, own_parts, tried
from vaekit.run import weight_shapes
from vaekit.training.diagnosis import try_out
from vaekit.training.optimizers import Optimizer, moments

BYTES = 4
EXAMPLES = 2
"""that are measured, then one and two more: of a single one, batch normalization may make nothing"""
TEMPORARY = 4
"""tensors as large as the largest, beside those that are kept: what an operation and its derivative read and make"""
EVALUATION_BATCH = 1000
LARGE_BATCH = 2**32
"""bytes of a layer's output for so many images, from which images are evaluated in the batches of training"""


class Activations(NamedTuple):
    """What a step emits for an example, in bytes.

    Attributes:
        kept: of all that is kept until its gradient is known.
        largest: of the largest tensor.
        once: of what is kept whatever the number of examples, such as the layers' outputs for pseudo-inputs.
        pairs: of what is kept for each pair of examples, where an objective compares each with every other.
    """

    kept: float
    largest: float
    once: float
    pairs: float = 0.0

    def evaluation_batch(self, batch_size: int) -> int:
        """Return how many images are evaluated at once."""
        return EVALUATION_BATCH if EVALUATION_BATCH * self.largest <= LARGE_BATCH else batch_size


def refuse_too_large(experiment: Experiment, space: Space, device: torch.device) -> None:
    """Refuse a training that takes more memory than is available.

    Raises:
        InputError: naming what takes the memory, and what to make smaller.
    """
    weights, step = training_bytes(experiment, space)
    there = devices.memory(device)
    if weights + step > there:
        count = sum(map(prod, weight_shapes(experiment.model, space).values()))
        batch = min(experiment.batch_size, space.sizes["train"])
        gib = [f"{number / 2**30:,.1f} GiB" for number in (weights + step, weights, step, there)]
        raise InputError(
            f"training would take {gib[0]} of memory ({gib[1]} for {count:,} weights, {gib[2]} for batch_size "
            f"{batch:,}), and {device} has {gib[3]} available: choose {smaller_images(space)}a smaller "
            "model.latent_dim, network or batch_size"
        )


def training_bytes(experiment: Experiment, space: Space) -> tuple[int, float]:
    """Return the bytes that a training takes: for weights with all that is kept of them, and for a step."""
    sizes = [prod(shape) for shape in weight_shapes(experiment.model, space).values()]
    weights = weight_bytes(experiment, sizes) + second_bytes(experiment, space)
    return weights, batch_bytes(experiment, space, min(experiment.batch_size, space.sizes["train"]))


def smaller_images(space: Space) -> str:
    """The remedy that a folder of images has besides."""
    return "a smaller image_size (--image-size), " if space.depth else ""


def weight_bytes(experiment: Experiment, sizes: list[int]) -> int:
    """Bytes for the weights, their gradients, the optimizer's moments, the moving average and the best weights.

    A checkpoint copies one tensor at a time, if at all.

    Args:
        experiment: what is trained.
        sizes: of the weights' tensors.
    """
    kept = 2 + sum(moments(experiment.optimizer).values())
    kept += bool(experiment.ema) + bool(experiment.early_stopping)
    return BYTES * (kept * sum(sizes) + TEMPORARY * max(sizes))


def second_bytes(experiment: Experiment, space: Space) -> int:
    """Bytes for the weights of a second player, their gradients and its optimizer's moments."""

    def built() -> tuple[Optimizer | None, int]:
        objective = experiment.objective.build(experiment.model.build(space), space)
        return objective.second, sum(weight.numel() for weight in objective.parameters())

    optimizer, weights = devices.without_memory(built)
    return 0 if optimizer is None else BYTES * weights * (2 + sum(moments(optimizer).values()))


def batch_bytes(experiment: Experiment, space: Space, batch: int) -> float:
    """Bytes for a step on a batch, or for an evaluation if that takes more."""
    each = activations(experiment, space)
    held_out = space.sizes.get("validation") or space.sizes["test"]
    step = each.once + batch * (each.kept + TEMPORARY * each.largest) + batch**2 * each.pairs
    return max(step, TEMPORARY * min(each.evaluation_batch(batch), held_out) * each.largest)


def activations(experiment: Experiment, space: Space) -> Activations:
    """Measure what a step keeps of an example: of few, as a polynomial in their number, whose square is that of pairs.

    This takes no memory, or that of a few examples if the model cannot be built without.

    Raises:
        InputError: if a part of the user's fails.
    """

    def measure() -> list[tuple[list[int], list[int]]]:
        vae, own = experiment.model.build(space), own_parts(experiment)
        objective = experiment.objective.build(vae, space)
        return [_kept(vae, objective, own, torch.zeros(n, *space.event_shape)) for n in range(EXAMPLES, EXAMPLES + 3)]

    drawn, kept = (list(map(polynomial, *sizes)) for sizes in zip(*devices.without_memory(measure), strict=True))
    once, each, pairs = (sum(column) for column in zip(*kept, strict=True)) if kept else (0.0, 0.0, 0.0)
    return Activations(each, max((size.each for size in (*drawn, *kept)), default=0.0), once, pairs)


def _kept(vae: VAE, objective: Objective, own: Sequence[Own], x: Tensor) -> tuple[list[int], list[int]]:
    """Return the bytes of each tensor that draws keep for the gradient, and of each that a step keeps."""
    batch = Batch(x)
    with tried(own, len(x)):
        with recorded(vae) as drawn:
            try_out(vae, x)
        with recorded(vae, objective) as kept:
            loss = objective(vae.given(batch), batch)
        refuse_no_loss(objective, loss)
    return drawn, kept


def refuse_no_loss(objective: Objective, loss: object) -> None:
    """Refuse an objective that returns anything but a Loss of scalars."""
    numbers = [loss.value, loss.bound, *loss.terms.values()] if isinstance(loss, Loss) else [None]
    if not all(isinstance(number, Tensor) and number.ndim == 0 for number in numbers):
        raise InputError(
            f"objective {type(objective).__name__} returns {shown(loss)}: return a vaekit.Loss whose value, bound and "
            "terms are scalar tensors"
        )


class Polynomial(NamedTuple):
    """once + n each + n² pairs."""

    once: float
    each: float
    pairs: float


def polynomial(few: float, more: float, most: float) -> Polynomial:
    """Return a polynomial in the number of examples, by its values at ``EXAMPLES`` of them, one more and two more.

    Example:
        >>> polynomial(*(7 + 5 * n + 3 * n**2 for n in range(EXAMPLES, EXAMPLES + 3)))
        Polynomial(once=7.0, each=5.0, pairs=3.0)
    """
    pairs = (most - 2 * more + few) / 2
    each = more - few - pairs * (2 * EXAMPLES + 1)
    return Polynomial(few - each * EXAMPLES - pairs * EXAMPLES**2, each, pairs)


@contextmanager
def recorded(*modules: nn.Module) -> Iterator[list[int]]:
    """Yield a list to which the bytes of each tensor are added that is kept for the gradient, weights apart."""
    weights = {id(weight) for module in modules for weight in module.parameters()}
    seen: list[Tensor] = []
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        whole = tensor._base if tensor._base is not None else tensor
        if id(whole) not in weights and not any(whole is other for other in seen):
            seen.append(whole)
            sizes.append(whole.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield sizes
