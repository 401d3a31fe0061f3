"""Continuous Bernoulli, for values in [0, 1]."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import independent
from vaekit.likelihoods.pixels import PixelLikelihood
from vaekit.specs import spec


class ContinuousBernoulliLikelihood(PixelLikelihood):
    """x_i ∈ [0, 1] with density C(λ) λ^x (1 − λ)^(1−x), λ = σ(ℓ_i(z)). Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        (logits,) = self.parameters_of(c)
        return independent(distributions.ContinuousBernoulli(logits, validate_args=False), self.event_dims)


@spec
class ContinuousBernoulli:
    """A density on [0, 1] whose exponent is the cross-entropy.

    Reference: *The continuous Bernoulli: fixing a pervasive error in variational autoencoders
    (Loaiza-Ganem, Cunningham, 2019)*, arXiv:1907.06845.
    """

    supports: ClassVar[tuple[Support, ...]] = ("unit", "byte")
    normalized_on: ClassVar[tuple[Support, ...]] = ("unit", "byte")
    has: ClassVar[Traits] = {"elementwise"}
    kind: Literal["continuous_bernoulli"] = "continuous_bernoulli"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return ContinuousBernoulliLikelihood(builder.decoder(1), len(builder.event_shape))
