"""Laws of objectives: scalars, and a gradient for every weight."""

from typing import Any

import pytest
import torch
from laws.conditionals import assert_gradients
from laws.rows import DEVICES, OBJECTIVES, rows

from vaekit import posteriors, priors
from vaekit.data import Batch, Space
from vaekit.model import Model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("spec", rows(OBJECTIVES))
def test_objective_gives_scalars_and_a_gradient_for_every_weight(spec: Any, device: str) -> None:
    alone = {"reconstruction": posteriors.Delta(), "monte_carlo_em": posteriors.StandardNormal()}
    q = alone.get(spec.kind, posteriors.Gaussian())
    space = Space.of((1, 4, 4), train=6)
    p = priors.Mixture(components=3) if spec.kind == "prior" else priors.StandardNormal()
    vae = Model(latent_dim=2, prior=p, posterior=q).build(space).to(device)
    objective = spec.build(vae, space).to(device)
    objective.advance(epoch=0.7, epochs=5)
    batch = Batch(torch.rand(6, 1, 4, 4, device=device), torch.arange(6, device=device))
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
