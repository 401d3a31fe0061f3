"""The harmonic estimator, against evidence that is known."""

from functools import partial

import grid
import numpy as np
import pytest
import torch
from scipy import stats
from test_oracles import SIGMAS, assert_mean, linear
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit import posteriors
from vaekit.errors import InputError
from vaekit.evaluation.harmonic import fitted, harmonic, resampled
from vaekit.model import VAE, Model
from vaekit.networks import MLP

SEEDS = 20


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def wrong() -> tuple[VAE, MultivariateNormal]:
    """The linear-Gaussian model with an encoder that is a little off."""
    return linear("full", shift=0.1, inflation=1.3)


def test_fit_has_the_moments_of_the_samples() -> None:
    z = torch.randn(30, 4, 3).double() @ torch.randn(3, 3).double()
    q = fitted(z)
    assert (q.batch_shape, q.event_shape) == ((4,), (3,))
    for i in range(4):
        assert np.allclose(q.mean[i], z[:, i].mean(0))
        assert np.allclose(q.covariance_matrix[i], np.cov(z[:, i].T))


def test_samples_that_are_all_the_same_have_a_fit() -> None:
    assert fitted(torch.ones(9, 2, 3).double()).log_prob(torch.ones(2, 3).double()).isfinite().all()


def test_draws_without_a_weight_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, marginal = wrong()
    x, draws = marginal.sample((3,)), []
    draw = vae.draw

    def spoilt(*args: object) -> object:
        found = draw(*args)
        found.log_likelihood[1:] = torch.tensor([float("nan"), -float("inf")]).repeat(5)[:9, None]
        draws.append(found.z[0])
        return found

    monkeypatch.setattr(vae, "draw", spoilt)
    start = resampled(vae, x, 10)
    assert (start[:, None] == torch.stack(draws)).all(-1).any(1).all()


def errors(images: int, samples: int, transitions: int) -> Tensor:
    """Of the estimates of log p(x) of images that the model drew."""
    vae, marginal = wrong()
    x = marginal.sample((images,))
    return harmonic(vae, x, samples, transitions=transitions) - marginal.log_prob(x)


@pytest.mark.slow
def test_z_scores_are_standard_normal_over_seeds() -> None:
    scores = []
    for i in range(SEEDS):
        torch.manual_seed(i)
        ratio = (-errors(images=30, samples=25, transitions=120)).exp()  # p(x) / its estimate is 1 on average
        scores.append(float((ratio.mean() - 1) / ratio.std() * len(ratio) ** 0.5))
    assert stats.kstest(scores, partial(stats.t.cdf, df=29)).pvalue > 1e-3
    assert abs(np.mean(scores)) * SEEDS**0.5 < SIGMAS


@pytest.mark.slow
def test_errs_upwards_and_less_with_more_samples() -> None:
    few = errors(images=1500, samples=12, transitions=60)
    many = errors(images=100, samples=50, transitions=120)
    assert float(few.mean()) > SIGMAS * float(few.std()) / len(few) ** 0.5
    assert abs(float(many.mean())) < float(few.mean()) / 3
    assert float(many.abs().median()) < float(few.abs().median()) / 3  # tails are heavy: one image may be the variance


def test_a_model_without_an_encoder_begins_where_the_posterior_is() -> None:
    vae = Model(latent_dim=2, network=MLP(hidden=(16,)), posterior=posteriors.StandardNormal()).build((1, 8, 8))
    vae.double().requires_grad_(False)
    for parameter in vae.likelihood.parameters():
        parameter.mul_(6 if parameter.ndim > 1 else 1)  # chains that begin anywhere in the prior get stuck: −16 nats
    x = vae.sample(10, noise=True)
    error = harmonic(vae, x) - grid.log_evidence(vae, x, 241)
    assert abs(float(error.mean())) < 0.2


@pytest.mark.parametrize("posterior", [posteriors.Gaussian(), posteriors.Delta()], ids=lambda p: p.kind)
def test_agrees_with_integration(posterior: posteriors.Posterior) -> None:
    vae, x = grid.small(5, posterior=posterior)
    ratio = (grid.log_evidence(vae, x) - harmonic(vae, x.repeat(40, 1, 1, 1)).reshape(40, 5)).exp()
    assert ratio.std(0).max() < 0.5
    assert_mean(ratio, torch.ones(5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def test_dtype_device_and_parameters_stay(device: str, dtype: torch.dtype) -> None:
    vae = Model(latent_dim=2, network=MLP(hidden=(8,))).build((1, 2, 2)).to(device, dtype)
    found = harmonic(vae, torch.ones(3, 1, 2, 2, device=device, dtype=dtype), samples=10, transitions=5)
    assert (found.shape, found.dtype, found.device.type) == ((3,), torch.float64, device)
    assert found.isfinite().all()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in vae.parameters())


def test_more_latents_or_fewer_samples_than_it_holds_for_are_refused() -> None:
    x = torch.ones(3, 1, 2, 2)
    with pytest.raises(InputError, match="at most 5 latents, but this model has 6: use annealed importance sampling"):
        harmonic(Model(latent_dim=6).build((1, 2, 2)), x)
    with pytest.raises(InputError, match="samples is 5: fitting 5 latents needs at least 6"):
        harmonic(Model(latent_dim=5).build((1, 2, 2)), x, samples=5)
