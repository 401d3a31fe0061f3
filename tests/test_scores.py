"""Scores: exact where the model's evidence is known, the same for each row in any company, and made of their parts."""

from math import log, pi, sqrt

import pytest
import torch
from test_oracles import LATENTS, amortized, assert_mean, linear
from test_oracles import NOISE as STD
from torch import Tensor

from vaekit.data import Space
from vaekit.evaluation import rows
from vaekit.evaluation.rows import by_rows, shared_noise
from vaekit.evaluation.scores import scores, share_lower
from vaekit.model import VAE, Model
from vaekit.networks import MLP, Conv
from vaekit.posteriors import Flow, FullGaussian

CPU = torch.device("cpu")
NOISE = shared_noise(64, LATENTS)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", ["full_gaussian", "flow"])
def test_the_score_is_the_evidence_where_the_posterior_is_exact(kind: str) -> None:
    vae, marginal = amortized(kind)
    x = marginal.sample((50,)) * 2
    found = by_rows([x], CPU, lambda x: scores(vae, x, NOISE.double(), "evidence"))
    assert (found["score"] - marginal.log_prob(x)).abs().max() < 1e-9
    assert found["standard_error"].max() < 1e-9


def test_the_score_is_the_evidence_within_its_standard_error() -> None:
    vae, marginal = linear("orthogonal", shift=0.1, inflation=1.3)
    x = marginal.sample((5,))
    found = [scores(vae, x, shared_noise(200, LATENTS, k).double(), "evidence") for k in range(500)]
    value, error = (torch.stack([each[name] for each in found]) for name in ("score", "standard_error"))
    assert_mean(value.exp() / marginal.log_prob(x).exp(), torch.ones(5))
    assert (error.mean(0) / value.std(0) - 1).abs().max() < 0.15  # a relative error of 1 / √(2 · 500) = 0.03 each


@pytest.mark.parametrize("by", ["elbo", "reconstruction"])
def test_the_bound_has_its_closed_form_and_its_standard_error(by: str) -> None:
    vae, marginal = linear("orthogonal")
    x = marginal.sample((5,))
    found = [scores(vae, x, shared_noise(20, LATENTS, k).double(), by) for k in range(500)]  # type: ignore[arg-type]
    value, error = (torch.stack([each[name] for each in found]) for name in ("score", "standard_error"))
    kl = torch.distributions.kl_divergence(vae.posterior(x), vae.prior())
    assert_mean(value, marginal.log_prob(x) + (kl if by == "reconstruction" else 0))
    assert (error.square().mean(0).sqrt() / value.std(0) - 1).abs().max() < 0.15


@pytest.mark.parametrize("by", ["evidence", "elbo", "reconstruction"])
def test_a_score_is_the_sum_of_its_parts(by: str) -> None:
    vae, marginal = linear("orthogonal", shift=0.1)
    x = marginal.sample((5,))
    found = scores(vae, x, NOISE.double(), by, parts=True)  # type: ignore[arg-type]
    assert found["parts"].shape == x.shape
    assert (found["parts"].sum(1) + found["rest"] - found["score"]).abs().max() < 1e-9
    assert torch.equal(found["score"], scores(vae, x, NOISE.double(), by)["score"])  # type: ignore[arg-type]
    if by == "reconstruction":
        assert found["rest"].abs().max() < 1e-9
    if by == "elbo":
        kl = torch.distributions.kl_divergence(vae.posterior(x), vae.prior())
        assert (found["rest"] + kl).abs().max() < 1e-9


def test_the_rest_of_the_evidence_is_the_divergence_of_the_exact_posterior() -> None:
    vae, marginal = linear("orthogonal")
    x = marginal.sample((5,))
    found = scores(vae, x, shared_noise(20_000, LATENTS).double(), "evidence", parts=True)
    kl = torch.distributions.kl_divergence(vae.posterior(x), vae.prior())
    assert (found["rest"] + kl).abs().max() < 0.1  # of nats, three standard errors and more


def test_parts_of_the_evidence_are_expectations_under_the_exact_posterior() -> None:
    vae, marginal = linear("orthogonal", inflation=1.2)  # drawn from another one, and weighted
    w, x = vae.likelihood.loadings, marginal.sample((3,))
    exact = linear("orthogonal")[0].posterior(x).base_dist
    misses = (x - exact.loc @ w.T - vae.likelihood.offset).square() + exact.variance @ w.T.square()
    expected = -misses / (2 * STD**2) - log(STD * sqrt(2 * pi))
    noise = [shared_noise(400, LATENTS, k).double() for k in range(200)]
    parts = torch.stack([scores(vae, x, each, "evidence", parts=True)["parts"] for each in noise])
    assert ((parts.mean(0) - expected) / (parts.std(0) / 200**0.5)).abs().max() < 4.5  # of 18


MODELS = [
    (Model(latent_dim=3, network=MLP(hidden=[500, 333])), (50,)),
    (Model(latent_dim=3, network=MLP(hidden=[21]), posterior=FullGaussian()), (3,)),
    (Model(latent_dim=3, network=MLP(hidden=[20]), posterior=Flow()), (1, 6, 5)),
    (Model(latent_dim=3, network=Conv(channels=[4, 8])), (1, 12, 12)),
]


def restless(model: Model, shape: tuple[int, ...]) -> VAE:
    """A model whose weights all differ from what they begin as."""
    vae = model.build(Space.of(shape)).eval()
    for weight in vae.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return vae


@pytest.mark.parametrize(("model", "shape"), MODELS)
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_are_the_same_to_the_bit_in_any_company(model: Model, shape: tuple[int, ...], threads: int) -> None:
    vae, x = restless(model, shape), torch.rand(200, *shape)

    def found(x: Tensor, size: int = 1000) -> Tensor:
        values = by_rows(x.split(size), CPU, lambda x: scores(vae, x, NOISE[:8], "evidence", parts=True))
        return torch.cat([values["score"][:, None], values["rest"][:, None], values["parts"].flatten(1)], 1)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole, order = found(x), torch.randperm(200)
        assert torch.equal(found(x[order]), whole[order])
        assert torch.equal(found(x, 37), whole)
        assert all(torch.equal(found(x[k : k + 1])[0], whole[k]) for k in (0, 3, 127, 128, 199))
    finally:
        torch.set_num_threads(before)


def test_every_block_has_the_same_size() -> None:
    sizes = []

    def compute(x: Tensor) -> dict[str, Tensor]:
        sizes.append(len(x))
        return {"x": x}

    x = torch.arange(300.0)[:, None]
    assert torch.equal(by_rows(x.split(129), CPU, compute)["x"], x)
    assert set(sizes) == {rows.ROWS}


def test_the_share_of_lower_scores_counts_none_that_is_equal() -> None:
    assert share_lower(torch.tensor([0.0, 1, 2, 9]), torch.tensor([2.0, 1, 1, 3])).tolist() == [0, 0, 0.5, 1]
