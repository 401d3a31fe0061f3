"""Every prior, posterior and likelihood as a module with its context, and the values that it gives probability to."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from laws.rows import LIKELIHOODS, POSTERIORS, PRIORS
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions, posteriors
from vaekit.building import Builder
from vaekit.conditional import Conditional
from vaekit.data import Space
from vaekit.distributions import LEVELS
from vaekit.flows import Autoregressive
from vaekit.model import Model
from vaekit.networks import MLP


def prior(spec: Any, dim: int) -> tuple[Conditional, None]:
    return spec.build(Builder(Model(latent_dim=dim, network=MLP(hidden=(8,))), Space.of((1, 2, 2)))), None


def posterior(spec: Any, dim: int) -> tuple[Conditional, Tensor]:
    builder = Builder(Model(latent_dim=dim, network=MLP(hidden=(8,))), Space.of((1, 2, 2)))
    return spec.build(builder), torch.rand(6, 1, 2, 2)


def likelihood(spec: Any, *event: int, batch: tuple[int, ...] = (6,)) -> tuple[Conditional, Tensor]:
    builder = Builder(Model(latent_dim=2, network=MLP(hidden=(8,))), Space.of(event))
    return spec.build(builder), 5 * torch.randn(*batch, 2)


def some(spec: Any, shape: tuple[int, ...]) -> Tensor:
    """Data that the likelihood accepts."""
    if spec.supports[0] == "binary":
        return torch.randint(2, shape).float()
    return torch.randint(LEVELS, shape) / (LEVELS - 1)


CONDITIONALS = [
    *(pytest.param(prior, s, id=f"prior-{s.kind}-{i}") for i, s in enumerate(PRIORS)),
    *(pytest.param(posterior, s, id=f"posterior-{s.kind}-{i}") for i, s in enumerate(POSTERIORS)),
    *(pytest.param(likelihood, s, id=f"likelihood-{s.kind}-{i}") for i, s in enumerate(LIKELIHOODS)),
]
Make = Callable[..., tuple[Conditional, Tensor | None]]


DENSITIES = [case for case in CONDITIONALS if not isinstance(case.values[1], posteriors.Delta)]

AT_ONCE = 50_000
LINE = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
INTERVAL = torch.linspace(0, 1, 20_001, dtype=torch.float64)
BITS = torch.tensor([0.0, 1.0], dtype=torch.float64)
GREYS = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)


VALUES = {
    distributions.IndependentBernoulli: BITS,
    torch.distributions.Bernoulli: BITS,
    distributions.DiscretizedLogistic: GREYS,
    distributions.CategoricalLevels: GREYS,
    distributions.ContinuousBernoulli: INTERVAL,
    distributions.Flow: LINE,
    torch.distributions.Normal: LINE,
    distributions.Mixture: LINE,
    distributions.FullGaussian: LINE,
}


def values(p: Distribution) -> Tensor:
    """All values of a discrete distribution, or a fine grid over those of a continuous one."""
    return VALUES[type(getattr(p, "base_dist", p))]


def densities(p: Distribution, x: Tensor) -> Tensor:
    """Probabilities or densities at x of events of one element, (values, batch)."""
    some = [p.log_prob(part[:, None, None]).exp().flatten(1) for part in x.split(AT_ONCE)]
    return torch.cat(some)


def total(weighted: Tensor, x: Tensor) -> Tensor:
    """The sum over values, or the integral over a grid, (batch,)."""
    return weighted.sum(0) if len(x) <= LEVELS else torch.trapezoid(weighted, x, dim=0)


def with_borrowed(module: Conditional) -> nn.Module:
    """A part together with those that it borrows."""
    return nn.ModuleList([module, *getattr(module, "borrowed", ())])


def one_dimensional(make: Make, spec: Any) -> Distribution:
    module, c = make(spec, 1)
    bent(with_borrowed(module)).double().requires_grad_(False)
    return module(None if c is None else c.double())


def bent(module: nn.Module, factor: float = 10.0) -> nn.Module:
    """Take the transforms of flows far from the identity, near which they begin."""
    for each in module.modules():
        if isinstance(each, Autoregressive):
            each.layers[-1].weight.data.mul_(factor)
    return module


def assert_gradients(module: nn.Module) -> None:
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name
