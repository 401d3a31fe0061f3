"""The adversarial auto-encoder: codes that a critic cannot tell from draws of the prior."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE
from vaekit.objectives.critic import Critic, Weight, confusion
from vaekit.objectives.objective import Loss, Objective, known
from vaekit.specs import spec


class AdversarialObjective(Objective):
    """The reconstruction, plus what it costs codes to pass for draws of the prior, with the critic that checks them.

    Args:
        spec: the weight, and the critic's layers and optimizer.
        latent_dim: number of latents d.
    """

    def __init__(self, spec: "Adversarial", latent_dim: int) -> None:
        super().__init__()
        self.weight, self.second = spec.weight, spec.critic.optimizer
        self.critic = spec.critic.build(latent_dim)

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        bound, terms = known(vae, draws)
        (z,) = draws.z
        logits = self.critic(z)
        with torch.no_grad():
            real = draws.prior.sample(torch.Size((len(z),)))
        adversary = confusion(logits, self.critic(real))
        value = terms["reconstruction"] + self.weight * F.softplus(logits).mean()
        return Loss(value, bound, terms | {"critic_kl": logits.mean()}, adversary)


@spec
class Adversarial:
    r"""The adversarial auto-encoder: q(z), the codes of all images together, is made to match the prior by a critic.

    loss = −E_q log p(x | z) − w E_q log(1 − σ(c(z))).

    The critic c learns to tell codes from draws of the prior by its logit, c(z) = log q(z) − log p(z) for the best one,
    and codes are drawn to where it takes them for draws of the prior. This needs draws of q and p only and no density
    of either, so q(z | x) may be a point; if it has a density, ``elbo`` and ``kl`` are those of the same encoder, which
    nothing minimizes. ``critic_kl`` is E_q c(z), the critic's estimate of KL(q(z) ‖ p(z)); ``adversary`` is the
    critic's own loss, log 2 where it is lost. No loss of two players says which weights are best, so there is no early
    stopping.

    The paper takes the two steps one after the other; here both gradients are at the weights before the step.

    Reference: *Adversarial autoencoders (Makhzani, Shlens, Jaitly, Goodfellow, Frey, 2016)*, arXiv:1511.05644.
    """

    has: ClassVar[Traits] = {"generative"}
    needs: ClassVar[Needs] = {"posterior": {"encoder", "pathwise"}, "prior": {"real", "standard"}}
    kind: Literal["adversarial"] = "adversarial"
    weight: Weight = 1.0
    """weight of passing for draws of the prior, beside the reconstruction"""
    critic: Critic = Critic()
    """the second player"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space, with a new critic."""
        return AdversarialObjective(self, vae.latent_dim)
