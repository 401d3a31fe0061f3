"""How good images look to a classifier: inception score, Fréchet distance, legibility, confusion."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vaekit.errors import InputError
from vaekit.estimates import Estimate, exact
from vaekit.evaluation.classifier import Classifier, share

LEGIBLE = 0.9
"""probability of the likeliest class above which an image counts as legible"""
SPLITS, RESAMPLES = 10, 20


class InceptionScore(NamedTuple):
    """Mean and standard deviation of the inception score over splits of N images.

    The fewer images in a split, the lower the score, by a share of about (classes − 1) / 2n: compare equal numbers.
    """

    value: float
    standard_deviation: float
    splits: int
    samples: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.standard_deviation:.2f}"


def inception_score(probabilities: Float[Tensor, "images classes"], splits: int = SPLITS) -> InceptionScore:
    r"""Measure how confidently images are classified and how evenly over classes, from 1 to the number of classes.

    exp E_x KL(p(y | x) ‖ p(y)) with p(y) = E_x p(y | x), in each split separately. Image i belongs to split i mod
    ``splits``, so that images may be sorted by class.

    Reference: *Improved techniques for training GANs (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016)*,
    arXiv:1606.03498.

    Args:
        probabilities: p(y | x), (N, classes).
        splits: number of splits.

    Raises:
        InputError: if there are fewer images than splits.

    Example:
        >>> inception_score(torch.eye(4).repeat(10, 1), splits=1).value
        4.0
    """
    if not 1 <= splits <= len(probabilities):
        raise InputError(f"{len(probabilities)} images cannot be cut into {splits} splits: give more images")
    p = exact(probabilities)
    scores = torch.stack([_divergence(p[k::splits]).exp() for k in range(splits)])
    deviation = float(scores.std()) if splits > 1 else float("nan")
    return InceptionScore(float(scores.mean()), deviation, splits, len(p))


def _divergence(p: Tensor) -> Tensor:
    # xlogy(0, 0) = 0, where the difference of the logarithms would be NaN.
    return (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean()


def frechet_distance(
    a: Float[Tensor, "n features"], b: Float[Tensor, "m features"], resamples: int = RESAMPLES
) -> Estimate:
    r"""Measure the distance of two sets of features as Gaussians, |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½).

    The trace of the root is the sum of the singular values of Σ_a^½ Σ_b^½, even for singular covariances.
    The standard error is the standard deviation over bootstrap resamples of both sets, drawn from torch's random state.
    The fewer images, the larger the distance, even within one kind: compare only equal numbers, and compare with the
    distance between training and held-out images, the floor.

    Reference: *GANs trained by a two time-scale update rule converge to a local Nash equilibrium (Heusel, Ramsauer,
    Unterthiner, Nessler, Hochreiter, 2017)*, arXiv:1706.08500.

    Args:
        a, b: features, (n, d) and (m, d).
        resamples: how many the standard error is computed from.

    Raises:
        InputError: if either has fewer than two images.
    """
    if min(len(a), len(b)) < 2:
        raise InputError(
            f"the Fréchet distance of {len(a)} and {len(b)} images is undefined: give at least two of each"
        )
    a, b = exact(a), exact(b)
    again = torch.stack([_distance(_resampled(a), _resampled(b)) for _ in range(resamples)])
    return Estimate(float(_distance(a, b)), float(again.std()), min(len(a), len(b)))


def _resampled(x: Tensor) -> Tensor:
    return x[torch.randint(len(x), (len(x),), device=x.device)]


def _distance(a: Tensor, b: Tensor) -> Tensor:
    means = (a.mean(0) - b.mean(0)).square().sum()
    covariances = a.var(0).sum() + b.var(0).sum() - 2 * torch.linalg.svdvals(_root(a) @ _root(b)).sum()
    return (means + covariances).clamp_min(0)


def _root(x: Tensor) -> Tensor:
    """Return Σ^½ of the covariance of x; eigenvalues that rounding made negative become 0."""
    centered = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centered.T @ centered / (len(x) - 1))
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def legibility(probabilities: Float[Tensor, "images classes"], threshold: float = LEGIBLE) -> Estimate:
    """Return the share of images whose likeliest class has more than ``threshold``; for its error see ``share``."""
    return share(probabilities.amax(1) > threshold)


def class_counts(probabilities: Float[Tensor, "images classes"]) -> list[int]:
    """Count images by their likeliest class."""
    return probabilities.argmax(1).bincount(minlength=probabilities.shape[1]).tolist()


def confusion(labels: Int64[Tensor, "images"], probabilities: Float[Tensor, "images classes"]) -> list[list[int]]:
    """Count images by label (row) and likeliest class (column), such as that of their reconstruction.

    Example:
        >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
        [[1, 0], [1, 1]]
    """
    n = probabilities.shape[1]
    cells = n * labels.to(probabilities.device) + probabilities.argmax(1)
    return cells.bincount(minlength=n * n).reshape(n, n).tolist()


class Verdict(NamedTuple):
    """What a classifier makes of N images.

    Attributes:
        probabilities: p(y | x), (N, classes).
        features: the inputs of its last layer, (N, features).
    """

    probabilities: Float[Tensor, "images classes"]
    features: Float[Tensor, "images features"]


def judge(classifier: Classifier, batches: Iterable[Float[Tensor, "_ channels height width"]]) -> Verdict:
    """Show batches of images in [0, 1] to a classifier, one after another."""
    features = torch.cat([classifier.features(x) for x in batches])
    return Verdict(classifier.classify(features), features)
