"""Laws of priors and posteriors: distributions of one vector z of d latents."""

from typing import Any

import pytest
import torch
from laws.conditionals import Make, bent, one_dimensional, posterior, prior, with_borrowed
from laws.rows import DEVICES, POSTERIORS, PRIORS, rows

from vaekit import posteriors
from vaekit.distributions import center, rsample_and_log_prob, transported, transported_and_log_prob
from vaekit.errors import InputError


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
    assert center(q).shape == (*batch, 3)
    assert torch.equal(center(q), center(q))
    for value in (z, q.log_prob(z), center(q)):
        assert (value.dtype, value.device.type) == (dtype, device)


LATENTS = [*[(prior, s) for s in PRIORS], *[(posterior, s) for s in POSTERIORS if s.kind != "delta"]]


@pytest.mark.parametrize(("make", "spec"), LATENTS)
def test_total_probability_is_one_in_two_dimensions(make: Make, spec: Any) -> None:
    module, c = make(spec, 2)
    bent(with_borrowed(module)).double().requires_grad_(False)
    p = module(None if c is None else c[:2].double())
    axis = torch.linspace(-15, 15, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    total = torch.cat([p.log_prob(some[:, None]) for some in grid.split(50_000)]).logsumexp(0).exp()
    # The density of a spline is smooth but for kinks.
    assert (total * (axis[1] - axis[0]) ** 2 - 1).abs().max() < 1e-4


@pytest.mark.parametrize(("make", "spec"), [case for case in LATENTS if case[1].kind not in ("mixture", "vamp")])
def test_draws_at_one_stroke_have_the_density_of_the_draws(make: Make, spec: Any) -> None:
    module, c = make(spec, 3)
    q = bent(module).double()(None if c is None else c.double())
    z, log_prob = rsample_and_log_prob(q, 50)
    assert torch.allclose(log_prob, q.log_prob(z), atol=1e-9)
    assert (log_prob.mean() - q.log_prob(z.flip(0) + 1).mean()).abs() > 0.1


@pytest.mark.parametrize("spec", rows(POSTERIORS))
def test_noise_that_rows_share_is_carried_to_draws(spec: Any) -> None:
    module, c = posterior(spec, 3)
    assert c is not None
    q = bent(module)(c)
    noise = torch.randn(50, 1, 3)
    z, log_prob = transported_and_log_prob(q, noise)
    assert torch.equal(z, transported(q, noise))
    assert torch.allclose(log_prob, q.log_prob(z), atol=1e-4)
    alone = transported(module(c[2:3]), noise)
    assert torch.allclose(alone, z[:, 2:3], atol=1e-5)
    torch.manual_seed(5)
    drawn = q.rsample(torch.Size((50,)))
    torch.manual_seed(5)
    assert torch.allclose(transported(q, torch.randn(50, 6, 3)), drawn, atol=1e-5)


def test_draws_that_are_not_a_function_of_noise_are_refused_by_a_sentence() -> None:
    q = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(2, 3), torch.ones(2, 3)), 1)
    with pytest.raises(InputError, match="not known as a function of standard normal noise: choose posterior gaussian"):
        transported(q, torch.randn(5, 1, 3))


def test_point_mass_is_where_it_is() -> None:
    q = one_dimensional(posterior, posteriors.Delta())
    z = q.sample(torch.Size((3,)))
    assert torch.equal(z, q.mean.expand(3, -1, -1))
    assert torch.equal(q.log_prob(z), torch.zeros(3, 6))
    assert (q.log_prob(z + 1e-9) == -torch.inf).all()
