"""Figure 3 of *Auto-encoding variational Bayes*: the evidence after training on few images and on many."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluation.annealing import Annealing, annealed
from vaekit.evaluation.evidence import evidence
from vaekit.evaluation.harmonic import harmonic
from vaekit.evaluations import SEED
from vaekit.experiment import Experiment
from vaekit.model import VAE
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns
from vaekit.run import Run
from vaekit.studies.aevb import as_printed
from vaekit.studies.curves import printed
from vaekit.studies.kth_likelihood import MANY, SPLITS, network
from vaekit.studies.lab import Lab
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, ONE_SEED, UNTESTABLE, Key, Numbers, Result, Verdict, clear, compared
from vaekit.subject import Track

SCALES = {
    "smoke": Scale(epochs=1, images=6, digits=True),
    "laptop": Scale(epochs=60, images=1000, seeds=3),
    "full": Scale(epochs=1200, images=1000, seeds=3),
}
AEVB, WAKE_SLEEP, EM, ONLINE = "AEVB", "wake–sleep", "Monte Carlo EM", "Monte Carlo EM by batches"
HELD_OUT: Mapping[str, Any] = {"starts": 10, "transitions": 2}
"""Monte Carlo EM's new chains for held-out images, which only go into the record"""
WAYS: Mapping[str, Mapping[str, Any]] = {
    AEVB: {"objective": "elbo"},
    WAKE_SLEEP: {"objective": "wake_sleep"},
    EM: {"objective": {"kind": "monte_carlo_em", "updates": 5, **HELD_OUT}, "model.posterior": "standard_normal"},
    ONLINE: {"objective": {"kind": "monte_carlo_em", **HELD_OUT}, "model.posterior": "standard_normal"},
}
STEPS: Mapping[tuple[int, str], float] = {
    (1000, AEVB): 0.1,
    (1000, WAKE_SLEEP): 0.1,
    (1000, EM): 0.1,
    (1000, ONLINE): 0.1,
    (MANY, AEVB): 0.1,
    (MANY, WAKE_SLEEP): 0.02,
    (MANY, EM): 0.1,
    (MANY, ONLINE): 0.1,
}
"""Adagrad's step: the best in ``aevb.pilot``, with seed 0, but for (MANY, EM), of which that is less than a draw"""
HARMONIC, IMPORTANCE = "the paper's estimator", "importance, 1000 draws"
TEST, TRAIN = "test", "train"
TOLERANCE = 2.0
DRAWS, AT_ONCE = 1000, 20
"""importance draws, and images whose chains are held at once: more do not fit into a CPU's cache"""
CHECKED = 100
"""test images whose evidence is annealed as well"""
BIAS = f"{HARMONIC} minus annealing, first {CHECKED} test images"
EFFORT = {False: (25, Annealing(chains=4)), True: (5, Annealing(temperatures=5, chains=2))}
"""trajectories of the paper's estimator, and annealing; fewer on digits, which only show that it runs"""
SHORT = {AEVB: "AEVB", WAKE_SLEEP: "w–s", EM: "MCEM", ONLINE: "MCEM by batches"}
CURVES = {AEVB: "aevb", WAKE_SLEEP: "wake-sleep", EM: "mcem"}


def label(images: int, way: str) -> str:
    """Name a training."""
    return f"{images:,} images, {way}"


def trained(scale: Scale, images: int, way: str) -> Experiment:
    """Return a training as the paper states it.

    Its Monte Carlo EM is not an online algorithm: a batch has all training images, and serves five updates.
    """
    plain = network(scale, images).replace_all(WAYS[way])
    lengths = {"evaluate_every": plain.epochs, "batch_size": images if way == EM and not scale.digits else 100}
    return as_printed(plain, images, STEPS[images, way]).replace_all(lengths)


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return all algorithms on few images and on many."""
    return {label(images, way): trained(scale, images, way) for images in SPLITS for way in WAYS}


def quantity(estimator: str, split: str) -> str:
    """Name a number."""
    return f"log-evidence, {estimator}, {split}"


def measure(lab: Lab) -> Numbers:
    """Measure the evidence of the first images by the paper's estimator, and check it by two others."""
    return {
        (name, key): found
        for name, run in lab.runs.items()
        for key, found in estimates(run.path, lab.scale, lab.device, lab.data_root, lab.track).items()
    }


