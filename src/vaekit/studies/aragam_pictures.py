"""The figures of the benchmark of Aragam (2024): codes, reconstructions and samples, and what a classifier reads."""

from collections.abc import Iterator, Mapping
from math import hypot

import torch

from vaekit.drawings import Drawing, confusion, latents, pictures, samples
from vaekit.estimates import Estimate
from vaekit.evaluation.samples import LEGIBLE
from vaekit.experiment import Experiment
from vaekit.studies.aragam_losses import LONGER, TABLE, experiment, label, with_longer
from vaekit.studies.lab import Lab, exact, labelled, share
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Row, Verdict, number

LEGIBLE_SAMPLES, SAMPLES_SHOWN, DIGITS_SHOWN = 60, 64, 15
SEVEN, NINE = 7, 9
TAKEN = "7 and 9 taken for each other"
CODES, DECODED = "by their nearest codes", "by a classifier of reconstructions"


def mistaken(lab: Lab) -> Numbers:
    """Count how often 7 and 9, and other pairs of classes, are mistaken for each other, as codes and once decoded."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        for by, counts in ((CODES, lab.votes(name)), (DECODED, lab.confusion(name))):
            others = [taken(counts, a, b).value for a in range(10) for b in range(a) if {a, b} != {SEVEN, NINE}]
            found[name, f"{TAKEN}, {by}"] = taken(counts, SEVEN, NINE)
            found[name, f"other pairs, mean, {by}"] = exact(sum(others) / len(others))
            found[name, f"other pairs, most, {by}"] = exact(max(others))
    return found


def taken(counts: torch.Tensor, a: int, b: int) -> Estimate:
    """Return the share of the images of two classes that are taken for the other class."""
    return share(float(counts[a, b] + counts[b, a]), float(counts[[a, b]].sum()))


def judge_mistaken(result: Result) -> Verdict:
    """Judge whether the codes of 7 and 9 are mistaken three times as often as other pairs', in both dimensions."""
    words = []
    overlap = True
    for d in (2, 3):
        names = (f"{name}, {CODES}" for name in (TAKEN, "other pairs, mean", "other pairs, most"))
        pair, mean, most = (result.value(label(d), name) for name in names)
        overlap &= pair > 3 * mean
        rank = "more than any other pair" if pair > most else f"another pair reaches {100 * most:.1f}%"
        words.append(f"{label(d)}: {100 * pair:.1f}% of 7s and 9s, other pairs {100 * mean:.1f}%, {rank}")
    return Verdict(REPRODUCED if overlap else FAILED, f"{'; '.join(words)}.")


def planes(scale: Scale) -> dict[str, Experiment]:
    """Two and three latents."""
    return {label(d): experiment(scale, d) for d in (2, 3)}


def draw_planes(lab: Lab) -> Iterator[Drawing]:
    """Draw the codes of two latents as points, of three as a cloud, and both confusion matrices."""
    yield from labelled(label(2), latents(lab.subject(label(2))), "latents-2d")
    yield from labelled(label(3), latents(lab.subject(label(3))), "latents-3d")
    for name, run in lab.runs.items():
        yield from labelled(name, [confusion(lab.evaluation(name, "samples"), run.space)])


KEPT = "reconstructions of the right class"


def kept(lab: Lab) -> Numbers:
    """Measure how many reconstructions a classifier takes for what they show."""
    return {(name, KEPT): lab.quality(name, "reconstructions", "agreement") for name in lab.runs}


def published_kept(_: Scale) -> Mapping[Key, float]:
    return {(label(5), KEPT): 1.0}


def judge_kept(result: Result) -> Verdict:
    """Judge whether it is to be expected that all fifteen digits shown at d = 5 keep their class."""
    p = result.value(label(5), KEPT)
    chance = p**DIGITS_SHOWN
    ours = f"{100 * p:.1f}% of reconstructions keep their class at d = 5, so all {DIGITS_SHOWN} do with probability "
    return Verdict(REPRODUCED if chance > 0.05 else FAILED, f"{ours}{chance:.2f}.")


def draw_reconstructions(lab: Lab) -> Iterator[Drawing]:
    """Draw test digits and their reconstructions, by number of latents."""
    for name in lab.runs:
        yield from labelled(name, pictures(lab.subject(name)), "reconstructions")


READ = f"legible samples (p > {LEGIBLE})"


def legible(lab: Lab) -> Numbers:
    """Measure how many prior samples a classifier is sure of."""
    return {(name, READ): lab.quality(name, "samples", "legibility") for name in lab.runs}


def published_legible(_: Scale) -> Mapping[Key, float]:
    return {(label(5), READ): LEGIBLE_SAMPLES / SAMPLES_SHOWN}


def judge_legible(result: Result) -> Verdict:
    """Judge whether 60 of 64 is within two standard deviations of what is expected of 64 samples."""
    p = result.value(label(5), READ)
    mean, deviation = SAMPLES_SHOWN * p, (SAMPLES_SHOWN * p * (1 - p)) ** 0.5
    ours = f"of {SAMPLES_SHOWN} samples {mean:.0f} ± {deviation:.0f} are legible to a classifier at d = 5"
    word = REPRODUCED if abs(LEGIBLE_SAMPLES - mean) <= 2 * deviation else FAILED
    return Verdict(word, f"{ours}; the report's author could read {LEGIBLE_SAMPLES}.")


