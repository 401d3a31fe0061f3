"""The losses of the benchmark of Aragam (2024): its table, its curves, its first loss, its minutes."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import log, pi, prod
from statistics import fmean

import numpy as np
import torch

from vaekit import devices
from vaekit.data import Batch
from vaekit.estimates import Estimate, mean_over_images
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns, named
from vaekit.run import Run
from vaekit.studies.aragam_experiments import EPOCHS, TABLE, label, longer
from vaekit.studies.lab import DRAWS, Lab, exact, held_out
from vaekit.studies.scale import Scale
from vaekit.studies.study import (
    CORRECTED,
    FAILED,
    REPRODUCED,
    UNTESTABLE,
    Key,
    Numbers,
    Result,
    Verdict,
    compared,
    number,
)

BATCH = 256
"""images per step, of which a loss that is printed during training is the mean"""
DEVIATIONS = 3
"""standard deviations of another training that a printed number may be off by"""
TERMS = ("KL", "reconstruction")
QUANTITIES = (*TERMS, "total")
TEST, LAST, BATCHES = "test images", "mean of the last epoch", "batch of training images"
KINDS = (TEST, LAST, BATCHES)
"""images that the report's numbers may be of: its text does not say"""


def quantity(name: str, kind: str) -> str:
    """Name a number by what it is, and of which images."""
    return f"{name}, {kind}"


def constant(run: Run) -> float:
    """Return the difference of −log N(x; m, ½) and the sum of squared errors: (D/2) log π."""
    return prod(run.space.event_shape) / 2 * log(pi)


def losses(run: Run, terms: Mapping[str, float]) -> dict[str, float]:
    """Return the report's three numbers from the terms of a row of metrics."""
    error = terms["reconstruction"] - constant(run)
    return {"KL": terms["kl"], "reconstruction": error, "total": terms["kl"] + error}


def of_test_images(lab: Lab, name: str) -> dict[str, Estimate]:
    """Measure the three numbers of test images."""
    elbo, error, off = lab.estimate(name, "elbo"), lab.estimate(name, "reconstruction"), constant(lab.runs[name])
    return {
        "KL": lab.estimate(name, "kl"),
        "reconstruction": error._replace(value=error.value - off),
        "total": elbo._replace(value=-elbo.value - off),
    }


@torch.no_grad()
def of_training_images(lab: Lab, name: str) -> dict[str, Estimate]:
    """Measure the three numbers of training images after the training, as any batch has them on average."""
    vae, x, off = lab.runs[name].vae(), lab.training_images(name), constant(lab.runs[name])
    kl, error = [], []
    with devices.seeded(0, x.device):
        for batch in x.split(BATCH):
            draws = vae.draw(batch, DRAWS)
            kl.append(vae.kl(draws))
            error.append(-draws.log_likelihood.mean(0) - off)
    terms = {"KL": torch.cat(kl), "reconstruction": torch.cat(error)}
    terms["total"] = terms["KL"] + terms["reconstruction"]
    return {quantity: mean_over_images(values, DRAWS) for quantity, values in terms.items()}


def of_last_epoch(run: Run) -> dict[str, Estimate]:
    """Return the means over the batches of the last epoch, while the weights moved."""
    return {name: exact(value) for name, value in losses(run, run.metrics()[-1]["train"]).items()}


def table(lab: Lab) -> Numbers:
    """Measure KL, reconstruction and total of each kind of images."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        kinds = (of_test_images(lab, name), of_last_epoch(run), of_training_images(lab, name))
        for kind, numbers in zip(KINDS, kinds, strict=True):
            found |= {(name, quantity(each, kind)): numbers[each] for each in QUANTITIES}
    return found


def published_table(_: Scale) -> Mapping[Key, float]:
    """Return the report's table next to each kind of images, and its row of two latents next to a longer training."""
    rows = {label(d): row for d, row in TABLE.items()} | {longer(2): TABLE[2]}
    return {(name, quantity(each, kind)): row[each] for name, row in rows.items() for each in row for kind in KINDS}


def misfit(result: Result, kind: str) -> float:
    """Return the root mean square difference between our terms of a kind of images and the printed ones."""
    names = [(d, each) for d in TABLE for each in TERMS]
    return fmean((result.value(label(d), quantity(each, kind)) - TABLE[d][each]) ** 2 for d, each in names) ** 0.5


