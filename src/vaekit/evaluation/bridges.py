"""Bridges from a density that can be sampled to the posterior p(z | x), whose unknown constant is the evidence."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.distributions import has_density
from vaekit.errors import InputError
from vaekit.hmc import Path
from vaekit.model import VAE


class Bridge(NamedTuple):
    """π_β(z) ∝ a(z) r(z)^β, from a normalized density a to the joint a r = p(x, z).

    Attributes:
        sample: n → n draws from a for each image, (n, batch, d).
        path: z → log a(z), log r(z).
    """

    sample: Callable[[int], Tensor]
    path: Path


def from_prior(vae: VAE, x: Float[Tensor, "batch *event"]) -> Bridge:
    """π_β(z) ∝ p(z) p(x | z)^β."""
    with torch.no_grad():
        prior = vae.prior()

    def path(z: Float[Tensor, "chains batch latent"]) -> tuple[Tensor, Tensor]:
        return prior.log_prob(z), vae.log_likelihood(x, z)

    return Bridge(lambda n: prior.sample(torch.Size((n, len(x)))), path)


def from_encoder(vae: VAE, x: Float[Tensor, "batch *event"]) -> Bridge:
    """π_β(z) ∝ q(z | x)^(1−β) p(x, z)^β.

    Raises:
        InputError: if q is a point.
    """
    with torch.no_grad():
        prior, posterior = vae.prior(), vae.posterior(x)
    if not has_density(posterior):
        raise InputError("start 'encoder' needs a posterior with a density, but this model's is a point: use 'prior'")

    def path(z: Float[Tensor, "chains batch latent"]) -> tuple[Tensor, Tensor]:
        log_posterior = posterior.log_prob(z)
        return log_posterior, vae.log_likelihood(x, z) + prior.log_prob(z) - log_posterior

    return Bridge(lambda n: posterior.sample(torch.Size((n,))), path)
