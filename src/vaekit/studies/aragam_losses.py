"""The losses of the benchmark of Aragam (2024): its networks, its table, its curves."""

from collections.abc import Iterator, Mapping
from math import log, pi, prod
from typing import Any

import numpy as np

from vaekit import plots
from vaekit.drawings import Drawing, columns, named
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.run import Run
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict

EPOCHS = 10
"""epochs that the report states; the code's author trained five times as long"""
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS), "full": Scale(epochs=EPOCHS, seeds=3)}

TABLE: Mapping[int, Mapping[str, float]] = {
    2: {"KL": 4.4122, "reconstruction": 32.26999, "total": 36.68219},
    3: {"KL": 6.12124, "reconstruction": 30.11598, "total": 36.23721},
    4: {"KL": 7.30888, "reconstruction": 25.05045, "total": 32.35933},
    5: {"KL": 8.39849, "reconstruction": 22.89452, "total": 31.29301},
    10: {"KL": 11.90844, "reconstruction": 17.10307, "total": 29.01152},
    30: {"KL": 12.58757, "reconstruction": 15.39129, "total": 27.97886},
}
FIRST_REPORT = {"KL": 0.000483, "reconstruction": 176.2263, "total": 176.2268}
"""the first loss that the report gives for d = 3"""
BATCH: int = PRESETS["aragam"]["batch_size"]
DEVIATIONS = 2
"""standard deviations of a batch's mean loss, because the report's numbers may be those of one batch"""
NETWORKS = 100

TEST, LAST, ALL = "test", "training images, last epoch", "training images, all epochs"


def label(d: int) -> str:
    """Name an experiment of the table."""
    return f"d = {d}"


LONGER = f"{label(2)}, longer training"


def experiment(scale: Scale, d: int, **changes: Any) -> Experiment:
    """Return one of the report's networks with d latents; double underscores stand for dots."""
    chosen = {path.replace("__", "."): value for path, value in changes.items()}
    fixed = {**PRESETS["aragam"], "model.latent_dim": d, "epochs": scale.epochs}
    return Experiment(data=scale.source("mnist")).replace_all({**fixed, **chosen})


def dimensions(scale: Scale) -> dict[str, Experiment]:
    """The six networks of the table."""
    return {label(d): experiment(scale, d) for d in TABLE}


def with_longer(scale: Scale) -> dict[str, Experiment]:
    """The six, and two latents trained longer."""
    return dimensions(scale) | {LONGER: experiment(scale, 2, epochs=scale.longer * scale.epochs)}


def constant(run: Run) -> float:
    """Return the difference of −log N(x; m, ½) and the sum of squared errors: (D/2) log π."""
    return prod(run.space.event_shape) / 2 * log(pi)


def losses(run: Run, terms: Mapping[str, float]) -> dict[str, float]:
    """Return the report's three numbers from the terms of a row of metrics."""
    error = terms["reconstruction"] - constant(run)
    return {"KL": terms["kl"], "reconstruction": error, "total": terms["kl"] + error}


def minus_constant(found: Estimate, run: Run) -> Estimate:
    """Convert a negative log-likelihood to a sum of squared errors."""
    return found._replace(value=found.value - constant(run))


def table(lab: Lab) -> Numbers:
    """Measure KL, reconstruction and total of test images, and the total of training images in two ways."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        elbo = lab.estimate(name, "elbo")
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, "reconstruction"] = minus_constant(lab.estimate(name, "reconstruction"), run)
        found[name, "total"] = minus_constant(elbo._replace(value=-elbo.value), run)
        windows = [losses(run, row["train"])["total"] for row in run.metrics()[1:]]
        found[name, f"total, {LAST}"] = exact(windows[-1])
        found[name, f"total, {ALL}"] = exact(sum(windows) / len(windows))
    return found


def published_table(_: Scale) -> Mapping[Key, float]:
    """Return the report's table, next to the test images, because it does not state the kind of its images."""
    return {(label(d), name): value for d, row in TABLE.items() for name, value in row.items()}


def closest(result: Result, name: str, d: int) -> tuple[float, str]:
    """Return how far the nearest of our totals is from the printed one, and which it is."""
    kinds = {"total": TEST, f"total, {LAST}": LAST, f"total, {ALL}": ALL}
    return min((abs(result.value(name, key) - TABLE[d]["total"]), kind) for key, kind in kinds.items())


def deviation(result: Result, d: int) -> float:
    """Return the standard deviation of a batch's mean total, from the standard error over test images."""
    error = result.row(label(d), "total").standard_error
    assert error is not None  # it is a mean over test images
    return error * (result.size.images / BATCH) ** 0.5


