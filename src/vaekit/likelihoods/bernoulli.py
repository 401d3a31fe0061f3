"""Bernoulli, for binary data."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import IndependentBernoulli
from vaekit.likelihoods.pixels import PixelLikelihood
from vaekit.specs import spec


class BernoulliLikelihood(PixelLikelihood):
    """x_i ~ Bernoulli(σ(ℓ_i(z))): log p(x | z) = −Σ_i cross-entropy. Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        (logits,) = self.parameters_of(c)
        return IndependentBernoulli(logits, self.event_dims)

    def center_at(self, c: Float[Tensor, "... latent"]) -> Float[Tensor, "*shape"]:
        return self.parameters_of(c)[0].sigmoid()


@spec
class Bernoulli:
    """Bernoulli from logits; for binary data.

    On gray values in [0, 1] it is not a density: it bounds the expected log-likelihood of the randomly binarized image.
    """

    supports: ClassVar[tuple[Support, ...]] = ("binary", "unit", "byte")
    normalized_on: ClassVar[tuple[Support, ...]] = ("binary",)
    has: ClassVar[Traits] = {"elementwise"}
    unnormalized: ClassVar[str] = (
        "a Bernoulli on gray values is not a density: its log-evidence is a lower bound on the expected log-evidence "
        "of the image binarized at random"
    )
    kind: Literal["bernoulli"] = "bernoulli"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return BernoulliLikelihood(builder.decoder(1), len(builder.event_shape))
