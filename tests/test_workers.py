"""One model trained by several processes is the model that a single one trains, whatever happens to them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from small import finished, numbers, small, stopped

from vaekit import InputError, Run, RunError, train
from vaekit.compatibility import kinds
from vaekit.data import Batch, Share
from vaekit.training.ranks import Ranks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several processes are not tried on Windows")

LONG: dict[str, Any] = {"epochs": 8.0, "batch_size": 100}


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.path / "state.safetensors")


def difference(one: Run, other: Run) -> float:
    """The largest one of any weight."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a if name.startswith("model."))


def test_a_batch_is_divided_without_rest() -> None:
    batch = Batch(torch.arange(11.0), torch.arange(11), None)
    parts = [Share.of(11, rank, 4).taken(batch) for rank in range(4)]
    assert torch.cat([part.x for part in parts]).equal(batch.x)
    assert {len(part.x) for part in parts} == {2, 3}
    assert parts[1].rows is not None
    assert parts[1].rows.equal(parts[1].x.long())
    assert parts[1].labels is None


@pytest.mark.parametrize(
    "changes",
    [
        {"data__binarization": "dynamic", "model__likelihood": "bernoulli"},
        pytest.param({"batch_size": 101}, marks=pytest.mark.slow),
        pytest.param({"model__posterior": "full_gaussian", "gradient_norm": 1.0}, marks=pytest.mark.slow),
        pytest.param({"objective": "importance", "model__posterior": "flow", "ema": 0.9}, marks=pytest.mark.slow),
        pytest.param({"objective": "reconstruction", "model__posterior": "delta"}, marks=pytest.mark.slow),
        pytest.param({"model__prior": "vamp", "early_stopping": 3}, marks=pytest.mark.slow),
        pytest.param({"model__network": "conv", "optimizer": "sgd", "epochs": 2.0}, marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_the_model_of_one(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = small(**LONG | changes)
    alone, together = finished(experiment, tmp_path / "one"), finished(experiment, tmp_path / "two", workers=2)
    assert together.metrics()[-1]["step"] >= (100 if experiment.epochs > 2 else 20)
    assert difference(alone, together) < 1e-6
    assert torch.equal(weights(alone)["random.cpu"], weights(together)["random.cpu"])
    for a, b in zip(numbers(alone), numbers(together), strict=True):
        assert a["train"] == pytest.approx(b["train"], rel=1e-5)


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_workers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment = small(**LONG)
    alone = finished(experiment, tmp_path / "one")
    stopped(experiment, tmp_path / "two", 30, workers=2)
    with caplog.at_level("INFO"):
        changed = finished(experiment, tmp_path / "two", resume=True)
    assert (
        "has had 2 workers so far and now has 1: images and noise stay the same, and only rounding differs"
        in caplog.text
    )
    assert difference(alone, changed) < 1e-6


def killed(run: Path, step: int) -> tuple[str, int]:
    """Kill the other process of a training of two after some steps; return the error, and the last step saved."""

    def trained() -> None:
        for progress in train(small(**LONG | {"epochs": 1e6}), run, workers=2):
            if progress.step >= step:
                for child in psutil.Process().children():
                    child.kill()

    with pytest.raises(RunError) as failed:
        trained()
    return str(failed.value), json.loads(facts(run))["step"]


def facts(run: Path) -> str:
    with safe_open(run / "state.safetensors", "pt") as file:
        return str(file.metadata()["facts"])


@pytest.mark.slow
def test_a_worker_that_dies_ends_the_others_with_a_sentence(tmp_path: Path) -> None:
    sentence, step = killed(tmp_path / "run", 5)
    assert sentence == (
        f"one of 2 workers ended, or its connection did; {tmp_path / 'run'} keeps the last state that was saved: "
        f"continue with vaekit train --resume --run {tmp_path / 'run'} --workers 2"
    )
    assert step == 0
    assert not psutil.Process().children()
    shorter = Run(tmp_path / "run").experiment.replace("epochs", 1.0)
    assert finished(shorter, tmp_path / "run", resume=True).metrics()[-1]["epoch"] >= 1
    assert not list((tmp_path / "run").glob(".*.tmp*"))


@pytest.mark.slow
def test_a_worker_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data.npy"
    np.save(data, np.random.default_rng(0).random((200, 4, 4), dtype=np.float32))
    began = Ranks.begin

    def gone(self: Ranks, order: dict[str, Any], device: torch.device) -> None:
        data.unlink()
        began(self, order, device)

    monkeypatch.setattr(Ranks, "begin", gone)
    with pytest.raises(RunError, match=r"^worker 1 failed \(.*data.npy.*\); .*run keeps the last state"):
        finished(small(data__name=str(data)), tmp_path / "run", workers=2)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_explained_by_the_whole_batch(tmp_path: Path) -> None:
    experiment = small(**LONG | {"optimizer": "sgd", "optimizer__learning_rate": 1e30})
    sentences = []
    for workers in (1, 2):
        with pytest.raises(RunError) as failed:
            finished(experiment, tmp_path / "run", workers=workers, overwrite=workers == 2)
        sentences.append(str(failed.value))
    assert sentences[0] == sentences[1]


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        (
            {"objective": "dip"},
            {},
            "workers needs an objective that takes each example by itself, unlike 'dip': choose obj",
        ),
        ({"objective__free_bits": 0.1}, {}, "unlike 'elbo': choose objective.free_bits=0.0, or objective 'importance'"),
        ({"objective": "factor"}, {}, "unlike 'factor'"),
        (
            {"model__network": "conv", "model__network__batch_norm": True},
            {},
            "a network that takes each example by itself",
        ),
        ({"model__corruption": "mask:0.5"}, {}, "model.corruption is mask:0.5, which 2 workers do not draw"),
        ({}, {"compile": "on"}, "compile is on, and 2 workers take eager steps"),
        ({}, {"data": np.zeros((20, 8, 8), "f4")}, "the data are in memory, where 2 workers do not find them"),
        ({}, {"workers": 0}, "workers is 0: give a number of at least 1"),
        ({"batch_size": 1}, {}, "batch_size 1 is less than 2 workers"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(
    changes: dict[str, Any], options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        finished(small(**changes), tmp_path / "run", **{"workers": 2} | options)
    assert sentence in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_rows_of_each_kind_are_known_by_the_trait() -> None:
    assert {kind.kind for kind in kinds(small(), "objective") if "rowwise" in kind.has} == {
        "elbo", "importance", "reconstruction",
    }  # fmt: skip


COMMAND = [
    "train",
    "digits",
    "--hidden",
    "12",
    "--batch-size",
    "100",
    "--latent-dim",
    "2",
    "--run",
    "run",
    "--no-report",
]


@pytest.mark.slow
def test_torchrun_trains_one_model_in_its_processes(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    together = [*torchrun, "vaekit", *COMMAND]
    done = subprocess.run([*together, "--epochs", "2"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "run\n"
    assert done.stderr.count("epoch 2/2") == 1
    alone = finished(Run(tmp_path / "run").experiment, tmp_path / "one")
    assert difference(alone, Run(tmp_path / "run")) < 1e-6
    assert json.loads(facts(tmp_path / "run"))["workers"] == 2


@pytest.mark.slow
def test_ctrl_c_saves_the_state_and_ends_all(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vaekit", *COMMAND, "--epochs", "1e6", "--workers", "2"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "epoch 2/" in line:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group gets it
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "stopped; continue with: vaekit train --resume --run run"
    assert json.loads(facts(tmp_path / "run"))["step"] > 12
