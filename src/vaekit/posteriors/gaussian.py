"""Gaussians with diagonal covariance."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
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
        loc, raw = self.parameters_of(c)
        return independent(Normal(loc, log_scale(raw, self.emits).exp(), validate_args=False), 1)

    def center_at(self, c: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
        return self.parameters_of(c)[0]

    def parameters_of(self, x: Float[Tensor, "batch *event"] | None) -> tuple[Float[Tensor, "batch latent"], ...]:
        """μ, and what the encoder outputs for the scale."""
        return at_least_fp32(self.head(self.trunk(x))).chunk(2, -1)


@spec
class Gaussian:
    """A Gaussian with diagonal covariance, amortized by the encoder."""

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"encoder", "density", "pathwise", "factorized", "gaussian", "closed", "apart", "stackable"}
    kind: Literal["gaussian"] = "gaussian"
    head: Head = "log_scale"
    """what the encoder outputs besides μ: log σ, or log σ², a step of which moves log σ half as far"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new encoder."""
        return GaussianPosterior(*builder.encoder(), builder.latent_dim, self.head)
