"""Trainings of a fraction of a second, for tests, and what is compared of them."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vaekit import Experiment, Run, Source, train
from vaekit.training.loop import Training

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "model.latent_dim": 2,
    "model.network.hidden": [12],
    "model.likelihood": "gaussian",
    "epochs": 2,
    "batch_size": 90,
}


def small(**changes: Any) -> Experiment:
    """An experiment of a second's fraction; double underscores stand for dots."""
    changes = {path.replace("__", "."): value for path, value in changes.items()}
    return Experiment(data=Source(name="digits")).replace_all(SMALL | changes)


def finished(experiment: Experiment, folder: Path, **options: Any) -> Run:
    for _ in train(experiment, folder, **options):
        pass
    return Run(folder)


def stopped(experiment: Experiment, folder: Path, step: int, **options: Any) -> Run:
    """Close the training as soon as it has taken some steps."""
    reports = train(experiment, folder, **options)
    for progress in reports:
        if progress.step >= step:
            break
    reports.close()
    return Run(folder)


def begun(experiment: Experiment, folder: Path) -> Training:
    data = experiment.data.load()
    return Training(experiment, Run.create(folder, experiment, data.space), data, CPU)


def numbers(run: Run) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl but for times."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in run.metrics()]


def same(a: Run, b: Run) -> bool:
    states = [load_file(run.path / "state.safetensors") for run in (a, b)]
    return (
        (a.path / "weights.safetensors").read_bytes() == (b.path / "weights.safetensors").read_bytes()
        and numbers(a) == numbers(b)
        and states[0].keys() == states[1].keys()
        and all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    )


def good(run: Run) -> bool:
    """Whether the saved model is usable."""
    return all(bool(tensor.isfinite().all()) for tensor in run.vae().state_dict().values())
