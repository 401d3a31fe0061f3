"""What was not finite first is named: data, weight, layer or term."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vaekit.data import Batch, Space
from vaekit.likelihoods import Gaussian
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.objectives import ELBO, Reconstruction
from vaekit.posteriors import Delta
from vaekit.training.diagnosis import DATA_REMEDY, first_non_finite, non_finite_weight
from vaekit.training.steps import Step

EVENT = (1, 4, 4)


def made(model: Model, objective: Any) -> Step:
    space = Space.of(EVENT)
    vae = model.build(space)
    return Step(vae, objective.build(vae, space))


@pytest.fixture
def step() -> Step:
    torch.manual_seed(0)
    return made(Model(latent_dim=2, network=MLP(hidden=(6,))), ELBO())


@pytest.fixture
def x() -> Tensor:
    return torch.rand(5, *EVENT).round()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_data(step: Step, x: Tensor, wrong: float) -> None:
    x[3, 0, 1, 2] = wrong
    step.vae.posterior.head.weight.data[0, 0] = torch.nan
    assert first_non_finite(step, Batch(x)) == ("the data of the batch", DATA_REMEDY)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_weight(step: Step, x: Tensor, wrong: float) -> None:
    step.vae.likelihood.network[2].weight.data[3, 1] = wrong
    assert first_non_finite(step, Batch(x)).first == "weight vae.likelihood.network.2.weight, since the update before"
    assert non_finite_weight(step.vae) == "likelihood.network.2.weight"


def test_parameter_that_belongs_to_no_layer(x: Tensor) -> None:
    spec = Model(latent_dim=2, likelihood=Gaussian(scale="shared"))
    step = made(spec, ELBO())
    step.vae.likelihood.log_scale.data.fill_(torch.nan)
    assert first_non_finite(step, Batch(x)).first == "weight vae.likelihood.log_scale, since the update before"


class Broken(nn.Module):
    """Gives infinity for the image numbered ``row``."""

    def __init__(self, row: int) -> None:
        super().__init__()
        self.row = row

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(torch.arange(len(x))[:, None] == self.row, torch.inf, x)


def test_the_first_layer_whose_output_breaks(step: Step, x: Tensor) -> None:
    step.vae.posterior.trunk[2] = Broken(row=3)
    found = first_non_finite(step, Batch(x))
    assert found.first == "the output of layer vae.posterior.trunk.2, then the term reconstruction"
    assert "finite" in first_non_finite(step, Batch(x[:3])).first  # that image is not among them


def test_a_term_that_overflows_in_no_layer(step: Step, x: Tensor) -> None:
    step.vae.posterior.head.bias.data[2:] = 60.0  # σ = e⁶⁰ is finite, σ² is not
    assert first_non_finite(step, Batch(x)).first == "with every layer's output finite, the term kl"


@pytest.mark.parametrize("objective", [ELBO(), Reconstruction()], ids=["elbo", "reconstruction"])
def test_hooks_are_taken_away_and_no_gradient_is_kept(objective: Any, x: Tensor) -> None:
    posterior: Any = {"posterior": Delta()} if objective.kind == "reconstruction" else {}
    step = made(Model(latent_dim=2, **posterior), objective)
    first_non_finite(step, Batch(x))
    assert not any(module._forward_hooks for module in step.modules())
    assert all(weight.grad is None for weight in step.parameters())


def test_hooks_are_taken_away_if_the_step_fails(step: Step, x: Tensor) -> None:
    with pytest.raises(RuntimeError):
        first_non_finite(step, Batch(x[:, :, :3]))
    assert not any(module._forward_hooks for module in step.modules())


def test_good_weights_are_not_accused(step: Step) -> None:
    assert non_finite_weight(step) is None
