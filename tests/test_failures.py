"""Trainings that cannot begin, or fail: the sentence, and what is kept."""

import errno
import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import begun, finished, good, same, small

from vaekit import InputError, Run, RunError, train
from vaekit.training import loop


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_diverging_loss_is_explained(kind: str, tmp_path: Path) -> None:
    experiment = small(optimizer={"kind": kind, "learning_rate": 1e10})
    message = r"loss on the batch of step 1, in epoch 1, is NaN or infinite.*term reconstruction.*"
    with pytest.raises(RunError, match=message + "after 0 steps is kept.*learning-rate"):
        finished(experiment, tmp_path / "run")
    assert good(Run(tmp_path / "run"))
    assert [row["step"] for row in Run(tmp_path / "run").metrics()] == [0]


def test_a_layer_that_overflows_is_named(tmp_path: Path) -> None:
    experiment = small(optimizer={"kind": "sgd", "learning_rate": 1e33})
    with pytest.raises(RunError, match=r"first: the output of layer vae\.likelihood\.network\.\d, then the term"):
        finished(experiment, tmp_path / "run")


@pytest.mark.usefixtures("every_step")
def test_weights_that_an_update_spoilt_are_named_and_never_saved(tmp_path: Path) -> None:
    def spoilt(folder: Path, step: int) -> Any:
        running = begun(small(), folder)
        reports = running.reports()
        while next(reports).step < step:
            pass
        running.save()
        running.vae.likelihood.network[0].weight.data[0, 0] = math.nan  # type: ignore[union-attr, index]
        return reports

    message = r"weight (vae\.)?likelihood\.network\.0\.weight.*the state after 9 steps is kept"
    with pytest.raises(RunError, match=message):
        next(spoilt(tmp_path / "goes on", 9))
    with pytest.raises(RunError, match=message):
        spoilt(tmp_path / "is closed", 9).close()
    assert good(Run(tmp_path / "goes on"))
    assert good(Run(tmp_path / "is closed"))
    whole = finished(small(), tmp_path / "whole")
    assert same(whole, finished(small(), tmp_path / "goes on", resume=True))


def test_a_held_out_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    experiment = small(optimizer={"kind": "sgd", "learning_rate": 1e10}, training_samples=1)
    with pytest.raises(RunError, match="loss on validation images after step 1 is NaN or infinite"):
        finished(experiment, tmp_path / "run")
    assert good(Run(tmp_path / "run"))
    assert "NaN" not in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model.network.hidden": [10**9, 10**9]},
            r"would take .* GiB of memory .* 2,000,000,138,000,000,\d+ weights.* available: choose a smaller",
        ),
        ({"model.latent_dim": 10**15}, r"training would take .* GiB for 38,000,000,000,00[\d,]+ weights"),
        ({"model.network.hidden": [2**62]}, f"no memory holds a model with .*{2**62}.*: choose smaller sizes"),
        ({"objective.samples": 10**7}, "training would take .* GiB for batch_size 90.*, and cpu has .* available"),
    ],
)
def test_too_large_sizes_are_refused_before_memory_is_taken(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        next(train(small().replace_all(changes), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["numpy", "cuda", "cpu"],
)
def test_running_out_of_memory_is_a_sentence(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = loop.Step.forward, itertools.count()

    def fail(*arguments: Any) -> Any:
        if next(calls) == 5:
            raise error
        return forward(*arguments)

    monkeypatch.setattr(loop.Step, "forward", fail)
    with pytest.raises(RunError, match="memory ran out with batch_size 90: train again with a smaller"):
        finished(small(), tmp_path / "run")
    monkeypatch.undo()
    assert same(finished(small(), tmp_path / "run", resume=True), finished(small(), tmp_path / "whole"))


@pytest.mark.parametrize("writes", range(3, 8))
def test_a_full_disk_leaves_the_last_checkpoint_whole(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    calls = itertools.count()

    def sync(file: int) -> None:
        if next(calls) >= writes:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(RunError, match=r"the disk is full.*make room.*whole"):
        finished(small(), tmp_path / "run")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == []
    assert same(finished(small(), tmp_path / "run", resume=True), finished(small(), tmp_path / "whole"))


@pytest.mark.parametrize(
    ("likelihood", "words"),
    [
        ("categorical", "likelihood categorical needs byte data, digits is unit: save the images as uint8"),
        ("discretized_logistic", "needs byte data"),
    ],
)
def test_data_that_the_likelihood_does_not_cover_are_refused(likelihood: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        next(train(small(model__likelihood=likelihood), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_real_numbers_need_a_gaussian(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 3)))
    experiment = small(data__name=str(tmp_path / "x.npy"))
    with pytest.raises(InputError, match=r"needs binary or unit or byte data, .*x\.npy is real: .*gaussian"):
        next(train(experiment.replace("model.likelihood", "bernoulli"), tmp_path / "run"))
    assert math.isfinite(finished(experiment, tmp_path / "run").metrics()[-1]["train"]["elbo"])


def test_early_stopping_needs_validation_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"early_stopping 2 .* 0\.8/0\.2 has none: choose a split in three parts"):
        next(train(small(early_stopping=2, data__split="0.8/0.2"), tmp_path / "run"))


def test_a_network_that_does_not_fit_the_data_leaves_no_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 3)))
    experiment = small(data__name=str(tmp_path / "x.npy"), model__network="conv")
    with pytest.raises(InputError, match="network conv needs images"):
        next(train(experiment, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}])
def test_a_run_that_is_being_trained_is_left_alone(options: dict[str, bool], tmp_path: Path) -> None:
    reports = train(small(), tmp_path / "run")
    next(reports)
    before = (tmp_path / "run" / "experiment.json").read_bytes()
    with pytest.raises(InputError, match=r"run is being trained already by .*: wait for that training, or stop"):
        next(train(small(epochs=5), tmp_path / "run", **options))
    assert (tmp_path / "run" / "experiment.json").read_bytes() == before
    for _ in reports:
        pass
    assert same(Run(tmp_path / "run"), finished(small(), tmp_path / "whole"))
