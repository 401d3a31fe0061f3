"""Laws of objectives: scalars, and a gradient for every weight."""

from typing import Any

import pytest
import torch
from laws.conditionals import assert_gradients
from laws.rows import DEVICES, OBJECTIVES, rows

from vaekit import posteriors
from vaekit.model import Model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("spec", rows(OBJECTIVES))
def test_objective_gives_scalars_and_a_gradient_for_every_weight(spec: Any, device: str) -> None:
    alone = {"reconstruction": posteriors.Delta(), "monte_carlo_em": posteriors.StandardNormal()}
    q = alone.get(spec.kind, posteriors.Gaussian())
    vae = Model(latent_dim=2, posterior=q).build((1, 4, 4)).to(device)
    weight = torch.tensor(spec.kl_weight(epoch=0.7, epochs=5), device=device)
    loss = spec(vae, torch.rand(6, 1, 4, 4, device=device), weight)
    for value in (loss.value, loss.bound, *loss.terms.values()):
        assert value.shape == ()
        assert value.device.type == device
        assert value.isfinite()
    assert "reconstruction" in loss.terms
    loss.value.backward()
    assert_gradients(vae)
