"""N(0, I) whatever x is: no encoder."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit.conditional import Conditional
from vaekit.distributions import at_least_fp32, independent
from vaekit.specs import spec


class StandardNormalPosterior(Conditional):
    """q(z | x) = N(0, I) whatever x is: no weights.

    Args:
        latent_dim: number of latents d.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        assert c is not None
        loc = at_least_fp32(c.new_zeros(len(c), self.latent_dim))
        return independent(Normal(loc, torch.ones_like(loc), validate_args=False), 1)


@spec
class StandardNormal:
    """No encoder: N(0, I) whatever x is. For objective ``monte_carlo_em``, which finds p(z | x) without one."""

    kind: Literal["standard_normal"] = "standard_normal"

    def build(self, trunk: nn.Module, width: int, latent_dim: int) -> Conditional:
        """Return the module; the encoder's trunk is left out."""
        return StandardNormalPosterior(latent_dim)
