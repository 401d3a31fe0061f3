"""Objectives: functions of (model, batch, step) that say what is differentiated and what is reported."""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, Protocol

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


class Objective(Protocol):
    """A function of (model, batch) and of what it is told about the course of the training."""

    @property
    def kind(self) -> str: ...

    def kl_weight(self, epoch: float, epochs: float) -> float:
        """Return the weight of the KL after ``epoch`` of ``epochs`` epochs."""

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        """Return the loss on a batch; the weight is a tensor, so that a compiled step need not be compiled anew."""


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
        >>> from torch import tensor, zeros
        >>> from vaekit.model import Model
        >>> sorted(ELBO()(Model().build((1, 8, 8)), zeros(5, 1, 8, 8), kl_weight=tensor(4.0)).terms)
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

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return self.beta * self.beta_schedule.factor(epoch, epochs)

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        draws = vae.draw(x, self.samples)
        reconstruction = -draws.log_likelihood.mean()
        kl = vae.kl(draws, analytic=self.kl == "analytic").mean()
        value = reconstruction + kl_weight * (self._floored(vae, draws) if self.free_bits else kl)
        bound = -(reconstruction + kl)
        return Loss(value, bound, {"elbo": bound, "reconstruction": reconstruction, "kl": kl})

    def _floored(self, vae: VAE, draws: Draws) -> Float[Tensor, ""]:
        return kl_per_unit(draws.posterior, vae.prior()).mean(0).clamp(min=self.free_bits).sum()


@spec
class Reconstruction:
    """The deterministic auto-encoder's loss, −log p(x | z) at the code z = f(x): no rate, so no bound on log p(x)."""

    kind: Literal["reconstruction"] = "reconstruction"

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        value = -vae.draw(x).log_likelihood.mean()
        return Loss(value, -value, {"reconstruction": value})


ObjectiveSpec = Annotated[ELBO | Reconstruction, Field(discriminator="kind")]
