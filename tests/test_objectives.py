"""Objectives against sums written out in numpy: image-summed, batch-averaged nats."""

from math import log, pi
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from vaekit.data import Batch, Space
from vaekit.distributions import kl_per_unit
from vaekit.likelihoods import Bernoulli, Categorical, Gaussian
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO, Capacity, Loss, Own, Reconstruction, WakeSleep
from vaekit.posteriors import Delta
from vaekit.schedules import Constant, Cyclic, WarmUp

RARE = 1e-4
EVENT, BATCH, LATENTS = (2, 3, 4), 5, 3


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return Model(latent_dim=LATENTS, network=MLP(hidden=(6,))).build(EVENT).double()


@pytest.fixture
def x() -> Tensor:
    return torch.bernoulli(torch.rand(BATCH, *EVENT, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


def evaluated(spec: Any, vae: VAE, x: Tensor, step: int = 0) -> Loss:
    """The objective with the noise of one fixed seed, in a training of 5 epochs of 10 steps."""
    objective = spec.build(vae, Space.of(x.shape[1:])).to(x.dtype)
    objective.advance(step / 10, 5)
    torch.manual_seed(7)
    return objective(vae, Batch(x))


def drawn(vae: VAE, x: Tensor, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """μ, σ, z and the decoder's logits under the same noise, as arrays."""
    loc, log_scale = vae.posterior.head(vae.posterior.trunk(x)).detach().chunk(2, -1)
    torch.manual_seed(7)
    z = loc + log_scale.exp() * torch.randn(n, BATCH, LATENTS, dtype=torch.float64)
    logits = vae.likelihood.network(z).detach()[..., 0, :, :, :]
    return loc.numpy(), log_scale.exp().numpy(), z.numpy(), logits.numpy()


@pytest.mark.parametrize("n", [1, 3])
def test_numbers_are_summed_over_the_image_and_averaged_over_draws_and_images(vae: VAE, x: Tensor, n: int) -> None:
    loc, scale, z, logits = drawn(vae, x, n)
    reconstruction = sampled = 0.0
    for k in range(n):
        for i in range(BATCH):
            for pixel, logit in zip(x[i].flatten().numpy(), logits[k, i].flatten(), strict=True):
                probability = special.expit(logit) if pixel else special.expit(-logit)
                reconstruction -= np.log(probability) / n / BATCH
            for j in range(LATENTS):
                log_q = stats.norm.logpdf(z[k, i, j], loc[i, j], scale[i, j])
                sampled += (log_q - stats.norm.logpdf(z[k, i, j])) / n / BATCH
    kl = sum(0.5 * (m**2 + s**2 - 1 - 2 * log(s)) / BATCH for m, s in zip(loc.flat, scale.flat, strict=True))
    for spec, expected in ((ELBO(samples=n), kl), (ELBO(samples=n, kl="monte_carlo"), sampled)):
        loss = evaluated(spec, vae, x)
        assert loss.terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-12)
        assert loss.terms["kl"].item() == pytest.approx(expected, rel=1e-12)
        assert loss.terms["elbo"].item() == pytest.approx(-reconstruction - expected, rel=1e-12)
        assert loss.value.item() == pytest.approx(reconstruction + expected, rel=1e-12)
        assert loss.bound is loss.terms["elbo"]


@pytest.mark.parametrize("event", [(1, 28, 28), (3, 5, 7), (11,)], ids=str)
@pytest.mark.parametrize("batch", [1, 20])
def test_a_model_of_zeros_costs_one_bit_a_pixel(event: tuple[int, ...], batch: int) -> None:
    vae = Model(latent_dim=4, network=MLP(hidden=(6,))).build(event)
    for weight in vae.parameters():
        weight.data.zero_()
    loss = evaluated(ELBO(), vae, torch.ones(batch, *event))
    assert loss.terms["reconstruction"].item() == pytest.approx(np.prod(event) * log(2), rel=1e-6)  # 543.43 for MNIST
    assert loss.terms["kl"].item() == 0
    vae.posterior.head.bias.data.fill_(1.0)
    kl = 4 * 0.5 * (1 + np.e**2 - 1 - 2)
    assert evaluated(ELBO(), vae, torch.ones(batch, *event)).terms["kl"].item() == pytest.approx(kl, rel=1e-6)


@pytest.mark.parametrize(
    ("beta", "schedule", "step", "factor"),
    [
        (4.0, Constant(), 0, 1.0),
        (4.0, WarmUp(epochs=4), 0, 0.0),
        (4.0, WarmUp(epochs=4), 10, 0.25),
        (0.5, WarmUp(epochs=4), 35, 0.875),
        (0.5, WarmUp(epochs=4), 1000, 1.0),
        (1.0, Cyclic(period=2, rise=0.5), 24, 0.4),
        (0.0, Constant(), 24, 1.0),
    ],
)
def test_beta_weighs_what_is_minimised_and_not_what_is_reported(
    vae: VAE, x: Tensor, beta: float, schedule: Any, step: int, factor: float
) -> None:
    plain = evaluated(ELBO(), vae, x)
    loss = evaluated(ELBO(beta=beta, beta_schedule=schedule), vae, x, step)
    expected = plain.terms["reconstruction"] + beta * factor * plain.terms["kl"]
    assert loss.value.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_same_report(loss, plain)


@pytest.mark.parametrize("beta", [1.0, 2.5])
@pytest.mark.parametrize("free", [1e-6, 0.12, 0.15, 10.0])
def test_free_bits_are_a_floor_under_the_mean_kl_of_each_unit(vae: VAE, x: Tensor, free: float, beta: float) -> None:
    plain = evaluated(ELBO(), vae, x)
    loss = evaluated(ELBO(free_bits=free, beta=beta), vae, x)
    loc, scale, _, _ = drawn(vae, x, 1)
    kl = (0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale))).mean(0)
    floored = sum(max(free, unit) for unit in kl)
    reconstruction = plain.terms["reconstruction"].item()
    assert loss.value.item() == pytest.approx(reconstruction + beta * floored, rel=1e-12)
    assert_same_report(loss, plain)
    (loss.value - loss.terms["reconstruction"]).backward()
    gradient = vae.posterior.head.bias.grad.reshape(2, LATENTS).abs().sum(0).numpy()
    assert ((gradient > 0) == (kl > free)).all()


