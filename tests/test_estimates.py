"""Estimates with their errors, and what each latent unit carries."""

import math

import pytest
import torch
from torch import Tensor, nn

from vaekit.errors import InputError
from vaekit.estimates import Estimate, exact, mean_over_images
from vaekit.evaluation.evidence import estimate, reconstruction
from vaekit.evaluation.latents import usage
from vaekit.likelihoods import BernoulliLikelihood
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.posteriors import Delta, GaussianPosterior
from vaekit.priors import StandardNormalPrior


def test_the_error_is_that_of_a_mean() -> None:
    found = mean_over_images(torch.tensor([1.0, 2.0, 3.0, 6.0]), samples=7)
    assert found == Estimate(3.0, pytest.approx((14 / 3 / 4) ** 0.5), 7)
    assert str(found) == "3.000 ± 1.080"


def test_one_image_has_no_error() -> None:
    value, error, _ = mean_over_images(torch.tensor([1.5]), samples=1)
    assert value == 1.5
    assert math.isnan(error)


def test_sums_of_many_fp32_numbers_do_not_drift() -> None:
    assert mean_over_images(torch.full((100_000,), 1e5 + 0.1), samples=1).value == float(torch.tensor(1e5 + 0.1))


def model(**fields: object) -> VAE:
    torch.manual_seed(0)
    return Model(latent_dim=2, network=MLP(hidden=(4,)), **fields).build((1, 3, 3)).eval()


def test_estimates_do_not_depend_on_how_images_come_in_batches() -> None:
    vae, x = model(posterior=Delta()), torch.rand(10, 1, 3, 3).round()
    parts = torch.cat([reconstruction(vae, some) for some in x.split(3)])
    assert torch.allclose(reconstruction(vae, x), parts)
    assert torch.allclose(parts, -exact(vae.likelihood(vae.encode(x)).log_prob(x)))


def test_terms_add_up_and_carry_no_gradient() -> None:
    found = estimate(model(), torch.rand(10, 1, 3, 3).round().split(4), samples=3)
    assert found["elbo"].value == pytest.approx(-found["reconstruction"].value - found["kl"].value)
    assert found["log_evidence"].value >= found["elbo"].value - 0.1
    assert {e.samples for e in found.values()} == {3}


@pytest.mark.parametrize("samples", [0, -1])
def test_no_draws_are_refused(samples: int) -> None:
    with pytest.raises(InputError, match=f"samples is {samples}: .* at least 1"):
        estimate(model(), [torch.zeros(1, 1, 3, 3)], samples)


class Codes(nn.Module):
    """Features whose posterior is known: the first unit is the prior, the second a constant, the third follows x."""

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ones_like(x[:, 0])
        scale = torch.log(torch.tensor([1.0, 0.5, 0.1]))
        return torch.stack([0 * one, 2 * one, x[:, 0], *(s * one for s in scale)], -1)


def test_usage_of_units_that_are_known() -> None:
    posterior = GaussianPosterior(Codes(), 6, 3)
    posterior.head = nn.Identity()
    vae = VAE(StandardNormalPrior(3), posterior, BernoulliLikelihood(nn.Identity(), 1))
    x = torch.tensor([-1.0, 0.0, 3.0, 2.0])[:, None]
    found = usage(vae, x.split(3))
    scale = torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64)
    square = torch.tensor([0, 4, 14 / 4], dtype=torch.float64)  # mean of μ² over the images
    assert torch.allclose(found.kl, 0.5 * (square + scale**2 - 1) - scale.log(), atol=1e-6)
    assert torch.allclose(found.variance, torch.tensor([0, 0, 14 / 4 - 1], dtype=torch.float64))
    assert found.active == [1, 2]
    assert found.active_by_variance == [2]
