"""The memory that a training takes, known before it is taken."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from vaekit import devices
from vaekit.data import Space
from vaekit.errors import InputError
from vaekit.experiment import Experiment
from vaekit.model import VAE
from vaekit.objectives import Critic
from vaekit.own import Own, own_parts
from vaekit.run import weight_shapes
from vaekit.training.diagnosis import try_out
from vaekit.training.optimizers import moments

BYTES = 4
EXAMPLES = 2
"""that are measured, then one more: of a single one, batch normalization may make nothing"""
TEMPORARY = 4
"""tensors as large as the largest, beside those that are kept: what an operation and its derivative read and make"""
EVALUATION_BATCH = 1000
LARGE_BATCH = 2**32
"""bytes of a layer's output for so many images, from which images are evaluated in the batches of training"""


class Activations(NamedTuple):
    """What the layers of a model emit for an example, in bytes.

    Attributes:
        kept: of all that is kept until its gradient is known.
        largest: of the largest tensor.
        once: of what is kept whatever the number of examples, such as the layers' outputs for pseudo-inputs.
    """

    kept: float
    largest: float
    once: float

    def evaluation_batch(self, batch_size: int) -> int:
        """Return how many images are evaluated at once."""
        return EVALUATION_BATCH if EVALUATION_BATCH * self.largest <= LARGE_BATCH else batch_size


def refuse_too_large(experiment: Experiment, space: Space, device: torch.device) -> None:
    """Refuse a training that takes more memory than is available.

    Raises:
        InputError: naming what takes the memory, and what to make smaller.
    """
    batch = min(experiment.batch_size, space.sizes["train"])
    shapes = weight_shapes(experiment.model, space)
    weights = weight_bytes(experiment, [prod(shape) for shape in shapes.values()]) + critic_bytes(experiment)
    step = batch_bytes(experiment, space, batch)
    there = devices.memory(device)
    if weights + step > there:
        count = sum(map(prod, shapes.values()))
        gib = [f"{number / 2**30:,.1f} GiB" for number in (weights + step, weights, step, there)]
        raise InputError(
            f"training would take {gib[0]} of memory ({gib[1]} for {count:,} weights, {gib[2]} for batch_size "
            f"{batch:,}), and {device} has {gib[3]} available: choose {smaller_images(space)}a smaller "
            "model.latent_dim, network or batch_size"
        )


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


def critic_bytes(experiment: Experiment) -> int:
    """Bytes for the weights of a second player, their gradients and its optimizer's moments."""
    critic = getattr(experiment.objective, "critic", None)
    if not isinstance(critic, Critic):
        return 0
    with torch.device("meta"), devices.isolated(torch.device("cpu")):
        sizes = [weight.numel() for weight in critic.build(experiment.model.latent_dim).parameters()]
    return BYTES * (2 + sum(moments(critic.optimizer).values())) * sum(sizes)


def batch_bytes(experiment: Experiment, space: Space, batch: int) -> float:
    """Bytes for a step on a batch, or for an evaluation if that takes more."""
    each = activations(experiment, space)
    held_out = space.sizes.get("validation") or space.sizes["test"]
    step = each.once + batch * (each.kept + TEMPORARY * each.largest)
    return max(step, TEMPORARY * min(each.evaluation_batch(batch), held_out) * each.largest)


def activations(experiment: Experiment, space: Space) -> Activations:
    """Measure what a model keeps of an example, as log p(x | z) of the objective's draws does.

    This takes no memory, or that of a few examples if the model cannot be built without.
    """
    draws = getattr(experiment.objective, "samples", 1)

    def measure() -> list[list[int]]:
        vae = experiment.model.build(space)
        if isinstance(experiment.objective, Own):
            experiment.objective.build(vae, space)  # before a folder is made
        own = own_parts(experiment.model)
        return [_kept(vae, torch.zeros(n, *space.event_shape), draws, own) for n in (EXAMPLES, EXAMPLES + 1)]

    few, more = devices.without_memory(measure)
    each = [b - a for a, b in zip(few, more, strict=True)]
    return Activations(sum(each), max(each, default=0), sum(few) - EXAMPLES * sum(each))


def _kept(vae: VAE, x: Tensor, draws: int, own: Sequence[str]) -> list[int]:
    """Return the bytes of each tensor that draws keep for the gradient."""
    with recorded(vae) as sizes:
        try_out(vae, x, draws, own)
    return sizes


@contextmanager
def recorded(vae: VAE) -> Iterator[list[int]]:
    """Yield a list to which the bytes of each tensor are added that is kept for the gradient, weights apart."""
    weights = {id(weight) for weight in vae.parameters()}
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
