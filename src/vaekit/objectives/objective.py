"""What an objective is: a function of (model, batch) that says what is differentiated and what is reported."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaekit.compatibility import Traits
from vaekit.data import Batch
from vaekit.distributions import has_density
from vaekit.model import VAE, Draws
from vaekit.schedules import Constant, Schedule
from vaekit.training.optimizers import Optimizer

CONSTANT = Constant()

ENCODER: Traits = frozenset(("encoder", "density", "pathwise"))
"""what most objectives need of a posterior: draws given x whose density and gradient are known"""


class Loss(NamedTuple):
    """What an objective returns for a batch, in nats per image: summed over the image, averaged over images.

    Attributes:
        value: the scalar that the model minimizes.
        bound: what training is judged by, larger is better: a lower bound on log p(x) if the objective has one.
        terms: what is reported by name, whatever is minimized: ``elbo``, ``reconstruction``, ``kl`` (see ``reported``).
        adversary: the scalar that the objective's own weights minimize, if it has a second player.
    """

    value: Float[Tensor, ""]
    bound: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]
    adversary: Float[Tensor, ""] | None = None

    @property
    def named(self) -> dict[str, Float[Tensor, ""]]:
        """``loss``, the value, all terms, and ``adversary``, by name."""
        named = {"loss": self.value, **self.terms} | ({} if self.adversary is None else {"adversary": self.adversary})
        return {name: number.detach() for name, number in named.items()}

    def numbers(self) -> dict[str, float]:
        """Return what is ``named`` as numbers, in one transfer from the device."""
        named = self.named
        return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))

    def detach(self) -> "Loss":
        """Return the same numbers without the graph that differentiates them."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        adversary = None if self.adversary is None else self.adversary.detach()
        return Loss(self.value.detach(), self.bound.detach(), terms, adversary)


class Objective(nn.Module):
    """A function of (model, batch), with what it has to remember: schedules, chains, a second player.

    Its buffers and weights are saved in the state of a training, so that resuming continues from them; what follows
    from the epoch is a buffer that is not persistent. It must not keep the model: with a moving average of the weights,
    another one is evaluated.

    Attributes:
        updates: updates of the weights per batch.
        second: how the objective's own weights descend ``Loss.adversary``, if it has a second player.
    """

    updates: int = 1
    second: Optimizer | None = None

    @abstractmethod
    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        """Return the loss on a batch, given what ``prepare`` returned for it; without that, on images of any split."""

    @property
    def steady(self) -> bool:
        """Whether nothing is scheduled."""
        return type(self).advance is Objective.advance

    def advance(self, epoch: float, epochs: float) -> None:
        """Set what is scheduled to its value after ``epoch`` of ``epochs`` epochs.

        The values are buffers that are changed in place, so that compiled steps are not compiled again.
        """

    def prepare(self, vae: VAE, batch: Batch) -> tuple[Tensor, ...]:
        """Do for a batch of training images what cannot be compiled, such as moving chains; return its tensors."""
        return ()

    def __call__(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        """Call the module; defined here so that type checkers know the result."""
        return super().__call__(vae, batch, *prepared)


class Weighted(Objective):
    """An objective whose KL has the weight β, which may be scheduled.

    Args:
        beta: β at its full value, where it begins.
        schedule: factor on β over the course of training.
    """

    beta: Tensor

    def __init__(self, beta: float, schedule: Schedule = CONSTANT) -> None:
        super().__init__()
        self.full, self.schedule = beta, schedule
        self.register_buffer("beta", torch.tensor(beta), persistent=False)

    @property
    def steady(self) -> bool:
        return type(self).advance is Weighted.advance and self.schedule == CONSTANT

    def advance(self, epoch: float, epochs: float) -> None:
        self.beta.fill_(self.full * self.schedule.factor(epoch, epochs))


def reported(vae: VAE, draws: Draws, analytic: bool = True) -> dict[str, Float[Tensor, ""]]:
    """Return what objectives with an encoder report: reconstruction = −E_q log p(x | z), kl, elbo = −(sum of both)."""
    reconstruction = -draws.log_likelihood.mean()
    kl = vae.kl(draws, analytic).mean()
    return {"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl}


def known(vae: VAE, draws: Draws) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Return by what an objective is judged that also takes an encoder without a density, and what it reports.

    That is the ELBO and what ``reported`` returns, or minus the reconstruction and the reconstruction.
    """
    if not has_density(draws.posterior):
        reconstruction = -draws.log_likelihood.mean()
        return -reconstruction, {"reconstruction": reconstruction}
    terms = reported(vae, draws)
    return terms["elbo"], terms
