"""What is done with distributions of any kind, and how parts of a model are built from each other."""

import copy
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from small import finished, same, small, stopped
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

from vaekit import InputError
from vaekit.building import Builder
from vaekit.conditional import Conditional
from vaekit.data import Batch, Space
from vaekit.distributions import center, frozen_log_prob, independent, kl_parts, rsample_and_log_prob
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO
from vaekit.posteriors import Gaussian, GaussianPosterior
from vaekit.priors import StandardNormalPrior

EVENT, LATENTS, BATCH = (1, 3, 3), 3, 6


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class Lazy(Distribution):
    """N(f(c), 1), whose network runs in ``log_prob`` and not before; both at one stroke, and a center of its own."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, network: nn.Module, c: Tensor) -> None:
        self.network, self.c = network, c
        super().__init__(torch.Size((len(c),)), torch.Size((LATENTS,)), validate_args=False)

    @property
    def normal(self) -> Distribution:
        loc = self.network(self.c)
        return independent(Normal(loc, torch.ones_like(loc)), 1)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        raise AssertionError("both come at one stroke")

    def rsample_and_log_prob(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        normal = self.normal
        z = normal.rsample(shape)
        return z, normal.log_prob(z)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.normal.log_prob(value)

    @property
    def center(self) -> Tensor:
        return self.network(self.c) + 100


class LazyPosterior(Conditional):
    """q(z | x) that is lazy."""

    def __init__(self, trunk: nn.Module, width: int, latents: int) -> None:
        super().__init__()
        self.network = nn.Sequential(trunk, nn.Linear(width, latents))

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        return Lazy(self.network, c)


def built() -> VAE:
    return Model(latent_dim=LATENTS, network=MLP(hidden=(8,))).build(EVENT)


def lazy() -> VAE:
    vae = built()
    trunk, width = MLP(hidden=(8,)).encoder(EVENT)
    return VAE(vae.prior, LazyPosterior(trunk, width, LATENTS), vae.likelihood, EVENT)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(BATCH, *EVENT).round()


def test_draws_at_one_stroke_are_those_of_two() -> None:
    q = independent(Normal(torch.randn(BATCH, LATENTS), torch.rand(BATCH, LATENTS)), 1)
    torch.manual_seed(1)
    z, log_prob = rsample_and_log_prob(q, 4)
    torch.manual_seed(1)
    assert torch.equal(z, q.rsample((4,)))
    assert torch.equal(log_prob, q.log_prob(z))


def test_a_posterior_that_draws_at_one_stroke_is_drawn_once_and_encodes_to_its_center(x: Tensor) -> None:
    vae = lazy()
    draws = vae.draw(x, 4)
    assert draws.z.shape == (4, BATCH, LATENTS)
    torch.testing.assert_close(draws.log_posterior, draws.posterior.log_prob(draws.z))
    torch.testing.assert_close(vae.encode(x), vae.posterior.network(x) + 100)
    gaussian = built()
    assert torch.equal(gaussian.encode(x), gaussian.posterior(x).mean)


@pytest.mark.parametrize("make", [built, lazy])
@pytest.mark.parametrize("graph", [True, False])
def test_a_frozen_density_has_its_value_and_the_gradient_at_z_and_none_at_weights(make, graph: bool, x: Tensor) -> None:
    vae = make()
    q = vae.posterior(x)
    z = torch.randn(5, BATCH, LATENTS, requires_grad=True)
    with torch.set_grad_enabled(graph):
        found = frozen_log_prob(q, z)
    torch.testing.assert_close(found, q.log_prob(z))
    if graph:
        (expected,) = torch.autograd.grad(q.log_prob(z).square().sum(), z, retain_graph=True)
        (gradient,) = torch.autograd.grad(found.square().sum(), z, retain_graph=True)
        torch.testing.assert_close(gradient, expected)
        found.sum().backward()
        assert all(weight.grad is None for weight in vae.parameters())


def test_the_gradient_of_a_frozen_density_reaches_weights_through_the_draws_alone(x: Tensor) -> None:
    """Sticking the landing: d log q(z)/dφ at z = μ + σ ε with the density's own parameters held fixed."""
    vae = built()
    noise = torch.randn(5, BATCH, LATENTS)
    q = vae.posterior(x).base_dist
    z = q.loc + q.scale * noise
    frozen_log_prob(vae.posterior(x), z).sum().backward(retain_graph=True)
    found = vae.posterior.head.weight.grad.clone()
    held = independent(Normal(q.loc.detach(), q.scale.detach()), 1)
    vae.zero_grad()
    held.log_prob(z).sum().backward()
    torch.testing.assert_close(found, vae.posterior.head.weight.grad)


