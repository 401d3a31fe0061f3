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
"""draws from the prior that are decoded at once, for all images of a batch"""


class Loss(NamedTuple):
    """What an objective returns for a batch, in nats per image: summed over the image, averaged over images.

    Attributes:
        value: the scalar to minimise.
        bound: what training is judged by, which grows: a lower bound on log p(x) wherever the objective has one.
        terms: what is reported by name, whatever is minimised: ``elbo``, ``reconstruction``, ``kl`` (see ``reported``).
    """

    value: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]

    def numbers(self) -> dict[str, float]:
        """Return ``loss``, the value, and all terms as numbers, by one transfer from the device."""
        found = torch.stack([self.value.detach(), *(term.detach() for term in self.terms.values())]).tolist()
        return dict(zip(("loss", *self.terms), found, strict=True))

    def detach(self) -> "Loss":
        """Return the same numbers without what is needed to differentiate them."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        return Loss(self.value.detach(), self.bound.detach(), terms)


class Objective(Protocol):
    """A function of (model, batch) and of what it is told about the course of the training."""

    @property
    def kind(self) -> str: ...

    def kl_weight(self, epoch: float, epochs: float) -> float:
        """Return the weight of the KL after ``epoch`` of ``epochs`` epochs."""

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        """Return the loss on a batch; the weight is a tensor, so that a compiled step need not be compiled anew."""


def reported(vae: VAE, draws: Draws, analytic: bool = True) -> dict[str, Float[Tensor, ""]]:
    """What objectives with an encoder report: reconstruction = −E_q log p(x | z), kl, elbo = −reconstruction − kl."""
    reconstruction = -draws.log_likelihood.mean()
    kl = vae.kl(draws, analytic).mean()
    return {"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl}


@spec
class ELBO:
    r"""The negative evidence lower bound, with weight β on the KL.

    loss = −E_q log p(x | z) + β KL(q(z | x) ‖ p(z)),  elbo = E_q log p(x | z) − KL(q(z | x) ‖ p(z)).

    The reported ``elbo`` never contains β or free bits, so that it stays a bound on log p(x).

    A loss that averages over the D elements of x, (1/D) Σ_i −log p(x_i | z) + w KL, is this one with β = w D over
    D: such a mean hides a β of w D.

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
        terms = reported(vae, draws, analytic=self.kl == "analytic")
        rate = self._floored(vae, draws) if self.free_bits else terms["kl"]
        return Loss(terms["reconstruction"] + kl_weight * rate, terms["elbo"], terms)

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


