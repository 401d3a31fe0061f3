"""Bits per dimension: the length of a lossless code of the stored values."""

from math import log
from typing import Any

from jaxtyping import Float
from torch import Tensor

from vaekit.data import Support
from vaekit.likelihoods import Gaussian
from vaekit.likelihoods.pixels import GRAY_LEVEL

SPACING = 1 / 255
"""distance of neighboring levels as the model sees them, k/255"""


def cell(likelihood: Any, support: Support) -> float | None:
    """Return by what a likelihood is multiplied to give the probability of a stored value; None if nothing does.

    A probability of bits or of the 256 levels is one already. A Gaussian density of k/255 becomes one by the spacing of
    the levels, 1/255, as long as its scale is at least 1/256: then the sum over all levels exceeds 1 by less than 1e-8.
    Narrower Gaussians, the continuous Bernoulli, whose mass may sit in its ends, and reals have no such width.

    Example:
        >>> cell(Gaussian(), "byte") == 1 / 255, cell(Gaussian(), "unit")
        (True, None)
    """
    if likelihood.kind in ("bernoulli", "discretized_logistic", "categorical"):
        return 1.0 if support in likelihood.normalized_on else None
    if isinstance(likelihood, Gaussian) and support == "byte":
        narrowest = likelihood.fixed_scale if likelihood.scale == "fixed" else likelihood.minimum_scale
        return SPACING if narrowest >= GRAY_LEVEL else None
    return None


def bits_per_dim(log_evidence: Float[Tensor, "images"], dimensions: int, cell: float = 1.0) -> Float[Tensor, "images"]:
    r"""Return −(log p(x) + D log c) / (D log 2) of each image, in bits per pixel and channel.

    As log p(x) is estimated from below, the bits err upward, in expectation.

    Args:
        log_evidence: log p(x) of each image, (images,) nats.
        dimensions: D, the number of values of an image.
        cell: c, what ``cell`` returns.

    Example:
        >>> import torch
        >>> bits_per_dim(torch.tensor([-2 * log(256)]), 2)
        tensor([8.])
    """
    return -(log_evidence / dimensions + log(cell)) / log(2)
