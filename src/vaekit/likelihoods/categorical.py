"""A categorical over the levels of 8-bit images."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import LEVELS, CategoricalLevels, at_least_fp32, independent
from vaekit.likelihoods.pixels import PixelLikelihood
from vaekit.specs import spec


class CategoricalLikelihood(PixelLikelihood):
    """x_i on the levels k/255, each with a probability of its own. Args: those of PixelLikelihood."""

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        logits = at_least_fp32(self.network(c)).movedim(-1 - self.event_dims, -1)
        return independent(CategoricalLevels(logits, validate_args=False), self.event_dims)


@spec
class Categorical:
    """A probability for each of the 256 levels of each pixel: 256 outputs per pixel."""

    supports: ClassVar[tuple[Support, ...]] = ("byte",)
    normalized_on: ClassVar[tuple[Support, ...]] = ("byte",)
    has: ClassVar[Traits] = {"elementwise"}
    kind: Literal["categorical"] = "categorical"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return CategoricalLikelihood(builder.decoder(LEVELS), len(builder.event_shape))
