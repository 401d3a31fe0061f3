"""The figures of the benchmark of Aragam (2024): codes, reconstructions and samples, and what classifiers read."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from math import comb
from statistics import fmean

import torch
from torch import Tensor

from vaekit import devices
from vaekit.estimates import Estimate
from vaekit.evaluation.samples import LEGIBLE
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, confusion, latents, samples
from vaekit.studies.aragam_experiments import TABLE, label
from vaekit.studies.lab import CLASSIFIERS, Lab, exact, labeled, share
from vaekit.studies.scale import Scale
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict

THRESHOLDS = (0.5, LEGIBLE)
"""probabilities above which a classifier is taken to read an image: the report's author read them himself"""
ERRORS = 2
"""standard errors that a difference has to exceed"""


def error_of_difference(result: Result, quantity: str, latents: Iterable[int] = TABLE) -> float:
    """Return the standard error of a difference of two means over the seeds.

    The deviation over the seeds is pooled over the numbers of latents, because that of three seeds is itself uncertain.
    A single seed has the error over its images.
    """
    rows = [result.row(label(d), quantity) for d in latents]
    each = [row.standard_error if row.deviation is None else row.deviation for row in rows]
    seeds = 1 if rows[0].deviation is None else result.size.seeds
    return (2 * fmean((value or 0.0) ** 2 for value in each) / seeds) ** 0.5


def errors_in_words(result: Result) -> str:
    """Say what a difference was compared with."""
    return f"{ERRORS} errors over {'images, of one seed' if result.size.seeds == 1 else 'the seeds'}"


SEVEN, NINE = 7, 9
CODES, DECODED = "by their nearest codes", "by a classifier of reconstructions"
RANK, OTHERS = "rank of 7 and 9 among the 45 pairs", "mean of the other pairs"
PAIRS = tuple(combinations(range(10), 2))
NAMED = 5
"""worse pairs that are named at most"""


def pair(a: int, b: int) -> str:
    """Name how often two classes are taken for each other."""
    return f"{a} and {b} taken for each other, {CODES}"


def mistaken(lab: Lab) -> Numbers:
    """Count how often the classes of each pair are mistaken for each other, as codes and once decoded."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        for by, counts in ((CODES, lab.votes(name)), (DECODED, lab.confusion(name))):
            each = {(a, b): taken(counts, a, b) for a, b in PAIRS}
            theirs = each[SEVEN, NINE].value
            others = [each[names].value for names in PAIRS if names != (SEVEN, NINE)]
            found[name, f"{RANK}, {by}"] = exact(1 + sum(value > theirs for value in others))
            found[name, f"{OTHERS}, {by}"] = exact(sum(others) / len(others))
            if by == CODES:
                found |= {(name, pair(*names)): value for names, value in each.items()}
    return found


def taken(counts: Tensor, a: int, b: int) -> Estimate:
    """Return the share of the images of two classes that are taken for the other class."""
    return share(float(counts[a, b] + counts[b, a]), float(counts[[a, b]].sum()))


def judge_mistaken(result: Result) -> Verdict:
    """Judge whether the codes of 7 and 9 overlap more than the average pair, and name the pairs that do so more."""
    words, overlap, first = [], True, True
    margin = ERRORS * error_of_difference(result, pair(SEVEN, NINE), (2, 3))
    for d in (2, 3):
        means = {names: result.value(label(d), pair(*names)) for names in PAIRS}
        theirs, mean = means[SEVEN, NINE], result.value(label(d), f"{OTHERS}, {CODES}")
        overlap &= theirs - mean > margin
        worse = sorted((names for names in PAIRS if means[names] > theirs), key=lambda names: -means[names])
        first &= not worse
        more = ", ".join(f"{a}/{b} ({100 * means[a, b]:.1f}%)" for a, b in worse[:NAMED])
        rank = f"the worst are {more}" if worse else "no pair is worse"
        words.append(
            f"{label(d)}: {100 * theirs:.1f}% of 7s and 9s are taken for the other, rank {1 + len(worse)} of "
            f"{len(PAIRS)} pairs, {100 * mean:.1f}% in the mean of the others; {rank}"
        )
    word = (REPRODUCED if first else CORRECTED) if overlap else FAILED
    more = "is above" if overlap else "is not above"
    return Verdict(word, f"{'. '.join(words)}. That {more} the others' mean by {errors_in_words(result)}.")


def draw_planes(lab: Lab) -> Iterator[Drawing]:
    """Draw the codes of two latents as points, of three as a cloud, and both confusion matrices."""
    yield from labeled(label(2), latents(lab.subject(label(2))), "latents-2d")
    yield from labeled(label(3), latents(lab.subject(label(3))), "latents-3d")
    yield from draw_confusion(lab)


def draw_confusion(lab: Lab) -> Iterator[Drawing]:
    """Draw a confusion matrix for each run."""
    for name, run in lab.runs.items():
        yield from labeled(name, [confusion(lab.evaluation(name, "samples"), run.space)])


def interval(p: float, of: int, level: float = 0.95) -> tuple[int, int]:
    """Return the central binomial interval: at most (1 − level) / 2 lies below it, and as much above.

    Example:
        >>> interval(0.5, 64)
        (24, 40)
    """
    tail, total, low = (1 - level) / 2, 0.0, -1
    for k in range(of + 1):
        total += comb(of, k) * p**k * (1 - p) ** (of - k)
        if low < 0 and total > tail:
            low = k
        if total >= 1 - tail:
            return low, k
    return max(low, 0), of


DIGITS_SHOWN = 15


def read(threshold: float, of: str) -> str:
    """Name the share of images that are read with more than a probability."""
    return f"{of} (p > {threshold:g})"


KEPT = "reconstructions of the right class"


def kept(lab: Lab) -> Numbers:
    """Measure how many reconstructions three classifiers take for what they show."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        labels = lab.subject(name).split.labels
        assert labels is not None  # otherwise there is nothing to keep
        x = lab.test_images(name)
        right = labels[lab.subject(name).rows[: len(x)]].expand(CLASSIFIERS, -1)[..., None]
        opinions = lab.opinions(name, lab.runs[name].vae().reconstruct(x))
        hits = opinions.gather(2, right)[..., 0]
        found |= shares(name, KEPT, hits)
    return found


