"""Figure 2 of *Auto-encoding variational Bayes*: the lower bound against training images, by number of latents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns, named
from vaekit.studies.aevb import DEVIATION, KERAS, SIZES, VARIANCE, as_printed, experiment
from vaekit.studies.curves import printed
from vaekit.studies.kth_likelihood import course
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import BETTER, FAILED, Key, Numbers, Result, Verdict, compared

LATENTS = {"mnist": (3, 5, 10, 20, 200), "frey_face": (2, 5, 10, 20)}
TOLERANCE = {"mnist": 2.0, "frey_face": 30.0}
MILLION, APART = 1_000_000, 100_000
"""training images between two evaluations"""
AEVB, WAKE_SLEEP, SECOND, ADAM = "AEVB", "wake–sleep", "AEVB, weights N(0, 0.1²)", "AEVB, Adam 0.001"
SHORT = {AEVB: "AEVB", WAKE_SLEEP: "w–s", SECOND: "AEVB 0.1", ADAM: "Adam"}
CURVE = {WAKE_SLEEP: "wake-sleep"}
"""which printed curve a way of training is compared with, if not AEVB's"""
ADAGRAD: Mapping[tuple[str, str], Mapping[int, float]] = {
    ("mnist", AEVB): {3: 0.02, 5: 0.01, 10: 0.01, 20: 0.02, 200: 0.01},
    ("mnist", SECOND): {3: 0.02, 5: 0.02, 10: 0.01, 20: 0.01, 200: 0.01},
    ("mnist", WAKE_SLEEP): {3: 0.01, 5: 0.01, 10: 0.01, 20: 0.01, 200: 0.01},
    ("frey_face", AEVB): dict.fromkeys((2, 5, 10, 20), 0.01),
    ("frey_face", WAKE_SLEEP): dict.fromkeys((2, 5, 10, 20), 0.02),
}
"""step by set, way of training and number of latents: the best in ``aevb.pilot``, with seed 0"""
BOUND, TRAINING_BOUND = "lower bound", "lower bound, first 10,000 training images"


def scales(data: str) -> dict[str, Scale]:
    """Return two million training images, and the ten million of the report, as epochs of a set."""
    return lengths(data, 2, 10)


def lengths(data: str, laptop: float, full: float, seeds: int = 1) -> dict[str, Scale]:
    """Return two lengths, in millions of training images, as epochs of a set, and the seeds of the shorter one."""
    short, long = (millions * MILLION / SIZES[data] for millions in (laptop, full))
    return {"smoke": SMOKE, "laptop": Scale(epochs=short, seeds=seeds), "full": Scale(epochs=long, seeds=3)}


def trained(data: str, scale: Scale, d: int, way: str) -> Experiment:
    """Return the paper's network of d latents, trained in one of the ways."""
    changes: dict[str, Any] = {"evaluate_every": scale.epochs if scale.digits else APART / SIZES[data]}
    if data == "frey_face" and not scale.digits:
        changes["data.split"] = "1565/400"  # the paper has curves of training and of test images only
    if way == WAKE_SLEEP:
        changes["objective"] = "wake_sleep"
    plain = experiment(data, scale, d, **changes)
    if way == ADAM:
        return plain.replace_all(KERAS)
    return as_printed(plain, SIZES[data], ADAGRAD[data, way][d], VARIANCE if way == SECOND else DEVIATION)


def label(d: int, way: str) -> str:
    """Name a curve."""
    return f"d = {d}, {way}"


def at(millions: float) -> str:
    """Name the bound after millions of training images, before the end."""
    return f"{BOUND} at {millions:g} million"


def checkpoints(data: str, scale: Scale) -> dict[str, int]:
    """Return the numbers of training images after which the bound is compared, by the name of what is measured."""
    end = ceil(scale.epochs * SIZES[data])
    return {at(m): m * MILLION for m in (1, 2, 3) if m * MILLION < end} | {BOUND: end}


