"""Objectives: functions of (model, batch, step) that say what is differentiated and what is reported."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.model import VAE, Draws, kl_per_unit
from vaekit.schedules import Constant, Schedule
from vaekit.specs import spec


class Loss(NamedTuple):
    """What an objective returns for a batch, in nats per image: summed over the image, averaged over images.

    Attributes:
        value: the scalar to minimise.
        bound: what training is judged by, which grows: a lower bound on log p(x) wherever the objective has one.
        terms: what is reported by name, whatever is minimised: ``elbo``, ``reconstruction``, ``kl``.
    """

    value: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]


Objective = Callable[[VAE, Tensor, int], Loss]


@spec
class ELBO:
    r"""The negative evidence lower bound, with weight β on the KL.

    loss = −E_q log p(x | z) + β KL(q(z | x) ‖ p(z)),  elbo = E_q log p(x | z) − KL(q(z | x) ‖ p(z)).

    The reported ``elbo`` never contains β or free bits, so that it stays a bound on log p(x).

    With free bits λ > 0 the KL becomes Σ_j max(λ, mean over the batch of KL_j).

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114; β: *beta-VAE
    (Higgins et al., 2017)*; free bits: *Improved variational inference with inverse autoregressive flow
    (Kingma et al., 2016)*, arXiv:1606.04934.

    Example:
        >>> from torch import zeros
        >>> from vaekit.model import Model
        >>> objective = ELBO(beta=4.0).build(steps_per_epoch=100, epochs=10)
        >>> sorted(objective(Model().build((1, 8, 8)), zeros(5, 1, 8, 8), 0).terms)
        ['elbo', 'kl', 'reconstruction']
    """

    kind: Literal["elbo"] = "elbo"
    samples: Annotated[int, Field(gt=0)] = 1
    """posterior draws per image"""
    kl: Literal["analytic", "monte_carlo"] = "analytic"
    """closed form where there is one, or the mean over the draws"""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """weight of the KL"""
    beta_schedule: Schedule = Constant()
    """factor on beta over the epochs"""
    free_bits: Annotated[float, Field(ge=0)] = 0.0
    """nats of KL per latent unit that cost nothing"""

    def build(self, steps_per_epoch: float, epochs: float) -> Objective:
        """Return the objective; the schedule counts epochs, so it is told their length."""

        def elbo(vae: VAE, x: Float[Tensor, "batch *event"], step: int) -> Loss:
            draws = vae.draw(x, self.samples)
            reconstruction = -draws.log_likelihood.mean()
            kl = vae.kl(draws, analytic=self.kl == "analytic").mean()
            beta = self.beta * self.beta_schedule.factor(step / steps_per_epoch, epochs)
            value = reconstruction + beta * (self._floored(vae, draws) if self.free_bits else kl)
            bound = -(reconstruction + kl)
            return Loss(value, bound, {"elbo": bound, "reconstruction": reconstruction, "kl": kl})

        return elbo

    def _floored(self, vae: VAE, draws: Draws) -> Float[Tensor, ""]:
        return kl_per_unit(draws.posterior, vae.prior()).mean(0).clamp(min=self.free_bits).sum()


@spec
class Reconstruction:
    """The deterministic auto-encoder's loss, −log p(x | z) at the code z = f(x): no rate, so no bound on log p(x)."""

    kind: Literal["reconstruction"] = "reconstruction"

    def build(self, steps_per_epoch: float, epochs: float) -> Objective:
        """Return the objective."""

        def reconstruction(vae: VAE, x: Float[Tensor, "batch *event"], step: int) -> Loss:
            value = -vae.draw(x).log_likelihood.mean()
            return Loss(value, -value, {"reconstruction": value})

        return reconstruction


ObjectiveSpec = Annotated[ELBO | Reconstruction, Field(discriminator="kind")]
