"""What every evaluator returns: a value with its standard error."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from vaekit import notebook


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


def exact(x: Tensor) -> Tensor:
    """Return x in double precision, on the CPU if the device lacks it, as Apple's GPUs do."""
    return x.cpu().double() if x.device.type == "mps" else x.double()
