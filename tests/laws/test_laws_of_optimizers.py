"""Laws of optimizers and schedules."""

from typing import Any

import pytest
import torch
from laws.rows import OPTIMIZERS, SCHEDULES, rows
from safetensors.torch import load, save
from torch import Tensor, nn

from vaekit import schedules


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("spec", rows(OPTIMIZERS))
def test_optimizer_descends(spec: Any) -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = spec.build([weight])
    assert [group["lr"] for group in optimizer.param_groups] == [spec.learning_rate]
    losses = [take_step(optimizer, weight) for _ in range(50)]
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("spec", rows(OPTIMIZERS))
def test_optimizer_state_is_tensors_that_continue_it_bit_for_bit(spec: Any) -> None:
    one, two = (nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    first, second = spec.build([one]), spec.build([two])
    for _ in range(5):
        take_step(first, one)
    state = first.state_dict()["state"]
    assert all(isinstance(v, Tensor) for part in state.values() for v in part.values() if v is not None)
    with torch.no_grad():
        two.copy_(one)
    groups = second.state_dict()["param_groups"]
    second.load_state_dict({"state": {i: load(save(part)) for i, part in state.items()}, "param_groups": groups})
    for _ in range(5):
        assert take_step(first, one) == take_step(second, two)
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", list(dict.fromkeys(map(type, OPTIMIZERS))), ids=lambda kind: kind.kind)
def test_weight_decay_shrinks_weights_that_nothing_else_moves(kind: Any) -> None:
    for decay, moved in ((0.0, False), (0.1, True)):
        weight = nn.Parameter(torch.tensor([1.0, -2.0]))
        weight.grad = torch.zeros(2)
        kind(weight_decay=decay).build([weight]).step()
        assert bool((weight.abs() < torch.tensor([1.0, 2.0])).all()) == moved


def take_step(optimizer: torch.optim.Optimizer, weight: Tensor) -> float:
    optimizer.zero_grad()
    loss = weight.square().sum()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("spec", rows(SCHEDULES))
def test_schedule_is_a_factor_in_the_unit_interval(spec: Any) -> None:
    factors = [spec.factor(step / 7, 10.0) for step in range(8 * 10)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert spec.factor(3.0, 10.0) == spec.factor(3.0, 10.0)
    assert spec.kind == "constant" or spec == schedules.WarmUp(epochs=0) or len(set(factors)) > 2
