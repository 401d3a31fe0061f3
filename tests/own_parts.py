"""Parts as a user may write them: a class for each role, outside of the package."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from vaekit import VAE, Architecture, Builder, Conditional, Loss, Objective
from vaekit.data import Batch, Space
from vaekit.distributions import at_least_fp32
from vaekit.objectives import reported


def independent(base: Distribution, dims: int = 1) -> Distribution:
    return Independent(base, dims, validate_args=False)


class ShiftedPrior(Conditional):
    """N(μ, s²) with a learned μ."""

    has = frozenset({"density", "factorized", "gaussian"})

    def __init__(self, builder: Builder, scale: float = 1.0) -> None:
        super().__init__()
        self.loc, self.scale = nn.Parameter(torch.full((builder.latent_dim,), 0.1)), scale

    def forward(self, c: Any = None) -> Distribution:
        return independent(Normal(self.loc, torch.full_like(self.loc, self.scale), validate_args=False))


class ScaledPosterior(Conditional):
    """N(μ(x), s²) with one learned scale per latent."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self.trunk, width = builder.encoder()
        self.loc = nn.Linear(width, builder.latent_dim)
        self.log_scale = nn.Parameter(torch.zeros(builder.latent_dim))

    def forward(self, c: Any = None) -> Distribution:
        loc = at_least_fp32(self.loc(self.trunk(c)))
        return independent(Normal(loc, self.log_scale.exp().expand_as(loc), validate_args=False))


class NoisyBits(Conditional):
    """x = σ(z) with some of the bits turned over."""

    supports = ("binary",)
    has = frozenset({"elementwise"})

    def __init__(self, builder: Builder, flipped: float = 0.01) -> None:
        super().__init__()
        self.network, self.dims, self.flipped = builder.decoder(1), len(builder.event_shape), flipped

    def forward(self, c: Any = None) -> Distribution:
        p = at_least_fp32(self.network(c)).squeeze(-1 - self.dims).sigmoid()
        return independent(Bernoulli(self.flipped + (1 - 2 * self.flipped) * p, validate_args=False), self.dims)


class Whole(NoisyBits):
    """The same, but said to be of whole images."""

    supports = ("binary", "byte")
    has = frozenset()


class Shallow(Architecture):
    """One layer on either side."""

    def __init__(self, width: int = 12) -> None:
        self.width = width

    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]:
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(event_shape), self.width), nn.ELU()), self.width

    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module:
        shape = (outputs, *event_shape)
        return nn.Sequential(nn.Linear(latent_dim, prod(shape)), nn.Unflatten(-1, shape))


class Tempered(Objective):
    """The ELBO whose reconstruction has a weight."""

    has = frozenset({"judged", "generative"})

    def __init__(self, vae: VAE, space: Space, weight: float = 0.5) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        terms = reported(vae, vae.draw(batch.x))
        return Loss(self.weight * terms["reconstruction"] + terms["kl"], terms["elbo"], terms)
