"""Holes in x: exact evidence and conditional means, and an unchanged ELBO where there are none; corruption."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from laws.conditionals import KINDS, rows_of, table
from small import finished, same, small, stopped
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaekit import InputError, Model, Source, encode, evaluate, interpolate, reconstruct, report
from vaekit.building import ObservedLikelihood
from vaekit.compatibility import misfit
from vaekit.conditional import Conditional
from vaekit.data import Batch, Binarization, Space, check
from vaekit.distributions import independent
from vaekit.evaluation.annealing import Annealing
from vaekit.features import Features
from vaekit.likelihoods import Bernoulli, Columns
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import ELBO, Importance
from vaekit.priors import StandardNormalPrior

LATENTS, COLUMNS, NOISE = 3, 6, 0.5
QUICK = Annealing(temperatures=3, chains=2, leapfrog=1)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class Linear(Conditional):
    """p(x | z) = N(W z + b, s²)."""

    def __init__(self, loadings: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.loadings, self.offset = loadings, offset

    def forward(self, c: Tensor | None = None) -> Distribution:
        loc = c @ self.loadings.T + self.offset
        return independent(torch.distributions.Normal(loc, torch.full_like(loc, NOISE)), 1)


class Exact(Conditional):
    """p(z | x_observed) of a linear likelihood, from the rows of W that are observed."""

    def __init__(self, likelihood: Linear) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        w, b = self.likelihood.loadings, self.likelihood.offset
        seen = (~c.isnan()).double()
        precision = torch.eye(LATENTS).double() + torch.einsum("bi,ij,ik->bjk", seen, w, w) / NOISE**2
        covariance = precision.inverse()
        loc = torch.einsum("bjk,ik,bi->bj", covariance, w, (c - b).nan_to_num(0.0)) / NOISE**2
        return MultivariateNormal(loc, covariance)


@pytest.fixture
def linear() -> tuple[VAE, Tensor, MultivariateNormal]:
    """A linear-Gaussian model, rows of which about half is observed, and its exact p(x)."""
    w, b = torch.randn(COLUMNS, LATENTS).double(), torch.linspace(-1, 1, COLUMNS).double()
    exact = MultivariateNormal(b, w @ w.T + NOISE**2 * torch.eye(COLUMNS).double())
    x = exact.sample(torch.Size((20,)))
    x[torch.rand_like(x) < 0.5] = torch.nan
    x[0] = torch.nan
    likelihood = Linear(w, b)
    vae = VAE(StandardNormalPrior(LATENTS).double(), Exact(likelihood), ObservedLikelihood(likelihood))
    return vae, x, exact


def conditional(exact: MultivariateNormal, row: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x_observed), and x with the missing elements at their conditional means."""
    seen = ~row.isnan()
    if not seen.any():
        return torch.tensor(0.0).double(), exact.loc
    inside = exact.covariance_matrix[seen][:, seen]
    moved = torch.linalg.solve(inside, row[seen] - exact.loc[seen])
    mean = exact.loc + exact.covariance_matrix[:, seen] @ moved
    return MultivariateNormal(exact.loc[seen], inside).log_prob(row[seen]), torch.where(seen, row, mean)


def test_log_weights_under_the_exact_posterior_are_the_evidence_of_what_is_observed(linear) -> None:
    vae, x, exact = linear
    expected = torch.stack([conditional(exact, row)[0] for row in x])
    assert torch.allclose(vae.draw(x, 5).log_weight, expected.expand(5, -1), atol=1e-9)
    space = replace(Space.of((COLUMNS,)), support="real", missing=True)
    for spec in (ELBO(kl="monte_carlo"), Importance(samples=4)):
        bound = spec.build(vae, space)(vae, Batch(x)).bound.detach()
        assert float(bound) == pytest.approx(float(expected.mean()), abs=1e-9)


def test_decoded_posterior_means_are_the_conditional_means_of_what_is_missing(linear) -> None:
    vae, x, exact = linear
    expected = torch.stack([conditional(exact, row)[1] for row in x])
    found = vae.likelihood(vae.posterior(x).mean).mean
    assert torch.allclose(torch.where(x.isnan(), found, x), expected, atol=1e-9)


