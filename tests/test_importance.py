"""Bounds of several draws and the estimators of their gradients, in a linear-Gaussian model and against sums."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special, stats
from test_oracles import LATENTS, NOISE, PIXELS, RARE, SIGMAS, LinearLikelihood, assert_mean, linear, loadings
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence

from vaekit.conditional import Conditional
from vaekit.data import Batch, Source, Space
from vaekit.distributions import independent
from vaekit.errors import InputError
from vaekit.experiment import Experiment
from vaekit.footprint import activations
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO, Importance, Loss
from vaekit.priors import Mixture, StandardNormalPrior

SPACE = Space.of((PIXELS,))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def evaluated(spec: ELBO | Importance, vae: VAE, x: Tensor) -> Loss:
    """The objective with the noise of one fixed seed."""
    torch.manual_seed(7)
    return spec.build(vae, SPACE)(vae, Batch(x))


def test_bounds_grow_with_the_number_of_draws_and_shrink_with_alpha_below_the_evidence() -> None:
    vae, marginal = linear("orthogonal", shift=0.3, inflation=1.3)
    x = marginal.sample((50,))

    def bounds(samples: int, alpha: float = 0.0) -> np.ndarray:
        objective = Importance(samples=samples, alpha=alpha).build(vae, SPACE)
        return np.array([objective(vae, Batch(x)).bound.item() for _ in range(200)])

    ladder = [bounds(5, 2.0), bounds(5, 1.0), bounds(5, 0.5), bounds(5), bounds(50)]
    for lower, higher in pairwise(ladder):
        error = ((lower.var(ddof=1) + higher.var(ddof=1)) / 200) ** 0.5
        assert higher.mean() - lower.mean() > SIGMAS * error
    evidence = marginal.log_prob(x).mean().item()
    assert evidence - ladder[-1].mean() > SIGMAS * ladder[-1].std() / 200**0.5
    excess = kl_divergence(vae.posterior(x), linear("orthogonal")[0].posterior(x)).mean().item()
    assert_mean(torch.tensor(ladder[1])[:, None], torch.tensor([evidence - excess]).double())


@pytest.mark.parametrize("estimator", ["plain", "stl", "dreg"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
def test_every_bound_is_the_evidence_under_the_exact_posterior(estimator: str, alpha: float) -> None:
    vae, marginal = linear("full")
    x = marginal.sample((50,))
    loss = Importance(samples=4, estimator=estimator, alpha=alpha).build(vae, SPACE)(vae, Batch(x))
    assert loss.bound.item() == pytest.approx(marginal.log_prob(x).mean().item(), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
def test_the_bound_is_the_formula(alpha: float) -> None:
    vae, marginal = linear("orthogonal", shift=0.5)
    x = marginal.sample((30,))
    loss = evaluated(Importance(samples=6, alpha=alpha), vae, x)
    torch.manual_seed(7)
    draws = vae.draw(x, 6)
    powers = (1 - alpha) * draws.log_weight.numpy()
    expected = (special.logsumexp(powers, axis=0) - np.log(6)) / (1 - alpha)
    assert loss.bound.item() == -loss.value.item() == loss.terms["bound"].item()
    assert loss.bound.item() == pytest.approx(expected.mean(), rel=1e-12)
    assert loss.terms["elbo"].item() == pytest.approx(draws.log_weight.mean().item(), rel=1e-12)
    assert loss.terms["reconstruction"].item() == pytest.approx(-draws.log_likelihood.mean().item(), rel=1e-12)
    assert loss.terms["kl"].item() == pytest.approx((draws.log_posterior - draws.log_prior).mean().item(), rel=1e-12)


def test_near_alpha_one_the_bound_is_the_elbo_with_the_slope_of_half_the_variance() -> None:
    vae, marginal = linear("orthogonal", shift=0.5)
    x, step = marginal.sample((30,)), 1e-4
    elbo = evaluated(ELBO(samples=6, kl="monte_carlo"), vae, x).bound
    below, at, above = (evaluated(Importance(samples=6, alpha=a), vae, x).bound for a in (1 - step, 1.0, 1 + step))
    assert torch.equal(at, elbo)
    torch.manual_seed(7)
    slope = -vae.draw(x, 6).log_weight.var(0, correction=0).mean() / 2
    for moved, sign in ((below, -1), (above, 1)):
        assert ((moved - elbo) / (sign * step)).item() == pytest.approx(slope.item(), rel=1e-2)
    assert ((above - below) / (2 * step)).item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
def test_one_draw_is_the_monte_carlo_elbo_to_the_bit(alpha: float) -> None:
    vae = Model(latent_dim=3, network=MLP(hidden=(6,))).build((1, 4, 4))
    x = torch.rand(20, 1, 4, 4).round()
    losses = [evaluated(spec, vae, x) for spec in (ELBO(kl="monte_carlo"), Importance(samples=1, alpha=alpha))]
    plain, one = ([loss.value, *torch.autograd.grad(loss.value, list(vae.parameters()))] for loss in losses)
    assert all(torch.equal(a, b) for a, b in zip(plain, one, strict=True))
    assert all(torch.equal(losses[0].terms[name], losses[1].terms[name]) for name in losses[0].terms)
    for estimator in ("stl", "dreg"):
        assert torch.equal(evaluated(Importance(samples=1, estimator=estimator, alpha=alpha), vae, x).value, plain[0])


class RowPosterior(Conditional):
    """N(shift + A (x − offset), σ²), where each row has a shift, σ and offset of its own."""

    def __init__(self, gain: Tensor, shift: Tensor, log_scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.weights = gain, shift, log_scale, offset

    def forward(self, c: Tensor | None = None) -> Distribution:
        gain, shift, log_scale, offset = self.weights
        return independent(Normal(shift + (c - offset) @ gain.T, log_scale.exp()), 1)


Rows = dict[str, Tensor]


def rows(times: int, shift: float, widened: float) -> tuple[VAE, Tensor, Rows]:
    """A linear-Gaussian model of one image many times, whose weights have a row for each, and the rows.

    The gradient of a row is a draw of the gradient of the weight. The offset belongs to the encoder and to the decoder.
    """
    w = loadings("orthogonal")
    covariance = (torch.eye(LATENTS).double() + w.T @ w / NOISE**2).inverse()
    leaves = {
        "shift": torch.full((times, LATENTS), shift).double(),
        "log_scale": (covariance.diagonal().log() / 2 + widened).expand(times, -1).clone(),
        "offset": torch.linspace(-1, 1, PIXELS).double().expand(times, -1).clone(),
    }
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    posterior = RowPosterior(covariance @ w.T / NOISE**2, **leaves)
    vae = VAE(StandardNormalPrior(LATENTS).double(), posterior, LinearLikelihood(w, leaves["offset"]))
    return vae, torch.linspace(1, -0.5, PIXELS).double().expand(times, -1), leaves


def gradients(spec: Importance, times: int, shift: float = 0.0, widened: float = 0.0) -> Rows:
    """Draws of the gradient of an image's loss by each weight, (times, size)."""
    vae, x, leaves = rows(times, shift, widened)
    (evaluated(spec, vae, x).value * times).backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


