"""The memory of a training, of models that can be built without memory and of those that cannot."""

from pathlib import Path

import pytest
import torch
from small import finished, small
from torch import Tensor, nn

from vaekit import InputError, devices, report
from vaekit.data import Batch
from vaekit.footprint import activations, recorded, second_bytes
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


OBJECTIVES = {
    "elbo": {"objective": "elbo"},
    "importance": {"objective": "importance", "objective.estimator": "dreg"},
    "beta_tc": {"objective": "beta_tc"},
    "factor": {"objective": "factor"},
    "info": {"objective": "info", "model.posterior": "delta"},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_a_step_keeps_is_known_for_any_batch(name: str) -> None:
    experiment = small().replace_all(OBJECTIVES[name])
    space = experiment.data.load().space
    found, n = activations(experiment, space), 40
    vae = experiment.model.build(space)
    objective = experiment.objective.build(vae, space)
    batch = Batch(torch.rand(n, *space.event_shape))
    with recorded(vae, objective) as sizes:
        objective(vae, batch)
    assert found.once + n * found.kept + n**2 * found.pairs == sum(sizes)
    assert (found.pairs > 0) == (name in ("beta_tc", "info"))


def test_a_batch_whose_pairs_take_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "memory", lambda device: 2**30)
    experiment = small(batch_size=1000, model__latent_dim=100)
    finished(experiment.replace("epochs", 0.1), tmp_path / "elbo")
    with pytest.raises(InputError, match=r"1\.\d GiB for batch_size 1,000"):  # 3 · 4 · 1000² · 100 bytes
        finished(experiment.replace("objective", "beta_tc"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_second_player_is_counted() -> None:
    experiment = small(objective="factor", model__latent_dim=3)
    experiment = experiment.replace("objective.critic.hidden", [7])
    weights = 3 * 7 + 7 + 7 + 1
    assert second_bytes(experiment, experiment.data.load().space) == 4 * 4 * weights  # gradients and Adam's moments
    assert second_bytes(small(), experiment.data.load().space) == 0
