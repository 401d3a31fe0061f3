"""Wake–sleep and Monte Carlo EM on linear-Gaussian models, whose maximum likelihood is known in closed form.

The model is probabilistic PCA with the noise s given: x ~ N(b, W Wᵀ + s² I). Its likelihood is greatest where b is the
mean and W = U (Λ − s² I)^½, with the leading eigenvectors U and eigenvalues Λ of the covariance.

Reference: *Probabilistic principal component analysis (Tipping, Bishop, 1999)*.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import finished, small, stopped
from test_hmc import assert_distributed
from test_oracles import LATENTS, NOISE, PIXELS, LinearLikelihood, linear
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal, Normal

from vaekit import Run
from vaekit.conditional import Conditional
from vaekit.data import Batch, Space
from vaekit.data.order import Order
from vaekit.distributions import independent
from vaekit.model import VAE
from vaekit.objectives import MonteCarloEM, MonteCarloEMObjective, WakeSleep
from vaekit.posteriors import GaussianPosterior, StandardNormalPosterior
from vaekit.priors import StandardNormalPrior
from vaekit.run import STATE

IMAGES = 500


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def marginal(loadings: Tensor, offset: Tensor) -> MultivariateNormal:
    return MultivariateNormal(offset, loadings @ loadings.T + NOISE**2 * torch.eye(PIXELS).double())


def maximum(x: Tensor, latents: int) -> MultivariateNormal:
    """p(x) of greatest likelihood."""
    values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
    loadings = vectors[:, -latents:] * (values[-latents:] - NOISE**2).sqrt()
    return marginal(loadings, x.mean(0))


def untrained(latents: int, posterior: nn.Module) -> VAE:
    likelihood = LinearLikelihood(
        nn.Parameter(0.5 * torch.randn(PIXELS, latents).double()), nn.Parameter(torch.zeros(PIXELS).double())
    )
    return VAE(StandardNormalPrior(latents), posterior, likelihood).double()


def trained(vae: VAE, spec: Any, x: Tensor, steps: int) -> Tensor:
    """Train on all images at once with falling steps; return log p(x) by the trained model, (images,)."""
    objective, batch = spec.build(vae, Space.of((PIXELS,), IMAGES)), Batch(x, torch.arange(IMAGES))
    optimizer = torch.optim.Adam(vae.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(vae, batch, *objective.prepare(vae, batch)).value.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return marginal(vae.likelihood.loadings, vae.likelihood.offset).log_prob(x)


def data(latents: int) -> Tensor:
    directions = torch.linalg.qr(torch.randn(PIXELS, latents).double()).Q
    loadings = directions * torch.linspace(1, 1.5, latents).double()
    return marginal(loadings, torch.linspace(-1, 1, PIXELS).double()).sample((IMAGES,))


def excess(found: Tensor, x: Tensor, latents: int) -> float:
    """Nats per image by which p(x) could be more likely; random weights begin with about eight."""
    return float((maximum(x, latents).log_prob(x) - found).mean())


def test_wake_sleep_ends_at_the_maximum_likelihood_where_the_encoder_can_be_exact() -> None:
    x = data(1)
    vae = untrained(1, GaussianPosterior(nn.Identity(), PIXELS, 1))
    found = trained(vae, WakeSleep(), x, 400)
    assert 0 < excess(found, x, 1) < 0.002
    with torch.no_grad():
        log_weight = vae.draw(x, 100).log_weight
    assert (log_weight - found).square().mean() < 0.01  # the encoder is the posterior


def test_monte_carlo_em_ends_at_the_maximum_likelihood() -> None:
    x = data(2)
    found = trained(untrained(2, StandardNormalPosterior(2)), MonteCarloEM(), x, 200)
    assert 0 < excess(found, x, 2) < 0.01


@pytest.mark.parametrize("new", [True, False], ids=["new chains", "chains that go on"])
def test_latents_of_monte_carlo_em_follow_the_posterior(new: bool) -> None:
    vae, p = linear("full")
    x = p.sample((3,))
    many = x.repeat(1500, 1)
    objective = MonteCarloEMObjective(vae, len(many), MonteCarloEM())
    if new:
        z = objective.found(vae, many)
    else:
        for rows in torch.arange(len(many)).repeat(20).split(len(many) // 2):
            (z,) = objective.prepare(vae, Batch(many[rows], rows))
            assert torch.equal(z[0], objective.chains.z[rows])
        z = objective.chains.z
    assert not z.requires_grad
    assert_distributed(z.reshape(1500, 3, LATENTS), vae.posterior(x))


def test_chains_move_by_rows_and_go_on_from_their_saved_state() -> None:
    vae, p = linear("full")
    x, rows = p.sample((6,)), torch.tensor([4, 1])
    objective, other = (MonteCarloEMObjective(vae, 6, MonteCarloEM()) for _ in range(2))
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    assert before.keys() == {"chains.z", "chains.step"}
    objective.prepare(vae, Batch(x[rows], rows))
    for name, tensor in objective.state_dict().items():
        assert torch.equal(tensor[[0, 2, 3, 5]], before[name][[0, 2, 3, 5]])
    assert (objective.chains.step[rows] != before["chains.step"][rows]).all()
    other.load_state_dict(objective.state_dict())
    ends = []
    for each in (objective, other):
        torch.manual_seed(3)
        ends += each.prepare(vae, Batch(x, torch.arange(6)))
    assert torch.equal(*ends)


class Folded(Conditional):
    """p(x | z) = N(z² + z, s²): two codes for an x, of which the prior holds the one nearer to 0 more likely."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        return independent(Normal(c.square() + c, NOISE, validate_args=False), 1)


