"""Figure 2 of *Auto-encoding variational Bayes*: the lower bound against training images, by number of latents."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

import numpy as np

from vaekit import plots
from vaekit.drawings import Drawing, columns, named
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.studies.curves import printed
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict

MNIST, FREY = 60_000, 1565
"""training images"""
SIZES = {"mnist": MNIST, "frey_face": FREY}
PRESET = {"mnist": "aevb-mnist", "frey_face": "aevb-frey"}
LATENTS = {"mnist": (3, 5, 10, 20, 200), "frey_face": (2, 5, 10, 20)}
TOLERANCE = {"mnist": 2.0, "frey_face": 30.0}
AEVB, WAKE_SLEEP = "AEVB", "wake–sleep"
SHORT = {AEVB: "AEVB", WAKE_SLEEP: "w–s"}
ALGORITHM = {AEVB: "aevb", WAKE_SLEEP: "wake-sleep"}
BOUND, TRAINING_BOUND = "lower bound", "lower bound, training images"


def scales(data: str) -> dict[str, Scale]:
    """Return two million training images, and the ten million of the report, as epochs of a set."""
    laptop, full = (images / SIZES[data] for images in (2e6, 1e7))
    return {"smoke": SMOKE, "laptop": Scale(epochs=laptop), "full": Scale(epochs=full, seeds=3)}


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


def adagrad(data: str) -> dict[str, Any]:
    """Return the paper's optimizer, with the N(0, I) prior on the weights, at one of its rates: 0.01, 0.02 or 0.1.

    The paper chose by the first few steps. On MNIST, at the larger rates, these throw the codes so far, to KLs of tens
    of thousands of nats, that Adagrad, which remembers those gradients, brings them back slowly or not at all.
    """
    rate = {"mnist": 0.01, "frey_face": 0.02}[data]
    return {"kind": "adagrad", "learning_rate": rate, "weight_decay": 1 / SIZES[data]}


def label(d: int, algorithm: str, optimizer: str) -> str:
    """Name a curve."""
    return f"d = {d}, {algorithm}, {optimizer}"


class Figure2:
    """Lower bound against training images for one of the two sets."""

    def __init__(self, data: str) -> None:
        self.data = data

    def experiments(self, scale: Scale) -> dict[str, Experiment]:
        """AEVB by either optimizer, and wake–sleep by the paper's."""
        found = {}
        for d in LATENTS[self.data]:
            slow = {"optimizer": adagrad(self.data)}
            found[label(d, AEVB, "Adagrad")] = experiment(self.data, scale, d, **slow)
            found[label(d, AEVB, "Adam")] = experiment(self.data, scale, d)
            found[label(d, WAKE_SLEEP, "Adagrad")] = experiment(self.data, scale, d, objective="wake_sleep", **slow)
        return found

    def measure(self, lab: Lab) -> Numbers:
        """Measure the bound of test images and of training images."""
        found: dict[Key, Estimate] = {}
        for name, run in lab.runs.items():
            found[name, BOUND] = lab.estimate(name, "elbo")
            found[name, TRAINING_BOUND] = exact(run.metrics()[-1]["train"]["elbo"])
        return found

    def published(self, scale: Scale) -> Mapping[Key, float]:
        """Return the paper's curves at the same number of training images; Adam has no curve there."""
        if scale.digits:
            return {}
        images = ceil(scale.epochs * SIZES[self.data])
        found: dict[Key, float] = {}
        for d in LATENTS[self.data]:
            for algorithm, name in ALGORITHM.items():
                for quantity, split in ((BOUND, "test"), (TRAINING_BOUND, "train")):
                    value = printed(2, self.data, d, name, split, images)
                    if value is not None:
                        found[label(d, algorithm, "Adagrad"), quantity] = value
        return found

    def judge(self, result: Result) -> Verdict:
        """Judge whether AEVB is within the tolerance of the paper's test curve everywhere, and above wake–sleep."""
        known = {key: value for key, value in self.published(result.size).items() if key[1] == BOUND}
        if not known:
            return Verdict(UNTESTABLE, f"the paper's curves are for {self.data}.")
        below = {key[0]: value - result.value(*key) for key, value in known.items() if AEVB in key[0]}
        worst = max(below, key=lambda name: below[name])
        behind = [
            d
            for d in LATENTS[self.data]
            if result.value(label(d, AEVB, "Adagrad"), BOUND) <= result.value(label(d, WAKE_SLEEP, "Adagrad"), BOUND)
        ]
        images = f"after {ceil(result.size.epochs * SIZES[self.data]):,} training images"
        side = "below" if below[worst] > 0 else "above"
        words = f"{images}, the bound of AEVB is at worst {abs(below[worst]):.1f} nats {side} the curve ({worst})"
        words += f"; wake–sleep is ahead at {behind} latents" if behind else "; wake–sleep is behind everywhere"
        fine = below[worst] <= TOLERANCE[self.data] and not behind
        return Verdict(REPRODUCED if fine else FAILED, f"{words}.")

    def draw(self, lab: Lab) -> Iterator[Drawing]:
        """Draw measured and printed curves by number of latents, over millions of training images."""
        if lab.scale.digits:
            return
        panels: dict[str, dict[str, np.ndarray]] = {}
        first = next(iter(lab.runs.values()))
        images = np.array([row["samples"] for row in first.metrics()[1:]])
        for d in LATENTS[self.data]:
            series = {}
            for algorithm, optimizer in ((AEVB, "Adagrad"), (AEVB, "Adam"), (WAKE_SLEEP, "Adagrad")):
                rows = lab.runs[label(d, algorithm, optimizer)].metrics()[1:]
                series[f"{SHORT[algorithm]} {optimizer}"] = np.array([held_out(row)["elbo"] for row in rows])
            for algorithm, name in ALGORITHM.items():
                heights = [printed(2, self.data, d, name, "test", n) for n in images]
                series[f"{SHORT[algorithm]} paper"] = np.array(heights, dtype=float)
            panels[f"{d} latents"] = series
        note = f"{named(first.space)}; held-out images; dashed: the paper's test curves; w–s: wake–sleep"
        figure = plots.curves(
            images / 1e6, panels, title="Lower bound", note=note, xlabel="millions of training images",
            published={f"{SHORT[name]} paper": f"{SHORT[name]} Adagrad" for name in ALGORITHM},
        )  # fmt: skip
        caption = "Lower bound against millions of training images, ours and the paper's."
        yield Drawing("lower-bound", figure, caption, columns("training images", images, panels))


ON_MNIST, ON_FREY = Figure2("mnist"), Figure2("frey_face")
