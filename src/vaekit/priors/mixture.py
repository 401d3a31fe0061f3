"""A mixture of diagonal Gaussians as the prior."""

from math import sqrt
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import independent
from vaekit.specs import Count, spec


class MixturePrior(Conditional):
    """p(z) = Σ_k w_k N(z; μ_k, diag σ_k²), with the weights, means and scales of K components learned.

    At first the means are drawn from N(0, I/2), and all variances are 1/2, so that p(z) is near N(0, I).

    Args:
        components: K.
        latent_dim: number of latents d.
    """

    def __init__(self, components: int, latent_dim: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, latent_dim) * sqrt(0.5))
        self.log_scale = nn.Parameter(torch.full((components, latent_dim), 0.5).log() / 2)

    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        components = independent(Normal(self.loc, self.log_scale.exp(), validate_args=False), 1)
        return distributions.Mixture(components, self.logits)


@spec
class Mixture:
    """A mixture of Gaussians with diagonal covariances, learned with the rest of the model."""

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"density", "apart"}
    kind: Literal["mixture"] = "mixture"
    components: Count = 100
    """number of Gaussians"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        return MixturePrior(self.components, builder.latent_dim)
