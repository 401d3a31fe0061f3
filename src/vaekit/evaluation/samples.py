"""How good images look to a classifier: inception score, legibility, confusion."""

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
SPLITS = 10


class InceptionScore(NamedTuple):
    """An inception score: the mean over splits of N images.

    The fewer images in a split, the lower the score, by a share of about (classes − 1) / 2n: compare equal numbers.

    Attributes:
        value: the mean over splits.
        standard_error: of that mean, the deviation / √splits; with ten splits, it has nine degrees of freedom.
        standard_deviation: over splits, which papers print after their "±".
    """

    value: float
    standard_error: float
    standard_deviation: float
    splits: int
    samples: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.standard_error:.2f}"


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
    return InceptionScore(float(scores.mean()), deviation / splits**0.5, deviation, splits, len(p))


def _divergence(p: Tensor) -> Tensor:
    # xlogy(0, 0) = 0, where the difference of the logarithms would be NaN.
    return (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean()


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