def difference(spec: Importance, other: Importance) -> Tensor:
    """Draws of the difference of two estimators of the gradient from the same noise."""
    a, b = (gradients(each, 20_000, shift=0.2, widened=0.3) for each in (spec, other))
    return torch.cat([a[name] - b[name] for name in a], 1)


@pytest.mark.parametrize(
    ("estimator", "samples", "alpha"),
    [("stl", 1, 0.0), ("stl", 6, 1.0), ("dreg", 1, 0.0), ("dreg", 6, 0.0), ("dreg", 6, 0.4), ("dreg", 6, 2.0)],
)
def test_estimators_have_the_plain_gradient_in_expectation(estimator: str, samples: int, alpha: float) -> None:
    spec = Importance(samples=samples, estimator=estimator, alpha=alpha)
    found = difference(spec, Importance(samples=samples, alpha=alpha))
    assert (found[:, :LATENTS].std(0) > 0.01).all()  # they are two estimators
    assert_mean(found, torch.zeros(found.shape[1]).double())


def test_sticking_the_landing_is_biased_with_several_draws() -> None:
    """As *Doubly reparameterized gradient estimators* shows; so the test above can fail."""
    found = difference(Importance(samples=6, estimator="stl"), Importance(samples=6))
    assert ((found.mean(0) / found.std(0)).square() * len(found)).sum() > 10 * stats.chi2.isf(RARE, found.shape[1])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("estimator", ["stl", "dreg"])
