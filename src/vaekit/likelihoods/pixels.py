"""What likelihoods of pixels share: an output of the decoder per parameter and pixel, and scales with a bound."""

from math import log

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaekit.conditional import Conditional
from vaekit.distributions import LEVELS, at_least_fp32

GRAY_LEVEL = 1 / LEVELS


def bounded_log_scale(raw: Float[Tensor, "*shape"], minimum: float) -> Float[Tensor, "*shape"]:
    """Keep a scale s above m smoothly: log s = log m + softplus(raw − log m), which equals raw where raw ≫ log m.

    Example:
        >>> bounded_log_scale(Tensor([-100.0, 2.0]), minimum=0.01).exp()
        tensor([0.0100, 7.3991])
    """
    return log(minimum) + F.softplus(raw - log(minimum))


class PixelLikelihood(Conditional):
    """Independent elements of x given z, each with the parameters that the decoder outputs for it.

    Args:
        network: z (..., d) → (..., outputs, *event).
        event_dims: number of axes of one example.
    """

    def __init__(self, network: nn.Module, event_dims: int) -> None:
        super().__init__()
        self.network = network
        self.event_dims = event_dims

    def parameters_of(self, z: Float[Tensor, "... latent"] | None) -> tuple[Float[Tensor, "*shape"], ...]:
        """The decoder's outputs, one tensor (..., *event) each."""
        return at_least_fp32(self.network(z)).unbind(-1 - self.event_dims)
