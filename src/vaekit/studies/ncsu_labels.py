"""The network of the ECE 542 report on a set with many labels, which it leaves to future work."""

from collections.abc import Iterator

from vaekit.drawings import Drawing, latents, samples
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.studies.lab import Lab, exact, labelled
from vaekit.studies.ncsu_network import error_of, experiment
from vaekit.studies.ncsu_samples import SHARP, SHARP_TEST, sharp
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, REPRODUCED, Key, Numbers, Result, Verdict, number

SCALES = {"smoke": SMOKE, "laptop": Scale(epochs=10, seeds=3), "full": Scale(epochs=50, seeds=3)}
SIZES = (2, 20)


def label(d: int) -> str:
    """Return the label of d latents."""
    return f"omniglot, d = {d}"


def alphabets(scale: Scale) -> dict[str, Experiment]:
    """Return the network on the characters of fifty alphabets, with few and with many latents, at β = 1."""
    return {label(d): experiment(scale, d, {"kind": "elbo"}, "omniglot") for d in SIZES}


GAIN = "class by the 5 nearest codes, in multiples of chance"


def measured(lab: Lab) -> Numbers:
    """Measure how far codes tell the alphabets apart, and how sharp samples are."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        votes = lab.votes(name).double()
        chance = float((votes.sum(1) * votes.sum(0)).sum() / votes.sum() ** 2)
        share = lab.neighbors(name)
        found[name, GAIN] = share._replace(value=share.value / chance, standard_error=share.standard_error / chance)
        found[name, "chance"] = exact(chance)
        found |= sharp(lab, name)
    return found


def judge(result: Result) -> Verdict:
    """Judge whether neighbors share their class more often than by chance, and samples of more latents are sharper."""
    few, many = map(label, SIZES)
    gain, gained = (result.row(name, GAIN) for name in (few, many))
    sharper = result.paired((many, SHARP), (few, SHARP))
    parts = {
        "classes cluster in the plane": gain.value - 2 * (gain.standard_error or 0) > 1,
        "more latents sharpen samples": sharper.value > 2 * error_of(sharper),
    }
    words = (
        f"{GAIN}: {gain.value:.2f} at 2 latents, {gained.value:.2f} at 20; {SHARP} "
        f"{number(result.value(few, SHARP))} and {number(result.value(many, SHARP))}, of test images "
        f"{number(result.value(few, SHARP_TEST))}"
    )
    missed = [part for part, held in parts.items() if not held]
    if missed:
        return Verdict(FAILED, f"not shown that {' and that '.join(missed)}: {words}.")
    return Verdict(REPRODUCED, f"{words}.")


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw the codes of the plane, and samples."""
    for name in lab.runs:
        subject = lab.subject(name)
        plane = latents(subject) if subject.vae.latent_dim == 2 else ()
        yield from labelled(name, [*plane, samples(subject)])
