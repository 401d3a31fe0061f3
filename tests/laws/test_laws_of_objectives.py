"""Laws of objectives: scalars, and a gradient for every weight."""

from typing import Any

import pytest
import torch
from laws.conditionals import assert_gradients
from laws.rows import DEVICES, OBJECTIVES, rows

from vaekit import posteriors, priors
from vaekit.data import Batch, Space
from vaekit.model import VAE, Model
from vaekit.objectives import Objective
from vaekit.training.steps import Descent, Step


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def parts(spec: Any, device: str) -> tuple[VAE, Objective, Batch]:
    """A model that the objective takes, the objective, and a batch."""
    alone = {"reconstruction": posteriors.Delta(), "monte_carlo_em": posteriors.StandardNormal()}
    q = alone.get(spec.kind, posteriors.Gaussian())
    space = Space.of((1, 4, 4), train=6)
    p = priors.Mixture(components=3) if spec.kind == "prior" else priors.StandardNormal()
    vae = Model(latent_dim=2, prior=p, posterior=q).build(space).to(device)
    objective = spec.build(vae, space).to(device)
    objective.advance(epoch=0.7, epochs=5)
    return vae, objective, Batch(torch.rand(6, 1, 4, 4, device=device), torch.arange(6, device=device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("spec", rows(OBJECTIVES))
def test_objective_gives_scalars_and_a_gradient_for_every_weight(spec: Any, device: str) -> None:
    vae, objective, batch = parts(spec, device)
    loss = objective(vae, batch, *objective.prepare(vae, batch))
    for value in (loss.value, loss.bound, *loss.terms.values()):
        assert value.shape == ()
        assert value.device.type == device
        assert value.isfinite()
    assert "reconstruction" in loss.terms or spec.kind == "prior"
    loss.value.backward()
    assert_gradients(vae.prior if spec.kind == "prior" else vae)
    if spec.kind == "prior":
        assert all(weight.grad is None for part in (vae.posterior, vae.likelihood) for weight in part.parameters())


@pytest.mark.parametrize("spec", rows(OBJECTIVES))
@pytest.mark.parametrize("rates", [(0.1, 0.0), (0.0, 0.1)], ids=["model", "second player"])
def test_a_players_step_moves_none_of_the_other_players_weights(spec: Any, rates: tuple[float, float]) -> None:
    vae, objective, batch = parts(spec, "cpu")
    if objective.second is None:
        assert not list(objective.parameters())  # nobody would move them
        return
    first, second = (torch.optim.SGD(m.parameters(), r) for m, r in zip((vae, objective), rates, strict=True))
    before = [[w.clone() for w in module.parameters()] for module in (vae, objective)]
    Descent(Step(vae, objective), first, "fp32", None, second)(batch)
    for module, old, rate in zip((vae, objective), before, rates, strict=True):
        moved = [not torch.equal(a, b) for a, b in zip(old, module.parameters(), strict=True)]
        assert all(moved) if rate else not any(moved)


@pytest.mark.parametrize("spec", rows(OBJECTIVES))
def test_half_precision_networks_leave_losses_in_single_precision(spec: Any) -> None:
    vae, objective, batch = parts(spec, "cpu")
    prepared = objective.prepare(vae, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(vae, batch, *prepared)
    for value in (loss.value, loss.bound, *loss.terms.values(), *([] if loss.adversary is None else [loss.adversary])):
        assert value.dtype == torch.float32
