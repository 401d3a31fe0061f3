"""Objectives: functions of (model, batch, step) that say what is differentiated and what is reported."""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from vaekit.distributions import independent
from vaekit.hmc import FIRST_STEP, Path, adapted, evaluate, settle, transition
from vaekit.model import VAE, Draws, kl_per_unit
from vaekit.schedules import Constant, Schedule
from vaekit.specs import Count, spec

STARTS_AT_ONCE = 10
"""draws from the prior that are decoded at once, for every image of a batch"""


class Loss(NamedTuple):
    """What an objective returns for a batch, in nats per image: summed over the image, averaged over images.

    Attributes:
        value: the scalar to minimize.
        bound: what training is judged by, larger is better: a lower bound on log p(x) if the objective has one.
        terms: what is reported by name, whatever is minimized: ``elbo``, ``reconstruction``, ``kl`` (see ``reported``).
    """

    value: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]

    def numbers(self) -> dict[str, float]:
        """Return ``loss``, the value, and all terms as numbers, in one transfer from the device."""
        found = torch.stack([self.value.detach(), *(term.detach() for term in self.terms.values())]).tolist()
        return dict(zip(("loss", *self.terms), found, strict=True))

    def detach(self) -> "Loss":
        """Return the same numbers without the graph that differentiates them."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        return Loss(self.value.detach(), self.bound.detach(), terms)


class Objective(Protocol):
    """A function of (model, batch) and of how far the training has come."""

    @property
    def kind(self) -> str: ...

    def kl_weight(self, epoch: float, epochs: float) -> float:
        """Return the weight of the KL after ``epoch`` of ``epochs`` epochs."""

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        """Return the loss on a batch; the weight is a tensor, so that a compiled step is not recompiled."""


def reported(vae: VAE, draws: Draws, analytic: bool = True) -> dict[str, Float[Tensor, ""]]:
    """Return what objectives with an encoder report: reconstruction = −E_q log p(x | z), kl, elbo = −(sum of both)."""
    reconstruction = -draws.log_likelihood.mean()
    kl = vae.kl(draws, analytic).mean()
    return {"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl}


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


@spec
class Reconstruction:
    """The deterministic auto-encoder's loss, −log p(x | z) at the code z = f(x): no KL, hence no bound on log p(x)."""

    kind: Literal["reconstruction"] = "reconstruction"

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        value = -vae.draw(x).log_likelihood.mean()
        return Loss(value, -value, {"reconstruction": value})


@spec
class WakeSleep:
    r"""Wake–sleep: a step of the decoder on data and a step of the encoder on dreams, in one loss.

    wake = −E_{q(z | x)} log p(x, z), whose gradient reaches the prior and the decoder only;
    sleep = −E_{p(x, z)} log q(z | x), whose gradient reaches the encoder only;  loss = wake + sleep.

    There is one dream (x, z) ~ p per image of the batch, with x drawn from p(x | z): bits for a Bernoulli. The two
    phases do not minimize a common function; the reported ``elbo`` is the bound that the same encoder gives.

    Reference: *The wake-sleep algorithm for unsupervised neural networks (Hinton, Dayan, Frey, Neal, 1995)*, Science
    268.
    """

    kind: Literal["wake_sleep"] = "wake_sleep"

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 1.0

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        with torch.no_grad():
            recognised = vae.posterior(x)
            dreamt_z = vae.prior().sample(torch.Size((len(x),)))
            dreamt_x = vae.likelihood(dreamt_z).sample()
        draws = vae.draw(x, 1, recognised)
        wake = -(draws.log_likelihood + draws.log_prior).mean()
        sleep = -vae.posterior(dreamt_x).log_prob(dreamt_z).mean()
        terms = reported(vae, draws)
        return Loss(wake + sleep, terms["elbo"], terms | {"sleep": sleep})


class Chains(nn.Module):
    """Markov chains, one per training image: its current point z and its step size.

    Both are buffers because they belong to the state of a training, along with the weights.

    Args:
        z: where the chains start, (images, d).
    """

    z: Tensor
    step: Tensor

    def __init__(self, z: Float[Tensor, "images latent"]) -> None:
        super().__init__()
        self.register_buffer("z", z)
        self.register_buffer("step", torch.full_like(z[:, 0], FIRST_STEP))


