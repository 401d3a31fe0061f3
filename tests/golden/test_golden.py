"""Runs of earlier releases load, evaluate to the same numbers, report and resume; their experiments end as they did.

Trained anew on the machine that stored them, they give the same bytes; elsewhere, the same numbers to 1e-4.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.store import FACTS, HERE, MEASURED, STEP, machine
from safetensors.torch import load_file
from small import finished, numbers, same

from vaekit import Run, evaluate, report
from vaekit.settings import fields

STORED = [
    pytest.param(folder, id=f"{folder.parent.name}-{folder.name}") for folder in HERE.glob("*/*") if folder.is_dir()
]
KEPT = ("log_evidence", "elbo", "reconstruction", "kl", "effective_samples", "latents")
"""measures that must not change; others may be improved"""

golden = pytest.mark.parametrize("golden", STORED)
reported = pytest.mark.parametrize(
    "golden",
    [p if "averaged" in str(p.id) else pytest.param(*p.values, id=p.id, marks=pytest.mark.slow) for p in STORED],
)

resumed = pytest.mark.parametrize(
    "golden",  # the compiler takes its time for the chains of Monte Carlo EM
    [pytest.param(*p.values, id=p.id, marks=pytest.mark.slow) if "monte_carlo" in str(p.id) else p for p in STORED],
)


def facts(golden: Path) -> dict[str, Any]:
    """Where a release's runs were stored, and their digests."""
    found: dict[str, Any] = json.loads((golden.parent / FACTS).read_text())
    return found


def copied(golden: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(golden / "run", tmp_path / "run"))


def assert_ends_as_stored(run: Run, golden: Path) -> None:
    """The same bytes on the machine that stored them, else the same numbers."""
    rows = [json.loads(line) for line in (golden / "end" / "metrics.jsonl").read_text().splitlines()]
    expected = [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]
    weights = golden / "end" / "weights.safetensors"
    if facts(golden)["machine"] == machine():
        assert json.dumps(numbers(run)) == json.dumps(expected)
        assert (run.path / "weights.safetensors").read_bytes() == weights.read_bytes()
    else:
        assert_close(numbers(run), expected)
        found = load_file(run.path / "weights.safetensors")
        assert found.keys() == load_file(weights).keys()
        assert all(torch.allclose(found[name], w, rtol=1e-4, atol=1e-4) for name, w in load_file(weights).items())


def assert_close(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() >= expected.keys()
        for name in expected:
            assert_close(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    else:
        assert found == (pytest.approx(expected, rel=1e-4, abs=1e-5) if isinstance(expected, float) else expected)


def test_there_are_runs_of_every_objective() -> None:
    assert len(STORED) >= 9
    assert {Run(param.values[0] / "run").experiment.objective.kind for param in STORED} >= {
        "elbo",
        "wake_sleep",
        "monte_carlo_em",
        "reconstruction",
    }


@golden
def test_digest_of_a_stored_experiment_is_what_it_was(golden: Path) -> None:
    assert Run(golden / "run").experiment.digest == facts(golden)["digests"][golden.name]


@golden
def test_stored_run_evaluates_to_the_same_numbers(golden: Path, tmp_path: Path) -> None:
    run = copied(golden, tmp_path)
    (before,) = run.results()["evaluations"]
    after = evaluate(run, **MEASURED)
    kept = {name: before[name] for name in KEPT if name in before}
    assert "reconstruction" in kept
    if facts(golden)["machine"] == machine():
        found = dict(fields(after))  # a point needs one draw, whatever number is asked for, and says so now
        numbers = {path: value for path, value in fields(kept) if not path.endswith(".samples")}
        assert {path: found.get(path) for path in numbers} == numbers
    else:
        assert_close({name: after[name] for name in kept}, kept)


@resumed
def test_stored_run_resumes_to_the_end_of_an_uninterrupted_one(golden: Path, tmp_path: Path) -> None:
    run = copied(golden, tmp_path)
    rows = numbers(run)
    assert 0 < rows[-1]["step"] < STEP
    resumed = finished(run.experiment, run.path, resume=True, device="cpu")
    assert numbers(resumed)[: len(rows)] == rows
    assert_ends_as_stored(resumed, golden)
    anew = finished(run.experiment, tmp_path / "anew", device="cpu")
    assert_ends_as_stored(anew, golden)
    if facts(golden)["machine"] == machine():
        assert same(resumed, anew)


@reported
def test_stored_run_is_reported(golden: Path, tmp_path: Path) -> None:
    run = copied(golden, tmp_path)
    report(run)
    page = (run.path / "report.html").read_text()
    assert page.count("<img") >= 3
    assert "kl_per_unit" not in page
