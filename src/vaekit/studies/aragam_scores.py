"""The scores that the benchmark of Aragam (2024) proposes, and whether five latents are best by them."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from vaekit.estimates import Estimate
from vaekit.evaluation.quality import Measured
from vaekit.reporting.drawings import Drawing, confusion, pictures, samples
from vaekit.studies.aragam_experiments import OTHER, TABLE, label
from vaekit.studies.aragam_losses import DISTANCE
from vaekit.studies.aragam_pictures import ERRORS, SAMPLES_SHOWN, error_of_difference, errors_in_words, prior_samples
from vaekit.studies.lab import Lab, exact, labeled
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict, number

SCORE = "inception score of samples"
PROPOSED: Mapping[str, tuple[str, int]] = {
    SCORE: ("inception_score", 1),
    DISTANCE: ("frechet_distance", -1),
    "kernel distance of samples": ("kernel_distance", -1),
    "clipped density of samples": ("clipped_density", 1),
    "clipped coverage of samples": ("clipped_coverage", 1),
}
"""names of the measures, and which way is better"""
SCORES = {quantity: score for quantity, score in PROPOSED.items() if score[0] in Measured._fields}
"""those that an evaluation measures"""


def scores(lab: Lab) -> Numbers:
    """Measure samples by all scores, and real images."""
    found: dict[Key, Estimate] = {}
    for quantity, (measure, _) in SCORES.items():
        for name in lab.runs:
            found[name, quantity] = lab.quality(name, "samples", measure)
    found["test images", SCORE] = lab.quality(label(5), "test", "inception_score")
    found["training images", DISTANCE] = lab.quality(label(5), "train", "frechet_distance")
    return found


def judge_scores(result: Result) -> Verdict:
    """Judge whether five latents are better than all others by a score, and worse than none by any."""
    words, above, below = [], list[str](), list[str]()
    for quantity, (_, sign) in SCORES.items():
        value = {d: result.value(label(d), quantity) for d in TABLE}
        best = max(value, key=lambda d: sign * value[d])
        margin = ERRORS * error_of_difference(result, quantity)
        gains = {d: sign * (value[d] - value[5]) for d in TABLE if d != 5}
        ties = [f"{d}" for d, gain in gains.items() if abs(gain) <= margin]
        others = f", {number(value[5])} at d = 5" if best != 5 else ""
        equal = f"; d = 5 cannot be told apart from d = {', '.join(ties)}" if ties else ""
        words.append(f"the {quantity} is best at {label(best)} ({number(value[best])}{others}{equal})")
        above += [quantity] if max(gains.values()) < -margin else []
        below += [f"{label(d)} by the {quantity}" for d, gain in gains.items() if gain > margin]
    ours = f"of the six {'; '.join(words)}"
    if below:
        return Verdict(
            FAILED, f"{ours}; better than d = 5 by more than {errors_in_words(result)} are {', '.join(below)}."
        )
    if above:
        return Verdict(REPRODUCED, f"{ours}; d = 5 is best alone by {' and '.join(above)}.")
    return Verdict(UNTESTABLE, f"{ours}; by none of the scores is d = 5 best alone.")


def draw_scores(lab: Lab) -> Iterator[Drawing]:
    """Draw interpolations and confusion by number of latents, and samples of the other network."""
    for name in map(label, TABLE):
        yield from labeled(name, pictures(lab.subject(name)), "interpolations")
        yield from labeled(name, [confusion(lab.evaluation(name, "samples"), lab.runs[name].space)])
    yield from labeled(OTHER, [samples(lab.subject(OTHER), SAMPLES_SHOWN)])


RIGHT, MISPRINTED = "exponential of the mean KL", "mean of the exponentials of the KL"


def inception(p: Tensor) -> tuple[float, float]:
    """Return the inception score of p(y | x), (images, classes), and what it is if each image is exponentiated.

    Certain images of classes as uneven as 3 to 1 score less than two, whereas the mean of the exponentials does not
    notice.

    Example:
        >>> right, misprinted = inception(torch.eye(2).repeat_interleave(torch.tensor([3, 1]), 0))
        >>> round(right, 2), round(misprinted, 2)
        (1.75, 2.0)
    """
    p = p.double()
    each = (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1)
    return float(each.mean().exp()), float(each.exp().mean())


def both_scores(lab: Lab) -> Numbers:
    """Measure samples and test images by the right and by the misprinted inception score."""
    found: dict[Key, Estimate] = {}
    images = {name: (name, prior_samples(lab, name)) for name in lab.runs}
    images["test images"] = (label(5), lab.test_images(label(5)))
    for name, (run, x) in images.items():
        values = inception(lab.probabilities(run, x))
        found |= {(name, quantity): exact(v) for quantity, v in zip((RIGHT, MISPRINTED), values, strict=True)}
    return found


def judge_both_scores(result: Result) -> Verdict:
    """Judge whether the misprinted score puts the six numbers of latents in the order of the right one."""
    orders = [
        sorted(TABLE, key=lambda d, quantity=quantity: -result.value(label(d), quantity))  # type: ignore[misc]
        for quantity in (RIGHT, MISPRINTED)
    ]
    values = (number(result.value(name, q)) for name in (label(5), "test images") for q in (MISPRINTED, RIGHT))
    words = "as printed, the score of d = 5 is {} where the right one is {}; that of test images is {} and {}".format(
        *values
    )
    right, printed = (" > ".join(map(str, order)) for order in orders)
    words += f". The mean of exponentials does not notice uneven classes; it orders the six as {printed}, the right "
    if orders[0] == orders[1]:
        return Verdict(CORRECTED, f"{words}score in the same way.")
    return Verdict(FAILED, f"{words}score as {right}.")
