"""The pictures in the report of KTH (2021), and its way of sampling."""

from collections.abc import Iterator
from itertools import pairwise

from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.reporting.drawings import Drawing, latents, manifold, pictures, samples
from vaekit.studies import planes
from vaekit.studies.aevb import MNIST, SIZES
from vaekit.studies.kth_bounds import ADAM, BOUND, trained
from vaekit.studies.lab import Lab, labeled
from vaekit.studies.scale import Scale
from vaekit.studies.study import FAILED, REPRODUCED, Key, Numbers, Result, Verdict, by_seeds, number, shown, spread

SHOWN = (2, 5, 10, 20)
ERROR = "squared error of reconstructions"


def networks(scale: Scale, sizes: tuple[int, ...]) -> dict[str, Experiment]:
    """Return numbers of latents on both sets in the report's settings, each set with its own number of epochs."""
    found: dict[str, Experiment] = {}
    for data in SIZES:
        epochs = scale.epochs if scale.digits else scale.epochs * MNIST / SIZES[data]
        size = Scale(epochs=epochs, digits=scale.digits)
        found |= {f"{data}, d = {d}": trained(data, size, d, ADAM) for d in sizes}
    return found


def all_latents(scale: Scale) -> dict[str, Experiment]:
    """Return the four numbers of latents that the report shows."""
    return networks(scale, SHOWN)


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
    """Draw originals and reconstructions, and samples."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labeled(name, [*pictures(subject), samples(subject)], ("reconstructions", "samples"))


NEIGHBORS = "class by the 5 nearest codes"
ON_DIGITS, ON_FACES = "mnist, d = 2", "frey_face, d = 2"


def two_latents(scale: Scale) -> dict[str, Experiment]:
    """Return the planes of both sets."""
    return networks(scale, (2,))


def organized(lab: Lab) -> Numbers:
    """Measure how two latents order digits, and the decoder's path over either plane; Frey's faces have no classes."""
    found: dict[Key, Estimate] = {(ON_DIGITS, NEIGHBORS): lab.neighbors(ON_DIGITS)}
    found |= planes.organization(lab, ON_DIGITS)
    for name in (ON_DIGITS, ON_FACES):
        found |= planes.smoothness(lab, name)
    return found


def judge_organized(result: Result) -> Verdict:
    """Judge whether classes that are confused in pixels have near codes, and no step on the grids is a jump."""
    ordered, words = planes.organized(result, ON_DIGITS)
    found = [planes.smooth(result, name) for name in (ON_DIGITS, ON_FACES)]
    sentences = [
        f"{100 * result.value(ON_DIGITS, NEIGHBORS):.1f}% of test digits have the class of their 5 nearest codes"
    ]
    sentences += [words, f"digits: {found[0][1]}", f"faces: {found[1][1]}"]
    fine = ordered and all(smooth for smooth, _ in found)
    return Verdict(REPRODUCED if fine else FAILED, f"{'; '.join(sentences)}.")


def draw_planes(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and manifolds of two latents."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labeled(name, [*latents(subject), manifold(subject)])


RIGHT, SQUARED = "z = μ + σ ε", "z = μ + σ² ε"


def sampling(scale: Scale) -> dict[str, Experiment]:
    """Return ten latents with the right sampling and with the printed one."""
    right = trained("mnist", scale, 10, ADAM)
    return {RIGHT: right, SQUARED: right.replace("objective", "printed_sampling")}


def bounds(lab: Lab) -> Numbers:
    """Measure the right bound of either encoder, and its terms."""
    return {
        (name, quantity): lab.estimate(name, term)
        for name in lab.runs
        for quantity, term in ((BOUND, "elbo"), ("reconstruction", "reconstruction"), ("KL", "kl"))
    }


def judge_bounds(result: Result) -> Verdict:
    """Judge whether the printed sampling gives a bound that is lower than that of the right one, over the seeds."""
    right, squared = (result.row(name, BOUND) for name in (RIGHT, SQUARED))
    lost = result.paired((RIGHT, BOUND), (SQUARED, BOUND))
    words = "an error of the text, not a claim of the report: trained with σ² the right bound is "
    words += f"{squared.value:.2f}, with σ {right.value:.2f}, a loss in nats of {spread(lost)}"
    return by_seeds(result, shown(lost._replace(value=-lost.value)), words)
