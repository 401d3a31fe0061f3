"""Auto-encoders in the benchmark of Aragam (2024): beside a VAE, by its SGD, and with a single latent."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaekit.estimates import Estimate
from vaekit.evaluation.samples import LEGIBLE
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, latents, pictures
from vaekit.studies.aragam_experiments import AUTO_ENCODER, FACTORS, HALF, LINES, VARIATIONAL
from vaekit.studies.lab import Lab, exact, labeled, share
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict, number

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
    found[MEAN_IMAGE, LOSS] = exact(principal(lab.test_images(VARIATIONAL), 0))
    return found


def empty(codes: Tensor) -> float:
    """Return the share of cells without a code, in a grid over the middle 95% of the codes along each axis."""
    low, high = codes.quantile(torch.tensor([0.025, 0.975]), dim=0)
    cells = ((codes - low) / (high - low) * CELLS).floor()
    inside = cells[((cells >= 0) & (cells < CELLS)).all(1)]
    return 1 - len(inside.unique(dim=0)) / CELLS**2


def principal(x: Tensor, components: int) -> float:
    """Return the squared error per image that the first principal components of images leave; that of the mean for 0.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> principal(x, 0), principal(x, 1)
        (1.25, 0.25)
    """
    centered = (x - x.mean(0)).flatten(1).double()
    variances = torch.linalg.eigvalsh(centered.T @ centered / len(x)).flip(0)
    return float(variances[components:].sum())


def judge_gaps(result: Result) -> Verdict:
    """Judge whether the VAE has fewer gaps, and more that is legible between two codes, with every seed."""
    if result.value(AUTO_ENCODER, LOSS) >= result.value(MEAN_IMAGE, LOSS):
        return Verdict(UNTESTABLE, "the auto-encoder learned less than the mean image.")
    words, better = [], []
    for quantity, sign in ((EMPTY, -1), (MIDWAY, 1)):
        theirs, ours = (result.row(name, quantity) for name in (AUTO_ENCODER, VARIATIONAL))
        seeds = zip(theirs.values or [theirs.value], ours.values or [ours.value], strict=True)
        better.append(all(sign * (b - a) > 0 for a, b in seeds))
        words.append(f"{quantity}: auto-encoder {100 * theirs.value:.1f}%, VAE {100 * ours.value:.1f}%")
    return Verdict(REPRODUCED if all(better) else FAILED, f"{'; '.join(words)}.")


def draw_gaps(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and interpolations of both."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labeled(name, latents(subject))
        yield from labeled(name, pictures(subject), "interpolations")


COMPONENTS = "two principal components"


def by_descent(lab: Lab) -> Numbers:
    """Measure the squared error of each auto-encoder, of the mean image and of as many principal components."""
    found: dict[Key, Estimate] = {(name, LOSS): lab.squared_error(name) for name in lab.runs}
    x = lab.test_images(AUTO_ENCODER)
    found |= {(name, LOSS): exact(principal(x, k)) for name, k in ((MEAN_IMAGE, 0), (COMPONENTS, 2))}
    return found


def judge_descent(result: Result) -> Verdict:
    """Judge whether SGD, with the loss as printed, leaves less than two principal components."""
    names = (*FACTORS, AUTO_ENCODER, MEAN_IMAGE, COMPONENTS)
    words = ", ".join(f"{number(result.value(name, LOSS))} ({name})" for name in names)
    learned = result.value(HALF, LOSS) < result.value(COMPONENTS, LOSS)
    return Verdict(REPRODUCED if learned else FAILED, f"squared errors per image are {words}.")


def draw_descent(lab: Lab) -> Iterator[Drawing]:
    """Draw test images and their reconstructions."""
    for name in lab.runs:
        yield from labeled(name, pictures(lab.subject(name)), "reconstructions")


LEFT, OWN = "squared error of training images, share of their variance", "nearest to their own image"
ONE_COMPONENT, UNSEEN = "share that one principal component leaves", "squared error of test images, share of theirs"
LOSSLESS, SHOWN = 0.01, 10


def memorized(lab: Lab) -> Numbers:
    """Measure what a single latent loses of its training images, and of test images."""
    found: dict[Key, Estimate] = {}
    for name, (images, *_) in LINES.items():
        vae, x, test = lab.runs[name].vae(), lab.training_images(name)[:images], lab.test_images(name)
        y = vae.reconstruct(x)
        nearest = torch.cdist(y.flatten(1), x.flatten(1)).argmin(1)
        found[name, LEFT] = exact(float((x - y).square().sum()) / len(x) / principal(x, 0))
        found[name, OWN] = share(float((nearest == torch.arange(len(x))).sum()), len(x))
        found[name, ONE_COMPONENT] = exact(principal(x, 1) / principal(x, 0))
        found[name, UNSEEN] = exact(lab.squared_error(name).value / principal(test, 0))
    return found


def judge_memorized(result: Result) -> Verdict:
    """Judge whether some network keeps all its training images on a line."""
    words, kept = [], []
    for name in LINES:
        left, own, unseen = (result.value(name, quantity) for quantity in (LEFT, OWN, UNSEEN))
        kept += [name] if left <= LOSSLESS and own == 1 else []
        words.append(
            f"{name}: {100 * left:.1f}% of the variance is left, {100 * own:.1f}% of the reconstructions are nearest "
            f"to their own image, and {100 * unseen:.0f}% of test images' variance is left"
        )
    ours = "; ".join(words)
    if kept:
        return Verdict(
            CORRECTED,
            f"{ours}: {' and '.join(kept)} are kept, by heart, since test images are not; not shown for all of MNIST.",
        )
    more = "that training did not find such a network does not show that there is none"
    return Verdict(UNTESTABLE, f"{ours}: none are kept without loss, but {more}.")


def draw_memorized(lab: Lab) -> Iterator[Drawing]:
    """Draw the first training images and their reconstructions."""
    for name, run in lab.runs.items():
        x = lab.training_images(name)[:SHOWN]
        pair = (x.numpy()[None], run.vae().reconstruct(x).numpy()[None])
        figure = plots.pairs(*pair, names=("original", "reconstruction"), title="Training images and reconstructions")
        caption = f"The first {SHOWN} training images, each above what its place on a line is decoded to."
        yield from labeled(name, [Drawing("memorized", figure, caption)])
