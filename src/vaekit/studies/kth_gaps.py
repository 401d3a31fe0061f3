"""What the report of KTH (2021) says of overfitting, and its Gaussian likelihood of one scale per image."""

from collections.abc import Iterator, Mapping

import numpy as np

from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns
from vaekit.studies.aevb import SIZES
from vaekit.studies.curves import printed
from vaekit.studies.kth_bounds import ADAM, BOUND, trained
from vaekit.studies.kth_likelihood import FEW, MANY, course
from vaekit.studies.kth_likelihood import experiments as likelihoods
from vaekit.studies.lab import Lab, exact
from vaekit.studies.scale import Scale
from vaekit.studies.study import BETTER, FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict

FACES, DIGITS = "Frey Face, d = 20", "MNIST, d = 20"
DATA = {FACES: "frey_face", DIGITS: "mnist"}
BEST, END = f"{BOUND}, held out, best", f"{BOUND}, held out, at the end"
GAP, HALFWAY = "training bound above the held-out one", "training bound above the held-out one, halfway"
MARGIN: Mapping[str, float] = {FEW: 2.0, DIGITS: 2.0, FACES: 30.0}
"""nats by which curves may differ on either set, as in figure 2"""


def sized(scale: Scale, data: str) -> Scale:
    """Return as many training images of a set as ``scale`` is passes of 50,000."""
    epochs = scale.epochs if scale.digits else scale.epochs * MANY / SIZES[data]
    return Scale(epochs=epochs, digits=scale.digits)


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return the report's settings on 1,000 digits, on all digits and on faces."""
    found = {FEW: likelihoods(scale)[FEW]}
    return found | {name: trained(data, sized(scale, data), 20, ADAM) for name, data in DATA.items()}


def measure(lab: Lab) -> Numbers:
    """Measure how the held-out bound develops, and how far the training bound is above it, halfway and at the end."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        held_out, training = (course(run, "elbo", part)[1] for part in (False, True))
        gaps = training - held_out
        found[name, BEST], found[name, END] = exact(float(held_out.max())), exact(float(held_out[-1]))
        found[name, HALFWAY], found[name, GAP] = exact(float(gaps[len(gaps) // 2])), exact(float(gaps[-1]))
    return found


def judge(result: Result) -> Verdict:
    """Judge all three claims: one bound falls, the other does not and has no gap, and a third has a constant gap."""
    falls = {name: result.paired((name, BEST), (name, END)).value for name in MARGIN}
    gaps = {name: result.value(name, GAP) for name in MARGIN}
    growth = result.paired((DIGITS, GAP), (DIGITS, HALFWAY)).value
    claims = {
        f"with 1,000 images the held-out bound ends {falls[FEW]:.1f} below its best": falls[FEW] > MARGIN[FEW],
        f"on Frey Face it ends {falls[FACES]:.1f} below its best, with the training bound {gaps[FACES]:.1f} above it": (
            max(falls[FACES], gaps[FACES]) <= MARGIN[FACES]
        ),
        f"on MNIST the training bound is {result.value(DIGITS, HALFWAY):.1f} above it halfway and {gaps[DIGITS]:.1f} "
        "at the end": abs(growth) <= MARGIN[DIGITS],
    }
    words = "; ".join(f"{words} ({'as' if holds else 'not as'} the report says)" for words, holds in claims.items())
    return Verdict(REPRODUCED if all(claims.values()) else FAILED, f"{words}.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the bounds of training and held-out images."""
    images = course(lab.runs[FEW], "elbo")[0]
    panels = {
        name: {
            words: np.interp(images, *course(run, "elbo", part))
            for part, words in ((True, "train"), (False, "held out"))
        }
        for name, run in lab.runs.items()
    }
    figure = plots.curves(
        images / 1e6, panels, title="Lower bound of training and held-out images", xlabel="millions of training images",
        note="Adam at 0.001; training: means over the steps since the previous point",
    )  # fmt: skip
    caption = "Lower bound of training and of held-out images over the training."
    yield Drawing("gaps", figure, caption, columns("training images", images, panels))


PIXEL, IMAGE = "one σ per pixel", "one σ per image"


def scales_of_faces(scale: Scale) -> dict[str, Experiment]:
    """Return 20 latents on faces with the paper's scale per pixel, and with the printed one per image."""
    pixel = trained("frey_face", sized(scale, "frey_face"), 20, ADAM)
    return {PIXEL: pixel, IMAGE: pixel.replace("model.likelihood.scale", "image")}


def bounds(lab: Lab) -> Numbers:
    """Measure the bound of test images."""
    return {(name, BOUND): lab.estimate(name, "elbo") for name in lab.runs}


def published(scale: Scale) -> Mapping[Key, float]:
    """Return the paper's curve at the same number of training images."""
    height = None if scale.digits else printed(2, "frey_face", 20, "aevb", "test", scale.epochs * MANY)
    return {} if height is None else {(IMAGE, BOUND): height}


def judge_scales(result: Result) -> Verdict:
    """Judge whether the printed likelihood reaches what figure 2 shows."""
    known = published(result.size)
    if not known:
        return Verdict(UNTESTABLE, "the paper's curve is for Frey Face.")
    (height,), ours = known.values(), result.value(IMAGE, BOUND)
    words = f"the bound is {ours:.0f} with {IMAGE}, {result.value(PIXEL, BOUND):.0f} with {PIXEL}, where the paper's "
    words += f"curve is at {height:.0f}"
    if ours < height - MARGIN[FACES]:
        return Verdict(FAILED, f"an error of the text, not a claim of the report: {words}.")
    return Verdict(REPRODUCED if ours <= height + MARGIN[FACES] else BETTER, f"{words}; why is unknown.")
