"""Training: replay, resuming, metrics, schedules, averages, early stopping."""

import itertools
import json
import logging
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import CPU, begun, finished, same, small, stopped

from vaekit import InputError, Run, decode, encode, evaluate, reconstruct, sample, train
from vaekit.devices import seeded
from vaekit.training.loop import EVALUATION_SEED, Progress

KINDS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adamw": {"optimizer": "adamw"},
    "adamax": {"optimizer": "adamax"},
    "adagrad": {"optimizer": {"kind": "adagrad", "weight_decay": 1e-3}},
    "matrices": {"optimizer": {"kind": "adagrad", "weight_decay": 0.1, "decayed": "matrices"}, "ema": 0.9},
    "in order": {"shuffle": False, "batch_size": 100},
    "rmsprop": {"optimizer": {"kind": "rmsprop", "momentum": 0.5}},
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": {"kind": "sgd", "momentum": 0.9, "nesterov": True}},
    "averaged": {"ema": 0.9},
    "early": {"early_stopping": 3, "evaluate_every": 0.25},
    "dynamic": {"data.binarization": "dynamic", "model.likelihood": "bernoulli"},
    "static": {"data.binarization": "static", "model.likelihood": "bernoulli"},
    "convolutions": {
        "model.network": {"kind": "conv", "channels": [3], "strides": [2], "batch_norm": True},
        "ema": 0.8,
        "epochs": 1,
    },
    "cosine": {"schedule": {"kind": "cosine", "warm_up": 0.5}, "gradient_norm": 5.0},
    "monte carlo": {
        "objective": {"kind": "elbo", "samples": 2, "kl": "monte_carlo", "beta_schedule": {"kind": "warm_up"}}
    },
    "deterministic": {"model.posterior": "delta", "objective": "reconstruction"},
    "wake-sleep": {"objective": "wake_sleep", "epochs": 1},
    "em": {
        "model.posterior": "standard_normal",
        "objective": {"kind": "monte_carlo_em", "starts": 5, "transitions": 2, "leapfrog": 2},
        "epochs": 1,
    },
    "em, 3 updates per draw": {
        "model.posterior": "standard_normal",
        "objective": {"kind": "monte_carlo_em", "starts": 5, "transitions": 2, "leapfrog": 2, "updates": 3},
        "epochs": 1,
    },
}


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_same_bytes_again_and_after_stops_in_the_middle_of_epochs(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = small().replace_all(changes)
    whole = finished(experiment, tmp_path / "whole")
    assert same(whole, finished(experiment, tmp_path / "again"))
    stopped(experiment, tmp_path / "parts", 0)
    stopped(experiment, tmp_path / "parts", 5, resume=True)
    stopped(experiment, tmp_path / "parts", 17, resume=True)
    assert same(whole, finished(experiment, tmp_path / "parts", resume=True))
    assert same(whole, finished(experiment, tmp_path / "parts", resume=True))  # there is nothing left to do


def test_other_seeds_give_other_weights(tmp_path: Path) -> None:
    runs = [finished(small(seed=seed, epochs=0.2), tmp_path / str(seed)) for seed in (0, 1)]
    assert not same(*runs)
    begin = [run.metrics()[0]["validation"]["elbo"] for run in runs]
    assert begin[0] != begin[1]


@pytest.mark.usefixtures("every_step")
def test_a_consumer_may_draw_numbers(tmp_path: Path) -> None:
    experiment = small(data__binarization="dynamic", model__likelihood="bernoulli", epochs=1)
    whole = finished(experiment, tmp_path / "whole")
    for progress in train(experiment, tmp_path / "watched"):
        torch.rand(3)
        np.random.default_rng().random(3)
        torch.manual_seed(progress.step)
    assert same(whole, Run(tmp_path / "watched"))


def test_longer_epochs_continue_a_finished_run(tmp_path: Path) -> None:
    finished(small(epochs=1), tmp_path / "run")
    run = finished(small(epochs=2), tmp_path / "run", resume=True)
    assert same(run, finished(small(epochs=2), tmp_path / "whole"))
    assert run.experiment.epochs == 2


def test_resuming_what_has_no_checkpoint_begins_anew(tmp_path: Path) -> None:
    whole = finished(small(), tmp_path / "whole")
    begun(small(), tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 0}\n{"step": 7')
    assert same(whole, finished(small(), tmp_path / "run", resume=True))


CHILD = """
import sys
import torch
from vaekit import cli
from vaekit.training import loop

torch.set_num_threads(1)
loop.SECONDS_BETWEEN_CHECKPOINTS = 0.02
sys.exit(cli.main(sys.argv[1:]))
"""


def killed(rows: int, folder: Path, *arguments: str) -> None:
    """Train in a process of its own, and kill it once so many rows of metrics are written."""
    command = [sys.executable, "-c", CHILD, "train", *arguments, "--run", str(folder), "--no-report", "--quiet"]
    process = subprocess.Popen(command)
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_text().count("\n") < rows:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_kill_9_loses_nothing_but_time(tmp_path: Path) -> None:
    experiment = small(epochs=20, ema=0.9, data__binarization="dynamic", model__likelihood="bernoulli")
    (tmp_path / "experiment.json").write_text(experiment.to_json())
    killed(3, tmp_path / "run", "--config", str(tmp_path / "experiment.json"))
    between = Run(tmp_path / "run")
    assert [row["step"] for row in between.metrics()] == sorted({row["step"] for row in between.metrics()})
    assert between.vae().encode(torch.zeros(1, 1, 8, 8)).isfinite().all()
    killed(6, tmp_path / "run", "--resume")
    assert same(
        finished(experiment, tmp_path / "run", resume=True),
        finished(experiment, tmp_path / "whole"),
    )


def test_rows(tmp_path: Path) -> None:
    run = finished(small(epochs=2, evaluate_every=0.5), tmp_path / "run")
    rows = run.metrics()
    assert [row["step"] for row in rows] == [0, 7, 14, 21, 28]
    assert [row["samples"] for row in rows] == [90 * row["step"] for row in rows]
    assert rows[-1]["epoch"] == pytest.approx(28 * 90 / 1257)
    for row in rows:
        assert row.keys() == {*("epoch", "step", "samples", "train", "validation", "images_per_second", "seconds")}
        for part in (row["train"], row["validation"]):
            assert part.keys() == {"loss", "elbo", "reconstruction", "kl"}
            assert part["elbo"] == pytest.approx(-part["reconstruction"] - part["kl"], rel=1e-5)
            assert part["loss"] == pytest.approx(-part["elbo"], rel=1e-5)
    assert rows[-1]["validation"]["elbo"] > rows[0]["validation"]["elbo"] + 10
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert all(row["images_per_second"] > 100 for row in rows[1:])


def test_the_last_row_is_of_the_weights_that_are_saved(tmp_path: Path) -> None:
    experiment = small(ema=0.9)
    run = finished(experiment, tmp_path / "run")
    split = run.data().fixed("validation")
    objective = experiment.objective.build(run.vae(), run.space)
    objective.advance(run.metrics()[-1]["epoch"], experiment.epochs)
    with seeded(EVALUATION_SEED, CPU), torch.no_grad():
        loss = objective(run.vae(), split.batch(torch.arange(len(split))))
    assert float(loss.bound) == pytest.approx(run.metrics()[-1]["validation"]["elbo"], rel=1e-6)


def test_fractions_of_epochs_are_whole_steps_where_they_should_be(tmp_path: Path) -> None:
    changes = {"data.split": "1000/797", "batch_size": 10, "epochs": 1.1, "evaluate_every": 0.1}
    running = begun(small().replace_all(changes), tmp_path / "run")
    assert running.steps == 110  # though 1.1 × 100 is more than that in floating point
    due = []
    for running.step in range(1, 111):
        due += [running.step] * running.evaluation_due
    assert due == list(range(10, 111, 10))
    changes |= {"training_samples": 10**6, "data.split": "1565/232", "batch_size": 100}
    assert begun(small().replace_all(changes), tmp_path / "long").steps == 10**4


def test_length_in_samples(tmp_path: Path) -> None:
    run = finished(small(training_samples=1000, epochs=50), tmp_path / "run")
    assert run.metrics()[-1]["samples"] == 90 * math.ceil(1000 / 90)


def test_two_parts_are_evaluated_on_test_images(tmp_path: Path) -> None:
    run = finished(small(data__split="0.8/0.2", epochs=0.1), tmp_path / "run")
    assert "test" in run.metrics()[-1]
    assert "validation" not in run.metrics()[-1]


def test_reports(tmp_path: Path) -> None:
    reports = list(train(small(), tmp_path / "run"))
    assert all(isinstance(report, Progress) for report in reports)
    rows = [report.row for report in reports if report.row]
    assert rows == Run(tmp_path / "run").metrics()
    last = reports[-1]
    assert (last.step, last.epochs, last.step) == (28, 2, last.steps)
    assert last.terms == rows[-1]["train"]


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    "schedule",
    [
        {"kind": "constant"},
        {"kind": "milestones", "at": [0.5, 1.5], "decay": 0.5},
        {"kind": "cosine", "warm_up": 0.5, "final": 0.1},
        {"kind": "warm_up", "epochs": 1},
    ],
    ids=lambda schedule: schedule["kind"],
)
def test_learning_rate_follows_its_schedule(schedule: dict[str, Any], tmp_path: Path) -> None:
    experiment = small(schedule=schedule, optimizer={"kind": "sgd", "learning_rate": 1e-3}, gradient_norm=1.0)
    running = begun(experiment, tmp_path / "run")
    weights = [torch.nn.utils.parameters_to_vector(running.vae.parameters()).detach() for _ in running.reports()]
    moved = [float(torch.dist(a, b)) for a, b in itertools.pairwise(weights)]
    epochs = [step * 90 / 1257 for step in range(28)]
    # The gradient's norm is clipped to 1 (it is far above), so a step is as long as the learning rate.
    assert moved == pytest.approx([1e-3 * experiment.schedule.factor(epoch, 2) for epoch in epochs], rel=0.01, abs=1e-7)


@pytest.mark.usefixtures("every_step")
def test_averaged_weights_are_the_exponential_moving_average(tmp_path: Path) -> None:
    running = begun(small(ema=0.8, epochs=1), tmp_path / "run")
    weight = running.vae.likelihood.network[0].weight  # type: ignore[union-attr, index]
    expected: torch.Tensor | None = None
    for report in running.reports():
        if report.step:
            now = weight.detach().clone()
            expected = now if expected is None else 0.8 * expected + 0.2 * now
    saved = load_file(tmp_path / "run" / "weights.safetensors")["likelihood.network.0.weight"]
    assert expected is not None
    torch.testing.assert_close(saved, expected)
    assert not torch.allclose(saved, weight)


def test_early_stopping_takes_the_best_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vaekit")
    changes = {"optimizer": {"kind": "adam", "learning_rate": 0.02}, "evaluate_every": 0.5}
    experiment = small(early_stopping=2, epochs=500).replace_all(changes)
    run = finished(experiment, tmp_path / "run")
    bounds = [row["validation"]["elbo"] for row in run.metrics()[1:]]
    best = int(np.argmax(bounds))
    assert len(bounds) == best + 3 < 1000
    split = run.data().fixed("validation")
    with seeded(EVALUATION_SEED, CPU), torch.no_grad():
        loss = experiment.objective.build(run.vae(), run.space)(run.vae(), split.batch(torch.arange(len(split))))
    assert float(loss.bound) == pytest.approx(bounds[best], rel=1e-6)
    assert "2 evaluations found no better bound" in caplog.text


def test_data_that_have_changed_are_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "x.npy", rows)
    experiment = small(data__name=str(tmp_path / "x.npy"))
    finished(experiment, tmp_path / "run")
    np.save(tmp_path / "x.npy", rows + 1)
    with pytest.raises(InputError, match=r"x\.npy holds other data .*; restore them, or name their place with --data"):
        finished(experiment, tmp_path / "run", resume=True)


