"""The network of the ECE 542 report on a set with many labels, which it leaves to future work."""

from collections.abc import Iterator

from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.reporting.drawings import Drawing, latents, samples
from vaekit.studies import planes
from vaekit.studies.lab import Lab, exact, labeled, share
from vaekit.studies.ncsu_network import experiment
from vaekit.studies.ncsu_samples import SHARP, SHARP_TEST, sharp
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, Key, Numbers, Result, Verdict, by_seeds, number, shown

SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=10, seeds=3), "full": Scale(epochs=50, seeds=3)}
SIZES = (2, 20)


def label(d: int) -> str:
    """Return the label of d latents."""
    return f"omniglot, d = {d}"


def alphabets(scale: Scale) -> dict[str, Experiment]:
    """Return the network on the characters of fifty alphabets, with few and with many latents, at β = 1."""
    return {label(d): experiment(scale, d, {"kind": "elbo"}, "omniglot") for d in SIZES}


NEIGHBORS, CHANCE = "class by the 5 nearest codes", "class by chance"


def measured(lab: Lab) -> Numbers:
    """Measure the order of the alphabets in the plane, how far codes tell them apart, and how sharp samples are."""
    few = label(min(SIZES))
    found: dict[Key, Estimate] = planes.organization(lab, few)
    for name in lab.runs:
        votes = lab.votes(name).double()
        found[name, NEIGHBORS] = share(float(votes.trace()), float(votes.sum()))
        found[name, CHANCE] = exact(float((votes.sum(1) * votes.sum(0)).sum() / votes.sum() ** 2))
        found |= sharp(lab, name)
    return found


def judge(result: Result) -> Verdict:
    """Judge whether similar alphabets have near codes, as classes of digits have, and whether more latents sharpen."""
    few, many = map(label, SIZES)
    ordered, said = planes.organized(result, few)
    sharper = result.paired((many, SHARP), (few, SHARP))
    shares = [
        f"{100 * result.value(name, NEIGHBORS):.1f}% at {d} latents" for d, name in zip(SIZES, (few, many), strict=True)
    ]
    words = (
        f"{said}; {' and '.join(shares)} of test images have the class of their 5 nearest codes, where chance is "
        f"{100 * result.value(few, CHANCE):.1f}%; {SHARP} {number(result.value(few, SHARP))} and "
        f"{number(result.value(many, SHARP))}, of test images {number(result.value(few, SHARP_TEST))}"
    )
    return by_seeds(result, shown(sharper) if ordered else FAILED, words)


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the codes of the plane, and samples."""
    for name in lab.runs:
        subject = lab.subject(name)
        plane = latents(subject) if subject.vae.latent_dim == 2 else ()
        yield from labeled(name, [*plane, samples(subject)])