@spec
class MonteCarloEM:
    r"""Monte Carlo EM: the decoder is fitted to draws from its own posterior, which are found without an encoder.

    loss = −log p(x, z),  z ~ p(z | x) by Hamiltonian Monte Carlo.

    Training images have chains that continue from visit to visit (``chains``, ``moved``) by one trajectory, so that a
    step costs ``leapfrog`` gradients. Images without a chain, such as held-out ones, get a new one that has to find the
    posterior at once: it starts at one of many prior draws, chosen in proportion to p(x | z), which is rarely in a
    minor mode; it adapts its step size over the first half of its trajectories; and it ends in z.

    The reported ``log_joint`` is log p(x, z) at z, in expectation log p(x) minus the entropy of p(z | x): not a bound.
    Nor is ``reconstruction`` that of an encoder: it is −E log p(x | z) under the posterior itself.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix E: ten leapfrog
    steps, 90% acceptance, and five updates of the weights per draw. There, the algorithm is not an online one: it moves
    the chains of all training images before it updates the weights (``batch_size`` = number of training images).
    """

    kind: Literal["monte_carlo_em"] = "monte_carlo_em"
    leapfrog: Count = 10
    """leapfrog steps per trajectory"""
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """acceptance rate of trajectories that the step size is adapted to"""
    starts: Count = 100
    """prior draws from which the start of a new chain is chosen"""
    transitions: Count = 20
    """trajectories per new chain"""
    updates: Count = 1
    """updates of the weights per draw; an image counts as seen once per draw, however many there are"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(
        self,
        vae: VAE,
        x: Float[Tensor, "batch *event"],
        kl_weight: Float[Tensor, ""],
        z: Float[Tensor, "1 batch latent"] | None = None,
    ) -> Loss:
        """Return the loss at draws z from p(z | x), (1, batch, d); without them, at the ends of new chains."""
        z = self.found(vae, x) if z is None else z
        log_likelihood = vae.log_likelihood(x, z)
        log_joint = (log_likelihood + vae.prior().log_prob(z)).mean()
        return Loss(-log_joint, log_joint, {"log_joint": log_joint, "reconstruction": -log_likelihood.mean()})

    def chains(self, vae: VAE, images: int) -> Chains:
        """Return chains for a number of training images, each starting at a draw from the prior."""
        with torch.no_grad():
            return Chains(vae.prior().sample(torch.Size((images,))))

    def moved(
        self, vae: VAE, x: Float[Tensor, "batch *event"], chains: Chains, rows: Int[Tensor, "batch"]
    ) -> Float[Tensor, "1 batch latent"]:
        """Move the chains of the images x, which are those in ``rows``; return their new points, (1, batch, d)."""
        path, step = posterior_path(vae, x), chains.step[rows]
        point, probability = transition(path, 1.0, evaluate(path, chains.z[rows][None]), step, self.leapfrog)
        chains.z[rows], chains.step[rows] = point.z[0], adapted(step, probability, self.acceptance)
        return point.z

    @torch.no_grad()
    def found(self, vae: VAE, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "1 batch latent"]:
        """Draw z ~ p(z | x) once for each x of shape (batch, *event) by a new chain, (1, batch, d)."""
        z = vae.prior().sample(torch.Size((self.starts, len(x))))
        log_likelihood = torch.cat([vae.log_likelihood(x, some) for some in z.split(STARTS_AT_ONCE)])
        chosen = Categorical(logits=log_likelihood.T, validate_args=False).sample()
        start = z[chosen, torch.arange(len(x), device=z.device)][None]
        return settle(posterior_path(vae, x), 1.0, start, self.transitions, self.leapfrog, self.acceptance).z


def posterior_path(vae: VAE, x: Float[Tensor, "batch *event"]) -> Path:
    """Return p(z | x) up to a constant, as p(z) and p(x | z)."""
    return lambda z: (vae.prior().log_prob(z), vae.log_likelihood(x, z))


@spec
class PrintedSampling:
    r"""Faulty, as printed in a report and a notebook: z = μ + σ² ε, where a draw from q(z | x) is μ + σ ε.

    loss = −E log p(x | μ + σ² ε) + β KL(N(μ, σ²) ‖ p).

    The noise has scale σ² while the KL is that of σ: where σ < 1, codes are more precise than the KL charges for, and
    −loss is not a bound. What is reported (``elbo``, ``reconstruction``, ``kl``) is right, from draws μ + σ ε of the
    same encoder; ``loss`` is as printed.

    As printed in: *Re-Auto-Encoding Variational Bayes (KTH, 2021)*, and *Deep learning with Python (Chollet, 2017)*,
    notebook 8.4, which *ECE 542 report (NCSU, 2018)* follows with β = 0.784/d.
    """

    kind: Literal["printed_sampling"] = "printed_sampling"
    beta: Annotated[float, Field(ge=0)] = 1.0
    """weight of the KL; this objective is faulty, as printed in a report and a notebook: z = μ + σ² ε"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return self.beta

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        draws = vae.draw(x)
        terms = reported(vae, draws)
        q = draws.posterior
        printed = independent(Normal(q.mean, q.variance, validate_args=False), 1)
        reconstruction = -vae.draw(x, 1, printed).log_likelihood.mean()
        return Loss(reconstruction + kl_weight * terms["kl"], terms["elbo"], terms)


@spec
class PrintedKL:
    r"""Faulty, as printed in a post: a KL without its logarithm, ½ Σ_j (μ_j² + σ_j²).

    loss = −E_q log p(x | z) + β ½ Σ_j (μ_j² + σ_j²).

    The true KL, ½ Σ_j (μ_j² + σ_j² − 1 − log σ_j²), has its minimum at σ = 1; this one has it at σ = 0, which leaves a
    deterministic auto-encoder with a penalty on its codes. What is reported (``elbo``, ``reconstruction``, ``kl``) is
    right; ``loss`` is as printed.

    As printed in: *Variational autoencoders explained (Frans, 2016)*; the accompanying code has the logarithm.
    """

    kind: Literal["printed_kl"] = "printed_kl"
    beta: Annotated[float, Field(ge=0)] = 1.0
    """weight of the KL; this objective is faulty, as printed in a post: ½ Σ (μ² + σ²) for the KL"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return self.beta

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        draws = vae.draw(x)
        terms = reported(vae, draws)
        q = draws.posterior
        printed = 0.5 * (q.mean.square() + q.variance).sum(-1).mean()
        return Loss(terms["reconstruction"] + kl_weight * printed, terms["elbo"], terms)


ObjectiveSpec = Annotated[
    ELBO | Reconstruction | WakeSleep | MonteCarloEM | PrintedSampling | PrintedKL, Field(discriminator="kind")
]
