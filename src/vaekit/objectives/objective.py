"""What an objective is: a function of (model, batch) that says what is differentiated and what is reported."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.model import VAE, Draws


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
