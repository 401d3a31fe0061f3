"""The two parts of the mean KL, against integration on a line; the amortisation gap, against a closed form."""

from math import log

import numpy as np
import pytest
import torch
from scipy import stats
from test_oracles import linear
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence

from vaekit.conditional import Conditional
from vaekit.distributions import independent, kl_per_unit
from vaekit.errors import InputError
from vaekit.evaluation.amortization import amortization_gap
from vaekit.evaluation.information import information
from vaekit.evaluation.probes import accuracies
from vaekit.model import VAE, Model
from vaekit.priors import StandardNormalPrior

SCALE = 0.4


class Shifted(Conditional):
    """q(z | x) = N(x, 0.4²) of one latent; as a likelihood, N(z, 0.4²)."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        return independent(Normal(c, torch.full_like(c, SCALE)), 1)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_parts_of_the_kl_agree_with_integration() -> None:
    means = np.array([-2.0, -0.3, 0.0, 1.7])
    grid = np.linspace(-8, 8, 40_001)
    each = stats.norm.pdf(grid[:, None], means, SCALE)
    aggregate = each.mean(1)
    step = grid[1] - grid[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        mutual = np.nansum(each * np.log(each / aggregate[:, None]), 0).mean() * step
        rest = np.nansum(aggregate * np.log(aggregate / stats.norm.pdf(grid))) * step
    vae = VAE(StandardNormalPrior(1), Shifted(), Shifted())
    # Repeated images leave the aggregate as it is and give more draws.
    x = torch.tensor(means, dtype=torch.float32)[:, None].repeat(500, 1)
    found = information(vae, x.split(300))
    assert found.ceiling == pytest.approx(log(2000))
    for estimate, exact in ((found.mutual_information, mutual), (found.aggregate_kl, rest)):
        assert estimate.standard_error < 0.05
        assert abs(estimate.value - exact) < 3.9 * estimate.standard_error


def test_parts_add_up_to_the_mean_kl() -> None:
    vae = Model(latent_dim=3).build((1, 8, 8)).eval()
    vae.posterior.head.weight.data *= 20
    x = torch.rand(400, 1, 8, 8).round()
    found = information(vae, [x])
    kl = kl_per_unit(vae.posterior(x), vae.prior()).sum(1).mean().item()
    error = np.hypot(found.mutual_information.standard_error, found.aggregate_kl.standard_error)
    assert kl > 0.5
    assert abs(found.mutual_information.value + found.aggregate_kl.value - kl) < 3.9 * error


def test_codes_far_apart_tell_all_images_apart() -> None:
    vae = VAE(StandardNormalPrior(1), Shifted(), Shifted())
    found = information(vae, [torch.arange(16.0)[:, None] * 100])
    assert found.mutual_information.value == pytest.approx(log(16), abs=1e-6)


def test_errors_are_those_of_a_jackknife_that_leaves_images_out() -> None:
    vae = VAE(StandardNormalPrior(1), Shifted(), Shifted())
    x = torch.randn(12, 1).double()
    torch.manual_seed(1)
    found = information(vae, [x])
    torch.manual_seed(1)
    z, kept = vae.posterior(x).sample(), []
    for r in range(12):
        rest = [i for i in range(12) if i != r]
        q = vae.posterior(x[rest])
        aggregate = q.log_prob(z[rest][:, None]).logsumexp(1) - log(11)
        own, prior = q.log_prob(z[rest]), vae.prior().log_prob(z[rest])
        kept.append([float((own - aggregate).mean()), float((aggregate - prior).mean())])
    expected = np.sqrt(11 * np.var(kept, axis=0))
    assert found.mutual_information.standard_error == pytest.approx(expected[0], rel=1e-5)
    assert found.aggregate_kl.standard_error == pytest.approx(expected[1], rel=1e-5)


def test_information_needs_two_images() -> None:
    vae = Model(latent_dim=3).build((1, 8, 8))
    with pytest.raises(InputError, match="images is 1"):
        information(vae, [torch.zeros(1, 1, 8, 8)])


@pytest.mark.parametrize("wrong", [{"shift": 0.4}, {"inflation": 1.8}])
def test_amortization_gap_is_the_kl_to_the_exact_posterior(wrong: dict[str, float]) -> None:
    exact, marginal = linear("orthogonal")
    vae, _ = linear("orthogonal", **wrong)
    x = marginal.sample((40,))
    expected = kl_divergence(vae.posterior(x), exact.posterior(x))
    gap = amortization_gap(vae, x)
    assert expected.min() > 0.1
    error = (gap - expected).std() / len(x) ** 0.5
    assert abs((gap - expected).mean()) < 3.9 * error + 0.01  # Adam ends within a hundredth of a nat of the best
    assert gap.mean().item() == pytest.approx(expected.mean().item(), rel=0.1)


def test_amortization_gap_of_an_exact_encoder_is_nothing() -> None:
    vae, marginal = linear("orthogonal")
    gap = amortization_gap(vae, marginal.sample((40,)))
    error = gap.std() / len(gap) ** 0.5
    assert -0.01 < gap.mean() < 3.9 * error  # nothing is better than the exact posterior


def test_amortization_leaves_the_model_as_it_was() -> None:
    vae = Model(latent_dim=2).build((1, 8, 8)).eval()
    before = [p.clone() for p in vae.parameters()]
    amortization_gap(vae, torch.rand(4, 1, 8, 8).round(), steps=3)
    assert all(p.grad is None and torch.equal(p, old) for p, old in zip(vae.parameters(), before, strict=True))


def test_amortization_gap_needs_a_gaussian_posterior() -> None:
    vae, marginal = linear("full")
    with pytest.raises(InputError, match="Gaussian posterior"):
        amortization_gap(vae, marginal.sample((2,)))


def test_probes_read_separated_classes_and_not_noise() -> None:
    labels = torch.arange(400) % 4
    codes = torch.randn(400, 2)
    separated = codes + 20 * torch.stack([labels % 2, labels // 2], 1)
    for found in accuracies(separated[:300], labels[:300], separated[300:], labels[300:]).values():
        assert found.value == 1
    for found in accuracies(codes[:300], labels[:300], codes[300:], labels[300:]).values():
        assert abs(found.value - 0.25) < 3.9 * (0.25 * 0.75 / 100) ** 0.5
