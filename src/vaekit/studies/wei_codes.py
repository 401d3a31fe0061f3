"""The codes of Wei's note: digits in a plane, fives beside threes, training on the KL alone, noise of a fixed shape."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.estimates import Estimate
from vaekit.evaluation.probes import nearest_classes
from vaekit.evaluations import SEED
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.reporting.drawings import Drawing, confusion, curves, latents, pictures, samples
from vaekit.studies.lab import Lab, exact, labeled, share
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, Key, Numbers, Result, Verdict, by_seeds, number, shown

EPOCHS = 10
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS, seeds=3), "full": Scale(epochs=EPOCHS, seeds=10)}
LABEL = "d = 2"
FIVE, LOOKALIKES = 5, (3, 8)
LOSS, TRAINING_LOSS = "−ELBO", "−ELBO, first 10,000 training images"
NEIGHBORS = "class by the 5 nearest codes"


def experiment(scale: Scale, **changes: Any) -> Experiment:
    """Return the note's network; double underscores stand for dots."""
    chosen = {path.replace("__", "."): value for path, value in changes.items()}
    return Experiment(data=scale.source("mnist")).replace_all({**PRESETS["wei"], "epochs": scale.epochs, **chosen})


def plane(scale: Scale) -> dict[str, Experiment]:
    """Return the note's only network."""
    return {LABEL: experiment(scale)}


def becomes(k: int) -> str:
    """Name the share of fives that become another digit."""
    return f"5 taken for {k}"


def measure(lab: Lab) -> Numbers:
    """Measure the loss, and what reconstructed fives are taken for."""
    elbo, training, counts = lab.estimate(LABEL, "elbo"), lab.estimate(LABEL, "elbo", "train"), lab.confusion(LABEL)
    found: dict[str, Estimate] = {
        LOSS: elbo._replace(value=-elbo.value),
        TRAINING_LOSS: training._replace(value=-training.value),
        "reconstruction": lab.estimate(LABEL, "reconstruction"),
        "KL": lab.estimate(LABEL, "kl"),
        NEIGHBORS: lab.neighbors(LABEL),
    }
    fives = float(counts[FIVE].sum())
    found |= {becomes(k): share(float(counts[FIVE, k]), fives) for k in range(10) if k != FIVE}
    return {(LABEL, name): value for name, value in found.items()}