@cache  # the figure asks for them again
def estimates(path: Path, scale: Scale, device: str, data_root: Path | None, track: Track) -> dict[str, Estimate]:
    """Measure one run, by quantity."""
    target, run = devices.choose(device), Run(path)
    vae, data = run.vae(target).requires_grad_(False), run.data(data_root)
    trajectories, annealing = EFFORT[scale.digits]

    def values(estimator: Callable[[Tensor], Tensor], split: str, images: int) -> Tensor:
        batches = torch.arange(images).split(AT_ONCE)
        with devices.seeded(SEED, target):
            found = [estimator(data.fixed(split).batch(rows).x.to(target)) for rows in track(batches)]
        return torch.cat(found).cpu()

    by_paper = partial(harmonic, vae, transitions=trajectories)
    per_image = {quantity(HARMONIC, split): values(by_paper, split, scale.images) for split in (TEST, TRAIN)}
    checked = values(partial(annealed, vae, settings=annealing), TEST, min(CHECKED, scale.images))
    per_image[BIAS] = per_image[quantity(HARMONIC, TEST)][: len(checked)] - checked
    per_image[quantity(IMPORTANCE, TEST)] = values(partial(importance, vae), TEST, scale.images)
    return {name: mean_over_images(found, 1) for name, found in per_image.items()}


def importance(vae: VAE, x: Tensor) -> Tensor:
    """Return the importance bound of each image."""
    return evidence(vae, x, DRAWS)["log_evidence"]


def heights(images: int, split: str, seen: float) -> dict[str, float | None]:
    """Return the paper's curves at a number of images seen in training, by algorithm; None where they are not drawn."""
    return {way: printed(3, "mnist", images, curve, split, seen) for way, curve in CURVES.items()}


def published(scale: Scale) -> Mapping[Key, float]:
    """Return the paper's curves at the same number of training images."""
    if scale.digits:
        return {}
    return {
        (label(images, way), quantity(HARMONIC, split)): height
        for images in SPLITS
        for split in (TEST, TRAIN)
        for way, height in heights(images, split, scale.epochs * MANY).items()
        if height is not None
    }


def judge(result: Result) -> Verdict:
    """Judge whether the evidence is that of the paper's curves, on both sides, and their order as well."""
    compare = compared(result, published(result.size), TOLERANCE)
    if compare.word == UNTESTABLE:
        return compare
    orders = [order(result, images) for images in SPLITS]
    bias = result.value(label(MANY, AEVB), BIAS)
    words = [compare.sentence.rstrip("."), *(words for _, words in orders)]
    words.append(f"the paper's estimator is {bias:+.2f} nats from annealing")
    word = compare.word if all(same for same, _ in orders) else FAILED
    return Verdict(word, f"{'; '.join(words)}.")


def order(result: Result, images: int) -> tuple[bool, str]:
    """Return whether no two neighbors in the printed order of test evidence are reversed here, and the order in words.

    A curve that is not drawn yet is below the axis. Reversed is a difference to the other side, at 95% over the seeds,
    so that a single seed does not show it.
    """
    drawn = {way: height for way, height in heights(images, TEST, result.size.epochs * MANY).items() if height}
    theirs = sorted(CURVES, key=lambda way: drawn.get(way, -np.inf), reverse=True)
    keys = {way: (label(images, way), quantity(HARMONIC, TEST)) for way in WAYS}
    ours = sorted(WAYS, key=lambda way: result.value(*keys[way]), reverse=True)
    differences = [result.paired(keys[above], keys[below]) for above, below in pairwise(theirs)]
    reversed_ = any(difference.value < 0 and clear(difference) for difference in differences)
    words = f"{images:,} training images: {', '.join(f'{way} {result.value(*keys[way]):.1f}' for way in ours)}, where "
    words += f"the paper's order is {', '.join(theirs)}{f' ({ONE_SEED})' * (result.size.seeds == 1)}"
    return not reversed_, words


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the paper's test curves over millions of training images, and ours as points where training ended."""
    if lab.scale.digits:
        return
    numbers, key = measure(lab), quantity(HARMONIC, TEST)
    ours = ceil(lab.scale.epochs * MANY)
    x = np.unique([*np.linspace(0.5e6, max(1e7, ours), 40), ours])
    panels: dict[str, dict[str, np.ndarray]] = {}
    errors: dict[str, dict[str, np.ndarray]] = {}
    for images in SPLITS:
        title = f"{images:,} training images"
        series, bars = panels.setdefault(title, {}), errors.setdefault(title, {})
        for way in WAYS:
            found = numbers[label(images, way), key]
            series[SHORT[way]], bars[SHORT[way]] = (
                np.where(x == ours, number, np.nan) for number in (found.value, found.standard_error)
            )
        for way, curve in CURVES.items():
            series[f"{SHORT[way]} paper"] = np.array([printed(3, "mnist", images, curve, TEST, n) for n in x], float)
    note = "points with two standard errors: here; dashed: the paper's curves; test images; w–s: wake–sleep, "
    note += "MCEM: Monte Carlo EM"
    figure = plots.curves(
        x / 1e6, panels, title="Log-evidence", note=note, xlabel="millions of training images",
        published={f"{SHORT[way]} paper": SHORT[way] for way in CURVES}, errors=errors,
    )  # fmt: skip
    caption = "Log-evidence by the paper's estimator after training, beside its curves."
    yield Drawing("log-evidence", figure, caption, columns("training images", x, panels))
