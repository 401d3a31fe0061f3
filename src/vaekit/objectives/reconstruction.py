"""The loss of a deterministic auto-encoder."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from vaekit.model import VAE
from vaekit.objectives.objective import Loss
from vaekit.specs import spec


@spec
class Reconstruction:
    """The deterministic auto-encoder's loss, −log p(x | z) at the code z = f(x): no KL, hence no bound on log p(x)."""

    kind: Literal["reconstruction"] = "reconstruction"

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        value = -vae.draw(x).log_likelihood.mean()
        return Loss(value, -value, {"reconstruction": value})
