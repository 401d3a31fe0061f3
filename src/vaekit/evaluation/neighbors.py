"""The training images nearest to samples: does a model repeat what it has seen?"""

from collections.abc import Iterable, Iterator
from math import hypot
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vaekit.data import Split
from vaekit.errors import InputError
from vaekit.estimates import Estimate, mean_over_images

BLOCK, QUERIES, VALUES = 4096, 1024, 2**24
"""training images, other images, and pixels of the former held at once: 64 MiB at most"""


class Nearest(NamedTuple):
    """The nearest training image of each of N images.

    Attributes:
        distance: Euclidean, over all pixels, (N,).
        row: its number among the training images, (N,).
    """

    distance: Float[Tensor, "images"]
    row: Int64[Tensor, "images"]


def blocks(split: Split) -> Iterator[Float[Tensor, "_ *event"]]:
    """Yield all images of a split, in order, a block at a time."""
    size = max(1, min(BLOCK, VALUES // split.x[0].numel()))
    return (split.batch(rows).x for rows in torch.arange(len(split)).split(size))


def nearest(images: Float[Tensor, "images *event"], training: Iterable[Float[Tensor, "_ *event"]]) -> Nearest:
    """Find the nearest training image of each image by matrix products, |x − y|² = |x|² + |y|² − 2 xᵀy, block by block.

    Args:
        images: (N, *event).
        training: blocks of training images.

    Example:
        >>> nearest(torch.tensor([[0.0, 0.9]]), [torch.eye(2)])
        Nearest(distance=tensor([0.1000]), row=tensor([1]))
    """
    x = images.flatten(1)
    smallest = torch.full((len(x),), torch.inf, device=x.device)
    distance, row = smallest.clone(), torch.zeros(len(x), dtype=torch.long, device=x.device)
    start = 0
    for block in training:
        y = block.to(x.device).flatten(1)
        squares = y.square().sum(1)
        for first in range(0, len(x), QUERIES):
            part = slice(first, first + QUERIES)
            value, found = torch.addmm(squares, x[part], y.T, alpha=-2).min(1)
            # Computed again, because the products cancel for similar images, which are what we are looking for.
            measured = torch.linalg.vector_norm(x[part] - y[found], dim=1)
            nearer = value < smallest[part]
            smallest[part] = torch.where(nearer, value, smallest[part])
            distance[part] = torch.where(nearer, measured, distance[part])
            row[part] = torch.where(nearer, start + found, row[part])
        start += len(y)
    return Nearest(distance, row)


def distance_ratio(samples: Nearest, held_out: Nearest) -> Estimate:
    """Return the mean distance of samples to their nearest training images, in units of that of held-out images.

    Far below 1, samples are closer to training images than new images of the data are: a sign of memorizing, but only
    if samples are as sharp as the data, because the blurrier an image, the closer it is to every other. The standard
    error follows to first order from those of both means.

    Raises:
        InputError: if every held-out image is also a training image.
    """
    a, b = (mean_over_images(found.distance, 1) for found in (samples, held_out))
    if b.value == 0:
        raise InputError("every held-out image is also a training image: remove duplicates from the data")
    ratio = a.value / b.value
    return Estimate(ratio, hypot(a.standard_error, ratio * b.standard_error) / b.value, len(samples.distance))


def nearer(samples: Nearest, held_out: Nearest) -> Estimate:
    """Return how probable it is that a sample lies nearer to its nearest training image than a held-out image to its.

    One half, and samples are as new as held-out images; 1, and they are copies, or blurred. Ties count half. It is the
    Mann–Whitney statistic over n m, whose standard error is that of both means of ranks.

    Reference: *Comparing the areas under two or more correlated receiver operating characteristic curves (DeLong,
    DeLong, Clarke-Pearson, 1988)*.

    Example:
        >>> one, other = (Nearest(torch.tensor(d), torch.zeros(2)) for d in ([0.0, 3.0], [2.0, 4.0]))
        >>> nearer(one, other).value
        0.75
    """
    a, b = samples.distance, held_out.distance
    of_samples, of_held_out = _below(a, b), 1 - _below(b, a)
    error = (of_samples.var() / len(a) + of_held_out.var() / len(b)).sqrt()
    return Estimate(float(of_samples.mean()), float(error), len(a))


def _below(a: Tensor, b: Tensor) -> Tensor:
    """Return for each of a the share of b that lies above it, ties counting half."""
    ordered = b.sort().values
    reached = torch.searchsorted(ordered, a) + torch.searchsorted(ordered, a, right=True)
    return 1 - reached.double() / (2 * len(b))


def closest(
    images: Float[Tensor, "images *event"], found: Nearest, training: Split, n: int
) -> tuple[Float[Tensor, "{n} *event"], Float[Tensor, "{n} *event"]]:
    """Return the n images that are closest to a training image, closest first, and those training images: a figure."""
    order = found.distance.argsort()[:n]
    return images[order], training.batch(found.row[order].cpu()).x.to(images.device)
