"""Priors against what they must equal: other densities, sums, and the aggregate posterior."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import begun, finished, small
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal
from torch.profiler import ProfilerActivity, profile

from vaekit import InputError, evaluate, priors
from vaekit.data import Space
from vaekit.distributions import Mixture, independent
from vaekit.distributions import mixture as mixtures
from vaekit.evaluation.information import information
from vaekit.footprint import activations
from vaekit.model import Model
from vaekit.networks import MLP, Conv


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class Other(Distribution):
    """Gaussians of a kind that the mixture does not know."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, base: Distribution) -> None:
        self.base = base
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return self.base.log_prob(value)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> torch.Tensor:  # noqa: B008
        return self.base.sample(sample_shape)


def components(count: int, dim: int, scale: float = 1.0) -> tuple[Independent, torch.Tensor]:
    gaussians = Normal(torch.randn(count, dim), scale * (0.1 + torch.rand(count, dim)), validate_args=False)
    return Independent(gaussians, 1, validate_args=False), torch.randn(count)


def test_mixture_is_that_of_torch() -> None:
    each, weights = components(7, 3)
    found, known = Mixture(each, weights), MixtureSameFamily(Categorical(logits=weights), each, validate_args=False)
    z = known.sample(torch.Size((4, 5)))
    assert torch.allclose(found.log_prob(z), known.log_prob(z), atol=1e-5)
    assert torch.allclose(Mixture(Other(each), weights).log_prob(z), known.log_prob(z), atol=1e-5)
    assert torch.allclose(found.mean, known.mean, atol=1e-6)
    assert torch.allclose(found.variance, known.variance, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda each: each, Other])
def test_draws_have_the_moments_of_the_mixture(wrap: type[Other]) -> None:
    each, weights = components(7, 3)
    known = MixtureSameFamily(Categorical(logits=weights), each, validate_args=False)
    z = Mixture(wrap(each), weights).sample(torch.Size((40_000,)))
    for found, expected in ((z, known.mean), ((z - known.mean).square(), known.variance)):
        assert ((found.mean(0) - expected).abs() < 4.5 * found.std(0) / 200).all()


def test_equal_components_are_one() -> None:
    one = Normal(torch.randn(3), torch.rand(3) + 0.1, validate_args=False)
    z = torch.randn(50, 3)
    found = Mixture(independent(one.expand(torch.Size((500, 3))), 1), torch.randn(500))
    assert torch.allclose(found.log_prob(z), independent(one, 1).log_prob(z), atol=1e-5)
    assert torch.allclose(found.mean, one.mean, atol=1e-6)
    assert torch.allclose(found.variance, one.variance, atol=1e-5)


def test_narrow_components_far_apart_keep_their_digits() -> None:
    """Squares of z/σ = 10,000 cancel: in single precision, the densities were off by several nats."""
    loc, scale = 10 * torch.randn(50, 8), torch.full((50, 8), 1e-3)
    z = loc + scale * torch.randn(50, 8)
    found = Mixture(independent(Normal(loc, scale, validate_args=False), 1), torch.zeros(50)).log_prob(z)
    exact = MixtureSameFamily(
        Categorical(logits=torch.zeros(50).double()), Independent(Normal(loc.double(), scale.double()), 1)
    )
    assert torch.allclose(found.double(), exact.log_prob(z.double()), atol=1e-3)


def test_memory_of_many_draws_does_not_grow_with_the_components(monkeypatch: pytest.MonkeyPatch) -> None:
    each, weights = components(40, 3)
    p, z = Mixture(each, weights), torch.randn(7, 11, 3)
    whole = p.log_prob(z)
    sizes: list[int] = []

    def watched(self: Mixture, part: torch.Tensor) -> torch.Tensor:
        sizes.append(len(part))
        return self.components.log_prob(part[:, None]).double()

    monkeypatch.setattr(mixtures, "AT_ONCE", 400)
    monkeypatch.setattr(Mixture, "log_probs", watched)
    with torch.no_grad():
        assert torch.allclose(p.log_prob(z), whole, atol=1e-5)
    assert sizes == [10] * 7 + [7]


def test_initial_mixture_has_about_the_moments_of_a_standard_normal() -> None:
    p = Model(latent_dim=3, prior=priors.Mixture(components=20_000)).build((1, 2, 2)).prior()
    assert torch.allclose(p.mean, torch.zeros(3), atol=0.03)
    assert torch.allclose(p.variance, torch.ones(3), atol=0.03)


def test_vamp_prior_with_all_examples_is_the_aggregate_posterior() -> None:
    """Then KL(q(z) ‖ p(z)) = 0, and all of the KL is mutual information."""
    space = Space(
        source="", event_shape=(5,), support="real", binarization="none", split="", sizes={"train": 40}, digest=""
    )
    vae = Model(latent_dim=2, network=MLP(hidden=(8,)), prior=priors.Vamp(pseudo_inputs=40)).build(space).double()
    x = torch.randn(40, 5).double()
    vae.begin(lambda n: x[:n])
    found = information(vae, [x])
    assert abs(found.aggregate_kl.value) < 1e-9
    z = torch.randn(30, 2).double()
    aggregate = vae.posterior(x).log_prob(z[:, None]).logsumexp(1) - log(40)
    assert torch.allclose(vae.prior().log_prob(z), aggregate, rtol=1e-9)
    assert found.mutual_information.value > 0.01


