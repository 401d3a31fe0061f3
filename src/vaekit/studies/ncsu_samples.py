"""The samples of the ECE 542 report (figures 7–9)."""

from collections.abc import Iterator, Mapping

import torch

from vaekit import devices
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluation.sharpness import sharpness
from vaekit.evaluations import SEED
from vaekit.reporting.drawings import Drawing, samples
from vaekit.studies.lab import BATCH, Lab, labeled
from vaekit.studies.ncsu_network import BETAS, LATENTS, one
from vaekit.studies.ncsu_verdicts import where
from vaekit.studies.study import Key, Numbers, Result, Verdict, number

SHARP, SHARP_TEST = "sharpness of samples", "sharpness of test images"
DISTANCE, SCORE = "Fréchet distance of samples", "inception score of samples"
LITTLE = 0.2
"""the share of the step from 2 to 10 latents that the step from 10 to 20 may have where both 'differ little'"""


def sharp(lab: Lab, name: str) -> dict[Key, Estimate]:
    """Measure the sharpness of a run's samples and test images, as many of each as are measured."""
    vae, x = lab.runs[name].vae(), lab.test_images(name)
    with devices.seeded(SEED, torch.device("cpu")):
        drawn = torch.cat([vae.sample(len(each)) for each in x.split(BATCH)])
    return {(name, SHARP): mean_over_images(sharpness(drawn), 1), (name, SHARP_TEST): mean_over_images(sharpness(x), 1)}


def scores(lab: Lab) -> Numbers:
    """Measure how sharp samples are and what a classifier makes of them, and both terms of the bound."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found |= sharp(lab, name)
        found[name, DISTANCE] = lab.quality(name, "samples", "frechet_distance")
        found[name, SCORE] = lab.quality(name, "samples", "inception_score")
        found[name, "KL"] = lab.estimate(name, "kl")
        found[name, "reconstruction"] = lab.estimate(name, "reconstruction")
    return found


def values(result: Result, quantity: str) -> dict[str, list[float]]:
    """Return a number at 2, 10 and 20 latents, by β."""
    return {name: [result.value(label(d), quantity) for d in LATENTS] for name, label in BETAS.items()}


def listed(found: Mapping[str, list[float]]) -> str:
    """Write numbers at 2, 10 and 20 latents for either β."""
    return ", ".join(f"{' / '.join(map(number, row))} with {name}" for name, row in found.items())


def sharper(result: Result, label: str, other: str) -> bool:
    """Say whether samples of one run are sharper than those of another by two standard errors over images."""
    a, b = (result.row(name, SHARP) for name in (label, other))
    return a.value - b.value > 2 * ((a.standard_error or 0) ** 2 + (b.standard_error or 0) ** 2) ** 0.5


def judge_sharper(result: Result) -> Verdict:
    """Judge whether samples at 10 and at 20 latents are sharper than at 2; where distances say otherwise, say so."""
    found, distances = values(result, SHARP), values(result, DISTANCE)
    holds = {name: all(sharper(result, label(d), label(2)) for d in LATENTS[1:]) for name, label in BETAS.items()}
    words = (
        f"{SHARP} at 2, 10, 20 latents {listed(found)}, of test images {number(result.value(one(2), SHARP_TEST))}; "
        f"{DISTANCE} {listed(distances)}"
    )
    for name, (fewest, *more) in distances.items():
        words += f"; by that distance, more latents are not better with {name}" * (max(more) >= fewest)
    names = list(BETAS)
    if all(a > b for a, b in zip(distances[names[0]], distances[names[1]], strict=True)):
        words += "; for each number of latents the notebook's β makes samples worse"
    return where(holds, words)


def judge_alike(result: Result) -> Verdict:
    """Judge whether 10 and 20 latents differ by little of what 2 and 10 differ by, in sharpness and in distance."""
    shares = {
        name: [abs(most - more) / max(abs(more - few), 1e-12) for few, more, most in (sharpnesses, distances)]
        for (name, sharpnesses), distances in zip(
            values(result, SHARP).items(), values(result, DISTANCE).values(), strict=True
        )
    }
    holds = {name: max(found) <= LITTLE for name, found in shares.items()}
    words = ", ".join(
        f"{sharp:.2f} of it in sharpness and {far:.2f} in distance with {name}" for name, (sharp, far) in shares.items()
    )
    tail = "; ".join(f"{quantity} {listed(values(result, quantity))}" for quantity in (SHARP, DISTANCE))
    return where(
        holds, f"next to the step from 2 to 10 latents, that from 10 to 20 is {words}, where {LITTLE} is little; {tail}"
    )


def draw_samples(lab: Lab) -> Iterator[Drawing]:
    """Draw samples of each."""
    for name in lab.runs:
        yield from labeled(name, [samples(lab.subject(name))])
