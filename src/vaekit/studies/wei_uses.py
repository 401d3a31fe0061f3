"""What Wei's note says a VAE is good for: denoising, filling in what is missing, and a start for a classifier."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaekit import devices
from vaekit.data.order import Order
from vaekit.estimates import Estimate
from vaekit.evaluations import SEED
from vaekit.experiment import Experiment
from vaekit.model import VAE
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing
from vaekit.studies.lab import Lab, exact, squared
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
    by_seeds,
    number,
    shown,
    spread,
)
from vaekit.studies.wei_codes import LABEL, experiment

LARGER = "d = 20"
SHOWN = 10
"""images in a figure"""


def networks(scale: Scale) -> dict[str, Experiment]:
    """Return the note's network, and one with twenty latents."""
    return {LABEL: experiment(scale), LARGER: experiment(scale, model__latent_dim=20)}


def judged(result: Result, gains: Mapping[str, Sequence[Estimate]], words: Sequence[str]) -> Verdict:
    """Judge each network by differences that should be positive: it is a correction if it takes more than two latents.

    Args:
        result: that of the artifact.
        gains: by network.
        words: of the sentence.
    """
    with_two, with_more = (shown(*gains[name]) for name in (LABEL, LARGER))
    word = CORRECTED if REPRODUCED == with_more != with_two else with_two
    word = UNTESTABLE if word == FAILED and with_more == UNTESTABLE else word
    return by_seeds(result, word, "; ".join(words))


def less(result: Result, label: str, quantity: str, other: str) -> Estimate:
    """Return by how much a squared error is less than another one."""
    return result.paired((label, other), (label, quantity))


NOISES = (0.1, 0.25, 0.5)
NOISY, SMOOTHED = "noisy image", "its moving average of 3×3 pixels"


def level(sigma: float) -> str:
    """Name a level of noise."""
    return f"noise of {sigma:g}"


def noisy(x: Tensor, sigma: float) -> Tensor:
    """Add Gaussian noise to images, the same every time, and cut it off at black and white."""
    with devices.seeded(SEED, x.device):
        return (x + sigma * torch.randn_like(x)).clamp(0, 1)


def denoised(lab: Lab) -> Numbers:
    """Measure how far noisy images are from clean ones, and what is left of that after encoding and decoding."""
    found: dict[Key, Estimate] = {}
    x = lab.test_images(LABEL)
    for sigma in NOISES:
        y = noisy(x, sigma)
        found[level(sigma), NOISY] = squared(y, x)
        found[level(sigma), SMOOTHED] = squared(F.avg_pool2d(y, 3, 1, 1), x)
        for name, run in lab.runs.items():
            found[level(sigma), name] = squared(run.vae().reconstruct(y), x)
    return found


def judge_denoised(result: Result) -> Verdict:
    """Judge whether decoding brings the noisiest images nearer to the clean ones than averaging their pixels does."""
    words = []
    for sigma in NOISES:
        errors = [f"{number(result.value(level(sigma), name))} ({name})" for name in (NOISY, SMOOTHED, LABEL, LARGER)]
        words.append(f"squared error at {level(sigma)}: {', '.join(errors)}")
    most = level(max(NOISES))
    gains = {name: [less(result, most, name, other) for other in (NOISY, SMOOTHED)] for name in (LABEL, LARGER)}
    return judged(result, gains, words)


def draw_denoised(lab: Lab) -> Iterator[Drawing]:
    """Draw the noisiest images, and what each network makes of them."""
    y = noisy(lab.test_images(LABEL)[:SHOWN], max(NOISES))
    yield restored(
        lab, "denoised", {level(max(NOISES)): y} | {n: run.vae().reconstruct(y) for n, run in lab.runs.items()}
    )


def restored(lab: Lab, name: str, rows: dict[str, Tensor]) -> Drawing:
    """Draw test images with what happened to them in the rows below, as the name says."""
    images = torch.stack([lab.test_images(LABEL)[:SHOWN], *rows.values()]).numpy()
    figure = plots.strips(
        images, names=["original", *rows], title=name.replace("-", " ").capitalize(), note=lab.subject(LABEL).note
    )
    return Drawing(name, figure, f"Test images, and below them {', '.join(rows)}.")


PASSES = (1, 20)
BLACK, MEAN = "black", "mean image"
"""what a hole is filled with without a model"""


