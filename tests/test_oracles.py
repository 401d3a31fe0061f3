"""Models whose evidence is known: a linear-Gaussian VAE in closed form, a 2-D latent by integration on a grid.

Monte Carlo results are held to their own standard error. Seeds are fixed, so a test passes always or never; the bounds
are quantiles of the null distribution at which one seed in ten thousand would fail.
"""

from functools import partial
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal

from vaekit.conditional import Conditional
from vaekit.data import Batch, Space
from vaekit.distributions import independent, kl_per_unit
from vaekit.evaluation.evidence import ELEMENTS_AT_ONCE, estimate, evidence
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO
from vaekit.posteriors import Flow, FlowPosterior, FullGaussianPosterior, GaussianPosterior
from vaekit.priors import StandardNormalPrior

PIXELS, LATENTS, NOISE = 6, 3, 0.5
RARE = 1e-4
SIGMAS = stats.norm.isf(RARE / 2)


class LinearLikelihood(Conditional):
    """p(x | z) = N(W z + b, s²)."""

    def __init__(self, loadings: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.loadings, self.offset = loadings, offset

    def forward(self, c: Tensor | None = None) -> Distribution:
        loc = c @ self.loadings.T + self.offset
        return independent(Normal(loc, torch.full_like(loc, NOISE)), 1)


class LinearPosterior(Conditional):
    """q(z | x) = N(A (x − b) + shift, covariance); diagonal as a product of normals, else multivariate."""

    def __init__(self, likelihood: LinearLikelihood, shift: float = 0.0, inflation: float = 1.0) -> None:
        super().__init__()
        self.likelihood, self.shift = likelihood, shift
        loadings = likelihood.loadings
        precision = torch.eye(LATENTS).double() + loadings.T @ loadings / NOISE**2
        self.covariance = precision.inverse()
        self.gain = self.covariance @ loadings.T / NOISE**2
        self.inflation = inflation

    def forward(self, c: Tensor | None = None) -> Distribution:
        loc = (c - self.likelihood.offset) @ self.gain.T + self.shift
        covariance = self.covariance * self.inflation**2
        if torch.allclose(covariance, torch.diag(covariance.diagonal()), atol=1e-12):
            return independent(Normal(loc, covariance.diagonal().sqrt().expand_as(loc)), 1)
        return MultivariateNormal(loc, covariance)


def loadings(kind: str) -> Tensor:
    """Columns of W: orthogonal ones make the exact posterior's covariance diagonal."""
    raw = torch.randn(PIXELS, LATENTS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if kind == "full":
        return raw
    return torch.linalg.qr(raw).Q * torch.tensor([2.0, 1.0, 0.3], dtype=torch.float64)


def linear(kind: str, **wrong: float) -> tuple[VAE, MultivariateNormal]:
    """A VAE with its exact posterior, or one made wrong, and its exact p(x)."""
    w, b = loadings(kind), torch.linspace(-1, 1, PIXELS, dtype=torch.float64)
    likelihood = LinearLikelihood(w, b)
    vae = VAE(StandardNormalPrior(LATENTS).double(), LinearPosterior(likelihood, **wrong), likelihood)
    return vae, MultivariateNormal(b, w @ w.T + NOISE**2 * torch.eye(PIXELS).double())


def amortized(kind: str) -> tuple[VAE, MultivariateNormal]:
    """The linear VAE with its exact posterior as a part of the library: weights that are set, none that is learned."""
    vae, marginal = linear("full")
    exact = vae.posterior
    factor = torch.linalg.cholesky(exact.covariance)
    scale = factor.diagonal()
    below = factor / scale[:, None] - torch.eye(LATENTS).double()
    if kind == "full_gaussian":
        module: Any = FullGaussianPosterior(torch.nn.Identity(), PIXELS, LATENTS)
        rest = below[tuple(torch.tril_indices(LATENTS, LATENTS, -1))]
    else:
        module = FlowPosterior(torch.nn.Identity(), PIXELS, LATENTS, Flow(steps=1, hidden=()))
        rest = below[:0, 0]
        transform = module.transforms[0].double()
        for weight in transform.parameters():
            weight.data.zero_()
        transform.layers[0].weight.data[::2] = below  # the shifts; log scales stay zero
    module.double()
    for weight in module.head.parameters():
        weight.data.zero_()
    module.head.weight.data[:LATENTS] = exact.gain
    module.head.bias.data[:] = torch.cat([-exact.gain @ vae.likelihood.offset, scale.log(), rest])
    return VAE(vae.prior, module, vae.likelihood), marginal


def repeated(vae: VAE, x: Tensor, samples: int, times: int) -> dict[str, Tensor]:
    """The evidence of each image estimated anew, (times, images)."""
    found = evidence(vae, x.repeat(times, *(1 for _ in x.shape[1:])), samples)
    return {name: value.reshape(times, len(x)) for name, value in found.items()}


def assert_mean(draws: Tensor, expected: Tensor) -> None:
    """Columns of independent draws have the expected means: z-scores whose squares sum to a chi-square."""
    z = (draws.mean(0) - expected) / draws.std(0) * len(draws) ** 0.5
    assert (z**2).sum() < stats.chi2.isf(RARE, len(z))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", ["orthogonal", "full"])
def test_log_weights_under_the_exact_posterior_are_the_evidence(kind: str) -> None:
    vae, marginal = linear(kind)
    assert isinstance(vae.posterior(torch.zeros(1, PIXELS).double()), MultivariateNormal) == (kind == "full")
    x = marginal.sample((50,)) * 2  # some far from the data
    log_weight = vae.draw(x, n=20).log_weight
    assert log_weight.shape == (20, 50)
    assert (log_weight - marginal.log_prob(x)).abs().max() < 1e-9


@pytest.mark.parametrize("kind", ["full_gaussian", "flow"])
def test_posteriors_that_hold_the_exact_one_give_log_weights_that_are_the_evidence(kind: str) -> None:
    vae, marginal = amortized(kind)
    x = marginal.sample((50,)) * 2
    draws = vae.draw(x, n=20)
    assert (draws.log_weight - marginal.log_prob(x)).abs().max() < 1e-9
    z = torch.randn(20, 50, LATENTS).double()
    expected = marginal.log_prob(x) + vae.posterior(x).log_prob(z)
    assert (vae.log_joint(x, z) - expected).abs().max() < 1e-9


def test_elbo_of_a_full_gaussian_has_its_closed_form_of_the_kl() -> None:
    vae, marginal = amortized("full_gaussian")
    x = marginal.sample((10,))
    elbo = repeated(vae, x, samples=1, times=2000)["elbo"]
    assert elbo.std(0).min() > 0.1  # the closed form leaves the reconstruction's noise
    assert_mean(elbo, marginal.log_prob(x))


@pytest.mark.parametrize("kind", ["orthogonal", "full"])
def test_joint_is_evidence_times_posterior(kind: str) -> None:
    vae, marginal = linear(kind)
    x, z = marginal.sample((50,)), torch.randn(20, 50, LATENTS).double()
    expected = marginal.log_prob(x) + vae.posterior(x).log_prob(z)
    assert (vae.log_joint(x, z) - expected).abs().max() < 1e-9


@pytest.mark.parametrize("kind", ["orthogonal", "full"])
def test_elbo_under_the_exact_posterior_is_the_evidence(kind: str) -> None:
    vae, marginal = linear(kind)
    x = marginal.sample((50,))
    objective = ELBO(samples=3, kl="monte_carlo").build(vae, Space.of((PIXELS,)))
    assert abs(float(objective(vae, Batch(x)).terms["elbo"] - marginal.log_prob(x).mean())) < 1e-9


def test_elbo_with_the_analytic_kl_is_the_evidence_in_expectation() -> None:
    vae, marginal = linear("orthogonal")
    x = marginal.sample((10,))
    elbo = repeated(vae, x, samples=1, times=2000)["elbo"]
    assert elbo.std(0).min() > 0.1  # the closed form of the KL leaves the reconstruction's noise
    assert_mean(elbo, marginal.log_prob(x))


@pytest.mark.parametrize("kind", ["orthogonal", "full"])
def test_importance_weights_of_a_wrong_posterior_average_to_the_evidence(kind: str) -> None:
    vae, marginal = linear(kind, shift=0.1, inflation=1.3)
    x = marginal.sample((10,))
    ratio = (repeated(vae, x, samples=20, times=2000)["log_evidence"] - marginal.log_prob(x)).exp()
    assert ratio.std(0).min() > 0.01
    assert_mean(ratio, torch.ones(len(x)))


@pytest.mark.slow
def test_standard_error_is_that_of_repetitions_with_fresh_images_and_draws() -> None:
    vae, marginal = linear("full", shift=0.1, inflation=1.3)
    expected = -float(marginal.entropy())  # E log p(x) over x ~ p(x)
    found = [estimate(vae, marginal.sample((100,)).split(30), samples=500)["log_evidence"] for _ in range(200)]
    z = [(f.value - expected) / f.standard_error for f in found]
    # 100 images: Student's t in place of the normal, whose skewness from log p(x) being a chi-square is 2e-2
    assert stats.kstest(z, partial(stats.t.cdf, df=99)).pvalue > RARE
    assert abs(np.mean(z)) * len(z) ** 0.5 < SIGMAS
    assert all(f.samples == 500 for f in found)


def test_evidence_of_more_draws_than_are_held_at_once_is_the_same_estimator() -> None:
    vae, marginal = linear("full", shift=0.1, inflation=1.3)
    x = marginal.sample((ELEMENTS_AT_ONCE // PIXELS // 7,))  # 7 draws at once, and a pause at 1 and 10
    torch.manual_seed(1)
    found = evidence(vae, x, 20)
    torch.manual_seed(1)
    draws = [vae.draw(x, n) for n in (1, 7, 2, 7, 3)]
    log_weight = torch.cat([d.log_weight for d in draws])
    for k in (1, 10, 20):
        assert torch.allclose(found[f"log_evidence_at_{k}"], log_weight[:k].logsumexp(0) - log(k), atol=1e-9)
    weight = (log_weight - log_weight.amax(0)).exp()
    assert torch.allclose(found["effective_samples"], weight.sum(0) ** 2 / (weight**2).sum(0), atol=1e-9)
    assert torch.allclose(found["log_evidence"], log_weight.logsumexp(0) - log(20), atol=1e-9)
    log_likelihood = torch.cat([d.log_likelihood for d in draws]).mean(0)
    assert torch.allclose(found["elbo"], log_likelihood - vae.kl(draws[0]), atol=1e-9)  # the KL is in closed form
    assert torch.allclose(found["reconstruction"], -log_likelihood, atol=1e-9)


def test_analytic_kl_is_the_mean_of_the_monte_carlo_kl() -> None:
    trunk = torch.nn.Linear(4, 8)
    vae = VAE(StandardNormalPrior(5), GaussianPosterior(trunk, 8, 5), LinearLikelihood(torch.eye(5), torch.zeros(5)))
    x = 3 * torch.randn(20, 4)
    q = vae.posterior(x).base_dist
    expected = 0.5 * (q.loc**2 + q.scale**2 - 1 - 2 * q.scale.log()).sum(-1)
    draws = vae.draw(torch.zeros(20, 5), n=20_000, posterior=vae.posterior(x))
    assert torch.allclose(vae.kl(draws), expected, rtol=1e-5)
    assert torch.allclose(kl_per_unit(vae.posterior(x), vae.prior()).sum(-1), expected, rtol=1e-5)
    each = (draws.log_posterior - draws.log_prior).double()
    assert torch.allclose(vae.kl(draws, analytic=False).double(), each.mean(0), rtol=1e-5)
    assert_mean(each, expected)


@pytest.fixture
def bernoulli() -> tuple[VAE, Tensor, Tensor]:
    """A 2-D latent with an MLP decoder and fifteen binary images, and log p(x) of each by integration."""
    vae = Model(latent_dim=2, network=MLP(hidden=(16,))).build((1, 4, 4)).double().requires_grad_(False)
    for weight in vae.likelihood.parameters():
        weight.mul_(3)  # a decoder that depends on z
    x = vae.sample(15, noise=True)
    axis = torch.linspace(-9, 9, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    joint = [vae.log_joint(x, z[:, None].expand(-1, len(x), -1)) for z in grid.split(4096)]
    return vae, x, torch.cat(joint).logsumexp(0) + 2 * log(float(axis[1] - axis[0]))


def test_grid_integrates_the_prior_and_depends_on_its_spacing_no_more(bernoulli: tuple[VAE, Tensor, Tensor]) -> None:
    vae, x, log_evidence = bernoulli
    axis = torch.linspace(-9, 9, 121, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    coarse = vae.log_joint(x, grid[:, None].expand(-1, len(x), -1)).logsumexp(0) + 2 * log(float(axis[1] - axis[0]))
    assert torch.allclose(coarse, log_evidence, atol=1e-6)
    assert log_evidence.std() > 0.5


def test_importance_estimate_agrees_with_the_grid(bernoulli: tuple[VAE, Tensor, Tensor]) -> None:
    vae, x, log_evidence = bernoulli
    ratio = (repeated(vae, x, samples=100, times=300)["log_evidence"] - log_evidence).exp()
    assert_mean(ratio, torch.ones(len(x)))


def test_importance_estimate_grows_from_the_elbo_to_the_evidence(bernoulli: tuple[VAE, Tensor, Tensor]) -> None:
    vae, x, log_evidence = bernoulli
    exact = float(log_evidence.mean())
    counts = (1, 2, 5, 20, 100)
    draws = {k: repeated(vae, x, k, times=200)["log_evidence"].mean(1) for k in counts}
    elbo = repeated(vae, x, samples=5, times=200)["elbo"].mean(1)
    means = [float(elbo.mean()), *(float(d.mean()) for d in draws.values())]
    errors = [float(d.std()) / 200**0.5 for d in (elbo, *draws.values())]
    assert abs(means[0] - means[1]) < SIGMAS * (errors[0] ** 2 + errors[1] ** 2) ** 0.5  # one draw: the ELBO
    for i in range(1, len(counts)):
        assert means[i + 1] - means[i] > SIGMAS * (errors[i] ** 2 + errors[i + 1] ** 2) ** 0.5
    assert means[-1] < exact + SIGMAS * errors[-1]
    assert exact - means[1] > 10 * (exact - means[-1])