def test_estimators_have_no_variance_at_the_exact_posterior(estimator: str, alpha: float) -> None:
    plain = gradients(Importance(samples=6, alpha=alpha), 100)
    found = gradients(Importance(samples=6, estimator=estimator, alpha=alpha), 100)
    for name in ("shift", "log_scale"):
        assert found[name].abs().max() < 1e-12
        assert plain[name].std() > 0.1


# In a process of its own: in this one every function checks its arguments, which cannot be compiled.
SCRIPT = """
import torch
from torch._dynamo.utils import counters
from vaekit.data import Batch, Space
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.objectives import Capacity, Importance
from vaekit.schedules import WarmUp
from vaekit.training.steps import Descent, Step

space = Space.of((1, 4, 4))

def after(spec, norm, compiled):
    torch.manual_seed(0)
    vae = Model(latent_dim=2, network=MLP(hidden=(6,))).build(space)
    step = Step(vae, spec.build(vae, space))
    made = Descent(step, torch.optim.Adam(vae.parameters(), 1e-2), "fp32", norm)
    batch = Batch(torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(3)).round())
    if compiled:
        made.compile(batch, True)
    torch.manual_seed(1)
    counters.clear()
    for epoch in range(3):
        step.objective.advance(epoch, 3)
        numbers = made(batch)
    assert counters["stats"]["unique_graphs"] == compiled, counters
    weights = torch.cat([weight.detach().flatten() for weight in vae.parameters()])
    return torch.cat([torch.tensor(list(numbers.values())), weights])

for spec, norm in (
    (Importance(estimator="stl", alpha=0.5), 1.0),
    (Importance(estimator="dreg"), 1.0),
    (Importance(estimator="dreg"), None),
    (Capacity(gamma=2, nats_schedule=WarmUp(epochs=2)), None),
):
    torch.testing.assert_close(after(spec, norm, True), after(spec, norm, False), rtol=1e-4, atol=1e-5)
"""


@pytest.mark.slow
def test_compiled_steps_are_one_graph_whatever_is_scheduled_and_the_eager_ones() -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command, environment = [sys.executable, "-W", "error", "-c", SCRIPT], os.environ | {"PYTHONPATH": path}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_memory_of_a_step_counts_the_draws() -> None:
    experiment = Experiment(data=Source(name="digits"), objective=Importance(samples=1))
    space = Space.of((1, 28, 28))
    one, many = (activations(experiment.replace("objective.samples", k), space) for k in (1, 50))
    assert many.largest == 50 * one.largest
    assert 20 * one.kept < many.kept < 50 * one.kept  # the encoder runs once


def test_free_bits_of_a_kl_without_units_are_a_floor_under_the_whole() -> None:
    vae = Model(latent_dim=3, network=MLP(hidden=(6,)), prior=Mixture(components=4)).build((1, 4, 4))
    x = torch.rand(20, 1, 4, 4).round()
    kl = evaluated(ELBO(), vae, x).terms["kl"]
    for floor, charged in ((kl.item() / 2, kl), (kl.item() * 2, 2 * kl)):
        loss = evaluated(ELBO(free_bits=floor, free_bits_per="part"), vae, x)
        torch.testing.assert_close(loss.value, loss.terms["reconstruction"] + charged)
    with pytest.raises(InputError, match="needs a prior that is independent over the latent units"):
        Experiment(data=Source(name="digits"), model=Model(prior=Mixture()), objective=ELBO(free_bits=0.1))