def shares(name: str, of: str, probabilities: Tensor) -> dict[Key, Estimate]:
    """Return the share of images above each threshold, in the mean of the classifiers and for each.

    Args:
        name: of the run.
        of: what is counted.
        probabilities: (classifiers, images).
    """
    found: dict[Key, Estimate] = {}
    for threshold in THRESHOLDS:
        counts = (probabilities > threshold).sum(1).tolist()
        images = probabilities.shape[1]
        found[name, read(threshold, of)] = share(sum(counts) / len(counts), images)
        for k, count in enumerate(counts, 1):
            found[name, by_classifier(threshold, of, k)] = share(count, images)
    return found


def by_classifier(threshold: float, of: str, k: int) -> str:
    """Name what one of the classifiers says."""
    return f"{read(threshold, of)}, classifier {k}"


def published_kept(_: Scale) -> Mapping[Key, float]:
    return {(label(5), read(threshold, KEPT)): 1.0 for threshold in THRESHOLDS}


def expected(result: Result, of: str, images: int) -> dict[float, list[tuple[int, int]]]:
    """Return the central interval of a count at five latents, by threshold, one for each classifier."""
    return {
        threshold: [
            interval(result.value(label(5), by_classifier(threshold, of, k)), images) for k in range(1, CLASSIFIERS + 1)
        ]
        for threshold in THRESHOLDS
    }


def consistency(count: int, expected: Mapping[float, list[tuple[int, int]]]) -> str:
    """Say whether a count is consistent with what is expected, for all classifiers at both thresholds."""
    inside = [low <= count <= high for each in expected.values() for low, high in each]
    if all(inside):
        return REPRODUCED
    side = {(count > high) - (count < low) for each in expected.values() for low, high in each}
    return FAILED if len(side) == 1 else UNTESTABLE


def in_words(expected: Mapping[float, list[tuple[int, int]]]) -> str:
    """Write intervals by threshold."""
    return "; ".join(
        f"{' or '.join(f'{low} to {high}' for low, high in dict.fromkeys(each))} at p > {threshold:g}"
        for threshold, each in expected.items()
    )


def better_than_five(result: Result, of: str) -> list[str]:
    """Name the numbers of latents whose share is above that of five latents by more than the errors, at a threshold."""
    found = []
    for threshold in THRESHOLDS:
        quantity = read(threshold, of)
        margin, five = ERRORS * error_of_difference(result, quantity), result.value(label(5), quantity)
        above = {d: value for d in TABLE if (value := result.value(label(d), quantity)) - five > margin}
        found += [f"{label(d)} ({100 * value:.1f}% at p > {threshold:g})" for d, value in above.items()]
    return found