def draw_samples(lab: Lab) -> Iterator[Drawing]:
    """Draw samples from the prior, by number of latents."""
    for name in lab.runs:
        yield from labelled(name, [samples(lab.subject(name))])


OTHER = "d = 5, dense layers"


def proposed(scale: Scale) -> dict[str, Experiment]:
    """Return the experiments of the table, one of them trained longer, and another network."""
    dense = {"kind": "mlp", "hidden": [500], "activation": "relu"}
    return with_longer(scale) | {OTHER: experiment(scale, 5, model__network=dense)}


SCORE, DISTANCE = "inception score of samples", "Fréchet distance of samples"


def scores(lab: Lab) -> Numbers:
    """Measure inception score and Fréchet distance of samples, and those of real images."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found[name, SCORE] = lab.quality(name, "samples", "inception_score")
        found[name, DISTANCE] = lab.quality(name, "samples", "frechet_distance")
    found["test images", SCORE] = lab.quality(label(5), "test", "inception_score")
    found["training images", DISTANCE] = lab.quality(label(5), "train", "frechet_distance")
    return found


def judge_scores(result: Result) -> Verdict:
    """Judge whether none of the six is better than five latents by more than two errors of either score."""
    better, words = [], []
    for quantity, sign in ((SCORE, 1), (DISTANCE, -1)):
        rows = {d: result.row(label(d), quantity) for d in TABLE}
        best = max(rows, key=lambda d: sign * rows[d].value)
        other = "" if best == 5 else f", {number(rows[5].value)} at d = 5"
        words.append(f"the {quantity} is best at {label(best)} ({number(rows[best].value)}{other})")
        better += [d for d, row in rows.items() if sign * (row.value - rows[5].value) > 2 * error(row, rows[5])]
    return Verdict(FAILED if better else REPRODUCED, f"of the six {'; '.join(words)}.")


def error(one: Row, other: Row) -> float:
    """Return the error of the difference of two numbers; an inception score's is its deviation over splits."""
    return hypot(one.standard_error or 0.0, other.standard_error or 0.0)


def draw_proposed(lab: Lab) -> Iterator[Drawing]:
    """Draw interpolations and confusion at five latents."""
    yield from labelled(label(5), pictures(lab.subject(label(5))), "interpolations")
    yield from labelled(label(5), [confusion(lab.evaluation(label(5), "samples"), lab.runs[label(5)].space)])
    for name in (LONGER, OTHER):
        yield from labelled(name, [samples(lab.subject(name))])


AUTO_ENCODER, VARIATIONAL = "auto-encoder", "VAE"


def contrast(scale: Scale) -> dict[str, Experiment]:
    """Return the same network of two latents with and without a KL.

    Without one, nothing keeps codes near zero: at the report's learning rate, those of one seed in three diverged
    within a hundred steps, and all images were black from then on.
    """
    plain = {"model__posterior": "delta", "objective": "reconstruction", "optimizer__learning_rate": 1e-4}
    return {AUTO_ENCODER: experiment(scale, 2, **plain), VARIATIONAL: experiment(scale, 2)}


CELLS = 20
LOSS, MEAN_IMAGE = "squared error of reconstructions", "mean image"
EMPTY, MIDWAY = "empty cells among the codes", f"legible halfway between two codes (p > {LEGIBLE})"


def gaps(lab: Lab) -> Numbers:
    """Measure gaps in the plane of codes, and how many images halfway between two codes are legible."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        subject = lab.subject(name)
        codes = torch.from_numpy(subject.codes)
        found[name, EMPTY] = exact(empty(codes))
        midway = (codes + codes.roll(1, 0))[: lab.scale.images] / 2
        likeliest = lab.probabilities(name, subject.vae.decode(midway)).amax(1)
        found[name, MIDWAY] = share(float((likeliest > LEGIBLE).sum()), len(midway))
        found[name, LOSS] = lab.squared_error(name)
    x = lab.test_images(VARIATIONAL)
    found[MEAN_IMAGE, LOSS] = exact(float((x - x.mean(0)).square().flatten(1).sum(1).mean()))
    return found


def empty(codes: torch.Tensor) -> float:
    """Return the share of cells without a code, in a grid over the middle 95% of the codes along each axis."""
    low, high = codes.quantile(torch.tensor([0.025, 0.975]), dim=0)
    cells = ((codes - low) / (high - low) * CELLS).floor()
    inside = cells[((cells >= 0) & (cells < CELLS)).all(1)]
    return 1 - len(inside.unique(dim=0)) / CELLS**2


def judge_gaps(result: Result) -> Verdict:
    """Judge whether the VAE has fewer gaps, and more that is legible between two codes."""
    if result.value(AUTO_ENCODER, LOSS) >= result.value(MEAN_IMAGE, LOSS):
        return Verdict(UNTESTABLE, "the auto-encoder learned less than the mean image.")
    words, better = [], []
    for quantity, sign in ((EMPTY, -1), (MIDWAY, 1)):
        theirs, ours = (result.value(name, quantity) for name in (AUTO_ENCODER, VARIATIONAL))
        better.append(sign * (ours - theirs) > 0)
        words.append(f"{quantity}: auto-encoder {100 * theirs:.1f}%, VAE {100 * ours:.1f}%")
    return Verdict(REPRODUCED if all(better) else FAILED, f"{'; '.join(words)}.")


def draw_contrast(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and interpolations of both."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labelled(name, latents(subject))
        yield from labelled(name, pictures(subject), "interpolations")
