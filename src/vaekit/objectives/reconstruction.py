"""The loss of a deterministic auto-encoder."""

from typing import ClassVar, Literal

from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE
from vaekit.objectives.objective import Loss, Objective
from vaekit.specs import spec


class ReconstructionObjective(Objective):
    """−log p(x | z) at the code z = f(x)."""

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        value = -vae.draw(batch.x).log_likelihood.mean()
        return Loss(value, -value, {"reconstruction": value})


@spec
class Reconstruction:
    """The deterministic auto-encoder's loss, −log p(x | z) at the code z = f(x): no KL, hence no bound on log p(x).

    The prior has no part in it, so it is not one that learns: ``refit-prior`` fits one to the codes afterwards.
    """

    has: ClassVar[Traits] = {"judged", "stackable", "rowwise"}
    needs: ClassVar[Needs] = {"posterior": {"point"}, "prior": {"standard"}}
    kind: Literal["reconstruction"] = "reconstruction"

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return ReconstructionObjective()
