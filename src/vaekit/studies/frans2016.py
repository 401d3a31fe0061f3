"""The post of Frans (2016): a small convolutional VAE on MNIST, and two losses that it prints."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from vaekit.drawings import Drawing, pictures, samples
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.studies.lab import Lab, exact, labelled
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, REPRODUCED, Artefact, Key, Numbers, Result, Study, Verdict, number

EPOCHS, MINUTES = 9, 15.0
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS), "full": Scale(epochs=EPOCHS, seeds=3)}
IMAGE, DIGIT = 28 * 28, 8 * 8


def experiment(scale: Scale, **changes: Any) -> Experiment:
    """Return the network of the post's code; double underscores stand for dots."""
    chosen = {path.replace("__", "."): value for path, value in changes.items()}
    return Experiment(data=scale.source("mnist")).replace_all(
        {**PRESETS["frans"], "epochs": scale.epochs, "evaluate_every": scale.epochs / EPOCHS, **chosen}
    )


FIRST, NINTH = "first epoch", "ninth epoch"
KEPT, TIME = "reconstructions of the right class", "minutes of training"


def epochs(scale: Scale) -> dict[str, Experiment]:
    """One epoch and nine."""
    return {FIRST: experiment(scale, epochs=scale.epochs / EPOCHS), NINTH: experiment(scale)}


def progress(lab: Lab) -> Numbers:
    """Measure reconstructions after both, and the time."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        elbo = lab.estimate(name, "elbo")
        found[name, "−ELBO"] = elbo._replace(value=-elbo.value)
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, KEPT] = lab.quality(name, "reconstructions", "agreement")
        found[name, TIME] = exact(run.metrics()[-1]["seconds"] / 60)
    return found


def published_progress(_: Scale) -> Mapping[Key, float]:
    return {(NINTH, TIME): MINUTES}


def judge_progress(result: Result) -> Verdict:
    """Judge whether reconstructions become those of their digit, in no more than the post's time."""
    first, ninth = (result.value(name, KEPT) for name in (FIRST, NINTH))
    minutes = result.value(NINTH, TIME)
    words = f"{100 * first:.1f}% of reconstructions keep their class after one epoch, {100 * ninth:.1f}% after nine"
    fine = ninth >= max(first, 0.95) and minutes <= MINUTES
    return Verdict(REPRODUCED if fine else FAILED, f"{words}, in {minutes:.1f} minutes.")


def draw_progress(lab: Lab) -> Iterator[Drawing]:
    """Draw originals and reconstructions after one epoch and after nine."""
    for name in lab.runs:
        yield from labelled(name, pictures(lab.subject(name)), "reconstructions")


PRINTED, RIGHT = "KL as printed", "KL with its logarithm"
SPREAD, DISTANCE = "mean σ of the posterior", "Fréchet distance of samples"


def divergences(scale: Scale) -> dict[str, Experiment]:
    """Return the code's loss and the one that the post prints."""
    return {PRINTED: experiment(scale, objective="printed_kl"), RIGHT: experiment(scale)}


def spreads(lab: Lab) -> Numbers:
    """Measure the posterior's scale, and how good samples are."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found[name, SPREAD] = exact(float(lab.usage(name).expected_variance.sqrt().mean()))
        found[name, DISTANCE] = lab.quality(name, "samples", "frechet_distance")
        found[name, "legible samples"] = lab.quality(name, "samples", "legibility")
    return found


def judge_spreads(result: Result) -> Verdict:
    """Judge whether the post's KL holds σ near one; without its logarithm nothing does."""
    words = "; ".join(
        f"{name}: σ {number(result.value(name, SPREAD))}, "
        f"Fréchet distance of samples {number(result.value(name, DISTANCE))}"
        for name in (PRINTED, RIGHT)
    )
    collapsed = result.value(PRINTED, SPREAD) < result.value(RIGHT, SPREAD) / 2
    return Verdict(FAILED if collapsed else REPRODUCED, f"{words}.")


def draw_divergences(lab: Lab) -> Iterator[Drawing]:
    """Draw samples of both."""
    for name in lab.runs:
        yield from labelled(name, [samples(lab.subject(name))])


MEAN, SUM = "mean of squared errors + KL", "sum of squared errors + KL"


def errors(scale: Scale) -> dict[str, Experiment]:
    """Return squared errors, averaged over pixels as the post prints them, or summed."""
    squared = {"kind": "gaussian", "scale": "fixed", "mean": "sigmoid"}
    pixels = DIGIT if scale.digits else IMAGE
    return {
        MEAN: experiment(scale, model__likelihood=squared, objective__beta=float(pixels)),
        SUM: experiment(scale, model__likelihood=squared),
    }


ERROR = "squared error per pixel"


