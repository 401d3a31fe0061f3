"""Several processes that share the images give the numbers of one, to the bit, whatever becomes of them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaekit import VAE, InputError, Run, RunError, devices, evaluate
from vaekit.cli import main
from vaekit.evaluation.evidence import evidence
from vaekit.evaluations import weights_digest
from vaekit.sharding import Batch, crew

CPU = torch.device("cpu")


def ends_later(vae: VAE, x: Tensor, samples: int) -> Mapping[str, Tensor]:
    """End the process of the second batch, when the first one is done."""
    first = Path("first")
    if torch.initial_seed():
        while not first.exists():
            time.sleep(0.1)
        time.sleep(1)
        os._exit(9)
    found = evidence(vae, x, samples)
    first.touch()
    return found


def refuses(vae: VAE, x: Tensor) -> Mapping[str, Tensor]:
    raise InputError(f"{len(x)} images do not please")


def batches() -> Iterator[Batch]:
    return (Batch(torch.ones(3, 1, 8, 8), seed) for seed in range(2))


def copied(run: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(run.path, tmp_path / "copy"))


def test_two_processes_give_the_bytes_of_one(run: Run, tmp_path: Path) -> None:
    other = copied(run, tmp_path)
    one = evaluate(run, metrics="evidence,latents", samples=4)
    words = ["evaluate", str(other.path), "--metrics", "evidence,latents", "--samples", "4", "--workers", "2"]
    assert main([*words, "--quiet"]) == 0
    assert len(one["files"]) == 2
    refuse_different(run, other)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_processes_anneal_with_compiled_densities_as_one(run: Run, tmp_path: Path, precision: str) -> None:
    other = copied(run, tmp_path)
    words = ["--ais", "--samples", "4", "--annealing", "temperatures=3", "--annealing", "chains=2", "--quiet"]
    for each, workers in ((run, "1"), (other, "2")):  # without the checks of shapes in tests, which cannot be compiled
        how = ["--workers", workers, "--precision", precision]
        subprocess.run([sys.executable, "-m", "vaekit", "evaluate", each, *words, *how], check=True)
    assert len(list(run.path.glob("measured/*"))) == 4
    refuse_different(run, other)


def refuse_different(run: Run, other: Run) -> None:
    (one,), (two,) = (each.results()["evaluations"] for each in (run, other))
    assert one == two | {"command": one["command"]}
    assert "workers" not in two["command"]
    for file in one["files"].values():
        assert (run.path / file).read_bytes() == (other.path / file).read_bytes()


def test_a_process_that_ends_loses_nothing_that_was_measured(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(copied(run, tmp_path), samples=4, metrics="evidence")
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr("vaekit.evaluation.evidence.evidence", ends_later)
        with pytest.raises(RunError, match=r"a process that measured .* was killed, .*fewer --workers"):
            evaluate(run, samples=4, metrics="evidence", workers=2)
    (kept,) = run.path.glob("measured/*")
    assert {len(values) for values in run.measured(str(kept.relative_to(run.path))).values()} == {100}
    assert evaluate(run, samples=4, metrics="evidence", workers=2)["log_evidence"] == whole["log_evidence"]


def test_errors_of_processes_are_those_of_one(run: Run) -> None:
    weights = weights_digest(run)
    with crew(run, weights, False, [CPU, CPU]) as compute:
        found = list(compute(partial(evidence, samples=2), batches()))
        assert [sorted(each)[0] for each in found] == ["effective_samples"] * 2
        with pytest.raises(InputError, match="3 images do not please"):
            list(compute(refuses, batches()))
    with (
        crew(run, "other weights", False, [CPU, CPU]) as compute,
        pytest.raises(RunError, match=r"the weights of .* changed while they were measured: evaluate again"),
    ):
        list(compute(partial(evidence, samples=2), batches()))


def test_numbers_of_processes_that_cannot_be(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for workers in (0, -1, 1.5):
        with pytest.raises(InputError, match=f"workers is {workers}"):
            evaluate(run, workers=workers)  # type: ignore[arg-type]
    assert main(["evaluate", str(run.path), "--workers", "two"]) == 2
    with pytest.raises(InputError, match="a model in memory is measured by one process"):
        evaluate(run.vae(), torch.rand(3, 1, 8, 8), workers=2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices.places("auto", 2) == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert devices.places("cpu", 3) == [CPU] * 3
    with pytest.raises(InputError, match="3 workers need a CUDA device each, and this machine has 2: choose fewer"):
        evaluate(run, workers=3)
    with pytest.raises(InputError, match="device cuda:1 is a single one for 2 workers: choose auto, cpu or cuda"):
        evaluate(run, workers=2, device="cuda:1")
