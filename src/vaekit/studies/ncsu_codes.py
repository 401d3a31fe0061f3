"""The plane of codes of the ECE 542 report, and the grid over it (figures 4 and 5)."""

from collections.abc import Iterator

from vaekit.drawings import Drawing, latents, manifold
from vaekit.estimates import Estimate
from vaekit.studies.lab import Lab, labelled
from vaekit.studies.ncsu_network import NOTEBOOK, PLAIN
from vaekit.studies.study import FAILED, REPRODUCED, Key, Numbers, Result, Verdict

NEIGHBORS, AGGREGATE = "class by the 5 nearest codes", "KL of all codes to the prior"


def organized(lab: Lab) -> Numbers:
    """Measure how well the codes tell classes apart, and how far they are from the prior that the grid covers."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found[name, NEIGHBORS] = lab.neighbors(name)
        found[name, AGGREGATE] = lab.information(name).aggregate_kl
    return found


def judge_organized(result: Result) -> Verdict:
    """Judge whether there are clusters: more than half of the test images among codes of their own class."""
    shares = {name: result.value(name, NEIGHBORS) for name in (NOTEBOOK, PLAIN)}
    words = ", ".join(f"{100 * share:.1f}% ({name})" for name, share in shares.items())
    word = REPRODUCED if min(shares.values()) > 0.5 else FAILED
    return Verdict(word, f"test images with the class of their 5 nearest codes: {words}; chance would be a tenth.")


def draw_planes(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and manifold with either loss."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labelled(name, [*latents(subject), manifold(subject)])
