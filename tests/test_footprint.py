"""The memory of a training, of models that can be built without memory and of those that cannot."""

from pathlib import Path

import pytest
import torch
from small import finished, small
from torch import Tensor, nn

from vaekit import report
from vaekit.footprint import activations
from vaekit.networks import MLP
from vaekit.run import weight_shapes


class Wide(nn.Module):
    """A linear layer that is built and called by what torch's meta device lacks: values, and sorting out duplicates."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, len(torch.unique(torch.arange(outputs))))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * float(self.linear.weight.detach().isfinite().all().item())


@pytest.fixture
def needs_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each encoder of an MLP begin with such a layer."""

    def encoder(self: MLP, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        return nn.Sequential(nn.Flatten(), Wide(64, 30), nn.Tanh()), 30

    monkeypatch.setattr(MLP, "encoder", encoder)


def test_a_model_that_cannot_be_built_without_memory_is_built_with_it(needs_memory: None, tmp_path: Path) -> None:
    experiment, space = small(), small().data.load().space
    torch.manual_seed(0)
    state = torch.get_rng_state()
    shapes = weight_shapes(experiment.model, space)
    assert shapes["posterior.trunk.1.linear.weight"] == (30, 64)
    kept = activations(experiment, space).kept
    assert torch.equal(torch.get_rng_state(), state)
    assert 4 * (30 + 64) < kept < 4000
    run = finished(experiment, tmp_path / "run")
    assert report(run).exists()


def test_a_fault_of_a_model_is_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    space = small().data.load().space

    def encoder(self: MLP, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        raise TypeError("this layer takes two arguments")

    monkeypatch.setattr(MLP, "encoder", encoder)
    with pytest.raises(TypeError, match="two arguments"):
        weight_shapes(small().model, space)