def holes(shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Return what is missing, (H, W), by name."""
    height, width = shape[-2:]
    lower, middle = torch.zeros(2, height, width, dtype=torch.bool)
    lower[height // 2 :] = True
    middle[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    return {"lower half": lower, "middle": middle}


def filled(vae: VAE, x: Tensor, hole: Tensor) -> Iterator[Tensor]:
    """Yield images whose hole, black at first, is filled again and again with what their code is decoded to.

    Reference: *Stochastic backpropagation and approximate inference in deep generative models (Rezende, Mohamed,
    Wierstra, 2014)*, arXiv:1401.4082, appendix F, where codes are drawn; here they are means.
    """
    x = x.masked_fill(hole, 0.0)
    while True:
        x = torch.where(hole, vae.reconstruct(x), x)
        yield x


def passes(count: int) -> str:
    """Name a number of passes."""
    return f"{count} pass{'es' * (count > 1)}"


def fillings(lab: Lab) -> Numbers:
    """Measure the squared error within holes, by what they are filled with."""
    x = lab.test_images(LABEL)
    mean = lab.training_images(LABEL).mean(0)
    found: dict[Key, Estimate] = {}
    for missing, hole in holes(x.shape).items():
        found[missing, BLACK] = squared(torch.zeros_like(x) * hole, x * hole)
        found[missing, MEAN] = squared(mean.expand_as(x) * hole, x * hole)
        for name, run in lab.runs.items():
            vae = run.vae()
            for count, y in enumerate(islice(filled(vae, x, hole), max(PASSES)), 1):
                if count in PASSES:
                    found[missing, f"{name}, {passes(count)}"] = squared(y * hole, x * hole)
            found[missing, f"{name}, from the complete image"] = squared(vae.reconstruct(x) * hole, x * hole)
    return found


def judge_fillings(result: Result) -> Verdict:
    """Judge whether each hole is filled better than by the mean image, after the last pass."""
    words, gains = [], dict[str, list[Estimate]]({LABEL: [], LARGER: []})
    for missing in holes((1, 8, 8)):
        errors = [f"{number(result.value(missing, MEAN))} ({MEAN})"]
        for name, each in gains.items():
            each.append(less(result, missing, f"{name}, {passes(max(PASSES))}", MEAN))
            errors += [
                f"{number(result.value(missing, f'{name}, {passes(count)}'))} ({name}, {passes(count)})"
                for count in PASSES
            ]
        words.append(f"squared error in the {missing}: {', '.join(errors)}")
    return judged(result, gains, words)


def draw_fillings(lab: Lab) -> Iterator[Drawing]:
    """Draw images with each hole, and how it is filled at last."""
    x = lab.test_images(LABEL)[:SHOWN]
    for missing, hole in holes(x.shape).items():
        rows = {"what is left": x.masked_fill(hole, 0.0)}
        for name, run in lab.runs.items():
            rows[name] = next(islice(filled(run.vae(), x, hole), max(PASSES) - 1, None))
        yield restored(lab, f"filled-{missing.replace(' ', '-')}", rows)


LABELED, SUBSETS, STEPS, BATCH = (100, 1000), 5, 50, 50
"""labeled images, draws of these per seed, steps of a classifier per epoch of the encoder, images per step"""
SCRATCH = "from new weights"


def few(count: int) -> str:
    """Name a number of labels."""
    return f"{count:,} labels"


def start(name: str) -> str:
    """Name a classifier that starts at an encoder."""
    return f"from the encoder, {name}"


def accuracy(trunk: nn.Module, lab: Lab, rows: Tensor, seed: int) -> float:
    """Train a classifier that starts as a copy of a trunk on some training images, and test it on new ones."""
    split = lab.training(LABEL)
    assert split.labels is not None  # otherwise there is nothing to learn
    x, labels = split.batch(rows).x, split.labels[rows]
    with devices.seeded(seed, x.device), torch.enable_grad():
        width = trunk(x[:1]).shape[1]
        network = nn.Sequential(deepcopy(trunk), nn.Linear(width, 10))
        optimizer, order = torch.optim.Adam(network.parameters()), Order(len(x), min(BATCH, len(x)), seed)
        for step in range(round(STEPS * lab.scale.epochs)):
            chosen = order.rows(step)
            optimizer.zero_grad()
            F.cross_entropy(network(x[chosen]), labels[chosen]).backward()
            optimizer.step()
    with torch.no_grad():
        right = network(lab.test_images(LABEL)).argmax(1) == lab.test_labels(LABEL)
    return float(right.float().mean())


def starts(lab: Lab) -> Numbers:
    """Measure classifiers of few labels by where they start: at new weights or at an encoder of all training images."""
    run = lab.runs[LABEL]
    with devices.seeded(run.experiment.seed, torch.device("cpu")):
        new = run.experiment.model.build(run.space)
    models = {SCRATCH: new} | {start(name): each.vae() for name, each in lab.runs.items()}
    trunks = {name: vae.posterior.get_submodule("trunk") for name, vae in models.items()}
    found: dict[Key, Estimate] = {}
    for count in LABELED:
        shares: dict[str, list[float]] = {name: [] for name in trunks}
        for subset in range(SUBSETS):
            seed = SUBSETS * run.experiment.seed + subset
            rows = torch.randperm(run.space.sizes["train"], generator=torch.Generator().manual_seed(seed))[:count]
            for name, trunk in trunks.items():
                shares[name].append(accuracy(trunk, lab, rows, seed))
        found |= {(few(count), name): exact(sum(each) / SUBSETS) for name, each in shares.items()}
    return found


def judge_starts(result: Result) -> Verdict:
    """Judge whether the encoder is the better start, with the fewest labels, over the seeds."""
    words = []
    for count in LABELED:
        parts = [f"{100 * result.value(few(count), SCRATCH):.1f}% right {SCRATCH}"]
        for name in (LABEL, LARGER):
            gain = result.paired((few(count), start(name)), (few(count), SCRATCH))
            percent = Estimate(100 * gain.value, 100 * gain.standard_error, gain.samples)
            parts.append(f"{spread(percent, '+.1f')} {start(name)}")
        words.append(f"{few(count)}: {', '.join(parts)}")
    fewest = few(min(LABELED))
    gains = {name: [result.paired((fewest, start(name)), (fewest, SCRATCH))] for name in (LABEL, LARGER)}
    return judged(result, gains, words)