def test_importance_weights_of_the_prior_find_evidence_and_conditional_means(linear) -> None:
    vae, x, exact = linear
    vae.posterior = Wide()
    draws = vae.draw(x, 200_000)
    weights = draws.log_weight.softmax(0)[..., None]
    found = (weights * vae.likelihood(draws.z).mean).sum(0)
    error = (weights.square() * (vae.likelihood(draws.z).mean - found).square()).sum(0).sqrt()
    expected = torch.stack([conditional(exact, row)[1] for row in x])
    missing = x.isnan()
    assert ((found - expected)[missing] / error[missing]).abs().max() < 4.5
    evidence = draws.log_weight.logsumexp(0) - np.log(200_000)
    assert torch.allclose(evidence, torch.stack([conditional(exact, row)[0] for row in x]), atol=0.05)


class Wide(Conditional):
    """N(0, 1.5² I) whatever x is."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        return MultivariateNormal(torch.zeros(len(c), LATENTS).double(), 2.25 * torch.eye(LATENTS).double())


def test_where_nothing_is_missing_the_elbo_is_that_without_holes_to_the_bit() -> None:
    x = torch.rand(7, 1, 4, 4).round()
    for likelihood in ("bernoulli", "gaussian"):
        vae = (
            Model(latent_dim=2, network=MLP(hidden=(8,))).build((1, 4, 4))
            if likelihood == "bernoulli"
            else small(model__likelihood="gaussian").model.build((1, 4, 4))
        )
        found = []
        for part in (vae.likelihood, ObservedLikelihood(vae.likelihood)):
            torch.manual_seed(3)
            loss = ELBO(samples=2).build(vae, Space.of((1, 4, 4)))(VAE(vae.prior, vae.posterior, part), Batch(x))
            gradients = torch.autograd.grad(loss.value, list(vae.parameters()))
            found.append([loss.value, *gradients])
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_training_with_holes_has_finite_gradients_and_none_from_what_is_missing() -> None:
    space = table(KINDS, missing=True)
    vae = Model(latent_dim=2, network=MLP(hidden=(8,)), likelihood=Columns()).build(space)
    x = rows_of(KINDS, 12)
    x[:6] = torch.nan
    objective = Importance(samples=3).build(vae, space)
    loss = objective(vae, Batch(x))
    loss.value.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in vae.parameters())
    draws = vae.draw(x, 3)
    assert (draws.log_likelihood[:, :6] == 0).all()
    assert (draws.log_likelihood[:, 6:] != 0).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mask", "mask:0.5"),
        ("mask:1", "between 0 and 1"),
        ("mask:0", "between 0 and 1"),
        ("gaussian:-1", "gaussian:0.3"),
        ("salt:0.1", "salt:0.1"),
        ("gaussian:nan", "gaussian:nan"),
    ],
)
def test_what_is_not_a_corruption_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Model(corruption=text)


def test_corruption_is_refused_where_nothing_is_encoded() -> None:
    changes = {"model.posterior": "standard_normal", "objective": "monte_carlo_em", "model.corruption": "mask:0.5"}
    sentence = "model.corruption mask:0.5 needs a posterior that depends on x, unlike 'standard_normal': choose .*, or "
    with pytest.raises(InputError, match=sentence + "model.corruption none"):
        small().replace_all(changes)


def test_likelihoods_that_are_not_of_single_elements_are_refused_where_some_are_missing() -> None:
    space = replace(Space.of((1, 8, 8)), support="byte", missing=True)
    assert misfit(small(), space) is None
    path = {"kind": "own", "path": "own_parts:Whole", "settings": {}}
    sentence = misfit(small(model__likelihood=path), space)
    assert sentence is not None
    assert sentence.startswith(" has missing values, so the model needs a likelihood that is independent over")


@pytest.mark.parametrize("text", ["gaussian:0.3", "mask:0.25"])
def test_corruption_is_for_training_mode_only_and_leaves_the_likelihood_alone(text: str) -> None:
    space = Space.of((1, 30, 30))
    x = torch.rand(20, 1, 30, 30)
    read = Features(space, text)
    seen = read(x)
    assert seen.shape == x.shape
    assert torch.equal(read.eval()(x), x)
    if text.startswith("mask"):
        hidden = seen == 0
        assert float(hidden.float().mean()) == pytest.approx(0.25, abs=0.01)
        assert torch.equal(seen[~hidden], x[~hidden])
    else:
        assert float((seen - x).std()) == pytest.approx(0.3, rel=0.02)
    vae = Model(latent_dim=2, network=MLP(hidden=(8,)), likelihood=Bernoulli(), corruption=text).build(space)
    q = vae.posterior(x)
    assert not torch.equal(q.mean, vae.posterior(x).mean)
    vae.eval()
    assert torch.equal(vae.encode(x), vae.encode(x))


def test_what_hides_elements_of_a_table_with_holes_hides_them_in_the_mask_too() -> None:
    read = Features(table(KINDS, missing=True), "mask:0.5")
    x = rows_of(KINDS, 1000)
    seen = read(x)
    mask = seen[:, -6:]
    assert float(mask.mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.equal(seen[:, 4:9].sum(1), mask[:, 4])
    assert (seen[:, 2][mask[:, 2] == 0] == 0).all()


def test_noise_is_for_what_is_observed_of_numbers() -> None:
    space = table(KINDS, missing=True)
    read, x = Features(space, "gaussian:0.3"), rows_of(KINDS, 1000)
    x[:, 0] = torch.nan
    clean, noisy = Features(space)(x), read(x)
    changed = (clean != noisy).float().mean(0)
    assert changed.tolist() == [0, 1, 1, 1, *[0] * 14]


@pytest.mark.parametrize("text", ["gaussian:0.3", "mask:0.5"])
def test_a_corrupted_training_resumes_to_the_byte(text: str, tmp_path: Path) -> None:
    experiment = small(model__corruption=text)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "run", step=9)
    assert same(finished(experiment, tmp_path / "run", resume=True), whole)
    assert not same(finished(small(), tmp_path / "clean"), whole)


# In a process of its own: in this one every function checks its arguments, which cannot be compiled.
SCRIPT = """
import torch
from laws.conditionals import KINDS, rows_of, table
from torch._dynamo.utils import counters
from vaekit.data import Batch
from vaekit.likelihoods import Columns
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.objectives import Importance
from vaekit.training.optimizers import Adam
from vaekit.training.steps import Descent, Step

