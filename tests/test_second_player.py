"""A second player descends its own loss, on its own weights, beside the model."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import finished, same, small, stopped
from torch import Tensor, nn

from vaekit import Run, RunError, train
from vaekit.data import Batch, Space
from vaekit.display import progress
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO, Loss, Objective, reported
from vaekit.reporting.drawings import curves
from vaekit.training.optimizers import SGD, Adam
from vaekit.training.steps import Descent, Step

EVENT = (1, 4, 4)


class Critical(Objective):
    """The ELBO, less a critic's opinion of the codes; the critic tries to tell them from draws of the prior."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.second = Adam(learning_rate=1e-2)
        self.critic = nn.Sequential(nn.Linear(latents, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws)
        fooled = self.critic(draws.z).mean()
        told = (
            self.critic(torch.randn_like(draws.z)).square().mean() + (self.critic(draws.z.detach()) - 1).square().mean()
        )
        return Loss(-terms["elbo"] + fooled, terms["elbo"], terms, told)


def descent() -> Descent:
    torch.manual_seed(0)
    vae = Model(latent_dim=2, network=MLP(hidden=(6,))).build(EVENT)
    step = Step(vae, Critical(2))
    first, second = (torch.optim.SGD(module.parameters(), 0.1) for module in (vae, step.objective))
    return Descent(step, first, "fp32", None, second)


def gradients(loss: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters()), retain_graph=True))


def test_each_player_descends_its_own_loss_alone() -> None:
    made, batch = descent(), Batch(torch.rand(20, *EVENT).round())
    vae, objective = made.step.vae, made.step.objective
    torch.manual_seed(1)
    loss = made.step(batch)
    assert any(g.any() for g in gradients(loss.value, objective))  # else it would not matter whose gradient is taken
    weights = [*vae.parameters(), *objective.parameters()]
    expected = gradients(loss.value, vae) + gradients(loss.adversary, objective)
    after = [(w - 0.1 * g).detach() for w, g in zip(weights, expected, strict=True)]
    torch.manual_seed(1)
    numbers = made(batch)
    assert numbers["adversary"] == pytest.approx(loss.adversary.item(), rel=1e-5)
    for weight, moved in zip(weights, after, strict=True):
        torch.testing.assert_close(weight, moved, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_compiled_steps_of_two_players_are_one_graph_and_the_eager_ones() -> None:
    script = """
import torch
from test_second_player import EVENT, Batch, descent

def after(compiled):
    made, batch = descent(), Batch(torch.rand(20, *EVENT, generator=torch.Generator().manual_seed(3)).round())
    if compiled:
        made.compile(batch, asked=True)  # an error unless it is one graph
    for seed in range(3):
        torch.manual_seed(seed)
        made(batch)
    return torch.cat([weight.detach().flatten() for weight in made.step.parameters()])

assert torch.allclose(after(True), after(False), rtol=1e-5, atol=1e-6)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("player", ["vae", "objective"])
def test_no_weight_moves_where_either_loss_is_nan(player: str) -> None:
    made, batch = descent(), Batch(torch.rand(20, *EVENT).round())
    if player == "vae":
        batch = Batch(batch.x * torch.nan)
    else:
        made.step.objective.critic[2].bias.data.fill_(torch.inf)
    before = [w.clone() for w in made.step.parameters()]
    numbers = made(batch)
    assert not (math.isfinite(numbers["loss"]) and math.isfinite(numbers["adversary"]))
    assert all(torch.equal(a, b) for a, b in zip(before, made.step.parameters(), strict=True))


@pytest.fixture
def critical(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every ELBO a second player."""
    monkeypatch.setattr(ELBO, "build", lambda self, vae, space: Critical(vae.latent_dim))


@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "gradient_norm": 1.0}], ids=["plain", "averaged and clipped"])
def test_a_stopped_training_resumes_to_the_same_bytes(
    critical: None, every_step: None, tmp_path: Path, options: dict[str, Any]
) -> None:
    experiment = small(**options)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "parts", 7)
    assert same(whole, finished(experiment, tmp_path / "parts", resume=True))
    state = load_file(whole.path / "state.safetensors")
    assert {"objective.critic.0.weight", "second.0.exp_avg"} <= state.keys()
    assert "adversary" in whole.metrics()[-1]["train"]
    assert not any("critic" in name for name in load_file(whole.path / "weights.safetensors"))


def test_its_loss_is_shown_and_drawn_beside_the_models(critical: None, tmp_path: Path) -> None:
    reports = list(train(small(), tmp_path / "run"))
    last = reports[-1]
    number = f"{last.terms['adversary']:.2f}/"
    assert f" second player {number}" in progress.terms(last.terms, last.row or {})
    run = Run(tmp_path / "run")
    drawn = curves(run.metrics(), run.space)
    titles = [axes.get_title(loc="left") for axes in reversed(drawn.figure.axes)]
    assert titles == ["Loss", "Loss of the second player", "Negative ELBO", "Reconstruction", "KL"]
    assert drawn.table is not None
    assert "Loss of the second player: validation" in drawn.table


def test_a_critic_that_fails_ends_the_training_and_is_named(
    monkeypatch: pytest.MonkeyPatch, every_step: None, tmp_path: Path
) -> None:
    def wild(self: ELBO, vae: VAE, space: Space) -> Objective:
        objective = Critical(vae.latent_dim)
        objective.second = SGD(learning_rate=1e30)
        return objective

    monkeypatch.setattr(ELBO, "build", wild)
    with pytest.raises(RunError, match="NaN or infinite"):
        finished(small(), tmp_path / "run")
    state = load_file(tmp_path / "run" / "state.safetensors")
    assert all(tensor.isfinite().all() for name, tensor in state.items() if name.startswith("objective."))