def judge_table(result: Result) -> Verdict:
    """Compare each printed total with the nearest of ours, and two latents with both lengths of training."""
    if result.size.epochs < EPOCHS or result.size.digits:
        words = f"trained for {result.size.epochs:g} epochs, whereas the report's table is for {EPOCHS}."
        return Verdict(UNTESTABLE, words)
    apart = {d: closest(result, label(d), d) for d in TABLE}
    off = {d: apart[d][0] / deviation(result, d) for d in TABLE}
    worst = max((d for d in TABLE if d > 2), key=lambda d: off[d])
    how = f"from three to thirty latents, the total of {label(worst)} is furthest off, by {apart[worst][0]:.2f} nats, "
    how += f"{off[worst]:.1f} standard deviations of a batch"
    kinds = sorted({kind for _, kind in apart.values()})
    how += f" (the printed numbers are closest to those of {' or '.join(kinds)})"
    long = closest(result, LONGER, 2)[0]
    longer = result.size.longer * EPOCHS
    two = f"the row of two latents is off by {apart[2][0]:.2f} nats, {off[2]:.1f} deviations, after {EPOCHS} epochs"
    two += f", by {long:.2f} nats after {longer:g}"
    if off[worst] > DEVIATIONS:
        return Verdict(FAILED, f"{how}; {two}.")
    if off[2] > DEVIATIONS and long < apart[2][0]:
        return Verdict(CORRECTED, f"{how}; {two}: that row fits a longer training.")
    return Verdict(REPRODUCED if off[2] <= DEVIATIONS else FAILED, f"{how}; {two}.")


def start_and_end(lab: Lab) -> Numbers:
    """Measure the report's numbers for the untrained networks and the trained ones."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        first, *_, last = run.metrics()
        for when, row in (("untrained", first), ("trained", last)):
            for quantity, value in losses(run, held_out(row)).items():
                found[name, f"{quantity}, {when}"] = exact(value)
    untrained = [losses(lab.runs[label(3)], terms) for terms in lab.untrained(label(3), NETWORKS)]
    for quantity in ("total", "KL"):
        values = [row[quantity] for row in untrained]
        for which, value in (("lowest", min(values)), ("highest", max(values))):
            found[label(3), extreme(quantity, which)] = exact(value)
    return found


def extreme(quantity: str, which: str) -> str:
    """Name a number of many untrained networks."""
    return f"{quantity}, {which} of {NETWORKS} untrained networks"


def published_start(_: Scale) -> Mapping[Key, float]:
    return {(label(3), f"{name}, untrained"): value for name, value in FIRST_REPORT.items()}


def judge_start(result: Result) -> Verdict:
    """Judge whether the first loss for d = 3 may be an untrained network's, and whether the KL rises in training."""
    trained = result.value(label(3), "total, trained")
    low, high = (result.value(label(3), extreme("total", which)) for which in ("lowest", "highest"))
    rising = all(result.value(label(d), "KL, trained") > result.value(label(d), "KL, untrained") for d in TABLE)
    ours = (
        f"networks of three latents have totals from {low:.1f} to {high:.1f} here untrained, and {trained:.1f} trained"
    )
    if not rising:
        return Verdict(FAILED, f"the KL does not rise for every number of latents; {ours}.")
    if not low < FIRST_REPORT["total"] < high:
        return Verdict(FAILED, f"the KL rises, but {ours}.")
    correction = f"the loss first reported for d = 3, {FIRST_REPORT['total']}, is that of an untrained network"
    return Verdict(CORRECTED, f"total and reconstruction fall and the KL rises, as printed; {correction}: {ours}.")


def draw_curves(lab: Lab) -> Iterator[Drawing]:
    """Draw the three quantities over the training, with a line per number of latents."""
    rows = {name: [losses(run, held_out(row)) for row in run.metrics()] for name, run in lab.runs.items()}
    first = next(iter(lab.runs.values()))
    epochs = np.array([row["epoch"] for row in first.metrics()])
    panels = {
        quantity: {name: np.array([row[quantity] for row in rows[name]]) for name in rows}
        for quantity in ("total", "reconstruction", "KL")
    }
    note = f"{named(first.space)}; sum of squared errors plus KL, held-out images"
    figure = plots.curves(epochs, panels, title="Losses by number of latents", note=note, ordered=True)
    caption = "Total, reconstruction and KL over the training, one line per number of latents."
    yield Drawing("losses", figure, caption, columns("epoch", epochs, panels))
