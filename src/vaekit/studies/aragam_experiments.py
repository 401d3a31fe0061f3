"""What is trained for the benchmark of Aragam (2024), and the numbers of its table."""

from collections.abc import Mapping
from typing import Any

from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.studies.scale import SMOKE, Scale

EPOCHS = 10
"""epochs that the report states; the code's author trained five times as long"""
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS, seeds=3), "full": Scale(epochs=EPOCHS, seeds=3)}
LONG = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS, longer=2), "full": Scale(epochs=EPOCHS, seeds=3)}
"""Twice the epochs, with one seed, show whether a loss still falls, and fit into an hour of two cores; five times the
epochs at every number of latents take seven times as long with three seeds."""

TABLE: Mapping[int, Mapping[str, float]] = {
    2: {"KL": 4.4122, "reconstruction": 32.26999, "total": 36.68219},
    3: {"KL": 6.12124, "reconstruction": 30.11598, "total": 36.23721},
    4: {"KL": 7.30888, "reconstruction": 25.05045, "total": 32.35933},
    5: {"KL": 8.39849, "reconstruction": 22.89452, "total": 31.29301},
    10: {"KL": 11.90844, "reconstruction": 17.10307, "total": 29.01152},
    30: {"KL": 12.58757, "reconstruction": 15.39129, "total": 27.97886},
}


def label(d: int) -> str:
    """Name an experiment of the table."""
    return f"d = {d}"


def longer(d: int) -> str:
    """Name a training that goes on."""
    return f"{label(d)}, longer training"


def experiment(scale: Scale, d: int, **changes: Any) -> Experiment:
    """Return one of the report's networks with d latents; double underscores stand for dots."""
    chosen = {path.replace("__", "."): value for path, value in changes.items()}
    fixed = {**PRESETS["aragam"], "model.latent_dim": d, "epochs": scale.epochs}
    return Experiment(data=scale.source("mnist")).replace_all({**fixed, **chosen})


def dimensions(scale: Scale) -> dict[str, Experiment]:
    """Return the six networks of the table."""
    return {label(d): experiment(scale, d) for d in TABLE}


def trained_longer(scale: Scale, d: int) -> dict[str, Experiment]:
    """Return one of the six, trained longer; its first epochs are those of the shorter training."""
    return {longer(d): experiment(scale, d, epochs=scale.longer * scale.epochs)}


def with_longer(scale: Scale) -> dict[str, Experiment]:
    """Return the six, and the one of two latents trained longer."""
    return dimensions(scale) | trained_longer(scale, 2)


def all_longer(scale: Scale) -> dict[str, Experiment]:
    """Return all six, trained longer."""
    return {name: each for d in TABLE for name, each in trained_longer(scale, d).items()}


def planes(scale: Scale) -> dict[str, Experiment]:
    """Return the networks of two and three latents."""
    return {label(d): experiment(scale, d) for d in (2, 3)}


def few_and_many(scale: Scale) -> dict[str, Experiment]:
    """Return the networks of five and thirty latents."""
    return {label(d): experiment(scale, d) for d in (5, 30)}


OTHER = "d = 5, dense layers"


def with_other(scale: Scale) -> dict[str, Experiment]:
    """Return the six, and another kind of network."""
    dense = {"kind": "mlp", "hidden": [500], "activation": "relu"}
    return dimensions(scale) | {OTHER: experiment(scale, 5, model__network=dense)}


AUTO_ENCODER, VARIATIONAL = "auto-encoder", "VAE"
PLAIN = {"model__posterior": "delta", "objective": "reconstruction"}
"""an auto-encoder: codes without noise, squared errors without a KL"""


def auto_encoder(scale: Scale) -> Experiment:
    """Return an auto-encoder of two latents.

    Without a KL, nothing keeps codes near zero: at the report's learning rate for VAEs, those of one seed in three
    diverged within a hundred steps, and all images were black from then on.
    """
    return experiment(scale, 2, optimizer__learning_rate=1e-4, **PLAIN)


def contrast(scale: Scale) -> dict[str, Experiment]:
    """Return the same network of two latents with and without a KL."""
    return {AUTO_ENCODER: auto_encoder(scale), VARIATIONAL: experiment(scale, 2)}


RATE, PIXELS = 5e-5, 28 * 28
HALF, MEAN = "SGD, half the sum over pixels", "SGD, mean over pixels"
FACTORS = {HALF: 1 / 2, MEAN: 1 / PIXELS}
"""what the report's squared error may be multiplied by, relative to the sum over pixels that is minimized here"""


def descents(scale: Scale) -> dict[str, Experiment]:
    """Return auto-encoders trained by the report's SGD, in two readings of its loss, and by Adam."""
    by_sgd = {
        name: experiment(scale, 2, optimizer={"kind": "sgd", "learning_rate": RATE * factor}, **PLAIN)
        for name, factor in FACTORS.items()
    }
    return {**by_sgd, AUTO_ENCODER: auto_encoder(scale)}


DENSE = {"kind": "mlp", "hidden": [1024] * 4, "activation": "leaky_relu"}
LINES: Mapping[str, tuple[int, Mapping[str, Any], str, str]] = {
    "100 images, dense layers": (100, {"model__network": DENSE}, "100/59900/10000", "100/1337/360"),
    "1,000 images, dense layers": (1000, {"model__network": DENSE}, "1000/59000/10000", "1000/437/360"),
    "100 images, the report's network": (100, {}, "100/59900/10000", "100/1337/360"),
}
"""training images, network, and splits of MNIST and of digits"""
STEPS = {"dense": 2_000, "convolutional": 500}
"""steps per epoch of the report's training: dense layers are cheap"""
BATCH = 100


def lines(scale: Scale) -> dict[str, Experiment]:
    """Return auto-encoders of few images with a single latent, trained for many passes over them."""
    found = {}
    for name, (images, network, *splits) in LINES.items():
        steps = STEPS["dense" if network else "convolutional"]
        epochs = steps * scale.epochs * BATCH / images
        found[name] = experiment(
            scale, 1, data__split=splits[scale.digits], batch_size=BATCH, epochs=epochs, evaluate_every=epochs,
            optimizer__learning_rate=1e-3, schedule="cosine", **network, **PLAIN,
        )  # fmt: skip
    return found
