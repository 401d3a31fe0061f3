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
from vaekit.distributions import LEAST_SCALE, independent
from vaekit.specs import Count, spec

TINY = 1e-12
"""number of codes below which a component has none"""
ROUNDS = 10
"""of EM before a mixture is fitted to codes by gradients"""


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

    @torch.no_grad()
    def begin_at(self, codes: Float[Tensor, "n latent"]) -> None:
        """Begin at codes: K of them for means, scales by Silverman's rule, then ten rounds of EM.

        In each round a component has one code more than its own, as far from its mean as its first scale, so that none
        shrinks to a point.

        References: *Maximum likelihood from incomplete data via the EM algorithm (Dempster, Laird, Rubin, 1977)*;
        *Density estimation for statistics and data analysis (Silverman, 1986)*, section 4.3.
        """
        count, dim = self.loc.shape
        width = codes.std(0).clamp_min(LEAST_SCALE) * count ** (-1 / (dim + 4))
        self.loc.copy_(codes[torch.arange(count) % len(codes)])
        self.log_scale.copy_(width.log().expand_as(self.loc))
        z = codes.to(self.mixture().log_weights)  # in double precision: squares are subtracted
        for _ in range(ROUNDS):
            shares = self.mixture().shares(codes)
            own = shares.sum(0)[:, None]
            mean, square = (shares.T @ each / own.clamp_min(TINY) for each in (z, z.square()))
            self.loc.copy_(torch.where(own > TINY, mean, self.loc))
            self.log_scale.copy_(((own * (square - mean.square()) + width.square()) / (own + 1)).log() / 2)
            self.logits.copy_((own[:, 0] + 1).log())

    def mixture(self) -> distributions.Mixture:
        """Return p(z)."""
        components = independent(Normal(self.loc, self.log_scale.exp(), validate_args=False), 1)
        return distributions.Mixture(components, self.logits)

    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        return self.mixture()


@spec
class Mixture:
    """A mixture of Gaussians with diagonal covariances, learned with the rest of the model."""

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"density", "apart", "fitted"}
    kind: Literal["mixture"] = "mixture"
    components: Count = 100
    """number of Gaussians"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        return MixturePrior(self.components, builder.latent_dim)