def tolerances(result: Result, kind: str) -> dict[Key, float]:
    """Return what the printed terms may be off by, if they are those of one more training.

    The standard deviation over the seeds is pooled over the numbers of latents; that of a batch is added where the
    numbers may be those of one.
    """
    found: dict[Key, float] = {}
    for each in TERMS:
        rows = {d: result.row(label(d), quantity(each, kind)) for d in TABLE}
        trainings = fmean((row.deviation or 0.0) ** 2 for row in rows.values()) * (1 + 1 / result.size.seeds)
        for d, row in rows.items():
            images = (row.standard_error or 0.0) ** 2 * result.size.images
            batch = images / BATCH if kind == BATCHES else 0.0
            found[label(d), quantity(each, kind)] = DEVIATIONS * (trainings + batch) ** 0.5
    return found


def judge_table(result: Result) -> Verdict:
    """Compare both terms of all rows with those of the kind of images that fits best overall."""
    if result.size.epochs < EPOCHS or result.size.digits:
        words = f"trained for {result.size.epochs:g} epochs, whereas the report's table is for {EPOCHS}."
        return Verdict(UNTESTABLE, words)
    kind = min(KINDS, key=lambda kind: misfit(result, kind))
    fits = ", ".join(f"{misfit(result, each):.2f} for {each}" for each in KINDS)
    allowed = tolerances(result, kind)
    printed = {(label(d), quantity(each, kind)): TABLE[d][each] for d in TABLE for each in TERMS}
    verdict = compared(result, printed, allowed, higher_is_better=False)
    off = {key: result.value(*key) - value for key, value in printed.items()}
    beyond = {key: apart for key, apart in off.items() if abs(apart) > allowed[key]}
    words = f"the printed terms are taken for those of the kind that is nearest, {kind} (root mean square difference "
    words += f"in nats: {fits}); {verdict.sentence.removesuffix('.')}"
    if beyond:
        all_of_them = (f"{name} {each.split(',')[0]} {apart:+.2f}" for (name, each), apart in beyond.items())
        words += f"; beyond the tolerance are {', '.join(all_of_them)}"
    long = {each: result.value(longer(2), quantity(each, kind)) - TABLE[2][each] for each in TERMS}
    after = " and ".join(f"{each} {apart:+.2f}" for each, apart in long.items())
    words += f"; after {result.size.longer * EPOCHS:g} epochs, the row of two latents is off by {after}."
    fitting = all(abs(apart) <= allowed[label(2), quantity(each, kind)] for each, apart in long.items())
    if beyond and fitting and {name for name, _ in beyond} == {label(2)}:
        return Verdict(CORRECTED, words)
    return Verdict(verdict.word, words)


FIRST_REPORT = {"KL": 0.000483, "reconstruction": 176.2263, "total": 176.2268}
"""the first loss that the report gives for d = 3"""
NETWORKS, CENTRAL = 200, 0.95
TAILS = ((1 - CENTRAL) / 2, (1 + CENTRAL) / 2)
BEFORE, AFTER = "untrained", "trained"
HEADS = {"log_scale": "log σ", "log_variance": "log σ²"}
OURS, CODES = HEADS.values()
"""what the encoder returns here, and in the code that the report descends from"""
OUTSIDE = "share of untrained networks that are further from their center than the first loss"


@torch.no_grad()
def untrained(lab: Lab, name: str, head: str) -> np.ndarray:
    """Return KL and reconstruction of untrained networks on the first batch, (networks, 2), each with its own weights.

    Args:
        lab: has a run of the network.
        name: of that run.
        head: what the encoder returns for the spread of the posterior.
    """
    run, x = lab.runs[name], lab.training_images(name)[:BATCH]
    experiment = run.experiment.replace("model.posterior.head", head)
    found = []
    for seed in range(NETWORKS):
        with devices.seeded(seed, x.device):
            vae = experiment.model.build(run.space).eval()
            terms = losses(run, experiment.objective.build(vae, run.space)(vae, Batch(x)).numbers())
        found.append([terms[each] for each in TERMS])
    return np.array(found)


def outside(points: np.ndarray, point: np.ndarray) -> float:
    """Return the share of points (n, k) that are further from their center than another, in units of their spread.

    Example:
        >>> outside(np.array([[-1.0], [0.0], [1.0], [5.0]]), np.array([3.0]))
        0.5
    """
    center, inverse = points.mean(0), np.linalg.pinv(np.atleast_2d(np.cov(points.T)))

    def distance(x: np.ndarray) -> np.ndarray:
        return np.einsum("...i,ij,...j->...", x - center, inverse, x - center)

    return float((distance(points) > distance(point)).mean())


