"""Device names, precision, and generators that are left as they were."""

import re

import pytest
import torch

from vaekit import devices
from vaekit.errors import InputError, RunError

CPU = torch.device("cpu")


def test_auto_is_the_best_there_is() -> None:
    assert devices.choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert devices.choose("cpu") == CPU


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "mps", "meta", "cuda:99"])
def test_other_devices_are_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"device {name!r}") + ".*choose"):
        devices.choose(name)


def test_bf16_is_for_matrix_products_alone() -> None:
    x = torch.ones(2, 2)
    with devices.autocast(CPU, "bf16"):
        assert (x @ x).dtype == torch.bfloat16
        assert (x + x).exp().dtype == torch.float32
    with devices.autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32


def test_random_state_returns_to_where_it_was() -> None:
    state = devices.random_state(CPU)
    drawn = torch.rand(3)
    devices.set_random_state(state, CPU)
    assert torch.equal(torch.rand(3), drawn)


def test_a_seed_inside_does_not_touch_the_draws_outside() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with devices.seeded(5, CPU):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with devices.seeded(5, CPU):
        assert torch.equal(torch.rand(3), inside)


def test_running_out_of_memory_is_a_sentence() -> None:
    with pytest.raises(RunError, match="memory ran out at batch_size 100: halve it"):  # noqa: SIM117
        with devices.memory_errors("batch_size 100", "halve it"):
            torch.empty(2**50, dtype=torch.uint8)


def test_other_failures_are_not_called_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):  # noqa: SIM117
        with devices.memory_errors("batch_size 100", "halve it"):
            torch.ones(2, 3) @ torch.ones(2, 3)
