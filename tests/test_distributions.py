"""Densities against scipy and integers, and their tails in fp32."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from vaekit.distributions import (
    LEVELS,
    CategoricalLevels,
    ContinuousBernoulli,
    Delta,
    DiscretizedLogistic,
    IndependentBernoulli,
    independent,
)
from vaekit.likelihoods.pixels import GRAY_LEVEL, bounded_log_scale

GREYS = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
SINGLE = torch.finfo(torch.float32).eps


def double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("scale", [GRAY_LEVEL / 8, 0.01, 0.3, 20.0])
@pytest.mark.parametrize("loc", [-0.2, 0.0, 0.37, 1.0])
def test_discretized_logistic_is_the_logistic_cut_at_half_levels(loc: float, scale: float) -> None:
    logistic = stats.logistic(loc, scale)
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
    # below the location the cdf is the small one, above it the survival function: no cancellation
    expected = np.where(edges[1:] < loc, np.diff(logistic.cdf(edges)), -np.diff(logistic.sf(edges)))
    found = DiscretizedLogistic(double(loc), double(scale)).log_prob(GREYS).exp()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_discretized_logistic_is_finite_with_its_gradients_in_the_tails(dtype: torch.dtype) -> None:
    loc = torch.tensor([-1e4, -100.0, 0.0, 0.5, 1.0, 100.0, 1e4], dtype=dtype)[:, None].requires_grad_()
    raw = torch.tensor([-1e6, -50.0, 0.0, 50.0], dtype=dtype)[:, None, None].requires_grad_()
    scale = bounded_log_scale(raw, GRAY_LEVEL / 8).exp()
    log_prob = DiscretizedLogistic(loc, scale).log_prob(GREYS.to(dtype))
    assert log_prob.shape == (4, 7, 256)
    assert log_prob.isfinite().all()
    assert (log_prob <= 0).all()
    log_prob.sum().backward()
    for parameter in (loc, raw):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_discretized_logistic_falls_linearly_in_the_tails() -> None:
    p = DiscretizedLogistic(torch.tensor(100.0), torch.tensor(GRAY_LEVEL))
    found = p.log_prob(GREYS.float())
    slope = torch.diff(found)[1:-1] * 255 * GRAY_LEVEL  # log P changes by 1/s per unit of x
    assert torch.allclose(slope, torch.ones(253), atol=0.01)
    assert float(found[128]) == pytest.approx((0.5 - 100) / GRAY_LEVEL, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 0.05, 2.0])
def test_discretized_logistic_in_fp32_is_that_in_fp64(scale: float) -> None:
    loc, s = torch.linspace(0, 1, 33, dtype=torch.float64)[:, None], double(scale)
    exact = DiscretizedLogistic(loc, s).log_prob(GREYS)
    single = DiscretizedLogistic(loc.float(), s.float()).log_prob(GREYS.float())
    # the arguments (x − m)/s are rounded: an error of ε/s, and ε in proportion to the result
    assert ((single - exact).abs() < 4 * SINGLE * (1 / scale + exact.abs() + 1)).all()


def test_discretized_logistic_samples_are_levels_even_at_the_ends() -> None:
    p = DiscretizedLogistic(torch.tensor([-5.0, 0.5, 5.0]), torch.tensor([0.1, 5.0, 0.1]))
    x = p.sample(torch.Size((1000,)))
    assert torch.equal((x * 255).round() / 255, x)
    assert (x[:, 0] == 0).all()
    assert (x[:, 2] == 1).all()
    assert {0.0, 1.0} <= set(x[:, 1].tolist())


def test_categorical_levels_are_a_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(3, LEVELS))
    expected = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    p = CategoricalLevels(torch.from_numpy(logits))
    found = torch.stack([p.log_prob(x.expand(3)) for x in GREYS], -1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(p.mean, (np.exp(expected) * GREYS.numpy()).sum(-1), atol=1e-12)


def test_every_level_is_found_after_the_division_of_stored_bytes() -> None:
    x = torch.arange(LEVELS, dtype=torch.uint8) / (LEVELS - 1)
    assert x.dtype == torch.float32
    p = CategoricalLevels(torch.arange(LEVELS).float().expand(LEVELS, -1))
    assert torch.equal(p.log_prob(x), p.logits[0])


@given(st.floats(-40, 40), st.floats(0, 1))
def test_continuous_bernoulli_is_the_exponential_family_on_the_unit_interval(logit: float, x: float) -> None:
    total, _ = integrate.quad(lambda t: np.exp(logit * t - max(logit, 0)), 0, 1, epsabs=1e-14, epsrel=1e-12)
    found = ContinuousBernoulli(double(logit)).log_prob(double(x))
    assert float(found) == pytest.approx(logit * x - max(logit, 0) - np.log(total), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_continuous_bernoulli_is_smooth_through_one_half(dtype: torch.dtype) -> None:
    """λ = ½ is where the normalizer is 0/0, and ±0.1 where the series hands over to the closed form."""
    logits = torch.cat([torch.linspace(-0.2, 0.2, 401), torch.tensor([0.0, 1e-30, -1e-7])]).to(dtype).requires_grad_()
    p = ContinuousBernoulli(logits)
    x = torch.tensor(0.3, dtype=dtype)
    log_prob = p.log_prob(x)
    (gradient,) = torch.autograd.grad(log_prob.sum(), logits)
    half = logits.detach().double() / 2
    normalizer = torch.where(half == 0, 0.0, torch.log(half / torch.sinh(half)))
    tolerance = 1e-11 if dtype == torch.float64 else 1e-6
    assert torch.allclose(log_prob.double(), 2 * half * (x.double() - 0.5) + normalizer, rtol=0, atol=tolerance)
    # an exponential family: ∂ log p / ∂ℓ = x − E[x]
    assert torch.allclose(gradient, x - p.mean, rtol=0, atol=100 * tolerance)
    assert float(ContinuousBernoulli(torch.zeros(())).log_prob(x)) == 0


def test_continuous_bernoulli_is_exact_at_extreme_logits() -> None:
    logits = torch.tensor([-1e4, -200.0, -20.0, 20.0, 200.0, 1e4], requires_grad=True)
    p = ContinuousBernoulli(logits)
    # there it is an exponential distribution of rate |ℓ|, seen from the nearer end
    rate = logits.detach().abs()
    x = torch.where(logits > 0, 1 - 1 / rate, 1 / rate)
    assert torch.allclose(p.log_prob(x), rate.log() - 1, rtol=1e-5, atol=2e-3)
    assert torch.allclose(p.mean, x, atol=1e-6)
    p.log_prob(x).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    torch.manual_seed(0)
    samples = p.sample(torch.Size((20_000,)))
    assert ((samples >= 0) & (samples <= 1)).all()
    distance = torch.where(logits > 0, 1 - samples, samples) * rate
    assert all(stats.kstest(column, "expon").pvalue > 1e-5 for column in distance.detach().T.numpy())


def test_continuous_bernoulli_is_uniform_at_one_half() -> None:
    torch.manual_seed(0)
    samples = ContinuousBernoulli(torch.zeros(())).sample(torch.Size((20_000,)))
    assert stats.kstest(samples.numpy(), "uniform").pvalue > 1e-5


@pytest.mark.parametrize("event", [(1,), (3, 5, 7), (16,), (1, 28, 28)], ids=str)
def test_independent_bits_are_as_exact_as_those_of_torch(event: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    logits, x = 8 * torch.randn(6, 20, *event), torch.rand(20, *event)
    x[:10] = x[:10].round()

    def plain(logits: Tensor, x: Tensor) -> Tensor:
        return Independent(Bernoulli(logits=logits, validate_args=False), len(event)).log_prob(x)

    exact = plain(logits.double(), x.double())
    ours, theirs = IndependentBernoulli(logits, len(event)).log_prob(x) - exact, plain(logits, x) - exact
    assert ours.abs().max() <= 2 * theirs.abs().max() + 1e-6


def test_independent_bits_have_the_gradients_of_their_formula() -> None:
    torch.manual_seed(0)
    shapes = (3, 4, 1, 5, 7), (4, 1, 5, 7)
    logits, x = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    assert torch.autograd.gradcheck(lambda logits, x: IndependentBernoulli(logits, 3).log_prob(x), (logits, x))
    assert torch.autograd.gradcheck(lambda x: IndependentBernoulli(logits.detach(), 3).log_prob(x), x)


@pytest.mark.parametrize("size", [60.0, 1e4])
def test_independent_bits_are_finite_at_extreme_logits(size: float) -> None:
    logits = torch.tensor([size, size, -size, -size], requires_grad=True)
    for ours in (logits, logits.detach()):
        found = IndependentBernoulli(ours[:, None], 1).log_prob(torch.tensor([[1.0], [0.0], [1.0], [0.0]]))
        assert torch.allclose(found, torch.tensor([0.0, -size, -size, 0.0]), atol=1e-20)
        if ours.requires_grad:
            found.sum().backward()
    assert torch.allclose(logits.grad, torch.tensor([0.0, -1.0, 1.0, 0.0]), atol=1e-20)


def test_independent_sums_the_event() -> None:
    x = torch.randn(7, 2, 3, generator=torch.Generator().manual_seed(0))
    p = independent(Normal(torch.zeros(2, 3), torch.ones(2, 3)), 2)
    np.testing.assert_allclose(p.log_prob(x), stats.norm.logpdf(x.numpy()).sum((1, 2)), rtol=1e-6)


def test_delta_passes_the_gradient_to_its_point() -> None:
    loc = torch.zeros(2, 3, requires_grad=True)
    Delta(loc).rsample(torch.Size((4,))).sum().backward()
    assert torch.equal(loc.grad, torch.full((2, 3), 4.0))


@given(st.floats(-1e30, 80), st.floats(1e-6, 10))
def test_bounded_log_scale_is_never_below_its_bound(raw: float, minimum: float) -> None:
    for dtype in (torch.float32, torch.float64):
        found = bounded_log_scale(torch.tensor(raw, dtype=dtype), minimum)
        slack = 4 * torch.finfo(dtype).eps * (1 + abs(log(minimum)))
        assert found >= log(minimum) - slack
        assert found >= raw - slack - 4 * torch.finfo(dtype).eps * abs(raw)
        assert found.exp().isfinite()


def test_bounded_log_scale_is_the_identity_far_above_and_always_has_a_direction() -> None:
    raw = torch.linspace(-10, 20, 100, dtype=torch.float64, requires_grad=True)
    found: Tensor = bounded_log_scale(raw, GRAY_LEVEL)
    above = raw - log(GRAY_LEVEL)
    assert torch.allclose(found - raw, torch.log1p(torch.exp(-above)), atol=1e-8)  # the excess is e^{−(raw − log m)}
    assert (found - raw)[above > 20].abs().max() < 1e-8
    found.sum().backward()
    assert raw.grad is not None
    assert (raw.grad > 0).all()
    assert (raw.grad <= 1).all()
