"""The codes of the post of Frans (2016): memorizing, noise, new images and random codes."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import sqrt
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.data.order import Order
from vaekit.estimates import Estimate
from vaekit.evaluations import SEED
from vaekit.experiment import Experiment
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing
from vaekit.run import Run
from vaekit.studies.frans_losses import SPREAD, deterministic, experiment
from vaekit.studies.lab import Lab, exact, share, squared
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Row, Verdict, by_seeds, shown

CPU = torch.device("cpu")
NONE = "codes without noise"
BETAS = (0.1, 1.0, 10.0)
KEPT = "reconstructions of the right class"


def beta(weight: float) -> str:
    """Name a training."""
    return f"β = {weight:g}"


def noises(scale: Scale) -> dict[str, Experiment]:
    """Return the code's loss with a smaller and a larger weight of the KL, which sets how noisy codes are."""
    return {beta(weight): experiment(scale, objective__beta=weight) for weight in BETAS}


MEMORIES: Mapping[str, tuple[int, str, str]] = {
    "one image": (1, "1/59999/10000", "1/1436/360"),
    "four images": (4, "4/59996/10000", "4/1433/360"),
}
"""training images, and splits of MNIST and of digits"""
TIMES = 100
"""epochs of few images per epoch of all"""
FORGOTTEN, SHARE = "squared error of training images, share of a black picture's", 0.01


def memories(scale: Scale) -> dict[str, Experiment]:
    """Return auto-encoders of few images: one image gives the decoder a constant, four give it a code each."""
    return {
        name: deterministic(
            scale,
            data__split=splits[scale.digits],
            batch_size=images,
            epochs=TIMES * scale.epochs,
            evaluate_every=TIMES * scale.epochs,
        )
        for name, (images, *splits) in MEMORIES.items()
    }


def crowded(scale: Scale) -> dict[str, Experiment]:
    """Return codes without noise for few images, and increasingly noisy ones for all."""
    return memories(scale) | noises(scale) | {NONE: deterministic(scale)}


def forgotten(lab: Lab, name: str) -> float:
    """Return the squared error of reconstructed training images, as a share of that of a black picture."""
    x = lab.training_images(name)
    return float((x - lab.runs[name].vae().reconstruct(x)).square().sum() / x.square().sum())


ADDED = (0.0, 0.1, 0.3, 1.0, 3.0)
"""standard deviations of the noise that is added to codes"""
NAMED = (0.0, 1.0, 3.0)
"""those that a verdict names"""
FRUIT, APPLE, BANANA = "apple at 5.43, banana at 5.44", 5.43, 5.44
WIDTH = "standard deviation of codes"


def told(sigma: float) -> str:
    """Name the share of images that a noisy code is nearest to."""
    return f"images told apart by their codes, noise {sigma:g}"


def kept(sigma: float) -> str:
    """Name the share of noisy codes that are decoded to the class of their image."""
    return f"classes kept, noise {sigma:g}"


def right_fruit(sigma: float) -> float:
    """Return the probability that the nearer of two numbers is the right one, given it with Gaussian noise.

    Example:
        >>> round(right_fruit(1.0), 3)
        0.502
    """
    return NormalDist(0, sigma).cdf((BANANA - APPLE) / 2) if sigma else 1.0


def capacities(lab: Lab) -> Numbers:
    """Measure what is memorized, and how many images and classes noisy codes tell apart."""
    found: dict[Key, Estimate] = {(name, FORGOTTEN): exact(forgotten(lab, name)) for name in MEMORIES}
    found |= {(FRUIT, told(sigma)): exact(right_fruit(sigma)) for sigma in ADDED}
    for name in (NONE, *map(beta, BETAS)):
        if name != NONE:
            found[name, SPREAD] = exact(float(lab.usage(name).expected_variance.sqrt().mean()))
            found[name, "KL"] = lab.estimate(name, "kl")
        vae, x, labels = lab.runs[name].vae(), lab.test_images(name), lab.test_labels(name)
        codes = vae.encode(x)
        found[name, WIDTH] = exact(float(codes.std(0).mean()))
        with devices.seeded(SEED, CPU):
            noise = torch.randn_like(codes)
        for sigma in ADDED:
            z = codes + sigma * noise
            found[name, told(sigma)] = own(z, codes)
            found[name, kept(sigma)] = agreement(lab.opinions(name, vae.decode(z)), labels)
    return found


def own(z: Tensor, codes: Tensor) -> Estimate:
    """Return the share of noisy codes (n, d) whose nearest code (n, d) is their own.

    Example:
        >>> codes = torch.tensor([[0.0], [1.0]])
        >>> own(codes + 0.6, codes).value
        0.5
    """
    nearest = torch.cat([torch.cdist(some, codes).argmin(1) for some in z.split(1000)])
    hits = nearest == torch.arange(len(codes))
    return share(float(hits.sum()), len(hits))


