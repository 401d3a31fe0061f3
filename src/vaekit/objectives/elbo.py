"""The evidence lower bound."""

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import kl_parts
from vaekit.model import VAE, Draws
from vaekit.objectives.objective import ENCODER, Loss, Objective, Weighted, reported
from vaekit.schedules import Constant, Schedule
from vaekit.specs import Count, spec


class ELBOObjective(Weighted):
    """The negative evidence lower bound; ``spec`` says with which weight, draws, kind of KL and free bits."""

    def __init__(self, spec: "ELBO") -> None:
        super().__init__(spec.beta, spec.beta_schedule)
        self.samples, self.analytic, self.free_bits = spec.samples, spec.kl == "analytic", spec.free_bits

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x, self.samples)
        terms = reported(vae, draws, self.analytic)
        rate = self._floored(draws) if self.free_bits else terms["kl"]
        return Loss(terms["reconstruction"] + self.beta * rate, terms["elbo"], terms)

    def _floored(self, draws: Draws) -> Float[Tensor, ""]:
        parts = kl_parts(draws.posterior, draws.prior, draws.z, draws.log_posterior - draws.log_prior)
        return parts.mean(0).clamp(min=self.free_bits).sum()


@spec
class ELBO:
    r"""The negative evidence lower bound, with weight β on the KL.

    loss = −E_q log p(x | z) + β KL(q(z | x) ‖ p(z)),  elbo = E_q log p(x | z) − KL(q(z | x) ‖ p(z)).

    The reported ``elbo`` never includes β or free bits, so that it remains a bound on log p(x).

    A loss that averages over the D elements of x, (1/D) Σ_i −log p(x_i | z) + w KL, is this one divided by D, with
    β = w D: the mean hides that β.

    With free bits λ > 0 the KL becomes Σ_j max(λ, mean over the batch of KL_j), where j are the latent units. With
    ``free_bits_per="part"``, a KL that does not split into units, such as that of a flow, is taken in the parts that it
    has: levels, or the whole.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114; β: *beta-VAE
    (Higgins et al., 2017)*; free bits: *Improved variational inference with inverse autoregressive flow
    (Kingma et al., 2016)*, arXiv:1606.04934.

    Example:
        >>> from torch import zeros
        >>> from vaekit.data import Batch, Space
        >>> from vaekit.model import Model
        >>> space = Space.of((1, 8, 8))
        >>> vae = Model().build(space)
        >>> sorted(ELBO(beta=4.0).build(vae, space)(vae, Batch(zeros(5, 1, 8, 8))).terms)
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
    free_bits_per: Literal["unit", "part"] = "unit"
    """part lets free_bits hold for the parts of a KL that does not split into units, such as a flow's"""

    @property
    def has(self) -> Traits:
        """A weight that is scheduled moves what is minimized; free bits are of the mean over a batch."""
        usual: Traits = {"judged", "generative", "stackable"}
        direct: Traits = {"direct"} if self.beta_schedule == Constant() else set()
        return usual | direct | (set() if self.free_bits else {"rowwise"})

    @property
    def needs(self) -> Needs:
        """Free bits per unit need a KL of each unit."""
        if not self.free_bits or self.free_bits_per == "part":
            return {"posterior": ENCODER}
        return {"posterior": ENCODER | {"factorized"}, "prior": {"factorized"}}

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return ELBOObjective(self)