def judge_kept(result: Result) -> Verdict:
    """Judge whether 15 of 15 is consistent with our share at d = 5, and whether other numbers of latents keep more."""
    ranges = expected(result, KEPT, DIGITS_SHOWN)
    word, better = consistency(DIGITS_SHOWN, ranges), better_than_five(result, KEPT)
    ours = " and ".join(f"{100 * result.value(label(5), read(t, KEPT)):.1f}% at p > {t:g}" for t in THRESHOLDS)
    words = f"at d = 5, {ours} of the reconstructions keep their class, so of {DIGITS_SHOWN} our three classifiers "
    words += f"expect {in_words(ranges)}, with which {DIGITS_SHOWN} are "
    words += {REPRODUCED: "consistent", FAILED: "not consistent"}.get(word, "consistent by some of them only")
    if better:
        return Verdict(
            FAILED,
            f"{words}; but d = 5 is not best: by {errors_in_words(result)}, more is kept at {', '.join(better)}.",
        )
    return Verdict(word, f"{words}; no other number of latents keeps more by {errors_in_words(result)}.")


def draw_reconstructions(lab: Lab) -> Iterator[Drawing]:
    """Draw the first fifteen test digits and their reconstructions, by number of latents."""
    for name in lab.runs:
        subject = lab.subject(name)
        rows = subject.rows[:DIGITS_SHOWN].numpy()[None]
        figure = plots.pairs(
            subject.images(rows),
            subject.decoded(subject.codes[:DIGITS_SHOWN][None]),
            names=("original", "reconstruction"),
            title=f"{DIGITS_SHOWN} test images and their reconstructions",
            note=subject.note,
        )
        caption = f"The first {DIGITS_SHOWN} test images, each above the decoded mean at its posterior mean."
        yield from labeled(name, [Drawing("reconstructions", figure, caption)])


LEGIBLE_SAMPLES, SAMPLES_SHOWN = 60, 64
READ = "legible samples"


def prior_samples(lab: Lab, name: str) -> Tensor:
    """Decode draws from the prior of a run to their means, as many as images are measured."""
    with devices.seeded(0, torch.device("cpu")):
        vae = lab.runs[name].vae()
        return torch.cat([vae.sample(len(rows)) for rows in torch.arange(lab.scale.images).split(250)])


def legible(lab: Lab) -> Numbers:
    """Measure how many prior samples three classifiers can read."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found |= shares(name, READ, lab.opinions(name, prior_samples(lab, name)).amax(2))
    return found


def published_legible(_: Scale) -> Mapping[Key, float]:
    return {(label(5), read(threshold, READ)): LEGIBLE_SAMPLES / SAMPLES_SHOWN for threshold in THRESHOLDS}


def judge_legible(result: Result) -> Verdict:
    """Judge whether 60 of 64 is consistent with our shares at both thresholds."""
    ranges = expected(result, READ, SAMPLES_SHOWN)
    word = consistency(LEGIBLE_SAMPLES, ranges)
    words = f"of {SAMPLES_SHOWN} samples at d = 5, our three classifiers expect to read {in_words(ranges)}; the "
    words += f"report's author could read {LEGIBLE_SAMPLES}, which is "
    words += {
        REPRODUCED: "consistent with all of them",
        FAILED: "consistent with none of them",
        UNTESTABLE: "inside or outside depending on the threshold: what a person reads, our classifiers cannot say",
    }[word]
    return Verdict(word, f"{words}.")


def draw_samples(lab: Lab) -> Iterator[Drawing]:
    """Draw 8×8 samples from the prior, by number of latents."""
    for name in lab.runs:
        yield from labeled(name, [samples(lab.subject(name), SAMPLES_SHOWN)])


def judge_illegible(result: Result) -> Verdict:
    """Judge whether fewer samples are legible at thirty latents than at five, at both thresholds."""
    words, fewer = [], []
    for threshold in THRESHOLDS:
        many, five = (result.value(label(d), read(threshold, READ)) for d in (30, 5))
        fewer.append(five - many > ERRORS * error_of_difference(result, read(threshold, READ), (5, 30)))
        words.append(f"{100 * (1 - many):.1f}% at d = 30 and {100 * (1 - five):.1f}% at d = 5 (p > {threshold:g})")
    words.append(f"{'more' if all(fewer) else 'not more'} by {errors_in_words(result)}")
    return Verdict(REPRODUCED if all(fewer) else FAILED, f"illegible to our classifiers are {'; '.join(words)}.")
