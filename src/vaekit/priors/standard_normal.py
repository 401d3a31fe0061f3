"""The prior N(0, I)."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Normal

from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import independent
from vaekit.specs import spec


class StandardNormalPrior(Conditional):
    """p(z) = N(0, I) over d latents."""

    loc: Float[Tensor, "latent"]
    scale: Float[Tensor, "latent"]

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)

    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        return independent(Normal(self.loc, self.scale, validate_args=False), 1)


@spec
class StandardNormal:
    """p(z) = N(0, I)."""

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"density", "factorized", "gaussian", "standard", "apart", "stackable"}
    kind: Literal["standard_normal"] = "standard_normal"

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        return StandardNormalPrior(builder.latent_dim)
