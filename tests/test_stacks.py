"""Stacked trainings against the same trainings one after the other."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import finished, good, numbers, same, small, stopped

from vaekit import Experiment, InputError, Run, RunError, train, train_stack

KINDS: dict[str, dict[str, Any]] = {
    "adam": {"objective.beta_schedule": "warm_up", "ema": 0.9, "gradient_norm": 5.0},
    "adagrad": {
        "optimizer": {"kind": "adagrad", "weight_decay": 0.1, "decayed": "matrices"},
        "data.binarization": "dynamic",
        "model.likelihood": "bernoulli",
    },
    "monte carlo": {"objective": {"kind": "elbo", "samples": 2, "kl": "monte_carlo"}},
    "holes": {"data.missing": 0.2},
    "gated": {"model.network.gated": True, "schedule": {"kind": "cosine", "warm_up": 0.5}},
    "convolutions": {"model.network": {"kind": "conv", "channels": [3], "strides": [2], "hidden": [8]}},
}
DYNAMIC = {"data.binarization": "dynamic", "model.likelihood": "bernoulli"}


def mixed(changes: dict[str, Any]) -> list[Experiment]:
    """Experiments that differ in all that may differ."""
    base = small(epochs=1).replace_all(changes)
    rate = base.optimizer.learning_rate
    rows = {"seed": (0, 1, 0), "model.latent_dim": (2, 5, 3), "optimizer.learning_rate": (rate, 3 * rate, rate)}
    if base.objective.kind == "elbo":
        rows["objective.beta"] = (1, 4, 0)
    return [base.replace_all({name: row[i] for name, row in rows.items()}) for i in range(3)]


def stacked(experiments: Sequence[Experiment], folder: Path, stop: int | None = None, **options: Any) -> list[Run]:
    """Train a stack, until it has taken some steps if ``stop`` is given."""
    paths = [folder / str(i) for i in range(len(experiments))]
    reports = train_stack(experiments, paths, **options)
    for progress in reports:
        if stop is not None and progress[0].step >= stop:
            break
    reports.close()
    return [Run(path) for path in paths]


def terms(run: Run) -> dict[str, float]:
    """All numbers of metrics.jsonl by their places."""
    return {
        f"{i}.{part}.{name}": value
        for i, row in enumerate(numbers(run))
        for part, inner in row.items()
        for name, value in (inner if isinstance(inner, dict) else {"": inner}).items()
    }


def assert_close(run: Run, separate: Run) -> None:
    """The same rows and states up to rounding, and the same random numbers to the bit."""
    assert terms(run) == pytest.approx(terms(separate), rel=1e-5)
    states = [load_file(r.path / "state.safetensors") for r in (run, separate)]
    assert states[0].keys() == states[1].keys()
    assert torch.equal(states[0].pop("random.cpu"), states[1].pop("random.cpu"))
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_a_stack_ends_as_separate_runs_do(changes: dict[str, Any], tmp_path: Path) -> None:
    experiments = mixed(changes)
    for i, (run, experiment) in enumerate(zip(stacked(experiments, tmp_path), experiments, strict=True)):
        assert_close(run, finished(experiment, tmp_path / f"alone {i}"))


@pytest.mark.parametrize("missing", [0, 0.2])
def test_stacks_of_tables_end_as_separate_runs_do(missing: float, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [f"{random.normal():.4f},{random.poisson(3)},{random.choice(['a', 'b', 'c'])},{k % 3}" for k in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["x,n,word,grade", *rows]))
    kinds = {"n": "count", "grade": "ordinal"}
    source = {"data.name": str(tmp_path / "t.csv"), "data.columns": kinds, "data.missing": missing}
    experiments = mixed({**source, "model.likelihood": "columns"})
    for i, (run, experiment) in enumerate(zip(stacked(experiments, tmp_path), experiments, strict=True)):
        assert_close(run, finished(experiment, tmp_path / f"alone {i}"))


def test_deterministic_auto_encoders_are_stacked(tmp_path: Path) -> None:
    experiments = mixed({"model.posterior": "delta", "objective": "reconstruction"})
    for i, (run, experiment) in enumerate(zip(stacked(experiments, tmp_path), experiments, strict=True)):
        assert_close(run, finished(experiment, tmp_path / f"alone {i}"))


def test_half_precision_is_that_of_separate_runs(tmp_path: Path) -> None:
    experiments = mixed({"precision": "bf16", "optimizer": "sgd"})
    for i, (run, experiment) in enumerate(zip(stacked(experiments, tmp_path), experiments, strict=True)):
        separate = terms(finished(experiment, tmp_path / f"alone {i}"))
        exact = terms(finished(experiment.replace("precision", "fp32"), tmp_path / f"exact {i}"))
        assert terms(run) == pytest.approx(separate, rel=1e-3)
        assert terms(run) != pytest.approx(exact, rel=1e-5)


@pytest.mark.usefixtures("every_step")
def test_a_stack_goes_on_after_a_stop_and_each_run_goes_on_alone(tmp_path: Path) -> None:
    experiments = mixed(DYNAMIC)
    whole = stacked(experiments, tmp_path / "whole")
    stacked(experiments, tmp_path / "parts", 0)
    stacked(experiments, tmp_path / "parts", 9, resume=True)
    alone = finished(experiments[1], stacked(experiments, tmp_path / "alone", 5)[1].path, resume=True)
    assert_close(alone, whole[1])
    for run, again in zip(whole, stacked(experiments, tmp_path / "parts", resume=True), strict=True):
        assert same(run, again)


@pytest.mark.usefixtures("every_step")
def test_runs_at_different_steps_are_brought_to_the_same_one_and_stacked(tmp_path: Path) -> None:
    """As a kill leaves them in the middle of a checkpoint, one after the other."""
    experiments = mixed(DYNAMIC)
    whole = stacked(experiments, tmp_path / "whole")
    for i, run in enumerate(stacked(experiments, tmp_path / "parts", 3)):
        stopped(experiments[i], run.path, (3, 9, 6)[i], resume=True)
    steps = []
    for progress in (reports := train_stack(experiments, [tmp_path / "parts" / i for i in "012"], resume=True)):
        steps.append([each.step for each in progress])
    reports.close()
    assert [3, 9, 6] in steps
    assert [6, 9, 6] in steps
    assert [9, 9, 9] in steps
    assert [10, 10, 10] in steps
    for run, part in zip(whole, "012", strict=True):
        assert_close(Run(tmp_path / "parts" / part), run)


def test_a_training_that_stops_early_leaves_the_others_to_go_on(tmp_path: Path) -> None:
    base = small(early_stopping=1, evaluate_every=0.25, epochs=3)
    experiments = [base.replace("optimizer.learning_rate", rate) for rate in (1e-3, 0.3)]
    runs = stacked(experiments, tmp_path)
    steps = [run.metrics()[-1]["step"] for run in runs]
    assert steps[0] > steps[1]
    for i, (run, experiment) in enumerate(zip(runs, experiments, strict=True)):
        assert_close(run, finished(experiment, tmp_path / f"alone {i}"))


def test_a_training_that_fails_leaves_the_others_to_go_on(tmp_path: Path) -> None:
    base = small(optimizer="sgd")
    experiments = [base.replace("optimizer.learning_rate", rate) for rate in (1e10, 1e-4)]
    with pytest.raises(RunError, match=r"the batch of step 1, in epoch 1, .*after 0 steps is kept in .*0; usually"):
        stacked(experiments, tmp_path)
    assert good(Run(tmp_path / "0"))
    assert_close(Run(tmp_path / "1"), finished(experiments[1], tmp_path / "alone"))


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "one": ([{}], "a stack needs at least two experiments, not 1: give more, or use train"),
    "batch": ([{}, {"batch_size": 50}], "batch_size is 90 in one experiment and 50 in another: in a stack, only seed"),
    "kind": ([{}, {"optimizer": "sgd"}], "optimizer.kind is 'adam' in one experiment and 'sgd' in another"),
    "data": ([{}, {"data.seed": 1}], "data.seed is 0 in one experiment and 1 in another"),
    "objective": (
        [{"objective": "wake_sleep", **DYNAMIC}] * 2,
        "objective that can be stacked, unlike 'wake_sleep': choose",
    ),
    "free bits": (
        [{"objective.free_bits": 0.1, "model.latent_dim": d} for d in (2, 3)],
        "objective.free_bits is 0.1, which padded latents would be charged as well: give all experiments the same",
    ),
    "corruption": (
        [{"model.corruption": "mask:0.5"}] * 2,
        "model.corruption is mask:0.5, which stacks do not draw: choose none, or train alone",
    ),
    "norm": (
        [{"model.network": {"kind": "conv", "batch_norm": True}}] * 2,
        "unlike 'conv': choose model.network.batch_norm=False, or network 'mlp', or train one by one",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_stacked_is_refused(changes: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        stacked([small().replace_all(change) for change in changes], tmp_path)
    assert not list(tmp_path.iterdir())


def test_each_experiment_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    for paths in ([tmp_path / "a"], [tmp_path / "a", tmp_path / "b" / ".." / "a"]):
        with pytest.raises(InputError, match="do not match 2 experiments: name one folder for each"):
            next(train_stack([small(), small(seed=1)], paths))


def test_runs_on_other_data_are_refused(tmp_path: Path) -> None:
    file, experiments = tmp_path / "rows.npy", []
    for seed in (0, 1):
        np.save(file, np.random.default_rng(seed).normal(size=(60, 4)))
        experiments.append(small(data__name=str(file), epochs=0.1, batch_size=10, seed=seed))
        finished(experiments[seed], tmp_path / str(seed))
    with pytest.raises(InputError, match=r"1 has different data from .*0: resume them one by one"):
        stacked(experiments, tmp_path, resume=True)
    finished(small(data__seed=1, epochs=0.1), tmp_path / "0", overwrite=True)
    with pytest.raises(InputError, match=r"data\.name is 'digits' in one experiment and .*rows\.npy"):
        stacked(experiments, tmp_path, resume=True)


def test_what_is_wrong_with_any_folder_is_found_before_any_is_made(tmp_path: Path) -> None:
    finished(small(epochs=0.1), tmp_path / "1")
    with pytest.raises(InputError, match="1 holds a run already"):
        stacked([small(), small(seed=1)], tmp_path)
    assert not (tmp_path / "0").exists()
    reports = train(small(epochs=0.1), tmp_path / "1", resume=True)
    next(reports)
    with pytest.raises(InputError, match="1 is being trained already"):
        stacked([small(), small(seed=1)], tmp_path, overwrite=True)
    reports.close()


SCRIPT = """
import json, sys, vaekit
from vaekit.choices import choose

for compile in ("off", "on"):
    dims = {"a": 2, "b": 3}
    experiments = [choose("digits", latent_dim=d, hidden=[20], epochs=0.5) for d in dims.values()]
    runs = [f"{sys.argv[1]}/{compile}-{name}" for name in dims]
    for progress in vaekit.train_stack(experiments, runs, device="cpu", compile=compile):
        pass
    print(json.dumps([vaekit.load(run).metrics()[-1]["train"]["loss"] for run in runs]))
"""


@pytest.mark.slow
def test_compiled_stacks_draw_the_same_numbers(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    eager, compiled = (json.loads(line) for line in found.stdout.splitlines())
    assert compiled == pytest.approx(eager, rel=1e-5)
    assert compiled != eager  # else nothing was compiled: the last bits differ