def test_starts_are_shared_among_the_modes_as_the_posterior_is() -> None:
    prior, images = StandardNormalPrior(1).double(), 4000
    vae, x = VAE(prior, StandardNormalPosterior(1), Folded()), torch.full((images, 1), 2.0).double()

    def found(starts: int) -> Tensor:
        return MonteCarloEMObjective(vae, images, MonteCarloEM(starts=starts)).found(vae, x)

    grid = torch.linspace(-6, 6, 2001).double()[:, None, None]
    mass = float(vae.log_joint(x[:1], grid).softmax(0)[grid[:, 0] > -0.5].sum())
    chosen, random = (float((found(n) > -0.5).double().mean()) for n in (100, 1))
    assert abs(chosen - mass) < 0.02
    assert abs(random - mass) > 0.05  # chains do not change modes


def test_monte_carlo_em_reports_the_joint_and_leaves_the_encoder_alone() -> None:
    vae, x = untrained(2, GaussianPosterior(nn.Identity(), PIXELS, 2)), data(2)
    objective, batch = MonteCarloEMObjective(vae, IMAGES, MonteCarloEM(transitions=2, leapfrog=2)), Batch(x)
    torch.manual_seed(1)
    loss = objective(vae, batch)
    torch.manual_seed(1)
    z = objective.found(vae, x)
    assert torch.equal(loss.value, objective(vae, batch, z).value)
    assert loss.terms.keys() == {"log_joint", "reconstruction"}
    assert torch.equal(loss.terms["log_joint"], vae.log_joint(x, z).mean())
    assert torch.equal(loss.terms["reconstruction"], -vae.log_likelihood(x, z).mean())
    assert torch.equal(loss.value, -loss.bound)
    loss.value.backward()
    assert all(weight.grad is None for weight in vae.posterior.parameters())
    expected = torch.autograd.grad(-vae.log_joint(x, z).mean(), vae.likelihood.loadings)[0]
    assert torch.equal(vae.likelihood.loadings.grad, expected)


@pytest.mark.slow
def test_a_draw_of_monte_carlo_em_serves_as_many_updates_as_asked_for(tmp_path: Path) -> None:
    rate, updates = 1e-3, 3
    experiment = small().replace_all(
        {
            "model.posterior": "standard_normal",
            "objective": {"kind": "monte_carlo_em", "updates": updates},
            "optimizer": {"kind": "sgd", "learning_rate": rate},
            "training_samples": 50,
            "batch_size": 50,
        }
    )
    stopped(experiment, tmp_path / "run", 0)
    vae = Run(tmp_path / "run").vae().train()
    run = finished(experiment, tmp_path / "run", resume=True)
    rows = Order(run.space.sizes["train"], 50, experiment.seed).rows(0)
    z = load_file(run.path / STATE)["objective.chains.z"][rows][None]
    x = run.data().train.batch(rows).x
    for _ in range(updates):
        vae.zero_grad()
        (-vae.log_joint(x, z).mean()).backward()
        with torch.no_grad():
            for weight in vae.likelihood.parameters():
                weight -= rate * weight.grad
    for name, weight in run.vae().state_dict().items():
        torch.testing.assert_close(weight, vae.state_dict()[name])
    assert run.metrics()[-1]["samples"] == 50  # seen once, whatever the updates
