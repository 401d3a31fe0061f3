"""Flows: their Jacobians, their two directions, and what their library leaves behind."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from laws.conditionals import bent
from small import finished, same, small, stopped
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence
from torch.func import jacrev, vmap

from vaekit import posteriors, priors
from vaekit.data import Batch, Space
from vaekit.distributions import center, flow, rsample_and_log_prob
from vaekit.flows import Autoregressive, Inverse, MaskedLinear
from vaekit.footprint import activations
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO
from vaekit.run import weight_shapes

EVENT = (1, 2, 2)
FLOWS: list[dict[str, Any]] = [{"kind": "affine", "bins": 2}, {"kind": "spline", "bins": 5}]
KINDS = ["affine", "spline"]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def identity(module: Any) -> Any:
    """Let all transforms of a module be the identity."""
    for each in module.modules():
        if isinstance(each, Autoregressive):
            for weight in each.layers[-1].parameters():
                weight.data.zero_()
            if each.given is not None and len(each.layers) == 1:
                each.given.weight.data.zero_()
    return module


def vae(**roles: Any) -> VAE:
    return Model(latent_dim=3, network=MLP(hidden=(8,)), **roles).build(EVENT)


@pytest.mark.parametrize("hidden", [(), (9,), (9, 7)], ids=str)
@pytest.mark.parametrize("context", [0, 4])
@pytest.mark.parametrize("flow", FLOWS, ids=KINDS)
@pytest.mark.parametrize("backward", [False, True])
def test_jacobian_is_triangular_and_its_determinant_is_right(
    flow: dict[str, Any], context: int, hidden: tuple[int, ...], backward: bool
) -> None:
    transform = bent(Autoregressive(4, hidden=hidden, context=context, backward=backward, **flow), 20).double()
    u, c = 3 * torch.randn(50, 4).double(), torch.randn(50, context).double() if context else None
    v, log_det = transform(u, c)

    def one(u: Tensor, c: Tensor | None) -> Tensor:
        return transform(u, c)[0]

    jacobian = vmap(jacrev(one), in_dims=(0, 0 if context else None))(u, c)
    above = jacobian.tril(-1) if backward else jacobian.triu(1)
    assert not above.any()
    assert (jacobian - above - torch.diag_embed(jacobian.diagonal(dim1=-2, dim2=-1))).any(0).sum() == 6
    assert torch.allclose(jacobian.logdet(), log_det, atol=1e-10)
    assert log_det.std() > 0.05
    again, log_det_back = transform.inverse(v, c)
    assert torch.allclose(again, u, atol=1e-8)
    assert torch.allclose(log_det_back, -log_det, atol=1e-8)
    both = Inverse(transform)
    assert all(torch.equal(a, b) for a, b in zip(both(v, c), (again, log_det_back), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(both.inverse(u, c), (v, log_det), strict=True))


@pytest.mark.parametrize("transform", KINDS)
def test_context_moves_every_element(transform: Any) -> None:
    flow = bent(Autoregressive(4, transform, (8,), 5, context=3)).double()
    u, c = torch.randn(20, 4).double(), torch.randn(20, 3).double()
    moved = flow(u, c + 1)[0] != flow(u, c)[0]
    assert moved.any(0).all()
    assert torch.allclose(flow(u[:5, None], c)[0][2, 7], flow(u[2], c[7])[0], atol=1e-12)


@pytest.mark.parametrize("transform", KINDS)
def test_a_prior_whose_transforms_are_the_identity_is_its_base(transform: Any) -> None:
    prior = identity(vae(prior=priors.Flow(transform=transform)).prior)()
    z = 4 * torch.randn(500, 3)
    assert torch.allclose(prior.log_prob(z), Normal(0, 1).log_prob(z).sum(-1), atol=1e-4)
    assert torch.equal(prior.center, torch.zeros(3))


@pytest.mark.parametrize("spec", [posteriors.FullGaussian(), *(posteriors.Flow(transform=kind) for kind in KINDS)])
def test_a_posterior_that_is_not_bent_is_the_gaussian_one(spec: Any) -> None:
    gaussian, module = vae().posterior, identity(vae(posterior=spec).posterior)
    module.trunk, (weight, bias) = gaussian.trunk, gaussian.head.parameters()
    for own, shared in zip(module.head.parameters(), (weight, bias), strict=True):
        own.data.zero_()
        own.data[:6] = shared.data
    x, z = torch.rand(20, *EVENT), 2 * torch.randn(5, 20, 3)
    q, p = module(x), gaussian(x)
    assert torch.allclose(q.log_prob(z), p.log_prob(z), atol=1e-4)
    assert torch.allclose(center(q), p.mean, atol=1e-6)
    torch.manual_seed(1)
    draws = q.rsample(torch.Size((4,)))
    torch.manual_seed(1)
    assert torch.allclose(draws, p.rsample(torch.Size((4,))), atol=1e-5)


def test_kl_of_a_full_gaussian_is_that_of_torch_and_of_the_diagonal_case() -> None:
    model = vae(posterior=posteriors.FullGaussian()).double()
    model.posterior.head.weight.data.mul_(5)
    q, p = model.posterior(torch.rand(20, *EVENT).double()), model.prior()
    assert q.scale_tril.tril(-1).abs().mean() > 0.1
    known = kl_divergence(q, MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double()))
    assert torch.allclose(model.kl(model.draw(torch.rand(20, *EVENT).double(), posterior=q)), known, atol=1e-12)
    loc, scale = torch.randn(3).double(), torch.rand(3).double() + 0.5
    wide = kl_divergence(q, MultivariateNormal(loc, torch.diag(scale**2)))
    assert torch.allclose(kl_divergence(q, Independent(Normal(loc, scale), 1)), wide, atol=1e-12)
    diagonal = MultivariateNormal(q.loc, scale_tril=torch.diag_embed(q.stddev))
    factorized = Independent(Normal(q.loc, q.stddev), 1)
    assert torch.allclose(kl_divergence(diagonal, p), kl_divergence(factorized, p), atol=1e-12)
    with pytest.raises(NotImplementedError):
        kl_divergence(q, Independent(torch.distributions.Laplace(loc, scale), 1))


def test_initialization_of_the_networks_leaves_flows_alone() -> None:
    roles = {"prior": priors.Flow(), "posterior": posteriors.Flow()}
    model = Model(network=MLP(hidden=(8,), initialization=5.0), **roles).build(EVENT)
    assert model.posterior.trunk[1].weight.std() > 3
    layers = [each for each in model.modules() if isinstance(each, MaskedLinear)]
    assert len(layers) == 2 * 3 + 2 * 4
    assert all(weight.abs().max() <= 1 for layer in layers for weight in layer.parameters())


@pytest.mark.parametrize("transform", KINDS)
def test_densities_are_not_computed_in_half_precision(transform: Any) -> None:
    model = vae(prior=priors.Flow(transform=transform), posterior=posteriors.Flow(transform=transform))
    x = torch.rand(6, *EVENT)
    q, p, z = model.posterior(x), model.prior(), torch.randn(10, 6, 3)
    full = vae(posterior=posteriors.FullGaussian()).posterior(x)
    torch.manual_seed(1)
    exact = q.log_prob(z), p.log_prob(z), q.center, *rsample_and_log_prob(full, 4)
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        found = q.log_prob(z), p.log_prob(z), q.center, *rsample_and_log_prob(full, 4)
    assert all(torch.equal(a, b) for a, b in zip(exact, found, strict=True))


def test_the_checks_of_torch_are_as_they_were_before_the_import() -> None:
    script = """
