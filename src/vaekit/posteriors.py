"""Approximate posteriors q(z | x)."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit import distributions
from vaekit.conditional import Conditional
from vaekit.distributions import Head, at_least_fp32, independent, log_scale
from vaekit.specs import spec


class GaussianPosterior(Conditional):
    """q(z | x) = N(μ(x), diag σ(x)²), where the network outputs μ and log σ, or μ and log σ².

    Args:
        trunk: x (batch, *event) → features (batch, width).
        width: number of features.
        latent_dim: number of latents d.
        head: what the last layer outputs besides μ.
    """

    def __init__(self, trunk: nn.Module, width: int, latent_dim: int, head: Head = "log_scale") -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, 2 * latent_dim)
        self.emits = head

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        loc, raw = at_least_fp32(self.head(self.trunk(c))).chunk(2, -1)
        return independent(Normal(loc, log_scale(raw, self.emits).exp(), validate_args=False), 1)


class DeltaPosterior(Conditional):
    """q(z | x) = δ(z − f(x)): the encoder of a deterministic auto-encoder.

    Args: those of GaussianPosterior.
    """

    def __init__(self, trunk: nn.Module, width: int, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, latent_dim)

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        return distributions.Delta(at_least_fp32(self.head(self.trunk(c))), validate_args=False)


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
class Gaussian:
    """A Gaussian with diagonal covariance, amortized by the encoder."""

    kind: Literal["gaussian"] = "gaussian"
    head: Head = "log_scale"
    """what the encoder outputs besides μ: log σ, or log σ², a step of which moves log σ half as far"""

    def build(self, trunk: nn.Module, width: int, latent_dim: int) -> Conditional:
        """Return the module on top of the encoder's trunk."""
        return GaussianPosterior(trunk, width, latent_dim, self.head)


@spec
class Delta:
    """A point: no KL and no density, hence no bound. The baseline, trained with objective ``reconstruction``."""

    kind: Literal["delta"] = "delta"

    def build(self, trunk: nn.Module, width: int, latent_dim: int) -> Conditional:
        """Return the module on top of the encoder's trunk."""
        return DeltaPosterior(trunk, width, latent_dim)


@spec
class StandardNormal:
    """No encoder: N(0, I) whatever x is. For objective ``monte_carlo_em``, which finds p(z | x) without one."""

    kind: Literal["standard_normal"] = "standard_normal"

    def build(self, trunk: nn.Module, width: int, latent_dim: int) -> Conditional:
        """Return the module; the encoder's trunk is left out."""
        return StandardNormalPosterior(latent_dim)


Posterior = Annotated[Gaussian | Delta | StandardNormal, Field(discriminator="kind")]
