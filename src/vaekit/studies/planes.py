"""What pictures of a plane of codes show, in numbers: are similar classes near each other, and is the way smooth?"""

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaekit.estimates import Estimate
from vaekit.evaluation.probes import nearest_classes
from vaekit.reporting.plots import gaussian_quantiles
from vaekit.studies.lab import Lab, exact
from vaekit.studies.study import Key, Result

GRID = 20
"""points on each side of the grid, as in the figures"""
PERMUTATIONS = 10_000
CORRELATION = "rank correlation between classes' distance and confusion"
CHANCE = "share of permutations of the classes with such a correlation"
MEAN_STEP, LARGEST_STEP = "mean step on the grid", "largest step on the grid"
LEVEL = 0.05


def organization(lab: Lab, label: str) -> dict[Key, Estimate]:
    """Measure whether the codes of similar classes are near each other.

    The distance of two classes is that of the means of their test codes. Their confusion does not depend on the codes:
    it counts the test images of either class whose five nearest training images, pixel by pixel, are mostly of the
    other.
    """
    codes, classes = lab.coded(label, "test")
    known = lab.coded(label, "train")[1]
    pixels = [images.flatten(1) for images in (lab.training_images(label), lab.test_images(label))]
    voted = nearest_classes(pixels[0], known, pixels[1])
    correlation, chance = likeness(distances(codes, classes), confusion(classes, voted))
    return {(label, CORRELATION): exact(correlation), (label, CHANCE): exact(chance)}


def smoothness(lab: Lab, label: str) -> dict[Key, Estimate]:
    """Measure the decoder's path over the grid of quantiles that the figures show: its mean and its largest step.

    A step is the distance of the images of two neighbors on the grid, in units of the mean distance of two images of
    the grid: 1 is as far as from anywhere to anywhere.
    """
    z = torch.from_numpy(np.stack(np.meshgrid(*[gaussian_quantiles(GRID)] * 2), -1)).float()
    with torch.no_grad():
        mean, largest = path(lab.runs[label].vae().decode(z.flatten(0, 1)).reshape(GRID, GRID, -1))
    return {(label, MEAN_STEP): exact(mean), (label, LARGEST_STEP): exact(largest)}


def distances(codes: Float[Tensor, "images latent"], classes: Int[Tensor, "images"]) -> Float[Tensor, "classes other"]:
    """Return the distances of the classes' mean codes."""
    means = torch.stack([codes[classes == each].mean(0) for each in classes.unique()])
    return torch.cdist(means, means)


def confusion(classes: Int[Tensor, "images"], voted: Int[Tensor, "images"]) -> Float[Tensor, "classes other"]:
    """Return, for each pair of classes, the sum of the shares of either that are taken for the other."""
    here = classes.unique()
    shares = torch.stack([(voted[classes == each][:, None] == here).double().mean(0) for each in here])
    return shares + shares.T


def likeness(distance: Float[Tensor, "classes other"], confused: Float[Tensor, "classes other"]) -> tuple[float, float]:
    """Correlate the ranks of two symmetric matrices over the pairs of classes; negative if the near are the confused.

    Pairs that share a class depend on each other, so chance is found by Mantel's test: how many permutations of the
    classes give a correlation as negative.

    Returns:
        the correlation, and that share of the permutations.

    Example:
        >>> distance = torch.tensor([[0., 1, 2], [1, 0, 3], [2, 3, 0]])
        >>> round(likeness(distance, -distance)[0], 6)
        -1.0
    """
    pairs = torch.tensor(list(combinations(range(len(distance)), 2))).T
    draws = torch.rand(PERMUTATIONS, len(distance), generator=torch.Generator().manual_seed(0)).argsort(1)
    orders = torch.cat([torch.arange(len(distance))[None], draws])  # the first is the order as it is
    found = standardized(ranks(distance[tuple(pairs)]))
    shuffled = standardized(ranks(confused[tuple(pairs)]))
    place = torch.zeros(len(distance), len(distance), dtype=torch.long)
    place[tuple(pairs)] = place[tuple(pairs.flip(0))] = torch.arange(pairs.shape[1])
    correlations = (shuffled[place[orders[:, pairs[0]], orders[:, pairs[1]]]] * found).mean(1)
    return float(correlations[0]), float((correlations <= correlations[0] + 1e-9).double().mean())


def standardized(values: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Shift and scale values to mean 0 and deviation 1; equal values become 0."""
    centered = values - values.mean()
    return centered / centered.square().mean().sqrt().clamp(min=torch.finfo(values.dtype).tiny)


def ranks(values: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Rank values from 1; equal ones share their mean rank.

    Example:
        >>> ranks(torch.tensor([5.0, 1.0, 5.0, 9.0])).tolist()
        [2.5, 1.0, 2.5, 4.0]
    """
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    return (last - (count - 1) / 2)[place]


def path(images: Float[Tensor, "rows columns elements"]) -> tuple[float, float]:
    """Return the mean and the largest step between neighbors on a grid, in units of the mean distance of two images.

    Example:
        >>> path(torch.arange(4.0).reshape(2, 2, 1))  # neighbors differ by 1 and 2; any two by 5/3 on average
        (0.9, 1.2)
    """
    flat = images.double().flatten(0, 1)
    steps = torch.cat([(images.double().diff(dim=axis)).norm(dim=-1).flatten() for axis in (0, 1)])
    apart = torch.pdist(flat).mean()
    return round(float(steps.mean() / apart), 9), round(float(steps.max() / apart), 9)


def organized(result: Result, label: str) -> tuple[bool, str]:
    """Return whether similar classes have near codes, more than chance would have it, and the numbers in words."""
    correlation, chance = result.value(label, CORRELATION), result.value(label, CHANCE)
    words = f"the rank correlation between the distance of classes and their confusion in pixels is {correlation:.2f} "
    words += f"({100 * chance:.2g}% of permutations of the classes are as negative)"
    return chance <= LEVEL, words


def smooth(result: Result, label: str) -> tuple[bool, str]:
    """Return whether even the largest step on the grid is shorter than the mean distance of its images, and words."""
    mean, largest = result.value(label, MEAN_STEP), result.value(label, LARGEST_STEP)
    words = f"a step on the {GRID}×{GRID} grid is {mean:.2f} of the mean distance of two of its images, "
    words += f"and at most {largest:.2f}"
    return largest < 1, words
