"""Objectives with a critic, against exact density ratios of Gaussian codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import finished, same, small, stopped
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.nn.functional import softplus

from vaekit import InputError, RunError, train_stack
from vaekit.conditional import Conditional
from vaekit.data import Batch, Space
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import Adversarial, Critic, Factor
from vaekit.objectives.critic import confusion, regrouped

RARE_Z = 3.9
"""standard errors that one right mean in ten thousand exceeds"""
LATENTS = 3
MIXING = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.6, 0.4]])
SCALE = 0.3
COVARIANCE = MIXING @ MIXING.T + SCALE**2 * torch.eye(LATENTS)
"""of the codes of all x ~ N(0, I): z = M x + s ε"""
CODES = MultivariateNormal(torch.zeros(LATENTS), COVARIANCE)
UNITS = Independent(Normal(torch.zeros(LATENTS), COVARIANCE.diagonal().sqrt()), 1)
PRIOR = Independent(Normal(torch.zeros(LATENTS), torch.ones(LATENTS)), 1)

CRITICS = {"factor": Factor(critic=Critic(hidden=(8,))), "adversarial": Adversarial(critic=Critic(hidden=(8,)))}
BRIEF = {"objective.critic.hidden": [8]}


class Mixing(Conditional):
    """q(z | x) = N(M x, s²)."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        return Independent(Normal(c @ MIXING.T, SCALE), 1)


class Exact(nn.Module):
    """A critic that is right at scale 1 and shift 0."""

    def __init__(self, others: Distribution) -> None:
        super().__init__()
        self.scale, self.shift, self.others = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(())), others

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * (CODES.log_prob(z) - self.others.log_prob(z)) + self.shift


def gaussian_vae() -> VAE:
    whole = Model(latent_dim=LATENTS, network=MLP(hidden=(4,))).build((LATENTS,))
    return VAE(whole.prior, Mixing(), whole.likelihood)


@pytest.mark.parametrize(
    ("kind", "others", "term"), [("factor", UNITS, "total_correlation"), ("adversarial", PRIOR, "critic_kl")]
)
def test_the_right_critic_finds_the_divergence_and_has_nothing_left_to_learn(
    kind: str, others: Distribution, term: str
) -> None:
    """In batches so small that elements of the same image would be noticed among those of different ones."""
    torch.manual_seed(0)
    vae = gaussian_vae()
    objective = CRITICS[kind].build(vae, Space.of((LATENTS,)))
    objective.critic = critic = Exact(others)
    found = []
    for _ in range(500):
        loss = objective(vae, Batch(torch.randn(4, LATENTS)))
        assert loss.adversary is not None
        gradients = torch.autograd.grad(loss.adversary, [critic.scale, critic.shift])
        found.append([loss.terms[term].item(), *(g.item() for g in gradients)])
    ratio = CODES.log_prob(z := CODES.sample((10**6,))) - others.log_prob(z)
    closed = 0.5 * (COVARIANCE.diagonal().log().sum() - COVARIANCE.logdet())
    if kind == "adversarial":
        closed = 0.5 * (COVARIANCE.trace() - LATENTS - COVARIANCE.logdet())
    assert ratio.mean().item() == pytest.approx(closed.item(), abs=0.01)
    values = np.array(found) - [closed.item(), 0, 0]
    z_scores = values.mean(0) / (values.std(0, ddof=1) / len(values) ** 0.5)
    assert np.abs(z_scores).max() < RARE_Z, z_scores


def test_rows_of_elements_of_different_examples() -> None:
    torch.manual_seed(0)
    z = torch.arange(6.0)[:, None] + torch.tensor([0.0, 10.0, 20.0, 30.0])
    rows = regrouped(z)
    for column, whole in zip(rows.T, z.T, strict=True):
        assert torch.equal(column.sort().values, whole)  # each column has the same values
    assert all(len(set(row)) == 4 for row in (rows % 10).tolist())
    assert regrouped(torch.randn(2, 5)).shape == (2, 5)  # fewer examples than elements
    assert torch.equal(regrouped(z[:1]), z[:1])


