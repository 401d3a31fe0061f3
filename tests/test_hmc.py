"""Hamiltonian Monte Carlo: the dynamics' own laws, and targets whose moments are known."""

import pytest
import torch
from scipy import stats
from test_oracles import LATENTS, NOISE, RARE, assert_mean, linear
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.evaluation.bridges import from_prior
from vaekit.hmc import Path, adapted, evaluate, leapfrog, settle, transition
from vaekit.model import Model
from vaekit.networks import MLP

CURVED = 0.3


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def curved(z: Tensor) -> tuple[Tensor, Tensor]:
    """A normal start, and a ratio whose gradient is nowhere linear."""
    return -0.5 * z.square().sum(-1), -CURVED * z.pow(4).sum(-1) + z.prod(-1).sin()


def tempered(x: Tensor, beta: float) -> tuple[Path, MultivariateNormal]:
    """The path from the prior of the linear-Gaussian model, and π_β ∝ p(z) p(x | z)^β in closed form."""
    vae, _ = linear("full")
    w, b = vae.likelihood.loadings, vae.likelihood.offset
    precision = torch.eye(LATENTS).double() + beta * w.T @ w / NOISE**2
    mean = (beta * (x - b) @ w / NOISE**2) @ precision.inverse()
    return from_prior(vae, x).path, MultivariateNormal(mean, precision_matrix=precision)


def whitened(z: Tensor, target: MultivariateNormal) -> Tensor:
    """Coordinates in which the target is N(0, I)."""
    return torch.linalg.solve_triangular(target.scale_tril, (z - target.loc)[..., None], upper=False)[..., 0]


def assert_distributed(z: Tensor, target: MultivariateNormal) -> None:
    """Independent chains (chains, batch, d) have the target's moments, image by image, and its shape."""
    u = whitened(z, target)
    assert_mean(u.flatten(1), torch.zeros(u[0].numel()))
    products = (u[..., :, None] * u[..., None, :]).flatten(1)
    upper = torch.ones(LATENTS, LATENTS).triu().bool().expand(u.shape[1], -1, -1).flatten()
    expected = torch.eye(LATENTS).double().expand(u.shape[1], -1, -1).flatten()
    assert_mean(products[:, upper], expected[upper])
    assert stats.kstest(u.flatten().numpy(), "norm").pvalue > RARE


def test_evaluation_returns_densities_and_gradients() -> None:
    z = torch.randn(3, 5, 2).double()
    point = evaluate(curved, z)
    start, ratio = curved(z)
    assert torch.equal(point.log_start, start)
    assert torch.equal(point.log_ratio, ratio)
    assert torch.equal(point.start_gradient, -z)
    cosine = z.prod(-1).cos()[..., None]
    assert torch.allclose(point.ratio_gradient, -4 * CURVED * z**3 + cosine * z.flip(-1))
    assert torch.allclose(point.log_density(0.3), start + 0.3 * ratio)
    assert torch.allclose(point.gradient(0.3), point.start_gradient + 0.3 * point.ratio_gradient)


def test_leapfrog_returns_to_its_start_when_the_momentum_is_reversed() -> None:
    point, momentum = evaluate(curved, torch.randn(4, 5, 3).double()), torch.randn(4, 5, 3).double()
    step = torch.linspace(0.01, 0.3, 5).double()
    end, final = leapfrog(curved, 0.7, point, momentum, step, 20)
    assert (end.z - point.z).abs().max() > 0.5
    back, reversed_ = leapfrog(curved, 0.7, end, -final, step, 20)
    assert (back.z - point.z).abs().max() < 1e-10
    assert (reversed_ + momentum).abs().max() < 1e-10


def test_leapfrog_keeps_volume() -> None:
    origin, tiny, step = torch.randn(4).double(), 1e-5, torch.tensor([0.2]).double()
    nudged = origin + tiny * torch.cat([torch.eye(4), -torch.eye(4)]).double()
    z, momentum = nudged[:, None].chunk(2, -1)
    end, final = leapfrog(curved, 0.7, evaluate(curved, z), momentum, step, 10)
    plus, minus = torch.cat([end.z, final], -1)[:, 0].chunk(2)
    assert abs(float(torch.linalg.det((plus - minus) / (2 * tiny))) - 1) < 1e-7