def test_pseudo_inputs_begin_at_training_images_and_stay_inside_their_support() -> None:
    experiment = small(model__prior="vamp", model__prior__pseudo_inputs=300)
    data = experiment.data.load()
    vae = experiment.model.build(data.space)
    vae.begin(lambda n: data.train.some(n, seed=1))
    u, train = vae.prior.pseudo_inputs.detach(), data.train.batch(torch.arange(len(data.train))).x
    assert (u.flatten(1)[:, None] - train.flatten(1)).abs().amax(-1).amin(1).max() < 0.011
    assert len(u.unique(dim=0)) == 300
    with torch.no_grad():
        vae.prior.raw.mul_(100)
    assert ((vae.prior.pseudo_inputs >= 0) & (vae.prior.pseudo_inputs <= 1)).all()


def test_training_begins_at_training_images(tmp_path: Path) -> None:
    training = begun(small(model__prior="vamp", model__prior__pseudo_inputs=20, seed=3), tmp_path / "run")
    chosen = training.data.train.some(20, seed=3)
    assert torch.allclose(training.vae.prior.pseudo_inputs, chosen.clamp(0.01, 0.99), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Model(prior=priors.Vamp(pseudo_inputs=51)), "model.prior.pseudo_inputs is 51.*there are 50"),
        (Model(prior=priors.Vamp(), network=Conv(batch_norm=True)), "batch_norm is true"),
    ],
)
def test_vamp_prior_that_cannot_be_built_is_refused(model: Model, words: str) -> None:
    with pytest.raises(InputError, match=words):
        model.build(Space.of((1, 8, 8), train=50 if "51" in words else 5000))


def test_pseudo_inputs_are_counted_once_in_a_batch() -> None:
    def bytes_of(**changes: object) -> float:
        experiment = small(**changes)
        found = activations(experiment, experiment.data.load().space)
        return found.once + 90 * found.kept

    few, many = (bytes_of(model__prior="vamp", model__prior__pseudo_inputs=count) for count in (10, 1010))
    # 1,000 more pseudo-inputs and their features, and 1,000 more densities of each of 90 draws, some bytes each
    assert 1000 * (64 + 12) * 4 < many - few < 1000 * (64 + 12) * 4 * 3 + 90 * 1000 * 8 * 4


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_evidence_exceeds_the_bound_and_what_needs_units_is_left_out(prior: str, tmp_path: Path) -> None:
    count = {"mixture": "components", "vamp": "pseudo_inputs"}[prior]
    run = finished(small(**{"model__prior": prior, f"model__prior__{count}": 20}), tmp_path / "run")
    found = evaluate(run, samples=50, images=100)
    assert found["log_evidence"]["value"] > found["elbo"]["value"]
    assert np.isfinite(found["aggregate_kl"]["value"])


@pytest.mark.parametrize("prior", [priors.Mixture(components=4), priors.Vamp(pseudo_inputs=4)])
def test_prior_is_asked_for_once_in_a_step(prior: Any) -> None:
    vae = Model(latent_dim=2, prior=prior).build(Space.of((1, 2, 2), train=5))
    calls: list[int] = []
    vae.prior.register_forward_hook(lambda *_: calls.append(1))
    vae.kl(vae.draw(torch.rand(3, 1, 2, 2)))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("posterior", "objective"), [("delta", "reconstruction"), ("standard_normal", "monte_carlo_em")]
)
def test_vamp_prior_needs_an_encoder_with_a_density(posterior: str, objective: str) -> None:
    changes = {"objective": objective, "model.posterior": posterior, "model.prior": "vamp"}
    with pytest.raises(InputError, match="'vamp' do not go together"):
        small().replace_all(changes)


def test_mixture_finds_the_clusters_that_codes_were_drawn_from() -> None:
    centers, scales = torch.tensor([[-4.0, 0.0], [4.0, 1.0], [0.0, 5.0]]), torch.tensor([0.5, 1.0, 0.2])
    cluster = torch.randint(3, (3000,))
    cluster[:3] = torch.arange(3)  # where it begins
    codes = centers[cluster] + scales[cluster, None] * torch.randn(3000, 2)
    prior = Model(latent_dim=2, prior=priors.Mixture(components=3)).build((1, 2, 2)).prior
    prior.begin_at(codes)
    own, width = torch.bincount(cluster)[:, None], codes.std(0) * 3 ** (-1 / 6)
    known = torch.stack([torch.stack([codes[cluster == k].mean(0), codes[cluster == k].var(0)]) for k in range(3)])
    # The clusters lie apart, so that EM finds each with one code more, as far from its mean as Silverman's width.
    assert torch.allclose(prior.loc, known[:, 0], atol=0.01)
    assert torch.allclose((2 * prior.log_scale).exp(), (own * known[:, 1] + width.square()) / (own + 1), rtol=0.02)
    assert torch.allclose(prior.logits.softmax(0), own[:, 0] / 3000, atol=0.001)


def test_mixture_stays_finite_where_codes_do_not_vary_or_are_few() -> None:
    codes = torch.randn(5, 3) * torch.tensor([1.0, 0.0, 100.0])
    prior = Model(latent_dim=3, prior=priors.Mixture(components=20)).build((1, 2, 2)).prior
    prior.begin_at(codes)
    assert all(weight.isfinite().all() for weight in prior.parameters())
    assert prior().log_prob(codes).isfinite().all()


def test_memory_of_evaluation_counts_the_components() -> None:
    """10,000 codes × 5,000 components, each of 8 bytes and several times over, would take more than a gibibyte."""
    p = Model(latent_dim=4, prior=priors.Mixture(components=5000)).build((1, 2, 2)).prior()
    z = torch.randn(10_000, 4)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        p.log_prob(z)
    most = max(event.cpu_memory_usage for event in recorded.events())
    assert 2**20 < most < 2**27


def test_auto_encoder_is_not_trained_with_a_prior_that_would_not_learn() -> None:
    with pytest.raises(InputError, match=r"needs a prior that is N\(0, I\).*'standard_normal'"):
        small(objective="reconstruction", model__posterior="delta", model__prior="mixture")