def test_precision_is_that_of_products_alone(tmp_path: Path) -> None:
    whole, half = (finished(small(precision=name), tmp_path / name) for name in ("fp32", "bf16"))
    bounds = [run.metrics()[-1]["validation"]["elbo"] for run in (whole, half)]
    assert bounds[0] != bounds[1]
    assert bounds[0] == pytest.approx(bounds[1], rel=0.1)
    assert {tensor.dtype for tensor in half.vae().state_dict().values()} == {torch.float32}


def test_device_that_is_chosen_is_named_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vaekit")
    next(train(small(), tmp_path / "run"))
    assert caplog.text.count("chosen: device") == 1
    assert "because" in caplog.text


def test_state_is_json_and_tensors(tmp_path: Path) -> None:
    run = finished(small(), tmp_path / "run")
    header = (run.path / "state.safetensors").read_bytes()
    length = int.from_bytes(header[:8], "little")
    facts = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["facts"])
    assert facts["step"] == 28


@pytest.mark.usefixtures("every_step")
def test_the_caller_draws_its_own_numbers(tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(64)
    torch.manual_seed(7)
    found = [torch.rand(1).item() for _ in train(small(), tmp_path / "run")]
    found.append(torch.rand(1).item())
    assert found == expected[: len(found)].tolist()


@pytest.mark.usefixtures("every_step")
def test_the_callers_precision_and_gradient_mode_change_nothing(tmp_path: Path) -> None:
    experiment = small(data__binarization="dynamic", model__likelihood="bernoulli", epochs=1)
    whole = finished(experiment, tmp_path / "whole")
    evaluate(whole, samples=5, images=20)
    vae = whole.vae()
    x, z = np.zeros((3, 8, 8)), np.zeros((2, 2))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            for _ in train(experiment, tmp_path / "again"):
                assert torch.get_default_dtype() == torch.float64
                assert torch.is_inference_mode_enabled()
            again = Run(tmp_path / "again")
            assert evaluate(again, samples=5, images=20)["elbo"] == whole.results()["evaluations"][-1]["elbo"]
        for verb, given in ((encode, x), (decode, z), (reconstruct, x), (sample, 4)):
            one, other = (verb(run, given) for run in (whole, again))  # type: ignore[operator]
            assert np.array_equal(one, other)
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(encode(again, x), vae.encode(torch.zeros(3, 1, 8, 8)).numpy())
    assert same(whole, again)


@pytest.mark.parametrize(("batch_size", "epochs", "steps"), [(5000, 3, 3), (1258, 0.5, 1), (1257, 2, 2)])
def test_a_batch_is_never_larger_than_the_training_images(
    batch_size: int, epochs: float, steps: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="vaekit")
    run = finished(small(batch_size=batch_size, epochs=epochs), tmp_path / "run")
    last = run.metrics()[-1]
    assert (last["step"], last["epoch"], last["samples"]) == (steps, steps, 1257 * steps)
    told = "batch_size 5,000 is more than the training images: every step takes all 1,257 of them" in caplog.text
    assert told == (batch_size == 5000)
