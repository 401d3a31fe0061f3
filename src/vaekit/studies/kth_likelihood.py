"""What the report of KTH (2021) calls marginal likelihood, and the evidence, with few training images and many."""

from collections.abc import Iterator, Mapping

import numpy as np

from vaekit import plots
from vaekit.data import Source
from vaekit.drawings import Drawing, columns
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.run import Run
from vaekit.studies.lab import Lab, exact, held_out
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import CORRECTED, FAILED, Key, Numbers, Result, Verdict

MANY = 50_000
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=20), "full": Scale(epochs=200, seeds=3)}
"""epochs of the larger training set; the smaller one is repeated until it makes up as many images"""
SPLITS: Mapping[int, tuple[str, str]] = {1000: ("1000/59000/10000", "157/1280/360"), MANY: ("50k/10k/10k", "")}
"""splits of MNIST and of digits, by training images"""
TURNING, TURN = -150.0, 1.0
CROSS_ENTROPY, BOUND, EVIDENCE = "minus cross-entropy", "lower bound", "log-evidence, 10 draws"
BEST, END = f"{CROSS_ENTROPY}, held out, best", f"{CROSS_ENTROPY}, held out, at the end"


def label(images: int, decay: bool = False) -> str:
    """How a training is called."""
    return f"{images:,} images{', weight decay' * decay}"


FEW = label(1000)


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return three latents and 100 hidden units on few images and many, with and without the prior on the weights."""
    return {label(n, decay): experiment(scale, n, decay) for n in SPLITS for decay in (False, True)}


def experiment(scale: Scale, images: int, decay: bool) -> Experiment:
    """Return one of them; all take the same number of steps."""
    data = scale.source("mnist")
    split = SPLITS[images][scale.digits] or None
    epochs = scale.epochs * MANY / images
    return Experiment(data=Source(name=data.name, split=split)).replace_all(
        {
            **PRESETS["aevb-mnist"],
            "model.network.hidden": [100],
            "model.latent_dim": 3,
            "data.binarization": "none" if scale.digits else "dynamic",
            "optimizer.weight_decay": 1 / images if decay else 0.0,
            "epochs": epochs,
            "evaluate_every": epochs / 20,
        }
    )


def measure(lab: Lab) -> Numbers:
    """Measure the report's number and the evidence of test images, and how the former develops on held-out images."""
    found: dict[Key, Estimate] = {}
    for name, run in lab.runs.items():
        heights = course(run)[1]
        found[name, CROSS_ENTROPY] = lab.estimate(name, "kth_marginal_likelihood")
        found[name, BOUND] = lab.estimate(name, "elbo")
        found[name, EVIDENCE] = lab.estimate(name, "log_evidence")
        found[name, BEST], found[name, END] = exact(float(heights.max())), exact(float(heights[-1]))
    return found


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of training images, and minus the cross-entropy of held-out images after each."""
    rows = run.metrics()[1:]
    return (
        np.array([row["samples"] for row in rows], dtype=float),
        np.array([-held_out(row)["reconstruction"] for row in rows]),
    )


def published(scale: Scale) -> Mapping[Key, float]:
    """Return where the report sees its curve turn."""
    return {} if scale.digits else {(FEW, BEST): TURNING}


def judge(result: Result) -> Verdict:
    """Judge whether the curve of 1,000 images turns down, and what weight decay does to it."""
    fall, tamed = (result.value(name, BEST) - result.value(name, END) for name in (FEW, label(1000, decay=True)))
    evidence, entropy = result.value(FEW, EVIDENCE), result.value(FEW, CROSS_ENTROPY)
    words = f"with 1,000 images, minus the cross-entropy is best at {result.value(FEW, BEST):.1f} and ends {fall:.1f} "
    words += f"lower, {tamed:.1f} with weight decay; it is {entropy:.1f} on test images, their log-evidence "
    words += f"{evidence:.1f}"
    if fall < TURN:
        return Verdict(FAILED, f"{words}.")
    return Verdict(CORRECTED, f"{words}: the curve turns down, but it is not a likelihood, because it lacks the KL.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the report's curve over the training, by training images and weight decay."""
    images = course(lab.runs[FEW])[0]
    panels = {
        label(n): {
            words: np.interp(images, *course(lab.runs[label(n, decay)]))
            for decay, words in ((False, "no decay"), (True, "weight decay"))
        }
        for n in SPLITS
    }
    figure = plots.curves(
        images / 1e6,
        panels,
        title="Minus the cross-entropy, which the report calls marginal likelihood",
        note="held-out images; 100 hidden units, three latents",
        xlabel="millions of training images",
    )
    caption = "Minus the cross-entropy of held-out images, without the KL: not a likelihood."
    yield Drawing("cross-entropy", figure, caption, columns("training images", images, panels))
