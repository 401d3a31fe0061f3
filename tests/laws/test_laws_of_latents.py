"""Laws of priors and posteriors: distributions of one vector z of d latents."""

from typing import Any

import pytest
import torch
from laws.conditionals import Make, one_dimensional, posterior, prior, with_borrowed
from laws.rows import DEVICES, POSTERIORS, PRIORS

from vaekit import posteriors


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make_spec", [*[(prior, s) for s in PRIORS], *[(posterior, s) for s in POSTERIORS]])
def test_axes_of_latents(make_spec: tuple[Make, Any], dtype: torch.dtype, device: str) -> None:
    make, spec = make_spec
    module, c = make(spec, 3)
    with_borrowed(module).to(device, dtype)
    q = module(None if c is None else c.to(device, dtype))
    batch = () if c is None else (6,)
    z = (q.rsample if q.has_rsample else q.sample)(torch.Size((4,)))
    assert (q.batch_shape, q.event_shape) == (batch, (3,))
    assert z.shape == (4, *batch, 3)
    assert q.log_prob(z).shape == (4, *batch)
    assert q.mean.shape == (*batch, 3)
    for value in (z, q.log_prob(z), q.mean):
        assert (value.dtype, value.device.type) == (dtype, device)


def test_point_mass_is_where_it_is() -> None:
    q = one_dimensional(posterior, posteriors.Delta())
    z = q.sample(torch.Size((3,)))
    assert torch.equal(z, q.mean.expand(3, -1, -1))
    assert torch.equal(q.log_prob(z), torch.zeros(3, 6))
    assert (q.log_prob(z + 1e-9) == -torch.inf).all()
