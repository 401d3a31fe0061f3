"""How far two sets of features are from each other, and which part of each lies among the other.

Features are rows of numbers: a classifier's, pixels, or any others, (n, features) or (n, *event).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.stats import betabinom
from torch import Tensor

from vaekit.errors import InputError
from vaekit.estimates import Estimate, exact, jackknife_error

GROUPS = 40
"""groups of images that are left out in turn to extrapolate a Fréchet distance"""
NEIGHBORS = 5
"""K: a ball around an image reaches to its K-th nearest neighbor"""
SPLITS = 10
"""parts over which the errors of clipped density and coverage are computed"""
AT_ONCE = 512
"""rows of a matrix of all pairs that are held at once"""


class FrechetDistance(NamedTuple):
    """A Fréchet distance, extrapolated to infinitely many images.

    Attributes:
        value, standard_error: of the extrapolation, which may fall below 0 where the distance is none.
        samples: N, the number of images of either set.
        of_samples: the distance of N images as it is usually printed, too large by about a constant over N.
    """

    value: float
    standard_error: float
    samples: int
    of_samples: float


def frechet_distance(
    a: Float[Tensor, "n *features"], b: Float[Tensor, "m *features"], groups: int = GROUPS
) -> FrechetDistance:
    r"""Measure the distance of two sets of features as Gaussians, |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½).

    The trace of the root is the sum of the singular values of Σ_a^½ Σ_b^½, even for singular covariances.

    The distance D_N of N images is too large by about c / N. With the images cut at random into G groups, D_(g) that of
    all but group g, the value is G D_N − (G − 1) mean D_(g), which removes c / N, and its standard error is that of the
    jackknife, which has G − 1 degrees of freedom. With no more images than features the bias is not of that form.

    References: *GANs trained by a two time-scale update rule converge to a local Nash equilibrium (Heusel, Ramsauer,
    Unterthiner, Nessler, Hochreiter, 2017)*, arXiv:1706.08500; *Effectively unbiased FID and Inception Score and where
    to find them (Chong, Forsyth, 2020)*, arXiv:1911.07023, extrapolate by a line over 1 / N.

    Args:
        a, b: features, (n, d) and (m, d).
        groups: G, at most; a set of fewer images has as many groups.

    Raises:
        InputError: if either has fewer than three images.
    """
    n = min(len(a), len(b))
    if n < 3:
        raise InputError(
            f"the Fréchet distance of {len(a)} and {len(b)} images is undefined: give at least three of each"
        )
    a, b, groups = exact(a.flatten(1)), exact(b.flatten(1)), min(groups, n)
    whole = _distance(a, b)
    ga, gb = _groups(len(a), groups), _groups(len(b), groups)
    left = torch.stack([_distance(a[ga != g], b[gb != g]) for g in range(groups)])
    value = groups * whole - (groups - 1) * left.mean()
    return FrechetDistance(float(value), jackknife_error(left), n, float(whole))


def _groups(n: int, groups: int) -> Int64[Tensor, "n"]:
    """Give each of n images a group at random, always the same ones."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(n)) % groups


def _distance(a: Tensor, b: Tensor) -> Tensor:
    means = (a.mean(0) - b.mean(0)).square().sum()
    covariances = a.var(0).sum() + b.var(0).sum() - 2 * torch.linalg.svdvals(_root(a) @ _root(b)).sum()
    return (means + covariances).clamp_min(0)


