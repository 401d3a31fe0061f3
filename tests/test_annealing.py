"""Annealed importance sampling and its bracket, against evidence that is known."""

from itertools import pairwise
from typing import Any

import grid
import numpy as np
import pytest
import torch
from laws.rows import LIKELIHOODS, POSTERIORS, PRIORS
from scipy import stats
from test_oracles import RARE, SIGMAS, assert_mean, linear, repeated
from torch import Tensor
from torch.distributions import Normal

from vaekit import choose, load, train
from vaekit.distributions import Delta, independent
from vaekit.errors import InputError
from vaekit.estimates import exceeds, mean_over_images
from vaekit.evaluation.annealing import (
    Annealing,
    anneal,
    annealed,
    bracket,
    compared,
    forward,
    log_mean,
    reverse,
    simulated,
)
from vaekit.evaluation.bridges import from_encoder
from vaekit.evaluation.evidence import evidence
from vaekit.hmc import evaluate
from vaekit.likelihoods import Columns
from vaekit.model import VAE, Model
from vaekit.networks import MLP

SEEDS = 20
QUICK = {
    "encoder": Annealing(start="encoder", temperatures=32, chains=16, leapfrog=2),
    "prior": Annealing(start="prior", temperatures=100, chains=16, leapfrog=1),
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def wrong() -> tuple[VAE, Any]:
    """The linear-Gaussian model with an encoder that is a little off."""
    return linear("orthogonal", shift=0.1, inflation=1.3)


# --- the path ---


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
@pytest.mark.parametrize("temperatures", [1, 2, 7, 1000])
def test_schedule_rises_from_0_to_1(schedule: Any, temperatures: int) -> None:
    betas = np.array(Annealing(schedule=schedule, temperatures=temperatures).betas)
    assert len(betas) == temperatures + 1
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()
    assert np.allclose(betas + betas[::-1], 1)
    expected = np.linspace(0, 1, temperatures + 1)
    if schedule == "sigmoid":
        low, high = 1 / (1 + np.exp(4)), 1 / (1 + np.exp(-4))
        expected = (1 / (1 + np.exp(4 - 8 * expected)) - low) / (high - low)
    assert np.allclose(betas, expected)


def test_one_temperature_is_importance_sampling() -> None:
    vae, marginal = wrong()
    x = marginal.sample((5,))
    draws = vae.draw(x, 7)
    bridge = from_encoder(vae, x)
    point = evaluate(bridge.path, draws.z)
    assert torch.allclose(point.log_start, draws.log_posterior)
    assert torch.allclose(point.log_density(1.0), draws.log_likelihood + draws.log_prior)
    log_weight = anneal(bridge.path, draws.z, [0.0, 1.0], torch.empty(0, 5).double(), leapfrog=3)
    assert torch.allclose(log_weight, draws.log_weight, atol=1e-12)


def test_weights_under_the_exact_posterior_are_the_evidence() -> None:
    vae, marginal = linear("full")
    x = marginal.sample((5,))
    log_weight = forward(vae, x, Annealing(temperatures=5, chains=3, leapfrog=2))
    assert (log_weight - marginal.log_prob(x)).abs().max() < 1e-9


# --- exactness on the linear-Gaussian model ---


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
@pytest.mark.parametrize("start", QUICK)
def test_weights_average_to_the_evidence(start: str, schedule: Any) -> None:
    vae, marginal = wrong()
    x = marginal.sample((8,))
    settings = Annealing(**{**vars(QUICK[start]), "schedule": schedule})
    log_evidence = annealed(vae, x.repeat(250, 1), settings).reshape(250, 8)
    ratio = (log_evidence - marginal.log_prob(x)).exp()
    assert ratio.std(0).min() > 0.01
    assert_mean(ratio, torch.ones(8))


def score(ratio: Tensor) -> float:
    """How many standard errors the mean of w/p(x), or of p(x)/w, is away from 1; chains of one image are averaged."""
    per_image = ratio.mean(0)
    return float((per_image.mean() - 1) / per_image.std() * len(per_image) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("start", QUICK)
def test_z_scores_are_standard_normal_over_seeds(start: str) -> None:
    vae, marginal = wrong()
    settings = Annealing(
        **{**vars(QUICK[start]), "chains": 64}
    )  # of few images: the bound's bias is within their noise
    scores: dict[str, list[float]] = {"forward": [], "reverse": [], "estimate": []}
    for i in range(SEEDS):
        torch.manual_seed(i)
        z = vae.prior().sample((20,))
        x = vae.likelihood(z).sample()
        log_weight = forward(vae, x, settings)
        estimate = mean_over_images(log_mean(log_weight) - marginal.log_prob(x), 64)
        scores["forward"].append(score((log_weight - marginal.log_prob(x)).exp()))
        scores["reverse"].append(score((marginal.log_prob(x) - reverse(vae, x, z, settings)).exp()))
        scores["estimate"].append(estimate.value / estimate.standard_error)
    null = stats.t(df=19)
    assert all(stats.kstest(found, null.cdf).pvalue > 1e-3 for found in scores.values())
    assert abs(np.mean(scores["forward"])) * SEEDS**0.5 < SIGMAS
    assert abs(np.mean(scores["reverse"])) * SEEDS**0.5 < SIGMAS
    assert np.mean(scores["estimate"]) * SEEDS**0.5 < SIGMAS  # a lower bound


# --- the bracket ---


@pytest.mark.parametrize("start", QUICK)
def test_bracket_holds_the_exact_evidence_and_closes_as_temperatures_grow(start: str) -> None:
    vae, marginal = wrong()
    exact, gaps = -float(marginal.entropy()), []
    for temperatures in (1, 4, 16) if start == "encoder" else (8, 32, 128):
        found = bracket(
            vae, [1500, 500], Annealing(**{**vars(QUICK[start]), "chains": 4, "temperatures": temperatures})
        )
        assert found["lower"].value < exact + SIGMAS * found["lower"].standard_error
        assert found["upper"].value > exact - SIGMAS * found["upper"].standard_error
        assert found["gap"].value > SIGMAS * found["gap"].standard_error
        assert abs(found["upper"].value - found["lower"].value - found["gap"].value) < 1e-9
        assert found["gap"].samples == 4
        gaps.append(found["gap"])
    for wide, narrow in pairwise(gaps):
        assert wide.value - narrow.value > SIGMAS * float(np.hypot(wide.standard_error, narrow.standard_error))


def test_bracket_is_of_images_that_the_model_draws() -> None:
    vae, marginal = wrong()
    found = simulated(vae, 200, Annealing(temperatures=20, chains=4, leapfrog=3))
    assert all(value.shape == (200,) for value in found.values())
    assert torch.equal(found["gap"], found["upper"] - found["lower"])
    # log p(x) = −D/2 log 2π − ½ log |C| − ½ χ²_6: its spread tells simulated images from others
    middle = 0.5 * (found["upper"] + found["lower"])
    exact = marginal.log_prob(marginal.sample((100_000,)))
    assert stats.ks_2samp(middle.numpy(), exact.numpy()).pvalue > RARE


# --- every model ---


OF_IMAGES = [spec for spec in LIKELIHOODS if not isinstance(spec, Columns)]


@pytest.mark.parametrize("likelihood", OF_IMAGES, ids=lambda spec: spec.kind)
def test_grid_is_fine_enough(likelihood: Any) -> None:
    vae, x = grid.small(4, likelihood=likelihood)
    coarse = grid.log_evidence(vae, x, points=grid.POINTS * 5 // 6)
    assert torch.allclose(coarse, grid.log_evidence(vae, x), atol=1e-4)


@pytest.mark.parametrize("start", QUICK)
@pytest.mark.parametrize(
    "role",
    [
        pytest.param({name: spec}, id=f"{name}-{spec.kind}-{i}")
        for name, specs in {"prior": PRIORS, "posterior": POSTERIORS, "likelihood": OF_IMAGES}.items()
        for i, spec in enumerate(specs)
    ],
)
def test_agrees_with_integration(role: dict[str, Any], start: str) -> None:
    vae, x = grid.small(3, **role)
    settings = Annealing(start=start, temperatures=60, chains=4, leapfrog=2)
    if isinstance(vae.posterior(x), Delta) and start == "encoder":
        with pytest.raises(InputError, match="start 'encoder' needs a posterior with a density"):
            annealed(vae, x, settings)
        return
    ratio = (annealed(vae, x.repeat(40, 1, 1, 1), settings).reshape(40, 3) - grid.log_evidence(vae, x)).exp()
    assert_mean(ratio, torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def test_dtype_device_and_parameters_stay(device: str, dtype: torch.dtype) -> None:
    vae = Model(latent_dim=2, network=MLP(hidden=(8,))).build((1, 2, 2)).to(device, dtype)
    x = torch.ones(3, 1, 2, 2, device=device, dtype=dtype)
    for start in QUICK:
        with torch.no_grad():
            log_weight = forward(vae, x, Annealing(temperatures=3, chains=5, leapfrog=2, start=start))
        assert (log_weight.shape, log_weight.dtype, log_weight.device.type) == ((5, 3), torch.float64, device)
        assert log_weight.isfinite().all()
        assert not log_weight.requires_grad
    assert all(parameter.grad is None and parameter.requires_grad for parameter in vae.parameters())


@pytest.mark.parametrize("start", QUICK)
def test_single_precision_is_as_exact(start: str) -> None:
    vae, x = grid.small(4)
    log_evidence = grid.log_evidence(vae, x)
    found = annealed(vae.float(), x.float().repeat(200, 1, 1, 1), QUICK[start]).reshape(200, 4)
    assert_mean((found - log_evidence).exp(), torch.ones(4))


def test_equal_seeds_give_equal_numbers() -> None:
    vae, marginal = wrong()
    x, found = marginal.sample((5,)), []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(annealed(vae, x, QUICK["encoder"]))
    assert torch.equal(*found)


@pytest.mark.parametrize("start", QUICK)
def test_lies_above_the_importance_bound_where_the_encoder_is_poor(start: str) -> None:
    vae, marginal = linear("orthogonal", shift=2.0)
    x = marginal.sample((100,))
    settings = Annealing(start=start, temperatures=50, chains=4, leapfrog=4)
    importance = repeated(vae, x, samples=4 * 50 * 4, times=5)["log_evidence"].mean(0)
    gain = annealed(vae, x, settings) - importance
    assert float(gain.mean()) > 1
    assert float(gain.mean()) > SIGMAS * float(gain.std()) / len(x) ** 0.5


def test_log_mean_is_the_logarithm_of_the_mean() -> None:
    log_weight = torch.randn(6, 4).double()
    assert torch.allclose(log_mean(log_weight), log_weight.exp().mean(0).log())
    assert torch.allclose(log_mean(log_weight - 5000), log_mean(log_weight) - 5000)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperatures": 0},
        {"chains": 0},
        {"leapfrog": 0},
        {"acceptance": 1.0},
        {"start": "data"},
        {"schedule": "cosine"},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Annealing(**settings)


# --- the better start ---


def test_the_better_start_is_unbiased_because_the_pilots_are_thrown_away() -> None:
    vae, marginal = wrong()
    x = marginal.sample((8,))
    settings = Annealing(temperatures=8, chains=4, leapfrog=1)
    log_evidence = annealed(vae, x.repeat(500, 1), settings).reshape(500, 8)
    ratio = (log_evidence - marginal.log_prob(x)).exp()
    assert ratio.std(0).min() > 0.1
    assert_mean(ratio, torch.ones(8))
    both = torch.stack([annealed(vae, x.repeat(500, 1), Annealing(**{**vars(settings), "start": s})) for s in QUICK])
    larger = (both.amax(0).reshape(500, 8) - marginal.log_prob(x)).exp()
    assert larger.mean() > 1 + SIGMAS * larger.std() / larger.numel() ** 0.5  # what must not be done


def test_each_image_begins_where_its_pilot_found_more() -> None:
    """An encoder that is right about some images and far off about others."""
    vae, marginal = linear("orthogonal", inflation=0.3)
    x = marginal.sample((30,))
    gain = vae.posterior.gain
    off = torch.arange(30) % 3 == 0

    strange = x[off][:, 0]

    def gained(x: Tensor) -> Any:
        loc = (x - vae.likelihood.offset) @ gain.T + 6.0 * (x[:, :1] == strange).any(1, keepdim=True)
        return independent(Normal(loc, vae.posterior.covariance.diagonal().sqrt().expand_as(loc)), 1)

    vae.posterior.forward = gained
    found = compared(vae, x, Annealing(temperatures=100, chains=8, leapfrog=2))
    assert (found["ais_began_at_prior"][off] == 1).all()
    assert found["ais_began_at_prior"][~off].mean() < 0.5
    assert (found["ais"] - marginal.log_prob(x)).abs().max() < 1
    assert (found["ais_from_encoder"] - marginal.log_prob(x))[off].max() < -1


def test_a_reversed_chain_begins_at_the_better_start_too() -> None:
    vae, _ = wrong()
    found = bracket(vae, [500], Annealing(temperatures=16, chains=4, leapfrog=2))
    assert found["gap"].value > -SIGMAS * found["gap"].standard_error
    assert found["gap"].value < 0.5


@pytest.mark.slow
def test_outliers_are_within_a_nat_of_integration_where_the_encoder_is_dozens_off(tmp_path: Any) -> None:
    words = {"latent_dim": 2, "hidden": [200, 100], "learning_rate": 0.004, "epochs": 60, "binarize": "dynamic"}
    for _ in train(choose("digits", set={"evaluate_every": 20}, **words), tmp_path / "run"):
        pass
    run = load(tmp_path / "run")
    vae, shape = run.vae().requires_grad_(False), run.space.event_shape
    noise = (torch.rand(3, *shape) < 0.5).float()
    x = torch.cat(
        [torch.zeros(1, *shape), torch.ones(1, *shape), noise, run.data().fixed("test").batch(torch.arange(3)).x]
    )
    exact = grid.log_evidence(vae.double(), x.double(), points=241, half_width=15.0)
    vae = vae.float()
    bound = evidence(vae, x, 1000)
    encoder = compared(vae, x, Annealing(start="encoder", temperatures=100, chains=8))["ais"]
    found = compared(vae, x, Annealing(temperatures=500, chains=8))
    assert (bound["log_evidence"] - exact)[:5].min() < -20
    assert (encoder - exact)[:5].min() < -5
    assert (found["ais"] - exact).abs().max() < 1
    error = (1 / bound["effective_samples"] - 1 / 1000).sqrt()
    assert exceeds(found["ais"], found["ais_error"], bound["log_evidence"], error)["images"] >= 2
