"""Laws that priors, posteriors and likelihoods share: weights, gradients, precision, and probability."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from laws.conditionals import (
    CONDITIONALS,
    DENSITIES,
    Make,
    assert_gradients,
    densities,
    one_dimensional,
    posterior,
    prior,
    some,
    total,
    values,
)
from laws.rows import PRIORS, RARE
from safetensors.torch import load, save
from scipy import stats

from vaekit.distributions import LEVELS, Categories, Flow, center
from vaekit.model import center_at


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("make", "spec"), CONDITIONALS[len(PRIORS) :])
def test_densities_of_half_precision_networks_are_fp32(make: Make, spec: Any, half: torch.dtype) -> None:
    module, c = make(spec, 3)
    assert c is not None
    network = getattr(module, "network", module)
    network.to(half)
    p = module(c.to(half))
    assert center(p).dtype == torch.float32
    assert p.log_prob(p.sample()).dtype == torch.float32


@pytest.mark.parametrize(("make", "spec"), CONDITIONALS)
def test_conditional_round_trips_through_safetensors(make: Make, spec: Any) -> None:
    (module, c), (other, _) = make(spec, 3), make(spec, 3)
    for one, again in zip(getattr(module, "borrowed", ()), getattr(other, "borrowed", ()), strict=True):
        again.load_state_dict(one.state_dict())
    weights = load(save(module.state_dict()))
    other.load_state_dict(weights)
    assert torch.equal(center(module(c)), center(other(c)))
    assert type(module).__name__ in repr(module)


@pytest.mark.parametrize(("make", "spec"), CONDITIONALS[len(PRIORS) :])
def test_a_center_that_a_part_finds_alone_is_that_of_its_distribution(make: Make, spec: Any) -> None:
    module, c = make(spec, 3)
    assert c is not None
    assert torch.equal(center_at(module, c), center(module(c)))


@pytest.mark.parametrize(("make", "spec"), [case for case in CONDITIONALS if case.values[1].kind != "standard_normal"])
def test_gradient_reaches_every_weight_of_a_conditional(make: Make, spec: Any) -> None:
    module, c = make(spec, 3)
    p = module(c)
    if make is posterior:
        z = p.rsample()
        loss = (z.square().sum(-1) - p.log_prob(z)).mean()
    elif make is prior:
        loss = -p.log_prob(torch.randn(20, 3)).mean()
    else:
        loss = -p.log_prob(p.sample() if spec.kind == "columns" else some(spec, (6, 3))).mean()
    loss.backward()
    assert_gradients(module)


@pytest.mark.parametrize(("make", "spec"), DENSITIES)
def test_total_probability_is_one_and_the_mean_is_that_of_the_density(make: Make, spec: Any) -> None:
    p = one_dimensional(make, spec)
    x = values(p)
    density = densities(p, x)
    assert torch.allclose(total(density, x), torch.ones(density.shape[1]).double(), atol=1e-8)
    groups = getattr(p, "groups", [p])
    if not isinstance(groups[0], Flow | Categories):  # whose mean is not known, or is the mode
        assert torch.allclose(total(density * x[:, None], x), p.mean.flatten(), atol=1e-8)


@pytest.mark.parametrize(("make", "spec"), DENSITIES)
def test_samples_follow_the_density(make: Make, spec: Any) -> None:
    p = one_dimensional(make, spec)
    n, x = 4000, values(p)
    samples = p.sample(torch.Size((n,))).reshape(n, -1)
    density = densities(p, x)
    if len(x) <= LEVELS:
        counts = (samples[None] - x[:, None, None]).abs().lt(1e-9).sum(1)
        assert (counts.sum(0) == n).all()  # no value between the levels
        pvalues = [chi_square(o, e) for o, e in zip(counts.T.numpy(), n * density.T.numpy(), strict=True)]
    else:
        below = torch.cumulative_trapezoid(density, x, dim=0).T.numpy()
        cdfs = [partial(np.interp, xp=x[1:].numpy(), fp=cdf) for cdf in below]
        pvalues = [stats.kstest(column, cdf).pvalue for column, cdf in zip(samples.T.numpy(), cdfs, strict=True)]
    assert min(pvalues) > RARE / len(pvalues)


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    """p-value of the counts; levels are joined in order until each bin expects at least ten."""
    bins = np.minimum((np.cumsum(expected) / 10).astype(int), int(expected.sum() / 10) - 1)
    o, e = (np.bincount(bins, counts) for counts in (observed, expected))
    o, e = o[e > 0], e[e > 0]
    return float(stats.chi2.sf(((o - e) ** 2 / e).sum(), len(e) - 1))
