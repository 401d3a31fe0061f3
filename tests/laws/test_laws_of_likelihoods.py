"""Laws of likelihoods: axes, types, and the supports on which they are normalized."""

from typing import Any

import pytest
import torch
from laws.conditionals import BITS, INTERVAL, densities, likelihood, one_dimensional, some, total, values
from laws.rows import DEVICES, LIKELIHOODS, rows

from vaekit.reporting.datasheet import SUPPORTS


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("event", [(5,), (1, 13, 17), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_axes_of_a_likelihood(spec: Any, event: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
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