import torch
from torch.distributions import Distribution, Normal
before = dict(vars(Distribution))
import vaekit.flows
assert all(vars(Distribution)[name] is value for name, value in before.items())
try:
    Normal(0.0, -1.0)
except ValueError:
    print("checked")
"""
    found = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "checked\n"


@pytest.mark.parametrize("transform", KINDS)
def test_models_with_flows_are_measured_without_memory(transform: Any) -> None:
    roles = {"prior": priors.Flow(transform=transform), "posterior": posteriors.Flow(transform=transform)}
    model = Model(latent_dim=3, network=MLP(hidden=(8,)), **roles)
    shapes = weight_shapes(model, Space.of(EVENT))
    assert shapes == {name: weight.shape for name, weight in model.build(EVENT).state_dict().items()}
    found = [activations(small(model__posterior=q), Space.of(EVENT)) for q in ("gaussian", "flow")]
    assert found[1].kept > found[0].kept


def test_a_copy_is_a_model_of_its_own() -> None:
    model = vae(prior=priors.Flow(), posterior=posteriors.Flow())
    copy, x = deepcopy(model), torch.rand(5, *EVENT)
    z = torch.randn(2, 5, 3)
    before = copy.posterior(x).log_prob(z), copy.prior().log_prob(z)
    assert torch.equal(before[0], model.posterior(x).log_prob(z))
    for weight in model.parameters():
        weight.data.add_(1)
    after = copy.posterior(x).log_prob(z), copy.prior().log_prob(z)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


OPTIONS = {"ema": 0.9, "gradient_norm": 1.0}


@pytest.mark.parametrize(
    ("prior", "posterior"), [("flow", "full_gaussian"), ("standard_normal", "flow"), ("flow", "flow")]
)
def test_a_stopped_training_resumes_to_the_same_bytes(
    every_step: None, tmp_path: Path, prior: str, posterior: str
) -> None:
    experiment = small(model__prior=prior, model__posterior=posterior, **OPTIONS)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "parts", 7)
    assert same(whole, finished(experiment, tmp_path / "parts", resume=True))


@pytest.mark.slow
@pytest.mark.parametrize("transform", KINDS)
def test_compiled_steps_with_flows_are_one_graph_and_the_eager_ones(transform: str) -> None:
    script = """
