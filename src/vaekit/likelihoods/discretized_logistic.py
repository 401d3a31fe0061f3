"""A logistic rounded to the levels of 8-bit images."""

from typing import Annotated, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.distributions import independent
from vaekit.likelihoods.pixels import GRAY_LEVEL, PixelLikelihood, bounded_log_scale
from vaekit.specs import spec


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


@spec
class DiscretizedLogistic:
    """A logistic rounded to 256 levels: a probability of 8-bit images, which can be compared in bits per dimension.

    Reference: *Improved variational inference with inverse autoregressive flow (Kingma et al., 2016)*,
    arXiv:1606.04934.
    """

    supports: ClassVar[tuple[Support, ...]] = ("byte",)
    normalized_on: ClassVar[tuple[Support, ...]] = ("byte",)
    has: ClassVar[Traits] = {"elementwise"}
    kind: Literal["discretized_logistic"] = "discretized_logistic"
    minimum_scale: Annotated[float, Field(gt=0)] = GRAY_LEVEL / 8
    """lower bound of the learned scale, in units of x (default: an eighth of a gray level)"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder."""
        return DiscretizedLogisticLikelihood(builder.decoder(2), len(builder.event_shape), self.minimum_scale)
