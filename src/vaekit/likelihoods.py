"""Likelihoods p(x | z): what the decoder's outputs mean."""

from math import log
from typing import Annotated, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit import distributions, own
from vaekit.building import Builder
from vaekit.compatibility import Role
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import (
    LEVELS,
    CategoricalLevels,
    Head,
    IndependentBernoulli,
    at_least_fp32,
    independent,
    log_scale,
)
from vaekit.errors import InputError, shown
from vaekit.specs import spec

GREY_LEVEL = 1 / LEVELS


def bounded_log_scale(raw: Float[Tensor, "*shape"], minimum: float) -> Float[Tensor, "*shape"]:
    """Keep a scale s above m smoothly: log s = log m + softplus(raw − log m), which equals raw where raw ≫ log m.

    Example:
        >>> bounded_log_scale(torch.tensor([-100.0, 2.0]), minimum=0.01).exp()
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


class BernoulliLikelihood(PixelLikelihood):
    """x_i ~ Bernoulli(σ(ℓ_i(z))): log p(x | z) = −Σ_i cross-entropy. Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        (logits,) = self.parameters_of(c)
        return IndependentBernoulli(logits, self.event_dims)


class ContinuousBernoulliLikelihood(PixelLikelihood):
    """x_i ∈ [0, 1] with density C(λ) λ^x (1 − λ)^(1−x), λ = σ(ℓ_i(z)). Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        (logits,) = self.parameters_of(c)
        return independent(distributions.ContinuousBernoulli(logits, validate_args=False), self.event_dims)


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
        if self.spec.mean == "sigmoid":
            loc = loc.sigmoid()
        return independent(Normal(loc, self._scale(loc, *raw), validate_args=False), self.event_dims)

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


class DiscretizedLogisticLikelihood(PixelLikelihood):
    """x_i on the levels k/255, logistic with location m_i(z) and scale s_i(z), rounded.

    Args: those of PixelLikelihood, and ``minimum_scale``.
    """

    def __init__(self, network: nn.Module, event_dims: int, minimum_scale: float) -> None:
        super().__init__(network, event_dims)
        self.minimum_scale = minimum_scale

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        loc, raw = self.parameters_of(c)
        scale = bounded_log_scale(raw - 2, self.minimum_scale).exp()  # a new network starts at s = e⁻², not 1
        levels = distributions.DiscretizedLogistic(loc.sigmoid(), scale, validate_args=False)
        return independent(levels, self.event_dims)


class CategoricalLikelihood(PixelLikelihood):
    """x_i on the levels k/255, each with a probability of its own. Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        logits = at_least_fp32(self.network(c)).movedim(-1 - self.event_dims, -1)
        return independent(CategoricalLevels(logits, validate_args=False), self.event_dims)


@spec
class Bernoulli:
    """Bernoulli from logits; for binary data.

    On gray values in [0, 1] it is not a density: it bounds the expected log-likelihood of the randomly binarized image.
    """

    supports: ClassVar[tuple[Support, ...]] = ("binary", "unit", "byte")
    normalized_on: ClassVar[tuple[Support, ...]] = ("binary",)
    kind: Literal["bernoulli"] = "bernoulli"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return BernoulliLikelihood(builder.decoder(1), len(builder.event_shape))


@spec
class ContinuousBernoulli:
    """A density on [0, 1] whose exponent is the cross-entropy.

    Reference: *The continuous Bernoulli: fixing a pervasive error in variational autoencoders
    (Loaiza-Ganem, Cunningham, 2019)*, arXiv:1907.06845.
    """

    supports: ClassVar[tuple[Support, ...]] = ("unit", "byte")
    normalized_on: ClassVar[tuple[Support, ...]] = ("unit", "byte")
    kind: Literal["continuous_bernoulli"] = "continuous_bernoulli"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return ContinuousBernoulliLikelihood(builder.decoder(1), len(builder.event_shape))


