"""The settings of *Auto-encoding variational Bayes* as the paper states them, and those of its Keras repetition."""

from collections.abc import Mapping
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from vaekit import devices
from vaekit.errors import RunError
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.run import Run
from vaekit.studies.scale import Scale
from vaekit.training.loop import Training

MNIST, FREY = 60_000, 1565
"""training images"""
SIZES = {"mnist": MNIST, "frey_face": FREY}
PRESET = {"mnist": "aevb-mnist", "frey_face": "aevb-frey"}
DEVIATION, VARIANCE = 0.01, 0.1
"""standard deviations of the first weights, as N(0, 0.01) can be read"""
STEPS = (0.01, 0.02, 0.1)
"""Adagrad's steps, of which the paper takes the best over the first few steps of training"""
PILOT = 10_000
"""training images by which a step is chosen, by the mean bound of the second half of them"""
KERAS: Mapping[str, Any] = {"model.network.initialization": "glorot", "optimizer": {"kind": "adam"}}
"""what the report of KTH changes: Adam at 0.001 and, because it uses Keras, Glorot's first weights"""


def experiment(data: str, scale: Scale, d: int, **changes: Any) -> Experiment:
    """Return one of the paper's networks; double underscores stand for dots."""
    chosen = {path.replace("__", "."): value for path, value in changes.items()}
    fixed = {
        **PRESETS[PRESET[data]],
        "data.binarization": "dynamic" if data == "mnist" and not scale.digits else "none",
        "model.latent_dim": d,
        "epochs": scale.epochs,
        "evaluate_every": max(1.0, scale.epochs / 20),
    }
    return Experiment(data=scale.source(data)).replace_all({**fixed, **chosen})


def as_printed(experiment: Experiment, images: int, step: float, deviation: float = DEVIATION) -> Experiment:
    """Return an experiment with the paper's first weights, heads, prior on the weights, optimizer and batches.

    Weights are drawn from N(0, deviation²), and biases start at 0. Networks output log σ². The prior N(0, I) is on
    matrices.

    Args:
        experiment: its data, network, objective and length stay.
        images: training images, N; the prior is a decay of 1/N.
        step: Adagrad's.
        deviation: standard deviation of the first weights.
    """
    parts = {"posterior": experiment.model.posterior, "likelihood": experiment.model.likelihood}
    heads = {f"model.{name}.head": "log_variance" for name, part in parts.items() if part.kind == "gaussian"}
    optimizer = {"kind": "adagrad", "learning_rate": step, "weight_decay": 1 / images, "decayed": "matrices"}
    return experiment.replace_all(
        {**heads, "model.network.initialization": deviation, "optimizer": optimizer, "batch_size": 100}
    )


def pilot(experiment: Experiment, data_root: Path | None = None) -> dict[float, float]:
    """Return the mean bound of training images 5,000 to 10,000 for each of Adagrad's steps; −∞ where training fails."""
    return {step: begun(experiment.replace("optimizer.learning_rate", step), PILOT, data_root).bound for step in STEPS}


class Beginning(NamedTuple):
    """How a training begins.

    Attributes:
        images: seen before the loss was NaN or infinite, or as many as were asked for.
        bound: mean over the second half of the images; −∞ if the training failed.
    """

    images: int
    bound: float


def begun(experiment: Experiment, images: int, data_root: Path | None = None) -> Beginning:
    """Train on a number of images, and keep nothing."""
    data, cpu = experiment.data.load(data_root), torch.device("cpu")
    steps = images // experiment.batch_size
    with TemporaryDirectory() as folder, devices.isolated(cpu):
        run = Run.create(Path(folder) / "run", experiment, data.space)
        training = Training(experiment.replace("training_samples", images), run, data, cpu)
        for stored in islice(data.train.stream(map(training.order.rows, count())), steps):
            if training.step == steps // 2:
                training.begin_window()
            try:
                training.take_step(stored)
            except RunError:
                return Beginning(training.step * experiment.batch_size, float("-inf"))
    return Beginning(
        steps * experiment.batch_size, training.window.get("elbo", training.window.get("log_joint", float("-inf")))
    )