import sys, torch
from vaekit.data import Batch, Space
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO
from vaekit.training.optimizers import Adam
from vaekit.posteriors import Flow, FullGaussian
from vaekit.priors import Flow as Prior
from vaekit.training.steps import Descent, Step

torch.set_num_threads(1)
space = Space.of((1, 4, 4))
for posterior in [Flow(transform=sys.argv[1])] + [FullGaussian()] * (sys.argv[1] == "affine"):
    def after(compiled):
        torch.manual_seed(0)
        model = Model(latent_dim=3, network=MLP(hidden=(8,)), prior=Prior(transform=sys.argv[1]), posterior=posterior)
        vae = model.build(space)
        batch = Batch(torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(3)).round())
        step = Step(vae, ELBO().build(vae, space))
        descent = Descent(step, Adam().build(vae.parameters()), "fp32", None)
        if compiled:
            descent.compile(batch, asked=True)  # an error unless it is one graph
        for seed in range(3):
            torch.manual_seed(seed)
            descent(batch)
        return torch.cat([weight.detach().flatten() for weight in step.parameters()])

    assert torch.allclose(after(True), after(False), rtol=1e-4, atol=1e-5)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script, transform], env=environment, check=True)


def test_free_bits_invert_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vae(posterior=posteriors.Flow(), prior=priors.StandardNormal())
    objective = ELBO(free_bits=0.1, free_bits_per="part").build(model, Space.of(EVENT))
    monkeypatch.setattr(Autoregressive, "inverse", None)
    loss = objective(model, Batch(torch.rand(6, *EVENT)))
    torch.testing.assert_close(loss.value, loss.terms["reconstruction"] + loss.terms["kl"].clamp(min=0.1))


@pytest.mark.parametrize("transform", KINDS)
def test_many_draws_are_computed_in_pieces(monkeypatch: pytest.MonkeyPatch, transform: Any) -> None:
    model = bent(vae(prior=priors.Flow(transform=transform), posterior=posteriors.Flow(transform=transform))).double()
    q, p = model.posterior(torch.rand(6, *EVENT).double()), model.prior()
    z = torch.randn(40, 1, 3).double()
    whole = q.log_prob(z), p.log_prob(z)
    torch.manual_seed(1)
    draws = rsample_and_log_prob(q, 40)
    largest: list[int] = []
    function = Autoregressive.function
    monkeypatch.setattr(flow, "AT_ONCE", 90)  # 5 draws for each of 6 images
    monkeypatch.setattr(Autoregressive, "function", lambda *args: largest.append(args[1].numel()) or function(*args))
    with torch.no_grad():
        pieces = q.log_prob(z), p.log_prob(z)
        torch.manual_seed(1)
        again = rsample_and_log_prob(q, 40)
    assert max(largest) == 90
    for a, b in zip((*whole, *draws), (*pieces, *again), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