space = table(KINDS * 2, missing=True)
torch.manual_seed(2)
batch = Batch(torch.where(torch.rand(30, 12) < 0.2, torch.nan, rows_of(KINDS * 2, 30)))

def after(precision, compiled):
    torch.manual_seed(0)
    vae = Model(latent_dim=2, network=MLP(hidden=(6,)), likelihood=Columns(), corruption="mask:0.3").build(space)
    step = Step(vae, Importance(samples=3).build(vae, space))
    made = Descent(step, Adam(learning_rate=1e-2).build(vae.parameters()), precision, None)
    if compiled:
        made.compile(batch, True)
    torch.manual_seed(1)
    counters.clear()
    numbers = [made(batch) for _ in range(3)][-1]
    assert counters["stats"]["unique_graphs"] == compiled, counters
    weights = torch.cat([weight.detach().flatten() for weight in vae.parameters()])
    return torch.cat([torch.tensor(list(numbers.values())), weights])

torch.testing.assert_close(after("fp32", True), after("fp32", False), rtol=1e-4, atol=1e-5)
torch.testing.assert_close(after("bf16", False)[:1], after("fp32", False)[:1], rtol=1e-2, atol=0)
"""


@pytest.mark.slow
def test_compiled_steps_of_a_mixed_table_with_holes_are_one_graph_and_the_eager_ones() -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command, environment = [sys.executable, "-W", "error", "-c", SCRIPT], os.environ | {"PYTHONPATH": path}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("binarization", ["none", "static", "dynamic", "threshold"])
def test_elements_that_are_removed_stay_removed_whatever_becomes_bits(binarization: Binarization) -> None:
    whole = Source(name="digits", binarization=binarization).load()
    data = Source(name="digits", binarization=binarization, missing=0.2).load()
    assert data.space.missing
    assert data.space.digest != whole.space.digest
    assert data.space.event_shape == whole.space.event_shape
    for part in ("train", "validation", "test"):
        split, complete = data.fixed(part), whole.fixed(part)
        x, same = (each.batch(torch.arange(len(each))).x for each in (split, complete))
        holes = x.isnan()
        assert x.dtype == torch.float32
        assert float(holes.float().mean()) == pytest.approx(0.2, abs=0.02)
        assert torch.equal(holes, data.fixed(part).batch(torch.arange(len(split))).x.isnan())
        if binarization in ("none", "threshold"):
            assert torch.equal(x[~holes], same[~holes])
        else:
            assert set(x[~holes].unique().tolist()) == {0.0, 1.0}
    seen = data.train.batch(torch.arange(5)).x
    assert torch.equal(seen.isnan(), data.train.batch(torch.arange(5)).x.isnan())
    other = Source(name="digits", binarization=binarization, missing=0.2, seed=1).load()
    assert other.space.digest != data.space.digest


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_shares_of_removed_elements_are_less_than_all(share: float) -> None:
    with pytest.raises(InputError, match="missing"):
        Source(name="digits", missing=share)


@pytest.mark.slow
def test_a_training_on_images_with_holes_does_everything(tmp_path: Path) -> None:
    experiment = small(data__missing=0.2, epochs=1)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "run", step=5)
    run = finished(experiment, tmp_path / "run", resume=True)
    assert same(run, whole)
    assert all(np.isfinite(list(row["train"].values())).all() for row in run.metrics())
    found = evaluate(run, metrics=("evidence", "ais", "latents", "samples"), samples=4, images=12, annealing=QUICK)
    json.dumps(found, allow_nan=False)
    assert found["left_out"]["samples"] == "digits has missing pixels: the classifier learns whole images"
    assert "bits_per_dim" not in found
    images = run.data().test.batch(torch.arange(4)).x
    assert np.isfinite(encode(run, images)).all()
    assert reconstruct(run, images, out=tmp_path / "pairs.png").shape == (4, 1, 8, 8)
    interpolate(run, 0, 1, out=tmp_path / "way.png")
    page = report(run).read_text(encoding="utf-8")
    assert "Missing pixels are left blank." in page
    assert "nan" not in page.replace("cannan", "")


def test_models_in_memory_are_measured_on_what_is_observed_or_refuse_holes() -> None:
    x = torch.where(torch.rand(30, 1, 8, 8) < 0.2, torch.nan, torch.rand(30, 1, 8, 8))
    model = Model(latent_dim=2, network=MLP(hidden=(8,)))
    vae = model.build(replace(Space.of((1, 8, 8)), missing=True))
    found = evaluate(vae, data=x, samples=4, metrics=("evidence",), images=30)
    json.dumps(found, allow_nan=False)
    assert found["log_evidence"]["value"] < 0
    with pytest.raises(InputError, match=r"data has missing values .*: fill them, or let it return"):
        evaluate(model.build((1, 8, 8)), data=x, samples=4)


def test_a_look_at_images_with_holes_sees_what_is_there(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 200, (60, 8, 8)).astype(np.float32)
    x[:, 0, 0], x[::3, :, 1], x[:, 7, 7] = 7, np.nan, np.nan
    x[:20, 0, 0] = np.nan
    np.save(tmp_path / "levels.npy", x)
    found = check(tmp_path / "levels.npy")
    assert (found["support"], found["range"], found["missing"]) == ("byte", [0, 199], 20 * 8 + 60 + 20)
    assert found["constant"] == 1
    json.dumps(found, allow_nan=False)
