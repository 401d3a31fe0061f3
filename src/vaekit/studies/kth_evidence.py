"""Figure 3 of *Auto-encoding variational Bayes*: the evidence after training on few images and on many."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import devices, plots
from vaekit.drawings import Drawing, columns
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluation.annealing import Annealing, annealed
from vaekit.evaluation.evidence import evidence
from vaekit.evaluation.harmonic import harmonic
from vaekit.evaluations import SEED
from vaekit.experiment import Experiment
from vaekit.model import VAE
from vaekit.run import Run
from vaekit.studies.curves import printed
from vaekit.studies.kth_likelihood import MANY, SPLITS, experiment
from vaekit.studies.lab import Lab
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict
from vaekit.subject import Track

SCALES = {
    "smoke": Scale(epochs=1, images=2, digits=True),
    "laptop": Scale(epochs=60, images=300),
    "full": Scale(epochs=1200, images=1000),
}
AEVB, WAKE_SLEEP, EM = "AEVB", "wake–sleep", "Monte Carlo EM"
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    AEVB: {"objective": "elbo"},
    WAKE_SLEEP: {"objective": "wake_sleep"},
    EM: {
        "objective": {"kind": "monte_carlo_em", "starts": 10, "transitions": 5},  # of held-out images, for the record
        "model.posterior": "standard_normal",
        "evaluate_every": 1e9,
    },
}
SHORT = {AEVB: "AEVB", WAKE_SLEEP: "w–s", EM: "MCEM"}
ALGORITHM = {AEVB: "aevb", WAKE_SLEEP: "wake-sleep", EM: "mcem"}
HARMONIC, ANNEALED, IMPORTANCE = "the paper's estimator", "annealed", "importance, 1000 draws"
TEST, TRAIN = "test", "train"
TOLERANCE = 2.0
DRAWS, BATCH = 1000, 100
EFFORT = {False: (100, Annealing(chains=4)), True: (5, Annealing(temperatures=5, chains=2))}
"""trajectories of the paper's estimator, and annealing; fewer on digits, which only show that it runs"""


def label(images: int, algorithm: str) -> str:
    """Name a training."""
    return f"{images:,} images, {algorithm}"


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return the three algorithms with Adagrad and the prior on the weights, on few images and many."""
    return {
        label(images, name): experiment(scale, images, decay=True).replace_all(
            {"optimizer": {"kind": "adagrad", "weight_decay": 1 / images}, **changes}
        )
        for images in SPLITS
        for name, changes in OBJECTIVES.items()
    }


def quantity(estimator: str, split: str) -> str:
    """Name a number."""
    return f"log-evidence, {estimator}, {split}"


def measure(lab: Lab) -> Numbers:
    """Measure the evidence of the first test images by three estimators, of training images by the paper's."""
    return {
        (name, key): found
        for name, run in lab.runs.items()
        for key, found in estimates(run.path, lab.scale, lab.device, lab.data_root, lab.track).items()
    }


@cache  # the figure asks for them again
def estimates(path: Path, scale: Scale, device: str, data_root: Path | None, track: Track) -> dict[str, Estimate]:
    """Measure one run, by quantity."""
    found: dict[str, Estimate] = {}
    trajectories, annealing = EFFORT[scale.digits]
    target, run = devices.choose(device), Run(path)
    vae, data = run.vae(target).requires_grad_(False), run.data(data_root)
    estimators: dict[str, Callable[[Tensor], Tensor]] = {
        HARMONIC: partial(harmonic, vae, transitions=trajectories),
        ANNEALED: partial(annealed, vae, settings=annealing),
        IMPORTANCE: partial(importance, vae),
    }
    for estimator, split in ((HARMONIC, TEST), (HARMONIC, TRAIN), (ANNEALED, TEST), (IMPORTANCE, TEST)):
        rows = torch.arange(scale.images).split(BATCH)
        with devices.seeded(SEED, target):
            values = [estimators[estimator](data.fixed(split).batch(each).to(target)) for each in track(rows)]
        found[quantity(estimator, split)] = mean_over_images(torch.cat(values).cpu(), 1)
    return found


def importance(vae: VAE, x: Tensor) -> Tensor:
    """Return the importance bound of each image."""
    return evidence(vae, x, DRAWS)["log_evidence"]


def published(scale: Scale) -> Mapping[Key, float]:
    """Return the paper's curves at the same number of training images."""
    if scale.digits:
        return {}
    heights = {
        (label(images, name), quantity(HARMONIC, split)): printed(
            3, "mnist", images, algorithm, split, scale.epochs * MANY
        )
        for images in SPLITS
        for name, algorithm in ALGORITHM.items()
        for split in (TEST, TRAIN)
    }
    return {key: height for key, height in heights.items() if height is not None}


def judge(result: Result) -> Verdict:
    """Judge whether AEVB is ahead of wake–sleep on test images, and within the tolerance of the paper's curve."""
    known = published(result.size)
    if not known:
        return Verdict(UNTESTABLE, "the paper's curves are for MNIST.")
    key = quantity(HARMONIC, TEST)
    words, fine = [], True
    for images in SPLITS:
        ours, theirs, em = (result.value(label(images, name), key) for name in ALGORITHM)
        curve = known[label(images, AEVB), key]
        fine &= ours > theirs and ours > curve - TOLERANCE
        others = f"wake–sleep {theirs:.1f}, {EM} {em:.1f}"
        words.append(f"{images:,} images: AEVB {ours:.1f} (printed {curve:.1f}), {others}")
    bias = result.value(label(MANY, AEVB), key) - result.value(label(MANY, AEVB), quantity(ANNEALED, TEST))
    words.append(f"the paper's estimator is {bias:+.1f} nats from annealing")
    return Verdict(REPRODUCED if fine else FAILED, f"{'; '.join(words)}.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the paper's test curves over millions of training images, and ours as points where training ended."""
    if lab.scale.digits:
        return
    numbers, key = measure(lab), quantity(HARMONIC, TEST)
    ours = lab.scale.epochs * MANY
    x = np.unique([*np.linspace(0.5e6, max(1e7, ours), 40), ours])
    panels: dict[str, dict[str, np.ndarray]] = {}
    errors: dict[str, dict[str, np.ndarray]] = {}
    for images in SPLITS:
        title = f"{images:,} training images"
        series, bars = panels.setdefault(title, {}), errors.setdefault(title, {})
        for name, curve in ALGORITHM.items():
            found = numbers[label(images, name), key]
            series[SHORT[name]], bars[SHORT[name]] = (
                np.where(x == ours, number, np.nan) for number in (found.value, found.standard_error)
            )
            series[f"{SHORT[name]} paper"] = np.array([printed(3, "mnist", images, curve, TEST, n) for n in x], float)
    note = "points with two standard errors: here; dashed: the paper's curves; test images; w–s: wake–sleep, "
    note += "MCEM: Monte Carlo EM"
    figure = plots.curves(
        x / 1e6, panels, title="Log-evidence", note=note, xlabel="millions of training images",
        published={f"{SHORT[name]} paper": SHORT[name] for name in ALGORITHM}, errors=errors,
    )  # fmt: skip
    caption = "Log-evidence by the paper's estimator after training, beside its curves."
    yield Drawing("log-evidence", figure, caption, columns("training images", x, panels))