@dataclass(frozen=True)
class Curves:
    """Lower bounds against training images, by number of latents and way of training.

    Attributes:
        data: mnist or frey_face.
        latents: their numbers.
        ways: of training.
        tried: which artifacts try to explain what differs.
    """

    data: str
    latents: tuple[int, ...]
    ways: tuple[str, ...]
    tried: str = "K1c and K2b try what the texts leave open"

    def experiments(self, scale: Scale) -> dict[str, Experiment]:
        """Return all networks in all ways."""
        return {label(d, way): trained(self.data, scale, d, way) for d in self.latents for way in self.ways}

    def measure(self, lab: Lab) -> Numbers:
        """Measure the bound of test images at all checkpoints, and that of training images at the end."""
        found: dict[Key, Estimate] = {}
        for name, run in lab.runs.items():
            rows = {row["samples"]: held_out(row)["elbo"] for row in run.metrics()}
            for quantity, images in checkpoints(self.data, lab.scale).items():
                found[name, quantity] = lab.estimate(name, "elbo") if quantity == BOUND else exact(rows[images])
            found[name, TRAINING_BOUND] = lab.estimate(name, "elbo", split="train")
        return found

    def published(self, scale: Scale) -> Mapping[Key, float]:
        """Return the paper's curves at the same numbers of training images; Adam is compared with its Adagrad."""
        if scale.digits:
            return {}
        points = {key: (images, "test") for key, images in checkpoints(self.data, scale).items()}
        points[TRAINING_BOUND] = points[BOUND][0], "train"
        heights = {
            (label(d, way), quantity): printed(2, self.data, d, CURVE.get(way, "aevb"), split, images)
            for d in self.latents
            for way in self.ways
            for quantity, (images, split) in points.items()
        }
        return {key: height for key, height in heights.items() if height is not None}

    def judge(self, result: Result) -> Verdict:
        """Judge whether all test bounds are within the tolerance of the paper's test curves, on both sides."""
        known = {key: value for key, value in self.published(result.size).items() if key[1] != TRAINING_BOUND}
        verdict = compared(result, known, TOLERANCE[self.data])
        words = [self._gaps(result, known, way) for way in self.ways] if known else []
        words += [self._unexplained(result, known)] if verdict.word in (BETTER, FAILED) else []
        return Verdict(verdict.word, " ".join([verdict.sentence, *words]))

    def _unexplained(self, result: Result, known: Mapping[Key, float]) -> str:
        """Name the curves that are not within the tolerance at the end, or are at the end but not before."""
        apart = {key for key in known if abs(result.value(*key) - known[key]) > TOLERANCE[self.data]}
        ends = {name for name, quantity in apart if quantity == BOUND}
        early = {name for name, _ in apart} - ends
        names = [
            f"{way} at {when} at d = {', '.join(map(str, found))}"
            for when, labels in (("the end", ends), ("earlier points only", early))
            for way in self.ways
            if (found := [d for d in self.latents if label(d, way) in labels])
        ]
        return f"Unexplained stays {'; '.join(names)}: {self.tried}."

    def _gaps(self, result: Result, known: Mapping[Key, float], way: str) -> str:
        """Say how far a way of training is from the curve at each number of latents, at worst over the checkpoints."""
        worst = {
            d: max((result.value(*key) - known[key] for key in known if key[0] == label(d, way)), key=abs)
            for d in self.latents
        }
        return f"{way}, largest difference: {', '.join(f'{gap:+.1f} at d = {d}' for d, gap in worst.items())}."

    def draw(self, lab: Lab) -> Iterator[Drawing]:
        """Draw measured and printed curves by number of latents, over millions of training images."""
        if lab.scale.digits:
            return
        panels: dict[str, dict[str, np.ndarray]] = {}
        bands: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
        first = next(iter(lab.runs.values()))
        images = course(first, "elbo")[0]
        for d in self.latents:
            series, ranges = panels.setdefault(f"{d} latents", {}), bands.setdefault(f"{d} latents", {})
            for way in self.ways:
                heights = np.array([course(run, "elbo")[1] for run in lab.seeds(label(d, way))])
                series[SHORT[way]] = heights.mean(0)
                if len(heights) > 1:
                    ranges[SHORT[way]] = heights.min(0), heights.max(0)
            for way in self.ways:
                theirs = [printed(2, self.data, d, CURVE.get(way, "aevb"), "test", n) for n in images]
                series[f"{SHORT[way]} paper"] = np.array(theirs, dtype=float)
        note = f"{named(first.space)}; held-out images; dashed: the paper's test curves; w–s: wake–sleep"
        figure = plots.curves(
            images / 1e6, panels, title="Lower bound", note=note, xlabel="millions of training images",
            published={f"{SHORT[way]} paper": SHORT[way] for way in self.ways}, bands=bands,
        )  # fmt: skip
        seeds = f" Ours are means of {n} seeds, within the band of all." if (n := len(lab.others) + 1) > 1 else ""
        caption = f"Lower bound against millions of training images, ours and the paper's.{seeds}"
        table = columns("training images", images, panels) | {
            f"{panel}: {line}, {which}": edge
            for panel, ranges in bands.items()
            for line, band in ranges.items()
            for which, edge in zip(("lowest", "highest"), band, strict=True)
        }
        yield Drawing("lower-bound", figure, caption, table)


ON_MNIST = Curves("mnist", LATENTS["mnist"], (AEVB, WAKE_SLEEP))
ON_FREY = Curves("frey_face", LATENTS["frey_face"], (AEVB, WAKE_SLEEP), "K2b tries what the paper leaves open")
LONG = Curves("mnist", (3, 20), (AEVB, WAKE_SLEEP, ADAM))
WIDER = Curves("mnist", LATENTS["mnist"], (SECOND,))
