"""Device names, precision, and generators that are left as they were."""

import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

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
    with pytest.raises(RunError, match="memory ran out with batch_size 100: halve it"):  # noqa: SIM117
        with devices.memory_errors("batch_size 100", "halve it"):
            torch.empty(2**50, dtype=torch.uint8)


def test_other_failures_are_not_called_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):  # noqa: SIM117
        with devices.memory_errors("batch_size 100", "halve it"):
            torch.ones(2, 3) @ torch.ones(2, 3)


def test_a_seed_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(InputError, match=f"seed is {10**23}: give a whole number below"), devices.seeded(10**23, CPU):
        pass


def test_inside_is_single_precision_with_gradients_and_outside_as_it_was() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), devices.isolated(CPU):
            weight = torch.zeros(1, requires_grad=True)
            (2 * weight).backward()
            assert weight.grad is not None
            assert weight.grad.dtype == torch.float32
        with torch.no_grad(), devices.seeded(0, CPU):
            assert torch.zeros(1).dtype == torch.float32
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def draws(n: int) -> Generator[float]:
    torch.manual_seed(3)
    for _ in range(n):
        yield torch.rand(1).item()


def test_in_turns_both_draw_the_numbers_that_they_would_draw_alone() -> None:
    alone = list(draws(5))
    torch.manual_seed(0)
    expected = torch.rand(5)
    torch.manual_seed(0)
    found = [(report, torch.rand(1)) for report in devices.in_turns(draws(5), CPU)]
    assert [report for report, _ in found] == alone
    assert torch.equal(torch.cat([drawn for _, drawn in found]), expected)


def test_in_turns_closes_what_it_reports_and_passes_errors_on() -> None:
    closed = []

    def failing() -> Generator[int]:
        try:
            yield 1
            raise RunError("no more")
        finally:
            closed.append(torch.rand(1).item())

    state = torch.get_rng_state()
    reports = devices.in_turns(failing(), CPU)
    next(reports)
    reports.close()
    with pytest.raises(RunError, match="no more"):
        list(devices.in_turns(failing(), CPU))
    assert len(closed) == 2
    assert torch.equal(torch.get_rng_state(), state)


def test_nobody_waits_for_a_generator_that_is_suspended() -> None:
    reports = devices.in_turns(draws(2), CPU)
    next(reports)

    def free() -> bool:
        if taken := devices.GENERATORS.acquire(timeout=5):
            devices.GENERATORS.release()
        return taken

    with ThreadPoolExecutor() as threads:
        assert threads.submit(free).result()


def test_threads_that_seed_draw_what_one_does() -> None:
    def drawn(seed: int) -> float:
        with devices.seeded(seed, CPU):
            return sum(torch.rand(1).item() for _ in range(200))

    alone = [drawn(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(drawn, range(8))) == alone


def test_apples_devices_are_taken_on_request_with_a_caution(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose("mps").type == "mps"
    assert "device mps has been tested little" in caplog.text
    assert devices.choose("auto").type != "mps"
