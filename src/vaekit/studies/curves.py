"""The printed curves of Auto-encoding variational Bayes, as numbers at any number of training images."""

import csv
from functools import cache
from importlib.resources import files
from math import log10

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]


@cache
def _curves() -> dict[tuple[str, str, int, str, str], Curve]:
    text = (files("vaekit.studies") / "aevb_curves.csv").read_text(encoding="utf-8")
    found: dict[tuple[str, str, int, str, str], list[tuple[float, float]]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        size = int(row["latent_dim_or_train_size"])
        key = row["figure"], row["dataset"], size, row["algorithm"], row["split"]
        found.setdefault(key, []).append((log10(float(row["training_samples"])), float(row["nats_per_image"])))
    return {key: (np.array(points).T[0], np.array(points).T[1]) for key, points in found.items()}


def printed(figure: int, data: str, size: int, algorithm: str, split: str, images: float) -> float | None:
    """Return the height of a curve after a number of training images, on a log axis; None where it is not drawn.

    Args:
        figure: 2 (lower bound) or 3 (marginal likelihood).
        data: mnist or frey_face.
        size: number of latents in figure 2, of training images in figure 3.
        algorithm: aevb, wake-sleep or mcem.
        split: train or test.
        images: seen in training.

    Example:
        >>> round(printed(2, "mnist", 20, "aevb", "test", 1e7))
        -105
    """
    x, y = _curves()[str(figure), data, size, algorithm, split]
    at = log10(images)
    return float(np.interp(at, x, y)) if x[0] <= at <= x[-1] else None