def test_energy_is_conserved_to_second_order_in_the_step() -> None:
    point, momentum = evaluate(curved, torch.randn(50, 4, 3).double()), torch.randn(50, 4, 3).double()

    def error(step: float, steps: int) -> float:
        end, final = leapfrog(curved, 1.0, point, momentum, torch.full((4,), step).double(), steps)
        change = end.log_density(1.0) - point.log_density(1.0) - 0.5 * (final**2 - momentum**2).sum(-1)
        return float(change.square().mean().sqrt())

    assert 3.7 < error(0.02, 50) / error(0.01, 100) < 4.3


def near_the_limit(share: float, target: MultivariateNormal) -> Tensor:
    """A step size that is a share of the largest stable one, twice the smallest standard deviation."""
    return share * 2 * torch.linalg.eigvalsh(target.covariance_matrix)[:, 0].sqrt()


@pytest.mark.parametrize("share", [0.5, 0.95], ids=["fine", "coarse"])
@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_transitions_leave_the_target_invariant(beta: float, share: float) -> None:
    path, target = tempered(torch.randn(3, 6).double(), beta)
    point, rates = evaluate(path, target.sample((4000,))), []
    for _ in range(4):
        point, probability = transition(path, beta, point, near_the_limit(share, target), 3)
        rates.append(float(probability.mean()))
    assert 0.4 < min(rates) < max(rates) < 0.97  # the Metropolis test has work to do
    assert_distributed(point.z, target)


def test_transitions_are_reversible() -> None:
    path, target = tempered(torch.randn(3, 6).double(), 1.0)
    before = target.sample((20_000,))
    point, _ = transition(path, 1.0, evaluate(path, before), near_the_limit(0.9, target), 2)
    u, v = whitened(before, target), whitened(point.z, target)
    assert 0.05 < float((u == v).double().mean()) < 0.9
    f, g = u[..., 0] * u[..., 1], u[..., 2] ** 2
    f_after, g_after = v[..., 0] * v[..., 1], v[..., 2] ** 2
    assert_mean(f * g_after - f_after * g, torch.zeros(3))


def test_chains_find_the_target_from_afar() -> None:
    path, target = tempered(torch.randn(3, 6).double(), 1.0)
    point = settle(path, 1.0, torch.full((1500, 3, LATENTS), 5.0).double(), 100, 5, 0.65)
    assert_distributed(point.z, target)


@pytest.mark.parametrize("acceptance", [0.5, 0.65, 0.9])
def test_each_image_adapts_to_the_target_acceptance(acceptance: float) -> None:
    scales = torch.logspace(-2.5, 0.5, 40).double()[:, None] * torch.linspace(1, 3, 10).double()

    def path(z: Tensor) -> tuple[Tensor, Tensor]:
        half = -0.25 * (z / scales).square().sum(-1)
        return half, half

    def rates(adapting: bool, times: int) -> Tensor:
        nonlocal point, step
        found = []
        for _ in range(times):
            point, probability = transition(path, 1.0, point, step, 5)
            step = adapted(step, probability, acceptance) if adapting else step
            found.append(probability.mean(0))
        return torch.stack(found).mean(0)

    point, step = evaluate(path, torch.randn(50, 40, 10).double()), torch.full((40,), 0.5).double()
    rates(adapting=True, times=50)
    assert (rates(adapting=True, times=50) - acceptance).abs().max() < 0.05
    error = rates(adapting=False, times=20) - acceptance
    assert error.mean().abs() < 0.06
    assert error.std() < 0.15
    assert (step / scales[:, 0]).log().std() < 0.1  # each is as wide as its target


def test_a_trajectory_that_ends_in_no_number_is_rejected() -> None:
    def path(z: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * z.square().sum(-1), torch.where(z[..., 0] > 0, z[..., 0], torch.nan)

    point = evaluate(path, torch.rand(50, 2, 2).double())
    for _ in range(20):
        point, probability = transition(path, 1.0, point, torch.full((2,), 0.8).double(), 3)
        assert probability.isfinite().all()
        assert (probability == 0).any()
    assert (point.z[..., 0] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters_get_no_gradient_and_dtype_stays(dtype: torch.dtype) -> None:
    vae = Model(latent_dim=2, network=MLP(hidden=(8,))).build((1, 2, 2)).to(dtype)
    path = from_prior(vae, torch.ones(3, 1, 2, 2, dtype=dtype)).path
    with torch.no_grad():
        point = settle(path, 1.0, torch.randn(4, 3, 2, dtype=dtype), 4, 2, 0.65)
    assert all(value.dtype == dtype and not value.requires_grad for value in point)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in vae.parameters())
