"""What is done with distributions of any kind."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent

Head = Literal["log_scale", "log_variance"]
"""what a network outputs for the scale of a Gaussian: log σ, or log σ²"""


def independent(distribution: Distribution, event_dims: int) -> Distribution:
    """Treat the last ``event_dims`` axes of ``distribution`` as one event, whose log-probabilities are summed."""
    return Independent(distribution, event_dims, validate_args=False)


def log_scale(raw: Float[Tensor, "*shape"], head: Head) -> Float[Tensor, "*shape"]:
    """Return log σ, given the output of a network and what it stands for."""
    return raw / 2 if head == "log_variance" else raw


def at_least_fp32(parameters: Tensor) -> Tensor:
    """Convert a network's half-precision outputs to fp32, in which densities are computed; fp64 stays."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))
