"""The VAE's own verbs: encode, decode, sample, reconstruct, and its KL."""

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.distributions import Distribution, Laplace, LowRankMultivariateNormal, Normal

from vaekit.conditional import Conditional
from vaekit.distributions import independent, kl_per_unit
from vaekit.errors import InputError
from vaekit.likelihoods import DiscretizedLogistic, Gaussian
from vaekit.model import VAE, Model, center_at
from vaekit.networks import MLP, Conv
from vaekit.posteriors import Delta, GaussianPosterior

EVENT = (1, 6, 5)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(9, *EVENT)


def built(**fields: object) -> VAE:
    return Model(latent_dim=3, **({"network": MLP(hidden=(8,))} | fields)).build(EVENT)


def test_draws_hold_the_densities_of_their_own_latents(x: Tensor) -> None:
    vae = built()
    draws = vae.draw(x, n=4)
    assert draws.z.shape == (4, 9, 3)
    for k in range(4):
        assert torch.allclose(draws.log_posterior[k], vae.posterior(x).log_prob(draws.z[k]))
        assert torch.allclose(draws.log_prior[k], vae.prior().log_prob(draws.z[k]))
        assert torch.allclose(draws.log_likelihood[k], vae.likelihood(draws.z[k]).log_prob(x))
    assert torch.allclose(draws.log_weight, vae.log_joint(x, draws.z) - draws.log_posterior)
    assert draws.z.std(0).min() > 0


def test_the_encoder_emits_the_logarithm_of_the_scale_or_of_the_variance(x: Tensor) -> None:
    for head, power in (("log_scale", 1), ("log_variance", 2)):
        vae = built(posterior={"kind": "gaussian", "head": head})
        loc, log = vae.posterior.head(vae.posterior.trunk(x)).chunk(2, -1)
        q = vae.posterior(x)
        assert torch.equal(q.mean, loc)
        assert torch.allclose(q.stddev**power, log.exp())


def test_draws_from_a_given_posterior_need_no_encoder(x: Tensor) -> None:
    vae = built()
    q = vae.posterior(x)
    vae.posterior = None
    assert vae.draw(x, 2, q).posterior is q


def test_encoding_is_the_posterior_mean_whatever_the_batch(x: Tensor) -> None:
    vae = built(network=Conv(batch_norm=True))
    vae.draw(x)  # moves the running statistics
    vae.eval()
    codes = vae.encode(x)
    assert torch.equal(codes, vae.posterior(x).mean)
    assert torch.allclose(codes, torch.cat([vae.encode(x[i : i + 1]) for i in range(9)]), atol=1e-6)
    assert not codes.requires_grad
    assert torch.equal(codes, vae.encode(x))


@pytest.mark.parametrize("likelihood", [Gaussian(), DiscretizedLogistic()], ids=["gaussian", "discretized"])
def test_decoding_is_the_mean_and_reconstruction_decodes_the_code(x: Tensor, likelihood: Gaussian) -> None:
    vae = built(likelihood=likelihood)
    z = torch.randn(2, 9, 3)
    assert torch.equal(vae.decode(z), vae.likelihood(z).mean)
    assert vae.decode(z[0, 0]).shape == EVENT
    assert torch.equal(vae.reconstruct(x), vae.decode(vae.encode(x)))
    assert not vae.reconstruct(x).requires_grad


def test_a_part_with_another_distribution_than_its_parent_has_another_center(x: Tensor) -> None:

    class Shifted(GaussianPosterior):
        def forward(self, c: Tensor | None = None) -> Distribution:
            q = super().forward(c)
            return independent(Normal(q.mean + 1, q.stddev), 1)

    class Named(Shifted): ...

    vae = built()
    trunk, head = vae.posterior.trunk, vae.posterior.head
    for part in (Shifted(trunk, head.in_features, 3), Named(trunk, head.in_features, 3)):
        part.head = head
        assert torch.equal(VAE(vae.prior, part, vae.likelihood).encode(x), vae.encode(x) + 1)


def test_any_module_that_returns_a_distribution_has_a_center(x: Tensor) -> None:

    class Plain(nn.Module):
        def forward(self, c: Tensor) -> Distribution:
            return independent(Normal(c.flatten(1)[:, :3], 1.0), 1)

    assert torch.equal(center_at(Plain(), x), x.flatten(1)[:, :3])


def test_samples_are_decoded_prior_draws_with_or_without_noise() -> None:
    vae = built()
    torch.manual_seed(1)
    z = vae.prior().sample(torch.Size((50,)))
    torch.manual_seed(1)
    assert torch.equal(vae.sample(50), vae.decode(z))
    torch.manual_seed(1)
    noisy = vae.sample(50, noise=True)
    assert noisy.unique().tolist() == [0, 1]  # a Bernoulli's draws
    assert noisy.shape == (50, *EVENT)


def test_latent_dim_and_building_are_those_of_the_spec() -> None:
    assert built().latent_dim == 3
    torch.manual_seed(2)
    one = built().state_dict()
    torch.manual_seed(2)
    two = built().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_kl_without_a_closed_form_is_the_mean_over_draws(x: Tensor) -> None:
    class Full(Conditional):
        def forward(self, c: Tensor | None = None) -> Distribution:
            return LowRankMultivariateNormal(c.flatten(1)[:, :3], torch.zeros(3, 1), torch.ones(3))

    vae = built()
    vae.posterior = Full()
    draws = vae.draw(x, 5)
    expected = (draws.log_posterior - draws.log_prior).mean(0)
    assert torch.equal(vae.kl(draws), expected)
    assert torch.equal(vae.kl(draws, analytic=False), expected)
    with pytest.raises(InputError, match="factorized posterior and prior, not LowRankMultivariateNormal"):
        kl_per_unit(vae.posterior(x), vae.prior())


def test_kl_of_units_needs_units() -> None:
    vae = built(posterior=Delta())
    with pytest.raises(InputError, match="factorized"):
        kl_per_unit(vae.posterior(torch.zeros(2, *EVENT)), vae.prior())


def test_shapes_in_annotations_are_checked(x: Tensor) -> None:
    vae = built()
    with pytest.raises(TypeCheckError, match="parameter 'z'"):
        vae.log_joint(x, torch.zeros(4, 8, 3))  # nine images, latents of eight
    with pytest.raises(TypeCheckError, match="parameter 'x'"):
        vae.draw(x.long())


def test_any_conditional_of_the_right_shapes_is_a_part() -> None:

    class Half(Conditional):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 30)

        def forward(self, c: Tensor | None = None) -> Distribution:
            return independent(Laplace(self.linear(c).unflatten(-1, EVENT), 1.0), 3)

    vae = VAE(built().prior, built().posterior, Half())
    assert vae.draw(torch.rand(4, *EVENT), 2).log_weight.shape == (2, 4)