@pytest.mark.slow
def test_a_frozen_density_compiles_in_steps_of_all_kinds() -> None:
    script = """
import torch
from test_parts import BATCH, EVENT, Batch, built, lazy
from vaekit.distributions import frozen_log_prob
from vaekit.objectives import Loss, Objective
from vaekit.training.steps import Descent, Step

class Landed(Objective):
    def forward(self, vae, batch, *prepared):
        draws = vae.draw(batch.x, 3)
        bound = (draws.log_likelihood + draws.log_prior - frozen_log_prob(draws.posterior, draws.z)).mean()
        return Loss(-bound, bound, {"elbo": bound})

x = torch.rand(BATCH, *EVENT, generator=torch.Generator().manual_seed(3)).round()

def after(make, compiled, clip):
    torch.manual_seed(0)
    step = Step(make(), Landed())
    descent = Descent(step, torch.optim.Adam(step.vae.parameters()), "fp32", clip)
    if compiled:
        descent.compile(Batch(x), asked=True)  # an error unless it is one graph
    for seed in range(3):
        torch.manual_seed(seed)
        descent(Batch(x))
    return torch.cat([weight.detach().flatten() for weight in step.parameters()])

for make in (built, lazy):
    for clip in (None, 1.0):
        assert torch.allclose(after(make, True, clip), after(make, False, clip), rtol=1e-4, atol=1e-5), (make, clip)
"""
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


class Full(Conditional):
    def forward(self, c: Tensor | None = None) -> Distribution:
        return MultivariateNormal(torch.zeros(LATENTS), torch.eye(LATENTS) + 0.5)


def factorized() -> tuple[Independent, Independent]:
    q, p = (Normal(torch.randn(BATCH, LATENTS), torch.rand(BATCH, LATENTS) + 0.5) for _ in range(2))
    return independent(q, 1), independent(p, 1)


def test_parts_of_the_kl_are_units_where_both_have_units() -> None:
    q, p = factorized()
    parts = kl_parts(q, p, q.rsample((2,)))
    assert torch.equal(parts, kl_divergence(q.base_dist, p.base_dist))
    torch.testing.assert_close(parts.sum(-1), kl_divergence(q, p))


def test_there_is_one_part_where_there_are_no_units() -> None:
    q, p = (MultivariateNormal(torch.randn(BATCH, LATENTS), torch.eye(LATENTS) * s) for s in (1.0, 2.0))
    assert torch.equal(kl_parts(q, p, q.rsample((2,))), kl_divergence(q, p)[:, None])


def test_densities_that_are_known_are_not_computed_again() -> None:
    class Once(MultivariateNormal):
        def log_prob(self, value: Tensor) -> Tensor:
            raise AssertionError("log_prob is asked for what is known")

    q, p = Once(torch.zeros(BATCH, LATENTS), torch.eye(LATENTS)), Normal(torch.zeros(LATENTS), 1.0)
    log_ratio = torch.arange(2.0 * BATCH).view(2, BATCH)
    assert torch.equal(kl_parts(q, p, q.rsample((2,)), log_ratio), log_ratio.mean(0)[:, None])


@pytest.mark.parametrize("units", [True, False])
def test_parts_without_a_closed_form_have_its_expectation(units: bool) -> None:
    loc, scale = torch.randn(2, BATCH, LATENTS).double(), torch.rand(2, BATCH, LATENTS).double() + 0.5
    q, p = (independent(Normal(*each), 1) for each in zip(loc, scale, strict=True))
    exact = kl_divergence(q.base_dist, p.base_dist)
    if units:  # torch has no closed form for Student's t, and of so many degrees of freedom it is a normal one
        other = torch.distributions.StudentT(1e6, p.base_dist.loc, p.base_dist.scale)
        target: Distribution = independent(other, 1)
    else:
        exact, target = exact.sum(-1, keepdim=True), MultivariateNormal(p.mean, torch.diag_embed(p.variance))
    found = torch.stack([kl_parts(q, target, q.rsample((50,))) for _ in range(200)])
    assert found.shape[1:] == exact.shape
    z = (found.mean(0) - exact) / found.std(0) * 200**0.5
    assert (z**2).sum() < stats.chi2.isf(1e-4, z.numel())


# --- building ---


