"""FactorVAE: the ELBO less the total correlation of the codes, which a critic measures."""

from typing import ClassVar, Literal

from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE
from vaekit.objectives.critic import Critic, Weight, confusion, regrouped
from vaekit.objectives.objective import ENCODER, Loss, Objective, reported
from vaekit.specs import spec


class FactorObjective(Objective):
    """The negative ELBO plus γ times the total correlation, with the critic that measures it.

    Args:
        spec: γ, and the critic's layers and optimizer.
        latent_dim: number of latents d.
    """

    def __init__(self, spec: "Factor", latent_dim: int) -> None:
        super().__init__()
        self.gamma, self.second = spec.gamma, spec.critic.optimizer
        self.critic = spec.critic.build(latent_dim)

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws)
        (z,) = draws.z
        logits = self.critic(z)
        total_correlation = logits.mean()
        adversary = confusion(logits, self.critic(regrouped(z.detach())))
        value = self.gamma * total_correlation - terms["elbo"]
        return Loss(value, terms["elbo"], terms | {"total_correlation": total_correlation}, adversary)


@spec
class Factor:
    r"""FactorVAE: independent latents, by a penalty on the total correlation of the codes of all images.

    loss = −elbo + γ TC,  TC = KL(q(z) ‖ Π_j q(z_j)),  where q(z) is the mean of q(z | x) over the data.

    TC has no closed form. A critic c learns to tell codes from codes whose elements come from different images, and the
    reported ``total_correlation`` is E_q c(z), which is TC for the best critic; one that lags behind finds less. Both
    players take their steps from the same batch at once: γ E c(z) moves the encoder and not the critic, and the
    critic's loss (``adversary``, log 2 where it is lost) moves the critic alone. The ``elbo`` remains a bound.

    The paper shuffles each column of a second batch. Here every new row takes its elements from different images of the
    same batch, which is an exact draw from Π_j q(z_j) as long as there are at least d images.

    Reference: *Disentangling by factorising (Kim, Mnih, 2018)*, arXiv:1802.05983.

    Example:
        >>> from torch import zeros
        >>> from vaekit.data import Batch, Space
        >>> from vaekit.model import Model
        >>> space = Space.of((1, 8, 8))
        >>> vae = Model().build(space)
        >>> sorted(Factor(gamma=35).build(vae, space)(vae, Batch(zeros(5, 1, 8, 8))).terms)
        ['elbo', 'kl', 'reconstruction', 'total_correlation']
    """

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": ENCODER, "prior": {"real"}}
    kind: Literal["factor"] = "factor"
    gamma: Weight = 10.0
    """weight γ of the total correlation"""
    critic: Critic = Critic()
    """the second player"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space, with a new critic."""
        return FactorObjective(self, vae.latent_dim)