def test_a_floor_of_0_15_lies_between_the_units(vae: VAE, x: Tensor) -> None:
    kl = kl_per_unit(vae.posterior(x), vae.prior()).mean(0)
    assert kl.min() < 0.15 < kl.max()


def assert_same_report(loss: Loss, plain: Loss) -> None:
    assert loss.terms.keys() == plain.terms.keys() == {"elbo", "reconstruction", "kl"}
    assert all(torch.equal(loss.terms[name], plain.terms[name]) for name in plain.terms)
    assert torch.equal(loss.bound, plain.bound)


def test_analytic_and_monte_carlo_kl_have_the_same_gradient_in_expectation(vae: VAE, x: Tensor) -> None:
    bias = vae.posterior.head.bias
    torch.manual_seed(0)

    def gradients(kl: str) -> np.ndarray:
        objective = ELBO(kl=kl).build(vae, Space.of(EVENT))
        found = [torch.autograd.grad(objective(vae, Batch(x)).value, bias)[0] for _ in range(400)]
        return torch.stack(found).numpy()

    analytic, sampled = gradients("analytic"), gradients("monte_carlo")
    error = ((analytic.var(0) + sampled.var(0)) / 400) ** 0.5
    z = (analytic.mean(0) - sampled.mean(0)) / error
    assert np.abs(z).max() < stats.norm.isf(RARE / 2 / len(z))
    assert (sampled.var(0) > analytic.var(0)).any()  # they are two estimators


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(scale="fixed")], ids=["bernoulli", "gaussian"])
def test_the_deterministic_auto_encoder_has_a_reconstruction_only(likelihood: Any, x: Tensor) -> None:
    vae = Model(latent_dim=LATENTS, posterior=Delta(), likelihood=likelihood).build(EVENT).double()
    loss = evaluated(Reconstruction(), vae, x)
    expected = -vae.likelihood(vae.encode(x)).log_prob(x).mean()
    assert torch.equal(loss.value, expected)
    assert torch.equal(loss.bound, -expected)
    assert loss.terms.keys() == {"reconstruction"}
    torch.manual_seed(8)
    objective = Reconstruction().build(vae, Space.of(EVENT))
    assert torch.equal(objective(vae, Batch(x)).value, expected)  # no noise