def _root(x: Tensor) -> Tensor:
    """Return Σ^½ of the covariance of x; eigenvalues that rounding made negative become 0."""
    centered = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centered.T @ centered / (len(x) - 1))
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def kernel_distance(a: Float[Tensor, "n *features"], b: Float[Tensor, "m *features"]) -> Estimate:
    r"""Measure the squared maximum mean discrepancy of two sets of features, E k(a, a') + E k(b, b') − 2 E k(a, b).

    k(a, b) = (aᵀb / d + 1)³. Pairs of an image with itself are left out, so it is unbiased, however few the images, and
    falls below 0 where the sets hardly differ. The standard error follows from the mean kernel of each image with all
    others; where the sets do not differ at all, it is too large by about 1.4.

    Reference: *Demystifying MMD GANs (Bińkowski, Sutherland, Arbel, Gretton, 2018)*, arXiv:1801.01401.

    Args:
        a, b: features, (n, d) and (m, d).

    Raises:
        InputError: if either has fewer than two images.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        raise InputError(f"the kernel distance of {n} and {m} images is undefined: give at least two of each")
    a, b = exact(a.flatten(1)), exact(b.flatten(1))
    of_a = (_kernel_sums(a, a) - _kernel(a, a)) / (n - 1) - _kernel_sums(a, b) / m
    of_b = (_kernel_sums(b, b) - _kernel(b, b)) / (m - 1) - _kernel_sums(b, a) / n
    error = 2 * (of_a.var() / n + of_b.var() / m).sqrt()
    return Estimate(float(of_a.mean() + of_b.mean()), float(error), min(n, m))


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return ((a * b).sum(-1) / a.shape[-1] + 1) ** 3


def _kernel_sums(a: Tensor, b: Tensor) -> Tensor:
    """Return Σ_j k(a_i, b_j) for each i."""
    return torch.cat([((some @ b.T / a.shape[1] + 1) ** 3).sum(1) for some in a.split(AT_ONCE)])


class Clipped(NamedTuple):
    """Which part of some images is as good as the data, and which part of the data they cover; 1 at best.

    Attributes:
        density: clipped density, fidelity: the equivalent share of good images.
        coverage: clipped coverage: the share of equally many good images that would cover the data as well.
    """

    density: Estimate
    coverage: Estimate


def clipped(
    images: Float[Tensor, "m *features"], data: Float[Tensor, "n *features"], neighbors: int = NEIGHBORS
) -> Clipped:
    r"""Measure clipped density and clipped coverage of images by balls around the data.

    The ball B_i around x_i of the data reaches to its K-th nearest neighbor among the others; the radius of B′_i is at
    most the median of all. With y_j the images,

    density = min(1, mean_j min(1, #{i : y_j ∈ B′_i} / K) / mean_k min(1, #{i ≠ k : x_k ∈ B′_i} / K)),
    coverage = g(mean_i min(1, #{j : y_j ∈ B_i} / K)),

    where g inverts f(m) = E min(J, K) / K, J ~ BetaBinomial(m, K, n − K), what m good images would give, as a share of
    all m: f is exact for every continuous density, because the mass of B_i is Beta(K, n − K). So both fall linearly
    with the share of bad images. The standard errors are deviations over ten splits of both sets / √10, about
    a tenth too small with 1,000 images, a fifth with 300.

    Reference: *Enhanced generative model evaluation with clipped density and coverage (Salvy, Talbot, Thirion, 2025)*,
    arXiv:2507.01761.

    Args:
        images: features of what is judged, (m, d).
        data: features of the data, (n, d), which images are not expected to repeat: held-out ones.
        neighbors: K.

    Raises:
        InputError: if the data have no more than K + 1 images, or there are no images.
    """
    if len(data) < neighbors + 2 or not len(images):
        raise InputError(
            f"clipped density needs more than {neighbors + 1} images of the data and one to judge, but there are "
            f"{len(data)} and {len(images)}: give more"
        )
    images, data = exact(images.flatten(1)), exact(data.flatten(1))
    found = _clipped(images, data, neighbors)
    splits = max(1, min(SPLITS, len(data) // (4 * neighbors), len(images)))
    groups = _groups(len(images), splits), _groups(len(data), splits)
    parts = [_clipped(images[groups[0] == k], data[groups[1] == k], neighbors) for k in range(splits)]
    errors = torch.tensor(parts).std(0) / splits**0.5 if splits > 1 else torch.full((2,), torch.nan)
    estimates = (Estimate(min(1.0, v), float(e), len(images)) for v, e in zip(found, errors, strict=True))
    return Clipped(*estimates)


def _clipped(images: Tensor, data: Tensor, neighbors: int) -> tuple[float, float]:
    """Return clipped density and clipped coverage, which chance may lift above 1."""
    nearest = [torch.cdist(some, data).topk(neighbors + 1, largest=False) for some in data.split(AT_ONCE)]
    distance, row = (torch.cat(parts)[:, 1:] for parts in zip(*nearest, strict=True))  # the first is the image itself
    radius = distance[:, -1]
    smaller = radius.clamp_max(float(radius.median()))
    hits, met = torch.zeros(len(images), dtype=torch.long, device=images.device), []
    for some, whole, small in zip(*(x.split(AT_ONCE) for x in (data, radius, smaller)), strict=True):
        apart = torch.cdist(some, images)
        hits += (apart <= small[:, None]).sum(0)
        met.append((apart <= whole[:, None]).sum(1))
    counts = (hits, row[distance <= smaller[:, None]].bincount(minlength=len(data)), torch.cat(met))
    share, ideal, covered = (float((each.double() / neighbors).clamp_max(1).mean()) for each in counts)
    good = np.arange(2 * len(images) + 1)
    return share / ideal, float(np.interp(covered, expected_coverage(good, len(data), neighbors), good / len(images)))


def expected_coverage(images: np.ndarray, data: int, neighbors: int) -> np.ndarray:
    """Return E min(J, K) / K, J ~ BetaBinomial(m, K, n − K): the coverage of n images of the data by m other ones.

    Example:
        >>> expected_coverage(np.array([0, 1]), data=100, neighbors=5).round(6).tolist()
        [0.0, 0.01]
    """
    missing = [(neighbors - j) * betabinom.pmf(j, images, neighbors, data - neighbors) for j in range(neighbors)]
    return 1 - np.sum(missing, axis=0) / neighbors
