"""Examples with holes, for models that were trained without any."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit.building import ObservedLikelihood
from vaekit.conditional import Conditional
from vaekit.data import Space
from vaekit.model import VAE


class Filled(Conditional):
    """q(z | x) with holes of x filled: no approximation of p(z | x_observed) by itself, but a proposal for weights.

    Args:
        posterior: x → q(z | x), for x without holes.
        filling: what a hole is filled with, (*event).
    """

    filling: Tensor

    def __init__(self, posterior: Conditional, filling: Float[Tensor, "*event"]) -> None:
        super().__init__()
        self.posterior = posterior
        self.register_buffer("filling", filling)

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        return self.posterior(None if c is None else torch.where(c.isnan(), self.filling, c))


def with_holes(vae: VAE, space: Space) -> VAE:
    """Return a model that takes NaN for what is not observed of x: the model itself if it was trained with holes.

    p(x_observed | z) is exact, and importance weights correct for an encoder that sees holes filled: by the mean of a
    standardized column, of a count's logarithm, or of all pixels, and by the first category.
    """
    if space.missing:
        return vae
    posterior = Filled(vae.posterior, filling(space).to(next(vae.parameters(), torch.empty(0)).device))
    return VAE(vae.prior, posterior, ObservedLikelihood(vae.likelihood), vae.event_shape, vae.latent_dim)


def filling(space: Space) -> Float[Tensor, "*event"]:
    """Return what holes are filled with, as the model reads it, (*event)."""
    if space.columns:
        counts = torch.tensor([column.shift if column.kind == "count" else 0.0 for column in space.columns])
        return counts.expm1().round()
    mean = space.mean if space.mean is not None else 0.0 if space.support == "real" else 0.5
    return torch.full(space.event_shape, mean)
