"""Every prior, posterior and likelihood as a module with its context, and the values that it gives probability to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import pytest
import torch
from laws.rows import LIKELIHOODS, POSTERIORS, PRIORS
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions, likelihoods, posteriors
from vaekit.building import Builder
from vaekit.conditional import Conditional
from vaekit.data import Space
from vaekit.data.columns import Column, Kind
from vaekit.distributions import LEVELS
from vaekit.flows import Autoregressive
from vaekit.model import Model
from vaekit.networks import MLP

KINDS: tuple[Kind, ...] = get_args(Kind)
CODED = {"category": "uvwxy", "ordinal": "pqrs"}


def table(kinds: Sequence[Kind], **facts: Any) -> Space:
    """The space of a table with a column of each of some kinds."""
    columns = tuple(
        Column(name=f"c{i}", kind=kind, categories=tuple(CODED.get(kind, ""))[i % 2 :], shift=0.3, scale=0.8)
        for i, kind in enumerate(kinds)
    )
    return replace(Space.of((len(kinds),)), support="mixed", columns=columns, **facts)


def rows_of(kinds: Sequence[Kind], n: int) -> Tensor:
    """Rows of a table with columns of some kinds, as a model reads them."""
    columns = {
        "real": torch.randn(n),
        "positive": torch.randn(n),
        "count": torch.poisson(torch.full((n,), 4.0)),
        "binary": torch.randint(2, (n,)).float(),
        "category": torch.randint(4, (n,)).float(),
        "ordinal": torch.randint(3, (n,)).float(),
    }
    return torch.stack([columns[kind] for kind in kinds], 1)


def prior(spec: Any, dim: int) -> tuple[Conditional, None]:
    return spec.build(Builder(Model(latent_dim=dim, network=MLP(hidden=(8,))), Space.of((1, 2, 2)))), None


def posterior(spec: Any, dim: int) -> tuple[Conditional, Tensor]:
    builder = Builder(Model(latent_dim=dim, network=MLP(hidden=(8,))), Space.of((1, 2, 2)))
    return spec.build(builder), torch.rand(6, 1, 2, 2)


def likelihood(
    spec: Any, *event: int, batch: tuple[int, ...] = (6,), kinds: Sequence[Kind] = KINDS
) -> tuple[Conditional, Tensor]:
    space = table((kinds * event[0])[: event[0]]) if spec.kind == "columns" else Space.of(event)
    builder = Builder(Model(latent_dim=2, network=MLP(hidden=(8,))), space)
    return spec.build(builder), 5 * torch.randn(*batch, 2)


def some(spec: Any, shape: tuple[int, ...], kinds: Sequence[Kind] = KINDS) -> Tensor:
    """Data that the likelihood accepts."""
    if spec.kind == "columns":
        return rows_of((kinds * shape[-1])[: shape[-1]], Size(shape[:-1]).numel()).reshape(shape)
    if spec.supports[0] == "binary":
        return torch.randint(2, shape).float()
    return torch.randint(LEVELS, shape) / (LEVELS - 1)


CONDITIONALS = [
    *(pytest.param(prior, s, id=f"prior-{s.kind}-{i}") for i, s in enumerate(PRIORS)),
    *(pytest.param(posterior, s, id=f"posterior-{s.kind}-{i}") for i, s in enumerate(POSTERIORS)),
    *(pytest.param(likelihood, s, id=f"likelihood-{s.kind}-{i}") for i, s in enumerate(LIKELIHOODS)),
    *(pytest.param(partial(likelihood, kinds=(kind,)), likelihoods.Columns(), id=f"column-{kind}") for kind in KINDS),
]
Make = Callable[..., tuple[Conditional, Tensor | None]]


DENSITIES = [case for case in CONDITIONALS if not isinstance(case.values[1], posteriors.Delta)]

AT_ONCE = 50_000
LINE = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
INTERVAL = torch.linspace(0, 1, 20_001, dtype=torch.float64)
BITS = torch.tensor([0.0, 1.0], dtype=torch.float64)
GREYS = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
WHOLE = torch.arange(LEVELS, dtype=torch.float64)


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
    distributions.Counts: WHOLE,
}


def values(p: Distribution, column: int = 0) -> Tensor:
    """All values of a discrete distribution, or a fine grid over those of a continuous one; of a column of a table."""
    if isinstance(p, distributions.Columns):
        groups = [group for group in p.groups for _ in range(group.batch_shape[-1])]
        return values(groups[int(p.order[column])])
    if isinstance(p, distributions.Categories):
        return WHOLE[: p.logits.shape[-1]]
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