def logs(terms: np.ndarray) -> np.ndarray:
    """Return log KL and reconstruction, (..., 2): a KL near zero is spread evenly on a log scale only."""
    return np.stack([np.log(terms[..., 0]), terms[..., 1]], -1)


def start_and_end(lab: Lab) -> Numbers:
    """Measure the report's numbers before and after training, and how central its first loss is among untrained."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        first, *_, last = run.metrics()
        for when, row in ((BEFORE, first), (AFTER, last)):
            found |= {(name, quantity(each, when)): exact(v) for each, v in losses(run, held_out(row)).items()}
    name = label(3)
    first_loss = np.array([FIRST_REPORT[each] for each in TERMS])
    for head, words in HEADS.items():
        networks = untrained(lab, name, head)
        for each, values in zip(QUANTITIES, [*networks.T, networks.sum(1)], strict=True):
            for at in TAILS:
                found[name, quantile(each, at, words)] = exact(float(np.quantile(values, at)))
        found[name, f"{OUTSIDE}, {words}"] = exact(outside(logs(networks), logs(first_loss)))
    return found


def quantile(name: str, at: float, head: str) -> str:
    """Name a number of many untrained networks."""
    return f"{name}, {100 * at:g}% of {NETWORKS} untrained networks, {head}"


def published_start(_: Scale) -> Mapping[Key, float]:
    return {(label(3), quantity(name, BEFORE)): value for name, value in FIRST_REPORT.items()}


SIGNS = {"total": -1, "reconstruction": -1, "KL": 1}
"""which way each of the three curves goes"""


def judge_start(result: Result) -> Verdict:
    """Judge the way of all three curves, and whether the first loss for d = 3 may be an untrained network's."""
    changes = {
        (d, each): result.paired((label(d), quantity(each, AFTER)), (label(d), quantity(each, BEFORE)))
        for d in TABLE
        for each in SIGNS
    }
    wrong = [f"{each} at {label(d)}" for (d, each), change in changes.items() if SIGNS[each] * change.value <= 0]
    low, high = (result.value(label(3), quantile("total", at, CODES)) for at in TAILS)
    share = result.value(label(3), f"{OUTSIDE}, {CODES}")
    ours = f"the totals of the central {100 * CENTRAL:g}% of untrained networks of three latents lie between {low:.1f} "
    ours += f"and {high:.1f}, and {100 * share:.1f}% of the networks have a pair of KL and reconstruction that is less "
    ours += f"central than the report's ({FIRST_REPORT['KL']:g} and {FIRST_REPORT['reconstruction']:g}); trained, the "
    ours += f"total is {result.value(label(3), quantity('total', AFTER)):.1f}"
    if wrong:
        return Verdict(FAILED, f"the curves of {', '.join(wrong)} do not go the way of the figures; {ours}.")
    curves = "total and reconstruction fall and the KL rises at all six numbers of latents, as printed"
    if share <= 1 - CENTRAL:
        return Verdict(
            FAILED, f"{curves}, but the first loss is not explained as that of an untrained network: {ours}."
        )
    correction = f"the loss that the report gives first for d = 3, {FIRST_REPORT['total']}, and calls final, is one of"
    return Verdict(CORRECTED, f"{curves}; {correction} an untrained network: {ours}.")


def draw_curves(lab: Lab) -> Iterator[Drawing]:
    """Draw the three quantities over the training, with a line per number of latents."""
    rows = {name: [losses(run, held_out(row)) for row in run.metrics()] for name, run in lab.runs.items()}
    first = next(iter(lab.runs.values()))
    epochs = np.array([row["epoch"] for row in first.metrics()])
    panels = {each: {name: np.array([row[each] for row in rows[name]]) for name in rows} for each in SIGNS}
    note = f"{named(first.space)}; sum of squared errors plus KL, held-out images"
    figure = plots.curves(epochs, panels, title="Losses by number of latents", note=note, ordered=True)
    caption = "Total, reconstruction and KL over the training, one line per number of latents."
    yield Drawing("losses", figure, caption, columns("epoch", epochs, panels))


SHARE = "share of the KL in the total"


def shares(lab: Lab) -> Numbers:
    """Measure the share of the KL in the loss of test images."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        terms = of_test_images(lab, name)
        found |= {(name, each): terms[each] for each in TERMS}
        found[name, SHARE] = exact(terms["KL"].value / terms["total"].value)
    return found


def published_shares(_: Scale) -> Mapping[Key, float]:
    """Return the quotients of two columns of the report's table."""
    return {(label(d), SHARE): round(row["KL"] / row["total"], 4) for d, row in TABLE.items()}