def agreement(opinions: Tensor, labels: Tensor) -> Estimate:
    """Return the share of images that classifiers (k, n, classes) give their labels (n,), averaged over classifiers."""
    hits = (opinions.argmax(2) == labels).float().mean(0)
    return Estimate(float(hits.mean()), float(hits.std()) / sqrt(len(hits)), 1)


def judge_capacities(result: Result) -> Verdict:
    """Judge whether few images are memorized, and whether noise takes images and classes away, added or learned."""
    names = [beta(weight) for weight in BETAS]
    sigma, kl = ([result.value(name, quantity) for name in names] for quantity in (SPREAD, "KL"))
    fine = sorted(sigma) == sigma and sorted(kl, reverse=True) == kl
    words = []
    for name in (NONE, *names):
        rows = [[result.row(name, quantity(added)) for added in ADDED] for quantity in (told, kept)]
        fine &= all(never_rises(each) for each in rows)
        fine &= name == NONE or all(each[-1].value < each[0].value / 2 for each in rows)
        percent = (
            " → ".join(f"{100 * result.value(name, quantity(added)):.1f}%" for added in NAMED)
            for quantity in (told, kept)
        )
        words.append(f"{name} (codes spread by {result.value(name, WIDTH):.2g}): {' and '.join(percent)}")
    lost = {name: result.value(name, FORGOTTEN) for name in MEMORIES}
    fine &= max(lost.values()) < SHARE
    levels = ", ".join(f"{added:g}" for added in NAMED)
    memory = ", of ".join(f"{name}, {100 * share:.2g}% is lost" for name, share in lost.items())
    return Verdict(
        REPRODUCED if fine else FAILED,
        f"images told apart, and classes kept, at noise {levels}: {'; '.join(words)}; with noise 1, an apple is told "
        f"from a banana {100 * result.value(FRUIT, told(1.0)):.1f}% of the time; σ grows with β ("
        f"{', '.join(f'{s:.3f}' for s in sigma)}) and the KL falls ({', '.join(f'{k:.1f}' for k in kl)} nats); of the "
        f"sum of squares of {memory}.",
    )


def never_rises(rows: list[Row]) -> bool:
    """Say whether shares never rise by more than two standard errors."""
    return all(b.value <= a.value + 2 * ((a.standard_error or 0) + (b.standard_error or 0)) for a, b in pairwise(rows))


def draw_capacities(lab: Lab) -> Iterator[Drawing]:
    """Draw test images decoded from their codes with more and more noise, one row per network."""
    for name in (NONE, *map(beta, BETAS)):
        vae, x = lab.runs[name].vae(), lab.test_images(name)[:10]
        codes = vae.encode(x)
        with devices.seeded(SEED, CPU):
            noise = torch.randn_like(codes)
        rows = {f"noise {sigma:g}": vae.decode(codes + sigma * noise) for sigma in ADDED}
        figure = plots.strips(
            torch.stack([x, *rows.values()]).numpy(),
            names=["original", *rows],
            title=f"Codes with noise, {name}",
            note=lab.subject(name).note,
        )
        stem = name.replace("β = ", "beta-").replace(" ", "-")
        yield Drawing(f"noise-{stem}", figure, f"{name}: test images, and what their codes are decoded to with noise.")


FEW: Mapping[int, tuple[str, str]] = {
    100: ("100/59900/10000", "100/1337/360"),
    1000: ("1000/59000/10000", "200/1237/360"),
    10_000: ("10000/50000/10000", "1000/437/360"),
}
"""training images of MNIST: splits of MNIST and of digits"""
ALL = (60_000, 1257)
"""training images of either"""


