"""N(0, I) whatever x is: no encoder."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Normal

from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
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

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"fixed", "density", "factorized", "gaussian", "closed", "apart"}
    kind: Literal["standard_normal"] = "standard_normal"

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        builder.encoder()  # draws weights that nothing uses, without which the decoder would begin with other ones
        return StandardNormalPosterior(builder.latent_dim)
