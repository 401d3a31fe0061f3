"""Gaussians with full covariance."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import at_least_fp32
from vaekit.specs import spec


class FullGaussianPosterior(Conditional):
    """q(z | x) = N(μ(x), L(x) L(x)ᵀ), where the network outputs μ, log σ and the elements of N below the diagonal.

    L = diag(σ) (I + N), so that N has no scale: N = 0 is the Gaussian with diagonal covariance.

    Args: those of GaussianPosterior.
    """

    below: Int[Tensor, "elements"]

    def __init__(self, trunk: nn.Module, width: int, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        rows, columns = torch.tril_indices(latent_dim, latent_dim, -1)
        self.register_buffer("below", rows * latent_dim + columns, persistent=False)
        self.latent_dim = latent_dim
        self.head = nn.Linear(width, 2 * latent_dim + len(self.below))

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        d = self.latent_dim
        loc, log_scale, raw = self.parameters_of(c)
        scale = log_scale.exp()
        lower = raw.new_zeros(*raw.shape[:-1], d * d).index_copy(-1, self.below, raw).unflatten(-1, (d, d))
        factor = scale.unsqueeze(-1) * lower + torch.diag_embed(scale)
        return distributions.FullGaussian(loc, factor, validate_args=False)

    def center_at(self, c: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
        return self.parameters_of(c)[0]

    def parameters_of(self, x: Float[Tensor, "batch *event"] | None) -> tuple[Float[Tensor, "batch _"], ...]:
        """μ, log σ, and the elements of N."""
        sizes = [self.latent_dim, self.latent_dim, len(self.below)]
        return at_least_fp32(self.head(self.trunk(x))).split(sizes, -1)


@spec
class FullGaussian:
    """A Gaussian with full covariance, amortized by the encoder: d (d − 1) / 2 outputs more than ``gaussian``.

    Its KL from N(0, I), or from any Gaussian prior with diagonal covariance, is in closed form.

    Reference: *An introduction to variational autoencoders (Kingma, Welling, 2019)*, section 2.5.1, arXiv:1906.02691.
    """

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"encoder", "density", "pathwise", "closed", "apart"}
    kind: Literal["full_gaussian"] = "full_gaussian"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new encoder."""
        return FullGaussianPosterior(*builder.encoder(), builder.latent_dim)