def few(scale: Scale, count: int, **changes: Any) -> Experiment:
    """Return a training on some of the images, as long as that on all."""
    split = FEW[count][scale.digits]
    epochs = scale.epochs * (ALL[scale.digits] // int(split.split("/")[0]))
    return experiment(scale, data__split=split, epochs=epochs, evaluate_every=epochs, **changes)


POSTERIORS: Mapping[str, Mapping[str, Any]] = {
    NONE: {"model__posterior": "delta", "objective": "reconstruction"},
    beta(0.1): {"objective__beta": 0.1},
    beta(1.0): {"objective__beta": 1.0},
}
WHOLE = "60,000 images, β = 1"
SCARCE = 1000


def scarce(kind: str) -> str:
    """Name a training on few images."""
    return f"{SCARCE:,} images, {kind}"


def carried(scale: Scale) -> dict[str, Experiment]:
    """Return trainings on a thousand images, with and without noise, and one on all, whose classifiers judge."""
    return {scarce(kind): few(scale, SCARCE, **changes) for kind, changes in POSTERIORS.items()} | {
        WHOLE: experiment(scale)
    }


SEEN, NEW, RANDOM, READ = (
    "squared error of training images",
    "squared error of new images",
    "random codes that give a legible image",
    "reconstructions of new images of the right class",
)


def carrying(lab: Lab) -> Numbers:
    """Measure reconstructions of training images and of new ones, and images decoded from random codes."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        vae, x, seen = run.vae(), lab.test_images(name), lab.training_images(name)
        y, codes = vae.reconstruct(x), vae.encode(seen)
        with devices.seeded(SEED, CPU):
            z = codes.mean(0) + torch.randn(len(x), codes.shape[1]) @ root(codes.T.cov())
        found[name, SEEN] = squared(vae.reconstruct(seen), seen)
        found[name, NEW] = squared(y, x)
        found[name, READ] = agreement(lab.opinions(WHOLE, y), lab.test_labels(name))
        sure = (lab.opinions(WHOLE, vae.decode(z)).amax(2) > 0.5).float().mean(0)
        found[name, RANDOM] = Estimate(float(sure.mean()), float(sure.std()) / sqrt(len(sure)), 1)
    return found


def root(covariance: Tensor) -> Tensor:
    """Return the symmetric root of a covariance (d, d), whose directions without spread stay without."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def judge_carrying(result: Result) -> Verdict:
    """Judge whether noisy codes do better on new images and on random codes than codes without noise."""
    noisy, plain = scarce(beta(1.0)), scarce(NONE)
    gains = {
        "new images": result.paired((plain, NEW), (noisy, NEW)),
        "random codes": result.paired((noisy, RANDOM), (plain, RANDOM)),
    }
    words = "; ".join(
        f"{kind}: squared error {result.value(scarce(kind), SEEN):.1f} of training images, "
        f"{result.value(scarce(kind), NEW):.1f} of new ones, of which {100 * result.value(scarce(kind), READ):.1f}% "
        f"keep their class; {100 * result.value(scarce(kind), RANDOM):.1f}% of random codes give a legible image"
        for kind in POSTERIORS
    )
    held = " and ".join(name for name, gain in gains.items() if shown(gain) == REPRODUCED)
    return by_seeds(
        result, shown(*gains.values()), f"noise helps {held or 'neither new images nor random codes'}: {words}"
    )


LEARNED, DRAWN = "codes from an encoder", "random codes"
LOST = "squared error of training images"


def stored(count: int) -> str:
    """Name a number of images to store."""
    return f"{count:,} images"


def learned(scale: Scale) -> dict[str, Experiment]:
    """Return auto-encoders of more and more images."""
    return {stored(count): few(scale, count, **POSTERIORS[NONE]) for count in FEW}


def remembered(run: Run, x: Tensor) -> Tensor:
    """Train a run's decoder anew, as long and from the same weights, on a random code for each image; decode these."""
    experiment = run.experiment
    with devices.seeded(experiment.seed, CPU), torch.enable_grad():
        vae = experiment.model.build(run.space)
        codes = torch.randn(len(x), vae.latent_dim)
        optimizer = torch.optim.Adam(vae.likelihood.parameters(), experiment.optimizer.learning_rate)
        order = Order(len(x), experiment.batch_size, experiment.seed)
        for step in range(run.metrics()[-1]["step"]):
            rows = order.rows(step)
            optimizer.zero_grad()
            (-vae.log_likelihood(x[rows], codes[rows][None]).mean()).backward()
            optimizer.step()
    return vae.decode(codes)


def storing(lab: Lab) -> Numbers:
    """Measure what is lost of training images, with codes from an encoder and with random codes."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        x = lab.training_images(name)
        found[name, f"{LOST}, {LEARNED}"] = squared(run.vae().reconstruct(x), x)
        found[name, f"{LOST}, {DRAWN}"] = squared(remembered(run, x), x)
        found[name, f"{LOST}, mean image"] = squared(x.mean(0).expand_as(x), x)
    return found


def judge_storing(result: Result) -> Verdict:
    """Judge whether random codes lose more than those of an encoder, wherever one of them loses a hundredth or more."""
    words, gaps = [], []
    for name in map(stored, FEW):
        learned, drawn, mean = (result.value(name, f"{LOST}, {kind}") for kind in (LEARNED, DRAWN, "mean image"))
        words.append(f"{name}: {learned:.2f} with {LEARNED}, {drawn:.2f} with {DRAWN}, {mean:.1f} by the mean image")
        if max(learned, drawn) < SHARE * mean:
            words[-1] += (
                f" (less than {SHARE:.0%} of it: stored by both{', better by random codes' * (drawn < learned)})"
            )
        else:
            gaps.append(result.paired((name, f"{LOST}, {DRAWN}"), (name, f"{LOST}, {LEARNED}")))
    sentence = f"squared errors of training images: {'; '.join(words)}"
    return by_seeds(result, shown(*gaps) if gaps else UNTESTABLE, sentence)
