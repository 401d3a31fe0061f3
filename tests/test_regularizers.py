"""Penalties on the codes of all images, against closed forms, sums written out in numpy, and all batches there are."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats
from small import small
from torch import Tensor
from torch.distributions import Independent, Normal

from vaekit import InputError
from vaekit.data import Batch, Space
from vaekit.model import VAE, Draws, Model
from vaekit.networks import MLP
from vaekit.objectives import DIP, ELBO, BetaTC, BetaTCObjective, Info
from vaekit.objectives.dip import covariance_of
from vaekit.objectives.info import SCALES, Kernel, discrepancy, similarity
from vaekit.posteriors import Delta

RARE_Z = 3.9
"""standard errors that one right mean in ten thousand exceeds"""
EVENT, LATENTS = (1, 3, 4), 3


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return Model(latent_dim=LATENTS, network=MLP(hidden=(6,))).build(EVENT).double()


@pytest.fixture
def x() -> Tensor:
    return torch.bernoulli(torch.rand(7, *EVENT, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


def evaluated(spec, vae: VAE, x: Tensor, train: int = 20):  # type: ignore[no-untyped-def]
    objective = spec.build(vae, Space.of(EVENT, train=train)).double()
    torch.manual_seed(7)
    return objective(vae, Batch(x))


@pytest.mark.parametrize("kernel", ["inverse_multiquadratic", "gaussian"])
def test_mmd_is_zero_on_average_where_both_samples_are_of_one_distribution(kernel: Kernel) -> None:
    torch.manual_seed(0)
    found = np.array([discrepancy(*torch.randn(2, 5, LATENTS).unbind(), kernel).item() for _ in range(3000)])
    assert abs(found.mean()) < RARE_Z * found.std(ddof=1) / len(found) ** 0.5
    assert found.min() < 0 < found.max()


def test_mmd_of_two_gaussians() -> None:
    torch.manual_seed(0)
    shift, scale = torch.tensor([0.5, -1.0, 0.0]), 0.6

    def closed(offset: Tensor, variance: float) -> float:
        """E exp(−|a − b|² / 2d) for a − b ~ N(offset, variance)."""
        width = LATENTS + variance
        return float((LATENTS / width) ** (LATENTS / 2) * torch.exp(-offset.square().sum() / (2 * width)))

    expected = closed(0 * shift, 2 * scale**2) + closed(0 * shift, 2.0) - 2 * closed(shift, scale**2 + 1)
    draws = [(shift + scale * torch.randn(6, LATENTS), torch.randn(6, LATENTS)) for _ in range(3000)]
    found = np.array([discrepancy(z, p, "gaussian").item() for z, p in draws])
    assert expected > 0.05
    assert abs(found.mean() - expected) < RARE_Z * found.std(ddof=1) / len(found) ** 0.5


@pytest.mark.parametrize("kernel", ["inverse_multiquadratic", "gaussian"])
def test_mmd_is_a_mean_over_pairs(kernel: Kernel) -> None:
    torch.manual_seed(0)
    z, p = torch.randn(2, 5, LATENTS, dtype=torch.float64).unbind()

    def k(a: Tensor, b: Tensor) -> float:
        r2, d = float(((a - b) ** 2).sum()), LATENTS
        return np.exp(-r2 / (2 * d)) if kernel == "gaussian" else sum(2 * s * d / (2 * s * d + r2) for s in SCALES)

    within = sum(k(s[i], s[j]) for s in (z, p) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(k(a, b) for a in z for b in p) / 25
    assert discrepancy(z, p, kernel).item() == pytest.approx(within - 2 * across, rel=1e-10)
    assert discrepancy(z[:1], p[:1], kernel).isfinite()
    assert similarity(torch.zeros(()), LATENTS, kernel) == (1 if kernel == "gaussian" else len(SCALES))


@pytest.mark.parametrize(("alpha", "weight"), [(1.0, 10.0), (0.0, 3.0), (-1.0, 2.5)])
def test_info_weighs_the_kl_and_the_mmd(vae: VAE, x: Tensor, alpha: float, weight: float) -> None:
    loss = evaluated(Info(alpha=alpha, weight=weight), vae, x)
    terms = loss.terms
    expected = terms["reconstruction"] + (1 - alpha) * terms["kl"] + (alpha + weight - 1) * terms["mmd"]
    assert loss.value.item() == pytest.approx(expected.item(), rel=1e-12)
    assert loss.bound is terms["elbo"]


def test_a_point_has_an_mmd_and_no_kl(x: Tensor) -> None:
    torch.manual_seed(0)
    vae = Model(latent_dim=LATENTS, posterior=Delta(), network=MLP(hidden=(6,))).build(EVENT).double()
    terms = evaluated(Info(), vae, x).terms
    assert set(terms) == {"reconstruction", "mmd"}
    wae = {"objective": "info", "model.posterior": "delta"}
    assert small(**wae).objective == Info()
    with pytest.raises(InputError, match=r"needs a posterior that has a density.*objective\.alpha=1"):
        small(**wae, objective__alpha=0.5)
    with pytest.raises(InputError, match="early_stopping 2 needs an objective that reports a bound"):
        small(**wae, early_stopping=2)
    assert small(objective="info", objective__alpha=0.5, early_stopping=2).early_stopping == 2
    with pytest.raises(InputError, match=r"objective\.weight 0\.5 .* give at least 1"):
        Info(alpha=0.0, weight=0.5)


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_three_parts_sum_to_the_monte_carlo_kl(vae: VAE, x: Tensor, sampling: str) -> None:
    loss = evaluated(BetaTC(alpha=0.5, beta=4.0, gamma=2.0, sampling=sampling), vae, x)
    terms = loss.terms
    parts = [terms[name] for name in ("mutual_information", "total_correlation", "dimension_kl")]
    assert sum(parts).item() == pytest.approx(terms["kl"].item(), rel=1e-10)
    weighted = terms["reconstruction"] + 0.5 * parts[0] + 4 * parts[1] + 2 * parts[2]
    assert loss.value.item() == pytest.approx(weighted.item(), rel=1e-12)
    plain = evaluated(ELBO(kl="monte_carlo"), vae, x)
    assert terms["kl"].item() == pytest.approx(plain.terms["kl"].item(), rel=1e-12)
    ones = evaluated(BetaTC(beta=1.0, sampling=sampling), vae, x)
    assert ones.value.item() == pytest.approx(plain.value.item(), rel=1e-12)


def drawn(loc: Tensor, scale: Tensor) -> Draws:
    """A code for each image, and nothing about x."""
    q, p = Independent(Normal(loc, scale), 1), Independent(Normal(torch.zeros(LATENTS).double(), 1.0), 1)
    z = q.rsample((1,))
    return Draws(
        z,
        posterior=q,
        prior=p,
        log_likelihood=torch.zeros(1, len(loc)),
        log_prior=p.log_prob(z),
        log_posterior=q.log_prob(z),
    )


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_codes_that_are_independent_have_no_total_correlation(sampling: str) -> None:
    torch.manual_seed(0)
    objective = BetaTCObjective(BetaTC(sampling=sampling), 50)
    loc, scale = torch.tensor([0.3, -1.0, 0.0]).double(), torch.tensor([0.5, 1.0, 2.0]).double()
    information, correlation, dimensions = objective.parts(drawn(loc.expand(6, 3), scale.expand(6, 3)))
    assert information.item() == pytest.approx(0, abs=1e-12)
    assert correlation.item() == pytest.approx(0, abs=1e-12)
    assert dimensions.item() != pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_with_all_images_in_the_batch_the_parts_are_those_of_the_mixture(sampling: str) -> None:
    torch.manual_seed(0)
    loc, scale = torch.randn(5, LATENTS).double(), torch.rand(5, LATENTS).double() + 0.2
    draws = drawn(loc, scale)
    z = draws.z[0].numpy()
    units = stats.norm.pdf(z[:, None], loc.numpy(), scale.numpy())  # (codes, images, d)
    log_q, log_units = np.log(units.prod(-1).mean(1)), np.log(units.mean(1)).sum(-1)
    expected = [
        (np.log(units.prod(-1).diagonal()) - log_q).mean(),
        (log_q - log_units).mean(),
        (log_units - stats.norm.logpdf(z).sum(-1)).mean(),
    ]
    found = BetaTCObjective(BetaTC(sampling=sampling), 5).parts(draws)
    assert [part.item() for part in found] == pytest.approx(expected, rel=1e-10)


def test_stratified_shares_estimate_the_aggregate_without_bias() -> None:
    """Averaged over all batches of three that hold the first of five images."""
    torch.manual_seed(0)
    objective, densities = BetaTCObjective(BetaTC(sampling="stratified"), 5), torch.rand(5).double()
    shares = objective.log_shares(torch.zeros(3, LATENTS).double()).exp()
    assert torch.allclose(shares.sum(1), torch.ones(3).double())
    batches = [[0, *others] for others in combinations(range(1, 5), 2)]
    found = torch.stack([(shares[0] * densities[batch]).sum() for batch in batches]).mean()
    assert found.item() == pytest.approx(densities.mean().item(), rel=1e-12)


@pytest.mark.parametrize("covariance", ["means", "codes"])
def test_dip_penalizes_the_covariance_of_codes(vae: VAE, x: Tensor, covariance: str) -> None:
    loss = evaluated(DIP(covariance=covariance, off_diagonal=3.0, diagonal=5.0), vae, x)
    q = vae.posterior(x)
    c = np.cov(q.mean.detach().numpy(), rowvar=False, ddof=0)
    if covariance == "codes":
        c += np.diag(q.variance.mean(0).detach().numpy())
    off = sum(c[i, j] ** 2 for i in range(3) for j in range(3) if i != j)
    on = sum((c[i, i] - 1) ** 2 for i in range(3))
    assert loss.terms["off_diagonal"].item() == pytest.approx(off, rel=1e-10)
    assert loss.terms["diagonal"].item() == pytest.approx(on, rel=1e-10)
    assert loss.value.item() == pytest.approx(3 * off + 5 * on - loss.terms["elbo"].item(), rel=1e-12)


def test_products_are_the_same_under_autocast() -> None:
    torch.manual_seed(0)
    z, p = torch.randn(2, 40, LATENTS).unbind()
    q = Independent(Normal(z, torch.ones_like(z)), 1)
    plain = discrepancy(z, p, "gaussian"), covariance_of(q, "codes")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = discrepancy(z, p, "gaussian"), covariance_of(q, "codes")
    assert all(torch.equal(a, b) for a, b in zip(plain, half, strict=True))