def judge_shares(result: Result) -> Verdict:
    """Judge whether the KL is the larger term at the most latents, and whether its share rises at every step."""
    found = {d: result.value(label(d), SHARE) for d in TABLE}
    falls = [f"from {a} to {b} latents" for a, b in pairwise(TABLE) if found[b] <= found[a]]
    trend = f"its share falls {' and '.join(falls)}" if falls else "its share rises with every step"
    first, last = min(TABLE), max(TABLE)
    printed = 100 * published_shares(result.size)[label(last), SHARE]
    words = f"the KL makes up {100 * found[first]:.1f}% of the loss at {label(first)} and {100 * found[last]:.1f}% at "
    words += f"{label(last)} (the report's table gives {printed:.1f}%), and {trend}"
    larger = [label(d) for d in TABLE if found[d] > 0.5]
    if larger:
        return Verdict(FAILED if falls else REPRODUCED, f"{words}; it is the larger term at {', '.join(larger)}.")
    return Verdict(FAILED, f"{words}, but the reconstruction is the larger term at every number of latents.")


def short(scale: Scale) -> str:
    """Name the end of the shorter training."""
    return f"after {scale.epochs:g} epochs"


def long(scale: Scale) -> str:
    """Name the end of the longer training."""
    return f"after {scale.longer * scale.epochs:g} epochs"


GAIN, DISTANCE = "fall of the total by more epochs", "Fréchet distance of samples"


def still_falling(lab: Lab) -> Numbers:
    """Measure the loss of held-out images at the report's length and after more epochs, and how good samples are."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        rows = run.metrics()
        at = next(row for row in rows if row["epoch"] >= lab.scale.epochs * (1 - 1e-6))
        for when, row in ((short(lab.scale), at), (long(lab.scale), rows[-1])):
            found |= {(name, quantity(each, when)): exact(v) for each, v in losses(run, held_out(row)).items()}
        before, after = (found[name, quantity("total", when(lab.scale))].value for when in (short, long))
        found[name, GAIN] = exact(before - after)
        found[name, DISTANCE] = lab.quality(name, "samples", "frechet_distance")
    return found


def judge_longer(result: Result) -> Verdict:
    """Judge whether the total still falls at every number of latents."""
    falls = {d: result.value(longer(d), GAIN) for d in TABLE}
    least, most = min(falls, key=lambda d: falls[d]), max(falls, key=lambda d: falls[d])
    words = f"from {result.size.epochs:g} to {result.size.longer * result.size.epochs:g} epochs, the total of held-out "
    words += f"images falls by at least {falls[least]:.2f} nats ({label(least)}), at most {falls[most]:.2f} "
    words += f"({label(most)})"
    best = min(TABLE, key=lambda d: result.value(longer(d), DISTANCE))
    words += f"; samples are then nearest to test images at {label(best)}, by the {DISTANCE}"
    return Verdict(REPRODUCED if falls[least] > 0 else FAILED, f"{words}.")


def draw_longer(lab: Lab) -> Iterator[Drawing]:
    """Draw the loss over the longer training."""
    for drawing in draw_curves(lab):
        yield drawing._replace(name="longer-losses")


MINUTES = "minutes of training"
STATED = {2: 16.99, 3: 16.31}
"""minutes for ten epochs; the machine is not stated"""


def minutes(lab: Lab) -> Numbers:
    """Return how long trainings took, and how long an epoch took."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        last = run.metrics()[-1]
        found[name, MINUTES] = exact(last["seconds"] / 60)
        found[name, "seconds per epoch"] = exact(last["seconds"] / last["epoch"])
    return found


def published_minutes(_: Scale) -> Mapping[Key, float]:
    return {(label(d), MINUTES): value for d, value in STATED.items()}


def judge_minutes(result: Result) -> Verdict:
    """Say what both took; times on machines that differ and are not stated cannot be compared."""
    theirs = ", ".join(f"{60 * value / EPOCHS:.1f} at {label(d)}" for d, value in STATED.items())
    ours = ", ".join(f"{number(result.value(label(d), 'seconds per epoch'))} at {label(d)}" for d in STATED)
    return Verdict(
        UNTESTABLE,
        f"seconds per epoch are {ours} here, on {result.machine} that other work may share, and {theirs} by the "
        "report's minutes, on a machine that it does not name: they cannot be compared.",
    )