def test_the_critics_loss_is_that_of_logistic_regression() -> None:
    codes, others = torch.tensor([0.3, -2.0, 5.0]), torch.tensor([1.0, -4.0])
    right = [*codes.sigmoid().log().tolist()], [*(1 - others.sigmoid()).log().tolist()]
    expected = -0.5 * (sum(right[0]) / 3 + sum(right[1]) / 2)
    assert confusion(codes, others).item() == pytest.approx(expected, rel=1e-5)
    assert confusion(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(log(2))


def test_what_the_model_pays() -> None:
    torch.manual_seed(0)
    x, vae = torch.randn(20, LATENTS), gaussian_vae()
    factor = Factor(gamma=3.0).build(vae, Space.of((LATENTS,)))(vae, Batch(x))
    terms = factor.terms
    assert factor.value.item() == pytest.approx((3 * terms["total_correlation"] - terms["elbo"]).item())
    torch.manual_seed(1)
    adversarial = Adversarial(weight=2.0).build(vae, Space.of((LATENTS,)))
    torch.manual_seed(2)
    loss = adversarial(vae, Batch(x))
    torch.manual_seed(2)
    z = vae.draw(x).z[0]
    paid = 2 * softplus(adversarial.critic(z)).mean()  # −log of the probability that z is from the prior
    assert loss.value.item() == pytest.approx((loss.terms["reconstruction"] + paid).item(), rel=1e-5)


def test_logits_are_the_same_under_autocast() -> None:
    torch.manual_seed(0)
    critic, z = Critic(hidden=(50, 50)).build(4), torch.randn(30, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(critic(z), critic.float()(z))
        inside = critic(z)
    assert torch.equal(inside, critic(z))


Experiments = dict[str, Any]
FACTOR: Experiments = {"objective": "factor", **BRIEF}
CODES_OF_POINTS: Experiments = {"objective": "adversarial", "model.posterior": "delta", **BRIEF}
CODES_OF_GAUSSIANS: Experiments = {"objective": "adversarial", **BRIEF}


@pytest.mark.parametrize(
    "changes",
    [FACTOR, CODES_OF_POINTS, {**CODES_OF_GAUSSIANS, "ema": 0.9, "precision": "bf16"}],
    ids=["factor", "adversarial point", "adversarial gaussian"],
)
def test_a_stopped_training_resumes_to_the_same_bytes(every_step: None, tmp_path: Path, changes: Experiments) -> None:
    experiment = small(**changes)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "parts", 7)
    assert same(whole, finished(experiment, tmp_path / "parts", resume=True))
    state = load_file(whole.path / "state.safetensors")
    assert {"objective.critic.layers.0.weight", "second.0.exp_avg"} <= state.keys()
    first, *_, last = whole.metrics()
    assert 0 < last["train"]["adversary"] != first["train"]["adversary"]
    assert not any("critic" in name for name in load_file(whole.path / "weights.safetensors"))


@pytest.mark.parametrize("changes", [FACTOR, CODES_OF_POINTS], ids=["factor", "adversarial"])
def test_a_critic_that_fails_ends_the_training_and_is_named(tmp_path: Path, changes: Experiments) -> None:
    experiment = small(**{**changes, "objective.critic.learning_rate": 1e30, "objective.critic.hidden": [8, 8]})
    with pytest.raises(RunError, match=r"NaN or infinite \(first: the output of layer objective\.critic\.layers"):
        finished(experiment, tmp_path / "run")


def test_early_stopping_needs_a_bound() -> None:
    assert small(**FACTOR, early_stopping=3).early_stopping == 3
    with pytest.raises(InputError, match=r"early_stopping 3 needs an objective that reports a bound .* 'adversarial'"):
        small(**CODES_OF_GAUSSIANS, early_stopping=3)


def test_critics_need_codes_of_an_encoder() -> None:
    with pytest.raises(InputError, match="needs a posterior that has a density"):
        small(**{**FACTOR, "model.posterior": "delta"})
    with pytest.raises(InputError, match="needs a posterior that depends on x"):
        small(**{**CODES_OF_POINTS, "model.posterior": "standard_normal"})


@pytest.mark.parametrize("changes", [FACTOR, CODES_OF_POINTS], ids=["factor", "adversarial"])
def test_two_players_are_not_stacked(tmp_path: Path, changes: Experiments) -> None:
    experiments = [small(**changes, seed=seed) for seed in (0, 1)]
    with pytest.raises(InputError, match=f"{changes['objective']}"):
        next(train_stack(experiments, [tmp_path / "a", tmp_path / "b"]))
    assert not list(tmp_path.iterdir())


def test_a_critic_counts_in_the_memory_of_a_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training would take .* of memory"):
        finished(small(**{**FACTOR, "objective.critic.hidden": [10**6, 10**6]}), tmp_path / "run")


def test_critics_learn_what_the_exact_one_knows() -> None:
    torch.manual_seed(0)
    vae, objective = (
        gaussian_vae(),
        Factor(critic=Critic(hidden=(30, 30), learning_rate=1e-2)).build(gaussian_vae(), Space.of((LATENTS,))),
    )
    assert objective.second is not None
    optimizer = objective.second.build(objective.parameters())
    take: Callable[[], Tensor] = lambda: objective(vae, Batch(torch.randn(300, LATENTS))).adversary  # noqa: E731
    for _ in range(100):
        optimizer.zero_grad()
        take().backward()
        optimizer.step()
    with torch.no_grad():
        learned = torch.stack([take() for _ in range(100)])
        objective.critic = Exact(UNITS)
        exact = torch.stack([take() for _ in range(100)])
    assert learned.mean() - exact.mean() > -RARE_Z * (learned - exact).std() / 10  # none is better
    assert learned.mean() < (log(2) + exact.mean()) / 2


@pytest.mark.slow
def test_compiled_steps_are_one_graph_and_the_eager_ones() -> None:
    """Of every objective with a critic or a penalty on the codes of a batch."""
    script = """
import torch
from laws.test_laws_of_objectives import parts
from vaekit.objectives import DIP, Adversarial, BetaTC, Critic, Factor, Info
from vaekit.training.steps import Descent, Step

def after(spec, compiled):
    torch.manual_seed(0)
    vae, objective, batch = parts(spec, "cpu")
    first = torch.optim.SGD(vae.parameters(), 0.01)
    second = objective.second and torch.optim.SGD(objective.parameters(), 0.01)
    descent = Descent(Step(vae, objective), first, "fp32", None, second)
    if compiled:
        descent.compile(batch, asked=True)  # an error unless it is one graph
    for seed in range(2):
        torch.manual_seed(seed)
        descent(batch, *objective.prepare(vae, batch))
    return torch.cat([weight.detach().flatten() for weight in descent.step.parameters()])

critic = Critic(hidden=(8,))
for spec in (Factor(critic=critic), Adversarial(critic=critic), Info(), BetaTC(), DIP()):
    assert torch.allclose(after(spec, True), after(spec, False), rtol=1e-4, atol=1e-5), spec
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
