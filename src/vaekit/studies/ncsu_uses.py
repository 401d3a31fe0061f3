"""What the ECE 542 report does with codes: paths between two images, directions with a meaning, and denoising."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaekit import devices
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluations import SEED
from vaekit.model import VAE
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, pictures
from vaekit.studies.lab import BATCH, Lab, labeled, squared
from vaekit.studies.ncsu_verdicts import labels, where
from vaekit.studies.study import Key, Numbers, Result, Verdict, number

CPU = torch.device("cpu")
STEPS = 8
"""of each path"""
JUMP = 2.0
"""times the mean step that the largest step of a smooth path may be"""
LARGEST = "largest step of a path, in mean steps"
HALFWAY, MIXED = "share of halfway images that show a digit", "share of halfway cross-fades that show a digit"
SURE = 0.5
"""probability of the likeliest class above which an image shows a digit"""


def paths(lab: Lab) -> Numbers:
    """Measure decoded straight lines between the codes of test images of two classes.

    Halfway, three classifiers look at the decoded image, and at the average of both ends, a cross-fade.
    """
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        vae, (codes, classes) = run.vae(), lab.coded(name, "test")
        a, b = codes, codes.roll(1, 0)
        unlike = classes != classes.roll(1)
        a, b = a[unlike], b[unlike]
        t = torch.linspace(0, 1, STEPS + 1)[:, None, None]
        largest, halfway, mixed = [], [], []
        for start, end in zip(a.split(BATCH), b.split(BATCH), strict=True):
            images = vae.decode((1 - t) * start + t * end)
            steps = (images[1:] - images[:-1]).flatten(2).norm(dim=2)
            largest.append(steps.amax(0) / steps.mean(0))
            halfway.append(images[STEPS // 2])
            mixed.append((images[0] + images[-1]) / 2)
        found[name, LARGEST] = mean_over_images(torch.cat(largest), 1)
        for quantity, middle in ((HALFWAY, halfway), (MIXED, mixed)):
            sure = lab.opinions(name, torch.cat(middle)).mean(0).amax(1) > SURE
            found[name, quantity] = mean_over_images(sure.double(), 1)
    return found


def judge_paths(result: Result) -> Verdict:
    """Judge whether paths are smooth, and show digits halfway more often than cross-fades do."""
    holds, words = {}, []
    for name in labels(result):
        largest, halfway, mixed = (result.row(name, quantity) for quantity in (LARGEST, HALFWAY, MIXED))
        error = ((halfway.standard_error or 0) ** 2 + (mixed.standard_error or 0) ** 2) ** 0.5
        holds[name] = largest.value <= JUMP and halfway.value - mixed.value > 2 * error
        words.append(
            f"{name}: {100 * halfway.value:.1f}% show a digit halfway, {100 * mixed.value:.1f}% of cross-fades, "
            f"largest step {largest.value:.2f}"
        )
    return where(by_latents(holds), "; ".join(words))


def by_latents(holds: Mapping[str, bool]) -> dict[str, bool]:
    """Return at which numbers of latents a claim holds in all trainings.

    Example:
        >>> by_latents({"d = 2, β = 1": True, "d = 2, β = 0.392": False, "d = 10, β = 1": True})
        {'2 latents': False, '10 latents': True}
    """
    found: dict[str, bool] = {}
    for label, held in holds.items():
        latents = f"{label.split(',')[0].removeprefix('d = ')} latents"
        found[latents] = found.get(latents, True) and held
    return found


def draw_paths(lab: Lab) -> Iterator[Drawing]:
    """Draw paths between test images."""
    for name in lab.runs:
        yield from labeled(name, pictures(lab.subject(name)), "interpolations")


FOUR, MOVED = 4, 1000
"""the class that is named, and how many codes are moved towards each"""
AWAY = (0.0, 0.5, 1.0)
"""parts of the way that are gone"""


def becomes(what: str, length: float) -> str:
    """Name the probability of a class after a move."""
    return f"p({what}) after {length:g} of the way to it"


ANY, STRAYED = "class", "p(class) after as long a way in a random direction"


def directions(lab: Lab) -> Numbers:
    """Move codes of test images of other classes from the mean of all others to that of a class, and classify them."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        vae, (codes, classes) = run.vae(), lab.coded(name, "test")
        way = ways(*lab.coded(name, "train"))
        with devices.seeded(SEED, CPU):
            stray = torch.randn_like(way)
        stray *= way.norm(dim=1, keepdim=True) / stray.norm(dim=1, keepdim=True)
        starts = [codes[classes != k][:MOVED] for k in range(len(way))]
        at = {length: length * way for length in AWAY} | {STRAYED: stray}
        moved = [start + step for steps in at.values() for start, step in zip(starts, steps, strict=True)]
        seen = iter(opinion(lab, name, vae, torch.cat(moved)).split([len(each) for each in moved]))
        for length in at:
            p = [next(seen)[:, k] for k in range(len(way))]
            found[name, length if isinstance(length, str) else becomes(ANY, length)] = mean_over_images(torch.cat(p), 1)
            if length in AWAY:
                found[name, becomes(str(FOUR), length)] = mean_over_images(p[FOUR], 1)
    return found


def opinion(lab: Lab, name: str, vae: VAE, codes: Tensor) -> Tensor:
    """Return what three classifiers on average make of decoded codes, (codes, classes)."""
    return lab.opinions(name, torch.cat([vae.decode(each) for each in codes.split(BATCH)])).mean(0)


