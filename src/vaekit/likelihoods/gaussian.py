"""Gaussian, for real values and gray values."""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import Head, independent, log_scale
from vaekit.likelihoods.pixels import GRAY_LEVEL, PixelLikelihood, bounded_log_scale
from vaekit.specs import spec


class GaussianLikelihood(PixelLikelihood):
    """x_i ~ N(m_i(z), s²).

    Args:
        network, event_dims: those of PixelLikelihood; two outputs per element if the scale depends on z, else one.
        spec: which scale, its value or its bound, what is output for it, and whether the mean goes through a sigmoid.
    """

    def __init__(self, network: nn.Module, event_dims: int, spec: "Gaussian") -> None:
        super().__init__(network, event_dims)
        self.spec = spec
        if spec.scale == "shared":
            self.log_scale = nn.Parameter(torch.tensor(-1.0))  # pixels in [0, 1] spread by about e⁻¹

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        loc, *raw = self.parameters_of(c)
        loc = self._mean(loc)
        return independent(Normal(loc, self._scale(loc, *raw), validate_args=False), self.event_dims)

    def center_at(self, c: Float[Tensor, "... latent"]) -> Float[Tensor, "*shape"]:
        return self._mean(self.parameters_of(c)[0])

    def _mean(self, loc: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return loc.sigmoid() if self.spec.mean == "sigmoid" else loc

    def _scale(
        self, loc: Float[Tensor, "*shape"], raw: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        if self.spec.scale == "fixed":
            return torch.full_like(loc, self.spec.fixed_scale)
        if raw is None:
            return bounded_log_scale(self.log_scale.expand_as(loc), self.spec.minimum_scale).exp()
        if self.spec.scale == "image":
            # The mean of the per-element heads is one linear head per image.
            raw = raw.mean(tuple(range(-self.event_dims, 0)), keepdim=True).expand_as(loc)
        return bounded_log_scale(log_scale(raw, self.spec.head), self.spec.minimum_scale).exp()


@spec
class Gaussian:
    """A Gaussian whose scale is per pixel, per image, shared and learned, or fixed.

    With ``scale = "fixed"`` and σ² = ½ (the default ``fixed_scale``), −log p(x | z) is the sum of squared errors
    plus the constant (D/2) log π: what code with "SSE + KL" minimizes. σ = 1 gives ½ SSE.
    """

    supports: ClassVar[tuple[Support, ...]] = ("binary", "unit", "byte", "real")
    normalized_on: ClassVar[tuple[Support, ...]] = ("unit", "byte", "real")
    has: ClassVar[Traits] = {"elementwise"}
    unnormalized: ClassVar[str] = (
        "a Gaussian on bits is a density on discrete data: its log-evidence is not a log-probability, and grows "
        "without bound as the scale shrinks"
    )
    kind: Literal["gaussian"] = "gaussian"
    scale: Literal["pixel", "image", "shared", "fixed"] = "shared"
    """what the scale depends on: pixel and image learn it from z, shared learns one number, fixed takes fixed_scale"""
    fixed_scale: Annotated[float, Field(gt=0)] = 0.5**0.5
    """σ if the scale is fixed"""
    minimum_scale: Annotated[float, Field(gt=0)] = GRAY_LEVEL
    """lower bound of learned scales, in units of x (default: one gray level), so that densities cannot diverge"""
    head: Head = "log_scale"
    """what the decoder outputs for a scale that depends on z: log σ, or log σ², which moves log σ half as far"""
    mean: Literal["identity", "sigmoid"] = "identity"
    """identity leaves the mean unbounded, sigmoid keeps it inside (0, 1)"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        outputs = 2 if self.scale in ("pixel", "image") else 1
        return GaussianLikelihood(builder.decoder(outputs), len(builder.event_shape), self)
