"""The pictures in the report of KTH (2021), and its way of sampling."""

from collections.abc import Iterator
from itertools import pairwise

from vaekit.drawings import Drawing, latents, manifold, pictures, samples
from vaekit.experiment import Experiment
from vaekit.studies.aevb import MNIST, SIZES, experiment
from vaekit.studies.kth_bounds import BOUND
from vaekit.studies.lab import Lab, labelled
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, REPRODUCED, Numbers, Result, Verdict, number

SHOWN = (2, 5, 10, 20)
ERROR = "squared error of reconstructions"


def both(scale: Scale) -> dict[str, Experiment]:
    """Return four numbers of latents on both sets, each set with its own number of epochs."""
    found: dict[str, Experiment] = {}
    for data in SIZES:
        epochs = scale.epochs if scale.digits else scale.epochs * MNIST / SIZES[data]
        size = Scale(epochs=epochs, images=scale.images, seeds=scale.seeds, digits=scale.digits)
        found |= {f"{data}, d = {d}": experiment(data, size, d) for d in SHOWN}
    return found


def errors(lab: Lab) -> Numbers:
    """Measure the squared error of reconstructed test images."""
    return {(name, ERROR): lab.squared_error(name) for name in lab.runs}


def judge_errors(result: Result) -> Verdict:
    """Judge whether the error falls with every step in the number of latents."""
    words, falling = [], True
    for data in SIZES:
        values = [result.value(f"{data}, d = {d}", ERROR) for d in SHOWN]
        falling &= all(after < before for before, after in pairwise(values))
        words.append(f"{data} {', '.join(map(number, values))}")
    return Verdict(REPRODUCED if falling else FAILED, f"{ERROR} at {SHOWN} latents: {'; '.join(words)}.")


def draw_errors(lab: Lab) -> Iterator[Drawing]:
    """Draw originals and reconstructions."""
    for name in lab.runs:
        yield from labelled(name, pictures(lab.subject(name)), "reconstructions")


NEIGHBORS = "class by the 5 nearest codes"
ON_DIGITS = "mnist, d = 2"


def organized(lab: Lab) -> Numbers:
    """Measure how well codes of two latents tell digits apart; Frey's faces have no classes."""
    return {(ON_DIGITS, NEIGHBORS): lab.neighbors(ON_DIGITS)}


def judge_organized(result: Result) -> Verdict:
    """Judge whether more than half of the test images lie among codes of their own class."""
    share = result.value(ON_DIGITS, NEIGHBORS)
    word = REPRODUCED if share > 0.5 else FAILED
    return Verdict(word, f"{100 * share:.1f}% of test digits have the class of their 5 nearest codes.")


def draw_planes(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and manifold of two latents, and samples of all numbers of latents."""
    for name in lab.runs:
        subject = lab.subject(name)
        plane = [*latents(subject), manifold(subject)] if subject.vae.latent_dim == 2 else []
        yield from labelled(name, [*plane, samples(subject)])


RIGHT, SQUARED = "z = μ + σ ε", "z = μ + σ² ε"


def sampling(scale: Scale) -> dict[str, Experiment]:
    """Return ten latents with the right sampling and with the printed one."""
    return {
        RIGHT: experiment("mnist", scale, 10),
        SQUARED: experiment("mnist", scale, 10, objective="printed_sampling"),
    }


def bounds(lab: Lab) -> Numbers:
    """Measure the right bound of either encoder, and its terms."""
    return {
        (name, quantity): lab.estimate(name, term)
        for name in lab.runs
        for quantity, term in ((BOUND, "elbo"), ("reconstruction", "reconstruction"), ("KL", "kl"))
    }


def judge_bounds(result: Result) -> Verdict:
    """Judge whether the printed sampling gives the bound of the right one, to within two standard errors."""
    right, squared = (result.row(name, BOUND) for name in (RIGHT, SQUARED))
    lost = right.value - squared.value
    error = ((right.standard_error or 0) ** 2 + (squared.standard_error or 0) ** 2) ** 0.5
    words = (
        f"with σ² the bound is {squared.value:.2f}, with σ {right.value:.2f}: a loss of {lost:.2f} ± {error:.2f} nats"
    )
    return Verdict(REPRODUCED if lost <= 2 * error else FAILED, f"{words}.")
