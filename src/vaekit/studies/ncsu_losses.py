"""The curve of the ECE 542 report (figure 6) against the ten epochs that the notebook prints."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
import torch

from vaekit.estimates import Estimate, mean_over_images
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns, named
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.ncsu_network import NOTEBOOK
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, UNTESTABLE, Key, Numbers, Result, Verdict, clear, compared

CURVE = (
    (0.2109, 0.1966),
    (0.1933, 0.1899),
    (0.1886, 0.1862),
    (0.1858, 0.1851),
    (0.1840, 0.1830),
    (0.1827, 0.1816),
    (0.1816, 0.1813),
    (0.1807, 0.1827),
    (0.1800, 0.1806),
    (0.1794, 0.1801),
)
"""the notebook's loss on training and validation images, after each of ten epochs"""
IMAGES = ("training", "held out")
LAST = "last epoch"
FIRST_TOLERANCE, GAP = 0.02, 0.002
"""the largest difference in the first epoch, and the largest gap between held-out and training images"""
EARLY, LATE = "second fifth", "last fifth"


def quantity(epoch: int | str, images: str) -> str:
    """Name a loss."""
    return f"loss per pixel in {f'epoch {epoch}' if isinstance(epoch, int) else f'the {epoch}'}, {images}"


def gap(when: str) -> str:
    """Name how much more held-out images lose than training images in a fifth of the training."""
    return f"gap in the {when} of the epochs"


def series(lab: Lab) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs, and the loss per pixel on training and held-out images, (2, epochs)."""
    run = lab.runs[NOTEBOOK]
    rows, pixels = run.metrics()[1:], prod(run.space.event_shape)
    losses = [[row["train"]["loss"], held_out(row)["loss"]] for row in rows]
    return np.array([row["epoch"] for row in rows]), np.array(losses).T / pixels


HEADLINE = quantity(LAST, "held out")


def losses(lab: Lab) -> Numbers:
    """Measure the notebook's loss, an average over pixels, in the printed epochs and the last, and the gap."""
    epochs, curves = series(lab)
    found: dict[Key, Estimate] = {}
    for when, k in [(k + 1, k) for k in range(min(len(CURVE), len(epochs)))] + [(LAST, -1)]:
        for images, curve in zip(IMAGES, curves, strict=True):
            found[NOTEBOOK, quantity(when, images)] = exact(curve[k])
    for when, part in fifths(len(epochs)).items():
        found[NOTEBOOK, gap(when)] = over_epochs(curves[1, part] - curves[0, part])
        found[NOTEBOOK, quantity(when, "held out")] = over_epochs(curves[1, part])
    return found


def fifths(epochs: int) -> dict[str, slice]:
    """Return the second and the last fifth of a training: its first is one of falling, not of overfitting."""
    n = max(1, epochs // 5)
    second = min(n, epochs - n)
    return {EARLY: slice(second, second + n), LATE: slice(epochs - n, epochs)}


def over_epochs(values: np.ndarray) -> Estimate:
    """Average a number over epochs, with the error of that mean."""
    return mean_over_images(torch.from_numpy(values), 1)


def published_losses(scale: Scale) -> Mapping[Key, float]:
    """Return what the notebook prints of the epochs that are trained."""
    printed = () if scale.digits else CURVE[: int(scale.epochs)]
    return {
        (NOTEBOOK, quantity(epoch, images)): loss
        for epoch, pair in enumerate(printed, 1)
        for images, loss in zip(IMAGES, pair, strict=True)
    }


def tolerances() -> dict[Key, float]:
    """Return the tolerance of each printed loss: 0.02 over the number of its epoch."""
    return {
        (NOTEBOOK, quantity(epoch, images)): FIRST_TOLERANCE / epoch
        for epoch in range(1, len(CURVE) + 1)
        for images in IMAGES
    }


def judge_losses(result: Result) -> Verdict:
    """Judge the printed epochs on both sides, and whether the loss falls over all epochs without overfitting."""
    known = published_losses(result.size)
    if not known:
        return Verdict(UNTESTABLE, "the notebook's losses are for MNIST.")
    word, sentence = compared(result, known, tolerances(), higher_is_better=False)
    falls, growth = (result.paired((NOTEBOOK, of(LATE)), (NOTEBOOK, of(EARLY))) for of in (_held_out, gap))
    late = result.value(NOTEBOOK, gap(LATE))
    faults = [
        *["the held-out loss no longer falls"] * (falls.value >= 0 or not clear(falls)),
        *[f"the gap exceeds {GAP}"] * (late > GAP),
        *["the gap grows"] * (growth.value > 0 and clear(growth)),
    ]
    ends = ", ".join(f"{result.value(NOTEBOOK, quantity(LAST, images)):.4f} {images}" for images in IMAGES)
    words = (
        f"{sentence[:-1]}; from the second to the last fifth of {result.size.epochs:g} epochs the "
        f"held-out loss changes by {falls.value:+.4f}, and the gap by {growth.value:+.4f} to {late:.4f}; "
        f"the last epoch has {ends}"
    )
    return Verdict(FAILED, f"{' and '.join(faults)}: {words}.") if faults else Verdict(word, f"{words}.")


def _held_out(when: str) -> str:
    return quantity(when, "held out")


def draw_losses(lab: Lab) -> Iterator[Drawing]:
    """Draw the notebook's loss over the epochs, beside what it prints."""
    epochs, curves = series(lab)
    lines = dict(zip(IMAGES, curves, strict=True))
    for images, printed in zip(IMAGES, np.array(CURVE).T, strict=True):
        beyond = np.full(max(0, len(epochs) - len(CURVE)), np.nan)
        lines[f"{images}, printed"] = np.concatenate([printed, beyond])[: len(epochs)]
    panels = {"Training and held-out images": lines}
    paired = {f"{images}, printed": images for images in IMAGES}
    note = named(lab.runs[NOTEBOOK].space)
    figure = plots.curves(
        epochs, panels, title="The notebook's loss", note=note, ylabel="loss per pixel", published=paired
    )
    caption = "Training and held-out loss, a mean over pixels, and the ten epochs that the notebook prints."
    yield Drawing("losses", figure, caption, columns("epoch", epochs, panels))