@spec
class Gaussian:
    """A Gaussian whose scale is per pixel, per image, shared and learned, or fixed.

    With ``scale = "fixed"`` and σ² = ½ (the default ``fixed_scale``), −log p(x | z) is the sum of squared errors
    plus the constant (D/2) log π: what code with "SSE + KL" minimizes. σ = 1 gives ½ SSE.
    """

    supports: ClassVar[tuple[Support, ...]] = ("binary", "unit", "byte", "real")
    normalized_on: ClassVar[tuple[Support, ...]] = ("unit", "byte", "real")
    kind: Literal["gaussian"] = "gaussian"
    scale: Literal["pixel", "image", "shared", "fixed"] = "shared"
    """what the scale depends on: pixel and image learn it from z, shared learns one number, fixed takes fixed_scale"""
    fixed_scale: Annotated[float, Field(gt=0)] = 0.5**0.5
    """σ if the scale is fixed"""
    minimum_scale: Annotated[float, Field(gt=0)] = GREY_LEVEL
    """lower bound of learned scales, in units of x (default: one gray level), so that densities cannot diverge"""
    head: Head = "log_scale"
    """what the decoder outputs for a scale that depends on z: log σ, or log σ², which moves log σ half as far"""
    mean: Literal["identity", "sigmoid"] = "identity"
    """identity leaves the mean unbounded, sigmoid keeps it inside (0, 1)"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        outputs = 2 if self.scale in ("pixel", "image") else 1
        return GaussianLikelihood(builder.decoder(outputs), len(builder.event_shape), self)


@spec
class DiscretizedLogistic:
    """A logistic rounded to 256 levels: a probability of 8-bit images, which can be compared in bits per dimension.

    Reference: *Improved variational inference with inverse autoregressive flow (Kingma et al., 2016)*,
    arXiv:1606.04934.
    """

    supports: ClassVar[tuple[Support, ...]] = ("byte",)
    normalized_on: ClassVar[tuple[Support, ...]] = ("byte",)
    kind: Literal["discretized_logistic"] = "discretized_logistic"
    minimum_scale: Annotated[float, Field(gt=0)] = GREY_LEVEL / 8
    """lower bound of the learned scale, in units of x (default: an eighth of a gray level)"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return DiscretizedLogisticLikelihood(builder.decoder(2), len(builder.event_shape), self.minimum_scale)


@spec
class Categorical:
    """A probability for each of the 256 levels of each pixel: 256 outputs per pixel."""

    supports: ClassVar[tuple[Support, ...]] = ("byte",)
    normalized_on: ClassVar[tuple[Support, ...]] = ("byte",)
    kind: Literal["categorical"] = "categorical"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return CategoricalLikelihood(builder.decoder(LEVELS), len(builder.event_shape))


@spec
class Own(own.Own):
    """p(x | z) by a class of yours: a ``Conditional`` that is built from a ``Builder`` and called with z.

    The class states the values that it ``supports``, of binary, byte, unit and real, and, where it is a density or
    probability on some of them only, those as ``normalized_on``.
    """

    role: ClassVar[Role] = "likelihood"
    base: ClassVar[type] = Conditional

    @property
    def supports(self) -> tuple[Support, ...]:
        """Values that it accepts."""
        stated: tuple[Support, ...] | None = self._stated("supports", None)
        if self.known and not (isinstance(stated, tuple) and stated and {*stated} <= {*get_args(Support)}):
            known = ", ".join(get_args(Support))
            raise InputError(
                f"likelihood {self.path} states supports {shown(stated)}: give its class a tuple of some of {known}, "
                "such as supports = ('binary',)"
            )
        return stated or ()

    @property
    def normalized_on(self) -> tuple[Support, ...]:
        """Values on which it sums or integrates to 1."""
        return self._stated("normalized_on", self.supports)

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        made: Conditional = self.make(builder)
        return made


Likelihood = Annotated[
    Bernoulli | ContinuousBernoulli | Gaussian | DiscretizedLogistic | Categorical | Own, Field(discriminator="kind")
]

SUPPORTS: dict[str, tuple[Support, ...]] = {
    likelihood.kind: likelihood.supports for likelihood in get_args(get_args(Likelihood)[0]) if likelihood is not Own
}
"""the values that each likelihood of vaekit accepts, by its kind"""
