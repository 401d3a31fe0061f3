"""The fit of a prior to the codes of a model that is trained already."""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE
from vaekit.objectives.objective import Loss, Objective
from vaekit.specs import spec


@torch.no_grad()
def codes(vae: VAE, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
    """Draw z ~ q(z | x) once for each x, (batch, d), from an encoder that stays as it is."""
    training = vae.posterior.training
    vae.posterior.eval()
    z = vae.posterior(x).sample()
    vae.posterior.train(training)
    return z


class PriorFitObjective(Objective):
    """−log p(z) at z ~ q(z | x), whose gradient reaches the prior alone."""

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        (z,) = prepared or (codes(vae, batch.x),)
        log_prior = vae.prior().log_prob(z).mean()
        return Loss(-log_prior, log_prior, {"log_prior": log_prior})

    def prepare(self, vae: VAE, batch: Batch) -> tuple[Tensor, ...]:
        """Draw the codes of a batch."""
        return (codes(vae, batch.x),)


@spec
class PriorFit:
    r"""The likelihood of codes under the prior: only the prior learns, beside the encoder and decoder of a trained run.

    loss = −E_q log p(z), with z ~ q(z | x) of training images, which is KL(q(z) ‖ p(z)) of the aggregate posterior q(z)
    but for a constant, and differs from −ELBO by what the prior has no part in.
    """

    has: ClassVar[Traits] = {"judged", "generative", "begun"}
    needs: ClassVar[Needs] = {"posterior": {"encoder"}, "prior": {"fitted"}}
    kind: Literal["prior"] = "prior"
    weights: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """the digest of the trained weights it begins with; 'vaekit refit-prior' takes them from a run"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return PriorFitObjective()