@pytest.mark.parametrize("event", [(2, 3, 4), (17,)], ids=str)
def test_a_gaussian_of_variance_one_half_is_the_sum_of_squared_errors(event: tuple[int, ...]) -> None:
    spec = Model(latent_dim=2, posterior=Delta(), likelihood=Gaussian(scale="fixed"))
    vae, x = spec.build(event).double(), torch.rand(BATCH, *event, dtype=torch.float64)
    errors = (x - vae.reconstruct(x)).numpy().reshape(BATCH, -1)
    expected = (errors**2).sum(1).mean() + errors.shape[1] / 2 * log(pi)
    assert evaluated(Reconstruction(), vae, x).value.item() == pytest.approx(expected, rel=1e-12)


# --- wake-sleep: each half of the gradient is that of its own phase ---


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(scale="pixel")], ids=["bernoulli", "gaussian"])
def test_wake_teaches_the_decoder_and_sleep_the_encoder(likelihood: Any, x: Tensor) -> None:
    torch.manual_seed(0)
    vae = Model(latent_dim=LATENTS, network=MLP(hidden=(6,)), likelihood=likelihood).build(EVENT).double()
    encoder, decoder = list(vae.posterior.parameters()), list(vae.likelihood.parameters())
    loss = evaluated(WakeSleep(), vae, x)
    wake = loss.value - loss.terms["sleep"]

    torch.manual_seed(7)
    dreamt_z = torch.randn(BATCH, LATENTS, dtype=torch.float64)
    dreamt_x = vae.likelihood(dreamt_z).sample()
    z = vae.posterior(x).rsample((1,)).detach()
    expected_wake = -vae.log_joint(x, z).mean()
    expected_sleep = -vae.posterior(dreamt_x).log_prob(dreamt_z).mean()
    assert wake.item() == pytest.approx(expected_wake.item(), rel=1e-12)
    assert loss.terms["sleep"].item() == pytest.approx(expected_sleep.item(), rel=1e-12)
    for phase, reached, other, expected in (
        (wake, decoder, encoder, expected_wake),
        (loss.terms["sleep"], encoder, decoder, expected_sleep),
    ):
        # The encoder's own entropy and codes are constants to wake, the dream is one to sleep.
        assert not any(g.any() for g in gradients(phase, other))
        assert all(map(torch.allclose, gradients(phase, reached), gradients(expected, reached)))
        assert all(map(torch.allclose, gradients(loss.value, reached), gradients(expected, reached)))


def gradients(value: Tensor, weights: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)]


def test_wake_sleep_reports_the_terms_of_the_elbo(vae: VAE, x: Tensor) -> None:
    loss = evaluated(WakeSleep(), vae, x)
    terms = loss.terms
    assert loss.bound is terms["elbo"]
    assert torch.equal(terms["kl"], evaluated(ELBO(), vae, x).terms["kl"])
    assert torch.equal(terms["elbo"], -(terms["reconstruction"] + terms["kl"]))
    entropy = vae.posterior(x).entropy().mean().detach()
    found = [evaluated_at(seed, vae, x) for seed in range(300)]
    excess = torch.stack([f.value - f.terms["sleep"] + f.terms["elbo"] for f in found])
    # wake = −E log p(x, z) = entropy of q − ELBO, where the ELBO's KL is in closed form
    assert abs(float(excess.mean() - entropy)) < stats.norm.isf(RARE / 2) * float(excess.std()) / len(found) ** 0.5


def evaluated_at(seed: int, vae: VAE, x: Tensor) -> Loss:
    torch.manual_seed(seed)
    with torch.no_grad():
        return WakeSleep().build(vae, Space.of(EVENT))(vae, Batch(x))


