"""A point: the encoder of a deterministic auto-encoder."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import at_least_fp32
from vaekit.specs import spec


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


@spec
class Delta:
    """A point: no KL and no density, hence no bound. The baseline, trained with objective ``reconstruction``."""

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"encoder", "pathwise", "point", "apart", "stackable"}
    kind: Literal["delta"] = "delta"

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new encoder."""
        return DeltaPosterior(*builder.encoder(), builder.latent_dim)
