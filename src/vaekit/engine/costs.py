"""What a training costs, before it begins: weights, operations, seconds."""

from functools import lru_cache
from math import ceil
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from vaekit.data import Source, Space
from vaekit.engine.units import Unit, samples
from vaekit.engine.work import Measures
from vaekit.model import Model

OPERATIONS_A_SECOND = 1e11
"""multiplications and additions per second that expected times are based on: two CPU cores"""
PASSES = 3
"""a step costs as much as three forward passes"""
STEP = 1e-3
"""seconds that a step takes at least, however small the model is"""
BEGINNING = 3.0
"""seconds that a unit takes besides: to read its data, to compile its step, to write what it is"""


def images(unit: Unit, space: Space) -> int:
    """Return how many training images a unit sees."""
    return ceil(samples(unit.experiment, space.sizes["train"]))


def seconds(unit: Unit, measures: Measures | None, data_root: Path | None = None) -> float:
    """Estimate the seconds of a unit at the rates above: its beginning, its steps, and the draws of its evidence."""
    experiment, space = unit.experiment, space_of(unit.experiment.data, data_root)
    _, operations = cost(experiment.model, space.event_shape)
    seen = images(unit, space)
    steps = seen / min(experiment.batch_size, space.sizes["train"])
    training = BEGINNING + max(STEP * steps, PASSES * operations * seen / OPERATIONS_A_SECOND)
    if measures is None or "evidence" not in measures.metrics:
        return training
    draws = measures.samples * min(measures.images, space.sizes[measures.split])
    return training + operations * draws / OPERATIONS_A_SECOND


@lru_cache
def space_of(source: Source, data_root: Path | None) -> Space:
    """Return the space of data, which are loaded once."""
    return source.load(data_root).space


@lru_cache
def cost(model: Model, event_shape: tuple[int, ...]) -> tuple[int, int]:
    """Count the weights of a model and the operations of its forward pass for one image.

    Example:
        >>> cost(Model(latent_dim=2), (1, 8, 8))
        (68068, 134000)
    """
    with torch.device("meta"):
        vae = model.build(event_shape)  # the first linear layer multiplies matrices to choose its library: not counted
        with FlopCounterMode(display=False) as counter:
            vae.decode(vae.encode(torch.zeros(1, *event_shape)))
    return sum(p.numel() for p in vae.parameters()), counter.get_total_flops()