def judge(result: Result) -> Verdict:
    """Judge whether fives are taken for 3 and 8 more often than for any other digit."""
    mistaken = {k: result.value(LABEL, becomes(k)) for k in range(10) if k != FIVE}
    most = sorted(mistaken, key=lambda k: -mistaken[k])
    words = ", ".join(f"{k} ({100 * mistaken[k]:.1f}%)" for k in most[:4])
    right = f"{100 * result.value(LABEL, NEIGHBORS):.1f}% of test images have the class of their nearest codes"
    word = REPRODUCED if set(most[:2]) == set(LOOKALIKES) else FAILED
    return Verdict(word, f"reconstructed fives are taken for {words}; {right}; the note does not print numbers.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the note's three figures, and what it does not show: the loss, the manifold and the confusion matrix."""
    subject, run = lab.subject(LABEL), lab.runs[LABEL]
    yield from latents(subject)
    yield from pictures(subject)
    yield samples(subject)
    yield confusion(lab.evaluation(LABEL, "samples"), run.space)
    yield curves(run.metrics(), run.space)


ALONE, HEAVY = "KL alone", 1e6
"""weight of the KL: the gradient of the reconstruction is next to nothing to the encoder"""
TOLD, VARIED = "class by the 5 nearest drawn codes", "standard deviation of a pixel over samples"
SAID = 0.01
"""nats of KL, which bounds what a code says about its image"""


def alone(scale: Scale) -> dict[str, Experiment]:
    """Return the note's network trained on both terms, and on the KL alone."""
    return {LABEL: experiment(scale), ALONE: experiment(scale, objective__beta=HEAVY)}


@torch.no_grad()
def drawn(lab: Lab, name: str) -> Tensor:
    """Draw the code of each test image once, (images, d)."""
    with devices.seeded(SEED, torch.device("cpu")):
        return lab.runs[name].vae().posterior(lab.test_images(name)).sample()


def meanings(lab: Lab) -> Numbers:
    """Measure what drawn codes say about their images, and how much samples differ."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        z, labels = drawn(lab, name), lab.test_labels(name)
        half = len(z) // 2
        right = nearest_classes(z[:half], labels[:half], z[half:]) == labels[half:]
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, TOLD] = share(float(right.sum()), len(right))
        found[name, VARIED] = exact(float(lab.subject(name).sampled(min(1000, lab.scale.images)).std(0).mean()))
    return found


def judge_meanings(result: Result) -> Verdict:
    """Judge whether codes say nothing, and samples are all alike, without the reconstruction."""
    kl, told, varied = (result.value(ALONE, name) for name in ("KL", TOLD, VARIED))
    both = result.value(LABEL, VARIED)
    words = (
        f"trained on the KL alone, a code says at most {number(kl)} nats about its image, {100 * told:.1f}% of drawn "
        f"codes have the class of their neighbors ({100 * result.value(LABEL, TOLD):.1f}% with both terms), and a "
        f"pixel varies by {number(varied)} over samples ({number(both)}); this decoder has still learned the mean "
        "image from a millionth of the loss: without that, it would keep its first weights"
    )
    return Verdict(REPRODUCED if kl <= SAID and varied < both / 10 else FAILED, f"{words}.")


def draw_meanings(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and samples of both."""
    for name in lab.runs:
        yield from labeled(name, latents(lab.subject(name)), "latents-2d")
        yield from labeled(name, [samples(lab.subject(name))])


NEIGHBORHOOD = 5
"""nearest codes"""


def beside(k: int, taken: int) -> str:
    """Name the share of one class among the codes next to those of fives that are taken for some digit."""
    return f"{k}s among the {NEIGHBORHOOD} codes nearest to a 5 taken for {taken}"


def surroundings(lab: Lab) -> Numbers:
    """Count threes and eights among the codes nearest to those of fives, by what these become."""
    x, labels = lab.test_images(LABEL), lab.test_labels(LABEL)
    vae = lab.runs[LABEL].vae()
    codes, fives = vae.encode(x), labels == FIVE
    becoming = lab.probabilities(LABEL, vae.reconstruct(x[fives])).argmax(1)
    near = torch.cdist(codes[fives], codes).topk(NEIGHBORHOOD + 1, largest=False).indices[:, 1:]  # the first is itself
    found: dict[Key, Estimate] = {}
    for k in LOOKALIKES:
        for taken in (k, FIVE):
            around = (labels[near[becoming == taken]] == k).float().mean(1)
            # The neighbors of one image belong together, so that images are what is counted.
            error = float(around.std()) / max(len(around), 1) ** 0.5 if len(around) > 1 else float("nan")
            found[LABEL, beside(k, taken)] = Estimate(float(around.mean()) if len(around) else 0.0, error, 1)
    return found


def judge_surroundings(result: Result) -> Verdict:
    """Judge whether fives that become another digit have codes in its region, and those that stay fives do not."""
    words, gains = [], []
    for k in LOOKALIKES:
        taken, kept = ((LABEL, beside(k, other)) for other in (k, FIVE))
        gap = result.beyond(kept, 0.5)
        gains += [result.beyond(taken, 0.5), gap._replace(value=-gap.value)]
        words.append(
            f"next to fives taken for {k}, {100 * result.value(*taken):.1f}% of codes are {k}s; next to fives that "
            f"stay fives, {100 * result.value(*kept):.1f}%"
        )
    return by_seeds(result, shown(*gains), "; ".join(words))


M = 50
"""batch size of the note, which is also the shape of its noise"""


def drawn_as_printed(mean: Tensor, scale: Tensor) -> Tensor:
    """Draw z = μ + σ ε as the note's code does, with noise of shape (50, d) whatever the batch.

    Raises:
        RuntimeError: if the shapes cannot be broadcast.
    """
    return mean + scale * torch.randn(M, mean.shape[1])


BATCHES = (1, 32, M)


def codes_of(size: int) -> str:
    """Name a number of codes."""
    return f"codes drawn for a batch of {size}"


@torch.no_grad()
def shapes(lab: Lab) -> Numbers:
    """Count the codes that the note's code draws for batches of several sizes; 0 stands for an error."""
    vae, x = lab.runs[LABEL].vae(), lab.test_images(LABEL)
    found: dict[Key, Estimate] = {}
    for size in BATCHES:
        q = vae.posterior(x[:size])
        with devices.seeded(SEED, torch.device("cpu")):
            try:
                codes = len(drawn_as_printed(q.mean, q.stddev))
            except RuntimeError:
                codes = 0
        found[LABEL, codes_of(size)] = exact(codes)
    return found


def judge_shapes(result: Result) -> Verdict:
    """Judge whether every batch gets as many codes as it has images."""
    counts = {size: round(result.value(LABEL, codes_of(size))) for size in BATCHES}
    words = ", ".join(
        f"{codes} codes for a batch of {size}" if codes else f"an error for a batch of {size}"
        for size, codes in counts.items()
    )
    right = [size for size, codes in counts.items() if size == codes]
    word = REPRODUCED if len(right) == len(counts) else CORRECTED if M in right else FAILED
    ours = "; noise of the shape of μ, as here, fits every batch" if word == CORRECTED else ""
    return Verdict(word, f"{words}{ours}.")
