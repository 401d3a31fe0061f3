"""Laws of likelihoods: axes, types, and the supports on which they are normalized."""

from typing import Any

import pytest
import torch
from laws.conditionals import (
    AT_ONCE,
    BITS,
    INTERVAL,
    assert_gradients,
    densities,
    likelihood,
    one_dimensional,
    some,
    total,
    values,
)
from laws.rows import DEVICES, LIKELIHOODS, rows

from vaekit.building import Builder
from vaekit.data import Space
from vaekit.distributions import Observed
from vaekit.errors import InputError
from vaekit.model import Model
from vaekit.reporting.datasheet import SUPPORTS


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("event", [(5,), (1, 13, 17), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_axes_of_a_likelihood(spec: Any, event: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
    if spec.kind == "columns" and len(event) == 3:
        with pytest.raises(InputError, match="needs a table"):
            spec.build(Builder(Model(), Space.of(event)))
        return
    module, z = likelihood(spec, *event, batch=(4, 6))
    p = module.to(device, dtype)(z.to(device, dtype))
    x = some(spec, (6, *event)).to(device, dtype)
    assert p.batch_shape + p.event_shape == (4, 6, *event)
    assert p.log_prob(x).shape == (4, 6)
    assert p.mean.shape == p.sample().shape == (4, 6, *event)
    assert p.sample(torch.Size((7,))).shape == (7, 4, 6, *event)
    for value in (p.log_prob(x), p.mean, p.sample()):
        assert (value.dtype, value.device.type) == (dtype, device)
        assert value.isfinite().all()
    alone = module(z[2, 3].to(device, dtype))
    assert torch.allclose(alone.log_prob(x[3]), p.log_prob(x)[2, 3], rtol=1e-5)


@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_normalised_supports_are_those_where_the_total_is_one(spec: Any) -> None:
    p = one_dimensional(likelihood, spec)
    for support in spec.supports:
        gray = INTERVAL if spec.kind == "bernoulli" else values(p)  # where its cross-entropy is no density
        x = BITS if support == "binary" else gray
        sums = total(densities(p, x), x)
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-8) == (support in spec.normalized_on)
    assert set(spec.normalized_on) <= set(spec.supports)
    assert spec.kind == "own" or SUPPORTS[spec.kind] == spec.supports


@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_holes_are_left_out_of_the_density_and_their_gradients_are_finite(spec: Any) -> None:
    event = (12,) if spec.kind == "columns" else (1, 3, 4)
    module, z = likelihood(spec, *event, batch=(4, 6))
    p, x = module(z), some(spec, (6, *event))
    observed = Observed(p)
    with torch.enable_grad():
        assert torch.equal(observed.log_prob(x), p.log_prob(x))
    x.view(6, -1)[:, ::5] = torch.nan
    x[0] = torch.nan
    log_prob = observed.log_prob(x)
    assert (log_prob[:, 0] == 0).all()
    assert torch.allclose(log_prob, observed.element_log_prob(x).flatten(2).sum(-1))
    log_prob.mean().backward()
    assert_gradients(module)


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_density_of_what_is_observed_is_the_marginal(spec: Any, column: int) -> None:
    module, z = likelihood(spec, 6, batch=())
    p = module.double().requires_grad_(False)(z.double())
    x = some(spec, (6,)).double()
    every = values(p, column)
    joint = x.repeat(len(every), 1)
    joint[:, column] = every
    summed = total(torch.cat([p.log_prob(part).exp() for part in joint.split(AT_ONCE)])[:, None], every)
    x[column] = torch.nan
    assert torch.allclose(Observed(p).log_prob(x).exp(), summed[0], rtol=1e-6)
