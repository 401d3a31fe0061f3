"""The learning note of Wei: a VAE with dense layers and two latents on MNIST."""

from collections.abc import Iterator, Mapping

from vaekit.drawings import Drawing, confusion, curves, latents, pictures, samples
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.studies.lab import Lab, exact, share
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, REPRODUCED, Artefact, Key, Numbers, Result, Study, Verdict

EPOCHS = 10
SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=EPOCHS, seeds=3), "full": Scale(epochs=EPOCHS, seeds=10)}
LABEL = "d = 2"
FIVE, LOOKALIKES = 5, (3, 8)
LOSS, TRAINING_LOSS, NEIGHBORS = "−ELBO", "−ELBO, training images, last epoch", "class by the 5 nearest codes"


def becomes(k: int) -> str:
    """Name the share of fives that become another digit."""
    return f"5 taken for {k}"


def experiments(scale: Scale) -> dict[str, Experiment]:
    """Return the note's only network."""
    return {LABEL: Experiment(data=scale.source("mnist")).replace_all({**PRESETS["wei"], "epochs": scale.epochs})}


def measure(lab: Lab) -> Numbers:
    """Measure the loss, and what reconstructed fives are taken for."""
    elbo, counts = lab.estimate(LABEL, "elbo"), lab.confusion(LABEL)
    found: dict[str, Estimate] = {
        LOSS: elbo._replace(value=-elbo.value),
        "reconstruction": lab.estimate(LABEL, "reconstruction"),
        "KL": lab.estimate(LABEL, "kl"),
        TRAINING_LOSS: exact(-lab.runs[LABEL].metrics()[-1]["train"]["elbo"]),
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
    word = REPRODUCED if set(most[:2]) == set(LOOKALIKES) else FAILED
    return Verdict(word, f"reconstructed fives are taken for {words}; the note prints no other numbers.")


def published(scale: Scale) -> Mapping[Key, float]:
    """Return numbers of another network of the same kind, after the same number of epochs."""
    return {(LABEL, TRAINING_LOSS): 152.20} if scale.epochs == EPOCHS and not scale.digits else {}


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the note's three figures, and what it does not show: the loss, the manifold and the confusion matrix."""
    subject, run = lab.subject(LABEL), lab.runs[LABEL]
    yield from latents(subject)
    yield from pictures(subject)
    yield samples(subject)
    yield confusion(lab.evaluation(LABEL, "samples"), run.space)
    yield curves(run.metrics(), run.space)


STUDY = Study(
    name="wei",
    title="A learning note on variational auto-encoders (Wei)",
    citation="After a well-known blog post and example code for Keras 1: 512 ReLU units on either side, two latents, "
    "Adam, batches of 50, 10 epochs, cross-entropy summed over 784 pixels plus KL, gray levels. Here there are 60,000 "
    "training images, because the note's loader is not shown.",
    artefacts=(
        Artefact(
            name="W1",
            place="figures of codes, reconstructions and samples",
            claim="two latents tell digits apart without labels, but a 5 may become a 3 or an 8",
            scales=SCALES,
            experiments=experiments,
            measure=measure,
            verdict=judge,
            judged_by="our classifier",
            headline=(LABEL, LOSS),
            figures=draw,
            published=published,
            source="none in the note; 152.20 is what the VAE example of keras.io, a convolutional network with two "
            "latents trained on all 70,000 images, prints for its tenth epoch",
            tolerance="3 and 8 have to be the two digits that reconstructed fives are most often taken for",
        ),
    ),
    errors={
        "`log_sigma` is a log-variance": "the sampling in the code agrees with that reading; only the name is wrong.",
        "the first formula of the KL takes Σ for a log-variance, its proof for a variance": "nothing changes: "
        "the code has the right KL.",
        "a comment calls the loss KL(Q ‖ P(z | X))": "it is KL(Q ‖ P(z)), as here.",
        "`K.binary_crossentropy(y_pred, y_true)`": "this is the order of arguments in Keras 1; with that of Keras 2, "
        "the loss would be a different one.",
        "the noise has the fixed shape (m, n_z)": "the model only runs with batches of 50; no number changes.",
        "'infer P(z) using P(z | X)', 'optimise ELBO + KL'": "only the words are wrong: the ELBO already contains the "
        "KL.",
        "`X_train` is not defined": "the loader that the note imports elsewhere leaves out 5,000 images; here all "
        "60,000 are used.",
    },
)