def ways(known: Tensor, classes: Tensor) -> Tensor:
    """Return the way from the mean code of all other classes to that of each class, (classes, d), for codes (n, d)."""
    inside = one_hot(classes).T.to(known.dtype)
    means, others = (each @ known / each.sum(1, keepdim=True) for each in (inside, 1 - inside))
    return means - others


def judge_directions(result: Result) -> Verdict:
    """Judge whether images come to show a four, or any other class, along its direction and not along a random one."""
    holds, words = {}, []
    for name in labels(result):
        fours, each = ([result.value(name, becomes(what, far)) for far in AWAY] for what in (str(FOUR), ANY))
        stray = result.value(name, STRAYED)
        rising = all(a < b for p in (fours, each) for a, b in pairwise(p))
        holds[name] = rising and min(fours[-1], each[-1]) > SURE > stray
        words.append(
            f"{name}: p(4) {' → '.join(f'{p:.2f}' for p in fours)}, any class {' → '.join(f'{p:.2f}' for p in each)}, "
            f"{stray:.2f} in a random direction"
        )
    return where(by_latents(holds), "; ".join(words))


def draw_directions(lab: Lab) -> Iterator[Drawing]:
    """Draw what becomes of a test image of each other class on its way to a four, beside test images of fours."""
    for name in lab.runs:
        subject, way = lab.subject(name), ways(*lab.coded(name, "train"))[FOUR].numpy()
        assert subject.labels is not None  # otherwise there are no ways
        fours = np.flatnonzero(subject.labels == FOUR)
        others = np.array([np.argmax(subject.labels == k) for k in np.unique(subject.labels) if k != FOUR])
        t = np.linspace(0, 1, STEPS + 1)
        figure = plots.interpolations(
            subject.images(others),
            subject.decoded(subject.codes[others][:, None] + t[None, :, None] * way),
            subject.images(fours[: len(others)]),
            ticks=[f"{100 * part:g} %" for part in t],
            names=subject.class_names(others),
            title="Four-ness",
            note=subject.note,
        )
        caption = "Decoded means while the way from the mean code of all other digits to that of fours is added."
        yield from labeled(name, [Drawing("four-ness", figure, f"{caption} On the right, test images of fours.")])


NOISES, SHOWN = (0.1, 0.3, 0.5), 0.3
"""standard deviations of the noise on gray levels from 0 to 1 (0.5 is customary), and that of the figure"""


def noisy(sigma: float, kind: str) -> str:
    """Name a squared error at a standard deviation of the noise."""
    return f"σ = {sigma:g}, squared error of {kind}"


INPUT, CLEAN, ITSELF = "the noisy image", "its reconstruction", "its reconstruction against the noisy image"
FLOOR = "squared error of reconstructions without noise"


def denoised(lab: Lab) -> Numbers:
    """Compare noisy test images and their reconstructions, by models that never saw noise, with the clean images."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        vae, x = run.vae(), lab.test_images(name)
        found[name, FLOOR] = squared(reconstructed(vae, x), x)
        for sigma in NOISES:
            seen = noised(x, sigma)
            shown = reconstructed(vae, seen)
            found[name, noisy(sigma, INPUT)] = squared(seen, x)
            found[name, noisy(sigma, CLEAN)] = squared(shown, x)
            found[name, noisy(sigma, ITSELF)] = squared(shown, seen)
    return found


def reconstructed(vae: VAE, x: Tensor) -> Tensor:
    """Reconstruct images, batch by batch."""
    return torch.cat([vae.reconstruct(each) for each in x.split(BATCH)])


def noised(x: Tensor, sigma: float) -> Tensor:
    """Add Gaussian noise to images, the same every time but for its size, and cut the sum to [0, 1]."""
    with devices.seeded(SEED, CPU):
        return (x + sigma * torch.randn_like(x)).clamp(0, 1)


def judge_denoised(result: Result) -> Verdict:
    """Judge whether reconstructions are closer to the clean images than the noisy ones are, and than to the noisy."""
    holds, words = {}, []
    for sigma in NOISES:
        found = [[result.value(name, noisy(sigma, kind)) for kind in (INPUT, CLEAN, ITSELF)] for name in labels(result)]
        holds[f"σ = {sigma:g}"] = all(clean < min(given, kept) for given, clean, kept in found)
        errors = [clean for _, clean, _ in found]
        words.append(
            f"{number(found[0][0])} at σ = {sigma:g}, which become {number(min(errors))} to {number(max(errors))}"
        )
    return where(holds, f"squared errors of noisy images are {'; '.join(words)}")


def draw_denoised(lab: Lab) -> Iterator[Drawing]:
    """Draw noisy test images above their reconstructions."""
    for name, run in lab.runs.items():
        seen = noised(lab.test_images(name), SHOWN)[: 4 * 10].unflatten(0, (4, -1))
        shown = run.vae().reconstruct(seen.flatten(0, 1)).view_as(seen)
        figure = plots.pairs(
            seen.numpy(), shown.numpy(), names=("noisy", "reconstruction"),
            title="Noisy images and their reconstructions", note=lab.subject(name).note,
        )  # fmt: skip
        caption = f"Test images with Gaussian noise of σ = {SHOWN:g}, cut to [0, 1], and their reconstructions."
        yield from labeled(name, [Drawing("denoised", figure, caption)])