def rates(lab: Lab) -> Numbers:
    """Measure what the codes carry, and how well images are reconstructed."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        pixels, squared = prod(run.space.event_shape), lab.squared_error(name)
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, ERROR] = Estimate(squared.value / pixels, squared.standard_error / pixels, 1)
    return found


def judge_rates(result: Result) -> Verdict:
    """Judge whether the codes have a KL; without one, they say nothing about their images."""
    words = "; ".join(
        f"{name}: KL {number(result.value(name, 'KL'))} nats, {ERROR} {number(result.value(name, ERROR))}"
        for name in (MEAN, SUM)
    )
    collapsed = result.value(MEAN, "KL") < 0.1
    return Verdict(FAILED if collapsed else REPRODUCED, f"{words}{'; the posterior collapses' * collapsed}.")


BETAS = (0.1, 1.0, 10.0)


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
        name: experiment(
            scale,
            data__split=splits[scale.digits],
            model__posterior="delta",
            objective="reconstruction",
            batch_size=images,
            epochs=TIMES * scale.epochs,
            evaluate_every=TIMES * scale.epochs,
        )
        for name, (images, *splits) in MEMORIES.items()
    }


def crowded(scale: Scale) -> dict[str, Experiment]:
    """Return codes without noise for few images, and increasingly noisy ones for all."""
    return memories(scale) | noises(scale)


def forgotten(lab: Lab, name: str) -> float:
    """Return the squared error of reconstructed training images, as a share of that of a black picture."""
    x = lab.training_images(name)
    return float((x - lab.runs[name].vae().reconstruct(x)).square().sum() / x.square().sum())


def capacities(lab: Lab) -> Numbers:
    """Measure the posterior's scale, the KL, how many reconstructions keep their class, and what is not memorized."""
    found: dict[Key, Estimate] = {(name, FORGOTTEN): exact(forgotten(lab, name)) for name in MEMORIES}
    for name in map(beta, BETAS):
        found[name, SPREAD] = exact(float(lab.usage(name).expected_variance.sqrt().mean()))
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, KEPT] = lab.quality(name, "reconstructions", "agreement")
    return found


def judge_capacities(result: Result) -> Verdict:
    """Judge whether few images are memorized, and whether noisier codes say less and get fewer images right."""
    sigma, kl, kept = ([result.value(beta(weight), name) for weight in BETAS] for name in (SPREAD, "KL", KEPT))
    words = "; ".join(
        f"{beta(weight)}: σ {a:.3f}, KL {b:.1f} nats, {100 * c:.1f}% keep their class"
        for weight, a, b, c in zip(BETAS, sigma, kl, kept, strict=True)
    )
    fine = sorted(sigma) == sigma and sorted(kl, reverse=True) == kl and kept[0] > kept[-1]
    left = {name: result.value(name, FORGOTTEN) for name in MEMORIES}
    words += "; of the sum of squares of " + ", of ".join(
        f"{name}, {100 * share:.2g}% is lost" for name, share in left.items()
    )
    return Verdict(REPRODUCED if fine and max(left.values()) < SHARE else FAILED, f"{words}.")


STUDY = Study(
    name="frans2016",
    title="Variational autoencoders explained (Frans, 2016)",
    citation="Network and optimizer of the code that accompanies the post: kernels of 5, 16 and 32 channels, 20 "
    "latents, Adam at 0.001, batches of 100, gray levels, cross-entropy summed over pixels plus the whole KL.",
    artefacts=(
        Artefact(
            name="F1",
            place="the figure of the first epoch, the ninth epoch and the originals",
            claim="reconstructions look like the originals after nine epochs, in 15 minutes on a laptop without a GPU",
            scales=SCALES,
            experiments=epochs,
            measure=progress,
            verdict=judge_progress,
            judged_by="our classifier, minutes",
            headline=(NINTH, KEPT),
            figures=draw_progress,
            published=published_progress,
            source="the post's text",
            tolerance="95% of reconstructions keep their class, in no more than 15 minutes",
        ),
        Artefact(
            name="F2",
            place="the code of the latent loss",
            claim="½ Σ (μ² + σ²) keeps the latents near a unit Gaussian",
            scales=SCALES,
            experiments=divergences,
            measure=spreads,
            verdict=judge_spreads,
            judged_by="standard deviations of codes",
            headline=(PRINTED, SPREAD),
            figures=draw_divergences,
            tolerance="the mean σ must be at least half of that with the whole KL",
        ),
        Artefact(
            name="F3",
            place="the code of the generation loss",
            claim="the mean of squared errors plus the KL trains a VAE",
            scales=SCALES,
            experiments=errors,
            measure=rates,
            verdict=judge_rates,
            judged_by="KL",
            headline=(MEAN, "KL"),
            figures=draw_progress,
            tolerance="a KL of at least 0.1 nats",
        ),
        Artefact(
            name="F4",
            place="the networks of a constant and of one-hot codes; the paragraphs on apples and bananas",
            claim="a decoder memorizes an image from a constant and several from one-hot codes; the noisier the codes, "
            "the fewer images they tell apart",
            scales=SCALES,
            experiments=crowded,
            measure=capacities,
            verdict=judge_capacities,
            judged_by="KL, our classifier",
            headline=(beta(1.0), SPREAD),
            figures=draw_progress,
            tolerance="σ has to rise, KL and kept classes have to fall with the weight of the KL; less than "
            f"{SHARE:.0%} of the sum of squares of memorized images may be lost",
        ),
    ),
    errors={
        "the printed KL lacks −log σ² − 1": "F2: its minimum is at σ = 0, so that what is left is a deterministic "
        "auto-encoder with a penalty on its codes.",
        "'mean(square(…))' is printed, but the code sums a cross-entropy": "F3: the mean gives the KL 784 times the "
        "weight.",
        "the printed loss sums the KL over the batch and averages the error over everything": "F3 counts each image's "
        "KL once; a sum over the batch would give it a hundred times more weight still.",
        "the encoder outputs a standard deviation that may be negative": "a Gaussian's draws do not depend on the "
        "sign; here the encoder outputs the logarithm.",
        "'unit gaussian … until it reaches one'": "true of the code's KL, not of the printed one: F2.",
    },
)