class Borrowing(Conditional):
    """A prior that encodes a pseudo-input by the posterior."""

    def __init__(self, posterior: Conditional, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.borrowed = (posterior,)
        self.pseudo = nn.Parameter(torch.rand(1, *event_shape))

    def forward(self, c: Tensor | None = None) -> Distribution:
        q = self.borrowed[0](self.pseudo)
        return independent(Normal(q.mean[0], q.stddev[0], validate_args=False), 1)


class Spec:
    """A model's spec, with parts of the test's own."""

    latent_dim, network, corruption = LATENTS, MLP(hidden=(8,)), None

    def __init__(self, **parts: object) -> None:
        self.prior, self.posterior, self.likelihood = Model().prior, Gaussian(), Model().likelihood
        vars(self).update(parts)


class Part:
    def __init__(self, kind: str, build) -> None:
        self.kind, self.build = kind, build


BORROWS = Part("borrowing", lambda builder: Borrowing(builder.posterior, builder.event_shape))


def test_a_borrowed_part_is_built_once_and_its_weights_stay_its_owners(x: Tensor) -> None:
    builder = Builder(Spec(prior=BORROWS), Space.of(EVENT))
    vae = VAE(builder.prior, builder.posterior, builder.likelihood, EVENT, LATENTS)
    assert vae.prior.borrowed[0] is vae.posterior
    assert [name for name, _ in vae.prior.named_parameters()] == ["pseudo"]
    other = copy.deepcopy(vae)
    assert other.prior.borrowed[0] is other.posterior
    vae.draw(x).log_weight.mean().backward()
    assert vae.prior.pseudo.grad.any()
    vae.double()
    assert vae.prior().mean.dtype == torch.float64
    assert vae.latent_dim == LATENTS  # no pseudo-input is encoded to know it


def test_parts_that_are_built_from_each_other_are_refused() -> None:
    circle = Part("ladder", lambda builder: builder.prior)
    builder = Builder(Spec(prior=BORROWS, posterior=circle), Space.of(EVENT))
    with pytest.raises(InputError, match="prior 'borrowing' and posterior 'ladder' are built from each other"):
        _ = builder.prior


def test_a_model_is_built_for_a_space_or_for_the_shape_of_one_example(x: Tensor) -> None:
    torch.manual_seed(1)
    one = built()
    torch.manual_seed(1)
    other = Model(latent_dim=LATENTS, network=MLP(hidden=(8,))).build(Space.of(EVENT, train=7))
    assert torch.equal(one.reconstruct(x), other.reconstruct(x))
    assert one.latent_dim == other.latent_dim == LATENTS
    assert isinstance(one.prior, StandardNormalPrior)
    assert isinstance(one.posterior, GaussianPosterior)
    assert one.given(Batch(x)) is one  # no part is conditional


def test_a_prior_that_is_known_is_not_asked_again(x: Tensor) -> None:
    vae = built()
    known = independent(Normal(torch.ones(LATENTS), torch.ones(LATENTS)), 1)
    draws = vae.draw(x, 2, prior=known)
    assert torch.equal(draws.log_prior, known.log_prob(draws.z))


def test_the_center_is_the_mean() -> None:
    q, _ = factorized()
    assert torch.equal(center(q), q.mean)
    assert torch.equal(center(Full()()), torch.zeros(LATENTS))


def test_examples_of_the_recipe_train_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_step) -> None:
    page = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
    path = tmp_path / "recipe.py"
    path.write_text("\n\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)))
    recipe = runpy.run_path(str(path))
    models = [{"prior": recipe["OneCode"]()}, {"posterior": recipe["Full"]()}]
    made: dict[str, Any] = {}

    def built(self: Model, space: Any) -> VAE:
        builder = Builder(Spec(**made), space if isinstance(space, Space) else Space.of(space))
        return VAE(builder.prior, builder.posterior, builder.likelihood, builder.event_shape, LATENTS)

    monkeypatch.setattr(Model, "build", built)
    for i, (parts, name) in enumerate([*((m, "ELBO") for m in models), ({}, "Critic")]):
        made.clear()
        made.update(parts)
        with pytest.MonkeyPatch.context() as patch:
            if name != "ELBO":
                patch.setattr(ELBO, "build", lambda self, vae, space, name=name: recipe[name]().build(vae, space))
            experiment = small(epochs=1, model__latent_dim=LATENTS)
            whole = finished(experiment, tmp_path / f"whole{i}")
            stopped(experiment, tmp_path / f"parts{i}", 4)
            assert same(whole, finished(experiment, tmp_path / f"parts{i}", resume=True))
            train = whole.metrics()[-1]["train"]
            assert ("adversary" in train) == (name == "Critic")
            assert train["reconstruction"] < whole.metrics()[0]["train"]["reconstruction"]
