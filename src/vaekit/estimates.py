"""What every evaluator returns: a value with its standard error."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor


class Estimate(NamedTuple):
    """A Monte Carlo estimate.

    Attributes:
        value: the estimate, in the unit of what is estimated (nats per image for densities).
        standard_error: the standard deviation of ``value`` over repetitions with fresh images and fresh draws.
        samples: posterior draws per image that went into it.
    """

    value: float
    standard_error: float
    samples: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.standard_error:.3f}"


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
    """Return x in double precision, on the CPU where the device has none, as Apple's GPUs do not."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def plain(found: Any) -> Any:
    """Write what was found as JSON has it: named tuples as objects, and null for what is no finite number.

    Example:
        >>> plain({"elbo": Estimate(-3.0, float("nan"), 1)})
        {'elbo': {'value': -3.0, 'standard_error': None, 'samples': 1}}
    """
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, Mapping):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return None if isinstance(found, float) and not isfinite(found) else found
