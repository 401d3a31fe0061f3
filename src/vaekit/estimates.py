"""What every evaluator returns: a value with its standard error."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from vaekit import notebook

LOOSE = 1.0
"""nats by which a bound may be loose before it is worth mentioning"""


class Estimate(NamedTuple):
    """A Monte Carlo estimate.

    Attributes:
        value: the estimate, in the unit of the quantity (nats per image for densities).
        standard_error: the standard deviation of ``value`` over repetitions with fresh images and fresh draws.
        samples: posterior draws per image behind it.
    """

    value: float
    standard_error: float
    samples: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.standard_error:.3f}"

    def _repr_html_(self) -> str:
        return notebook.heading(str(self), f"{self.samples:,} draws")


def mean_over_images(per_image: Float[Tensor, "images"], samples: int) -> Estimate:
    """Average one number per image; the standard error is that of a mean, s / √N.

    Args:
        per_image: shape (N,).
        samples: posterior draws per image behind each number.

    Example:
        >>> import torch
        >>> mean_over_images(torch.tensor([1.0, 3.0]), samples=1)
        Estimate(value=2.0, standard_error=1.0, samples=1)
    """
    per_image = exact(per_image)
    error = per_image.std() / len(per_image) ** 0.5 if len(per_image) > 1 else float("nan")
    return Estimate(float(per_image.mean()), float(error), samples)


def jackknife_error(left_out: Float[Tensor, "groups"]) -> float:
    """Return the standard error √((G − 1) / G Σ_g (t_g − t̄)²) of a statistic, from its values t_g without group g.

    Reference: *The jackknife, the bootstrap and other resampling plans (Efron, 1982)*, chapter 3.

    Example:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0, 3.0, 6.0])
        >>> means = (x.sum() - x) / 3
        >>> abs(jackknife_error(means) - mean_over_images(x, 1).standard_error) < 1e-6
        True
    """
    return float((exact(left_out).var(correction=0) * (len(left_out) - 1)).sqrt())


def exceeds(
    one: Float[Tensor, "images"],
    error: Float[Tensor, "images"],
    other: Float[Tensor, "images"],
    other_error: Float[Tensor, "images"],
    least: float = LOOSE,
) -> dict[str, float]:
    """Count the images on which one lower bound exceeds another by more than 3 errors of the difference.

    The excess is what the other lacks, at least and up to noise: an unbiased estimate of p(x) exceeds it by a factor of
    eᵗ with a probability of at most e⁻ᵗ (Markov), whatever its error seems to be.

    Args:
        one, error, other, other_error: the bounds of each image and their standard errors, (images,) nats.
        least: nats, besides, by which the one must exceed the other.

    Returns:
        ``images``, their number, and ``most``, the largest excess among them.

    Example:
        >>> import torch
        >>> exceeds(torch.tensor([5.0, 5.0]), torch.ones(2), torch.tensor([0.0, 4.5]), torch.ones(2))
        {'images': 1, 'most': 5.0}
    """
    more = one - other
    found = more[more > (3 * (error.square() + other_error.square()).sqrt()).clamp_min(least)]
    return {"images": len(found), "most": float(found.max()) if len(found) else 0.0}


def exact(x: Tensor) -> Tensor:
    """Return x in double precision, on the CPU if the device lacks it, as Apple's GPUs do."""
    return x.cpu().double() if x.device.type == "mps" else x.double()
