"""The evidence lower bound."""

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.model import VAE, Draws, kl_per_unit
from vaekit.objectives.objective import Loss, reported
from vaekit.schedules import Constant, Schedule
from vaekit.specs import Count, spec


@spec
class ELBO:
    r"""The negative evidence lower bound, with weight β on the KL.

    loss = −E_q log p(x | z) + β KL(q(z | x) ‖ p(z)),  elbo = E_q log p(x | z) − KL(q(z | x) ‖ p(z)).

    The reported ``elbo`` never includes β or free bits, so that it remains a bound on log p(x).

    A loss that averages over the D elements of x, (1/D) Σ_i −log p(x_i | z) + w KL, is this one divided by D, with
    β = w D: the mean hides that β.

    With free bits λ > 0 the KL becomes Σ_j max(λ, mean over the batch of KL_j).

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114; β: *beta-VAE
    (Higgins et al., 2017)*; free bits: *Improved variational inference with inverse autoregressive flow
    (Kingma et al., 2016)*, arXiv:1606.04934.

    Example:
        >>> from torch import tensor, zeros
        >>> from vaekit.model import Model
        >>> sorted(ELBO()(Model().build((1, 8, 8)), zeros(5, 1, 8, 8), kl_weight=tensor(4.0)).terms)
        ['elbo', 'kl', 'reconstruction']
    """

    kind: Literal["elbo"] = "elbo"
    samples: Count = 1
    """posterior draws per image"""
    kl: Literal["analytic", "monte_carlo"] = "analytic"
    """analytic takes the closed form if there is one, monte_carlo the mean over the draws"""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """weight of the KL"""
    beta_schedule: Schedule = Constant()
    """factor on beta over the course of training"""
    free_bits: Annotated[float, Field(ge=0)] = 0.0
    """nats of KL per latent unit that are free of charge"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return self.beta * self.beta_schedule.factor(epoch, epochs)

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        draws = vae.draw(x, self.samples)
        terms = reported(vae, draws, analytic=self.kl == "analytic")
        rate = self._floored(vae, draws) if self.free_bits else terms["kl"]
        return Loss(terms["reconstruction"] + kl_weight * rate, terms["elbo"], terms)

    def _floored(self, vae: VAE, draws: Draws) -> Float[Tensor, ""]:
        return kl_per_unit(draws.posterior, vae.prior()).mean(0).clamp(min=self.free_bits).sum()