@pytest.mark.parametrize(("likelihood", "levels"), [(Bernoulli(), 2), (Categorical(), 256)], ids=["bits", "bytes"])
def test_dreams_are_in_the_space_of_the_data(likelihood: Any, levels: int, x: Tensor) -> None:
    vae = Model(latent_dim=LATENTS, network=MLP(hidden=(6,)), likelihood=likelihood).build(EVENT).double()
    encoded: list[Tensor] = []
    vae.posterior.register_forward_pre_hook(lambda module, inputs: encoded.append(inputs[0]))
    evaluated(WakeSleep(), vae, x)
    seen, dream = encoded
    assert torch.equal(seen, x)
    assert dream.shape == x.shape
    assert torch.equal(dream * (levels - 1), (dream * (levels - 1)).round())
    assert not torch.equal(dream, x)


# --- faulty losses, as printed ---


@pytest.mark.parametrize("beta", [1.0, 0.392])
def test_printed_sampling_scales_the_noise_by_the_variance(vae: VAE, x: Tensor, beta: float) -> None:
    loc, scale, _, _ = drawn(vae, x, 1)
    torch.manual_seed(7)
    _, noise = (torch.randn(1, BATCH, LATENTS, dtype=torch.float64) for _ in range(2))
    z = torch.from_numpy(loc) + torch.from_numpy(scale**2) * noise
    reconstruction = -vae.log_likelihood(x, z).mean().item()
    kl = (0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale))).sum(1).mean()
    loss = evaluated(Own(path="vaekit.studies.printed:PrintedSampling", settings={"beta": beta}), vae, x)
    assert loss.value.item() == pytest.approx(reconstruction + beta * kl, rel=1e-12)
    assert_same_report(loss, evaluated(ELBO(), vae, x))


@pytest.mark.parametrize("beta", [1.0, 78_400.0])
def test_printed_kl_has_its_minimum_at_no_noise(vae: VAE, x: Tensor, beta: float) -> None:
    loc, scale, _, _ = drawn(vae, x, 1)
    loss = evaluated(Own(path="vaekit.studies.printed:PrintedKL", settings={"beta": beta}), vae, x)
    assert_same_report(loss, evaluated(ELBO(), vae, x))
    printed = loss.value - loss.terms["reconstruction"]
    assert printed.item() == pytest.approx(beta * 0.5 * (loc**2 + scale**2).sum(1).mean(), rel=1e-9)
    (gradient,) = torch.autograd.grad(printed, vae.posterior.head.bias)
    assert gradient.numpy() == pytest.approx(beta * np.concatenate([loc, scale**2], 1).mean(0), rel=1e-9)


@pytest.mark.parametrize("weight", [1.0, 5e-4])
def test_a_mean_over_pixels_hides_a_beta_of_as_many(vae: VAE, x: Tensor, weight: float) -> None:
    pixels, weights = x[0].numel(), list(vae.parameters())
    loss = evaluated(ELBO(beta=weight * pixels), vae, x)
    averaged = loss.terms["reconstruction"] / pixels + weight * loss.terms["kl"]
    assert averaged.item() * pixels == pytest.approx(loss.value.item(), rel=1e-12)
    for mean, total in zip(gradients(averaged, weights), gradients(loss.value, weights), strict=True):
        assert torch.allclose(mean * pixels, total)


@pytest.mark.parametrize(("step", "capacity"), [(0, 0.0), (10, 0.15), (40, 0.6), (70, 0.6)])
def test_the_kl_is_held_at_a_capacity_that_grows(vae: VAE, x: Tensor, step: int, capacity: float) -> None:
    spec = Capacity(gamma=3.0, nats=0.6, nats_schedule=WarmUp(epochs=4))
    plain, loss = evaluated(ELBO(), vae, x), evaluated(spec, vae, x, step)
    kl = plain.terms["kl"].item()
    assert 0.15 < kl < 0.6  # both sides are tried
    expected = plain.terms["reconstruction"].item() + 3 * abs(kl - capacity)
    assert loss.value.item() == pytest.approx(expected, rel=1e-7)
    assert loss.terms["capacity"].item() == pytest.approx(capacity)
    assert all(torch.equal(loss.terms[name], plain.terms[name]) for name in plain.terms)
    assert torch.equal(loss.bound, plain.bound)
    (gradient,) = torch.autograd.grad(loss.value - loss.terms["reconstruction"], vae.posterior.head.bias)
    (rising,) = torch.autograd.grad(plain.terms["kl"], vae.posterior.head.bias)
    torch.testing.assert_close(gradient, 3 * rising if kl > capacity else -3 * rising)
