"""What the report of KTH (2021) calls marginal likelihood, and the evidence, with few training images and many."""

from collections.abc import Iterator, Mapping

import numpy as np

from vaekit.data import Source
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.reporting import plots
from vaekit.reporting.drawings import Drawing, columns
from vaekit.run import Run
from vaekit.studies.aevb import KERAS
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, Key, Numbers, Result, Verdict, compared

MANY = 50_000
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=200, seeds=3), "full": Scale(epochs=200, seeds=3)}
"""epochs of the larger training set, 10 million images; the smaller set is repeated until it makes up as many"""
SPLITS: Mapping[int, tuple[str, str]] = {1000: ("1000/59000/10000", "157/1280/360"), MANY: ("50k/10k/10k", "")}
"""splits of MNIST and of digits, by training images"""
ROWS = 50
"""evaluations of held-out images during a training"""
TURNING, TOLERANCE = -150.0, 3.0
CROSS_ENTROPY, BOUND, EVIDENCE = "minus cross-entropy", "lower bound", "log-evidence, 10 draws"
BEST, END = f"{CROSS_ENTROPY}, held out, best", f"{CROSS_ENTROPY}, held out, at the end"
WHEN = f"training images until the best {CROSS_ENTROPY}"


def label(images: int, decay: bool = False) -> str:
    """Name a training."""
    return f"{images:,} images{', weight decay' * decay}"


FEW, TAMED, PLENTY = label(1000), label(1000, decay=True), label(MANY)


def network(scale: Scale, images: int) -> Experiment:
    """Return three latents and 100 hidden units on some training images; all sizes take the same number of steps."""
    data = scale.source("mnist")
    split = SPLITS[images][scale.digits] or None
    epochs = scale.epochs * MANY / images
    return Experiment(data=Source(name=data.name, split=split)).replace_all(
        {
            **PRESETS["aevb-mnist"],
            "model.network.hidden": [100],
            "model.latent_dim": 3,
            "data.binarization": "none" if scale.digits else "dynamic",
            "epochs": epochs,
            "evaluate_every": epochs / ROWS,
        }
    )


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return the report's settings on few images, without and with the paper's prior on the weights, and on many."""
    few, many = (network(scale, images).replace_all(KERAS) for images in SPLITS)
    return {FEW: few, TAMED: few.replace("optimizer.weight_decay", 1e-3), PLENTY: many}


def measure(lab: Lab) -> Numbers:
    """Measure the report's number and the evidence of test images, and how the former develops on held-out images."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        images, heights = course(run, "reconstruction")
        cross_entropy = lab.estimate(name, "reconstruction")
        found[name, CROSS_ENTROPY] = cross_entropy._replace(value=-cross_entropy.value)
        found[name, BOUND] = lab.estimate(name, "elbo")
        found[name, EVIDENCE] = lab.estimate(name, "log_evidence")
        found[name, BEST], found[name, END] = exact(float(heights.max())), exact(float(heights[-1]))
        found[name, WHEN] = exact(float(images[heights.argmax()]))
    return found


def course(run: Run, term: str, training: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of training images, and after each the bound or minus the reconstruction of held-out images.

    Those of training images are means over the steps since the previous number.
    """
    rows, sign = run.metrics()[1:], 1 if term == "elbo" else -1
    heights = [sign * (row["train"] if training else held_out(row))[term] for row in rows]
    return np.array([row["samples"] for row in rows], dtype=float), np.array(heights)


def published(scale: Scale) -> Mapping[Key, float]:
    """Return where the report sees its curve turn."""
    return {} if scale.digits else {(FEW, BEST): TURNING}


def judge(result: Result) -> Verdict:
    """Judge whether the curve of 1,000 images turns where the report says, and how far it falls until the end."""
    height = compared(result, published(result.size), TOLERANCE)
    fall, tamed = (result.paired((name, BEST), (name, END)) for name in (FEW, TAMED))
    words = f"with 1,000 images, minus the cross-entropy is best after {result.value(FEW, WHEN):,.0f} images, at "
    words += f"{result.value(FEW, BEST):.1f} (the report: about {TURNING:g}), and ends {fall.value:.1f} lower, "
    words += f"{tamed.value:.1f} lower with the paper's prior on the weights; with {MANY:,} it ends "
    words += f"{result.paired((PLENTY, BEST), (PLENTY, END)).value:.1f} lower; on test images it is "
    words += f"{result.value(FEW, CROSS_ENTROPY):.1f}, where their log-evidence is at least "
    words += f"{result.value(FEW, EVIDENCE):.1f}"
    if fall.value <= TOLERANCE:
        return Verdict(FAILED, f"{words}: it hardly falls.")
    word = CORRECTED if height.word == REPRODUCED else height.word
    return Verdict(word, f"{words}: the curve turns down, but it is not a likelihood, because it lacks the KL.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the report's curve over the training, and the bound beside it."""
    images = course(lab.runs[FEW], "elbo")[0]
    panels = {
        title: {name: np.interp(images, *course(run, term)) for name, run in lab.runs.items()}
        for title, term in (("Minus the cross-entropy", "reconstruction"), ("Lower bound", "elbo"))
    }
    figure = plots.curves(
        images / 1e6,
        panels,
        title="Minus the cross-entropy, which the report calls marginal likelihood, and the bound",
        note="held-out images; 100 hidden units, three latents",
        xlabel="millions of training images",
    )
    caption = "Minus the cross-entropy of held-out images, without the KL: not a likelihood; beside it the lower bound."
    yield Drawing("cross-entropy", figure, caption, columns("training images", images, panels))