@spec
class WakeSleep:
    r"""Wake–sleep: a step of the decoder on data and a step of the encoder on dreams, in one loss.

    wake = −E_{q(z | x)} log p(x, z), whose gradient reaches the prior and the decoder only;
    sleep = −E_{p(x, z)} log q(z | x), whose gradient reaches the encoder only;  loss = wake + sleep.

    There is a dream (x, z) ~ p for every image of the batch, its x drawn from p(x | z): bits of a Bernoulli. The two
    phases minimise no common function; the reported ``elbo`` is the bound that the same encoder gives.

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
    """Markov chains, one for each training image: where it stands, z, and its step size.

    Both are buffers, for they are part of the state of a training, beside the weights.

    Args:
        z: where the chains begin, (images, d).
    """

    z: Tensor
    step: Tensor

    def __init__(self, z: Float[Tensor, "images latent"]) -> None:
        super().__init__()
        self.register_buffer("z", z)
        self.register_buffer("step", torch.full_like(z[:, 0], FIRST_STEP))


@spec
class MonteCarloEM:
    r"""Monte Carlo EM: the decoder is fitted to draws from its own posterior, found without an encoder.

    loss = −log p(x, z),  z ~ p(z | x) by Hamiltonian Monte Carlo.

    Training images have chains that go on from visit to visit (``chains``, ``moved``), a trajectory each, so that a
    step costs ``leapfrog`` gradients. Images without a chain, such as held-out ones, get a new one that must find the
    posterior at once: it starts at one of many prior draws, chosen in proportion to p(x | z), which seldom is in a
    lesser mode; adapts its step size over the first half of its trajectories; and ends in z.

    The reported ``log_joint`` is log p(x, z) at z, in expectation log p(x) less the entropy of p(z | x): no bound. Nor
    is ``reconstruction`` that of an encoder, it is −E log p(x | z) under the posterior itself.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix E: ten leapfrog
    steps, 90 % acceptance. There each draw serves five steps of the optimiser; here, one.
    """

    kind: Literal["monte_carlo_em"] = "monte_carlo_em"
    leapfrog: Count = 10
    """leapfrog steps of a trajectory"""
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """share of trajectories to accept, at which the step size aims"""
    starts: Count = 100
    """prior draws among which the start of a new chain is chosen"""
    transitions: Count = 20
    """trajectories of a new chain"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(
        self,
        vae: VAE,
        x: Float[Tensor, "batch *event"],
        kl_weight: Float[Tensor, ""],
        z: Float[Tensor, "1 batch latent"] | None = None,
    ) -> Loss:
        """Return the loss at draws z from p(z | x), (1, batch, d); at the ends of new chains if there are none."""
        z = self.found(vae, x) if z is None else z
        log_likelihood = vae.log_likelihood(x, z)
        log_joint = (log_likelihood + vae.prior().log_prob(z)).mean()
        return Loss(-log_joint, log_joint, {"log_joint": log_joint, "reconstruction": -log_likelihood.mean()})

    def chains(self, vae: VAE, images: int) -> Chains:
        """Return chains for so many training images, each at a draw from the prior."""
        with torch.no_grad():
            return Chains(vae.prior().sample(torch.Size((images,))))

    def moved(
        self, vae: VAE, x: Float[Tensor, "batch *event"], chains: Chains, rows: Int[Tensor, "batch"]
    ) -> Float[Tensor, "1 batch latent"]:
        """Move the chains of the images x, which are those in ``rows``; return where they stand, (1, batch, d)."""
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
    """p(z | x) up to a constant, as p(z) and p(x | z)."""
    return lambda z: (vae.prior().log_prob(z), vae.log_likelihood(x, z))


@spec
class PrintedSampling:
    r"""Faulty, as printed in a report and a notebook: z = μ + σ² ε, where a draw from q(z | x) is μ + σ ε.

    loss = −E log p(x | μ + σ² ε) + β KL(N(μ, σ²) ‖ p).

    The noise has the scale σ² and the KL is that of σ: where σ < 1, codes are more exact than the KL charges for, and
    −loss is no bound. What is reported (``elbo``, ``reconstruction``, ``kl``) is right, by draws μ + σ ε from the same
    encoder; ``loss`` is as printed.

    As printed in: *Re-Auto-Encoding Variational Bayes (KTH, 2021)*, and *Deep learning with Python (Chollet, 2017)*,
    notebook 8.4, which *ECE 542 report (NCSU, 2018)* follows with β = 0.784/d.
    """

    kind: Literal["printed_sampling"] = "printed_sampling"
    beta: Annotated[float, Field(ge=0)] = 1.0
    """Faulty, as printed in a report and a notebook: z = μ + σ² ε. Weight of the KL"""

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

    The true KL, ½ Σ_j (μ_j² + σ_j² − 1 − log σ_j²), is least at σ = 1; this one at σ = 0, so that it leaves a
    deterministic auto-encoder with a penalty on its codes. What is reported (``elbo``, ``reconstruction``, ``kl``) is
    right; ``loss`` is as printed.

    As printed in: *Variational autoencoders explained (Frans, 2016)*; the code that goes with it has the logarithm.
    """

    kind: Literal["printed_kl"] = "printed_kl"
    beta: Annotated[float, Field(ge=0)] = 1.0
    """Faulty, as printed in a post: ½ Σ (μ² + σ²) for the KL. Its weight"""

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
