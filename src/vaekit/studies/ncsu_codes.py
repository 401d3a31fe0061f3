"""The plane of codes of the ECE 542 report, and the grid over it (figures 4 and 5)."""

from collections.abc import Iterator

from vaekit.estimates import Estimate
from vaekit.reporting.drawings import Drawing, latents, manifold
from vaekit.studies import planes
from vaekit.studies.lab import Lab, labeled
from vaekit.studies.ncsu_verdicts import labels, where
from vaekit.studies.study import Key, Numbers, Result, Verdict

NEIGHBORS, AGGREGATE = "class by the 5 nearest codes", "KL of all codes to the prior"


def measured(lab: Lab) -> Numbers:
    """Measure the order of the codes, how smooth the grid is, and how far codes are from the prior that it covers."""
    found: dict[Key, Estimate] = {}
    for name in lab.runs:
        found |= planes.organization(lab, name) | planes.smoothness(lab, name)
        found[name, NEIGHBORS] = lab.neighbors(name)
        found[name, AGGREGATE] = lab.information(name).aggregate_kl
    return found


def judge(result: Result) -> Verdict:
    """Judge whether similar classes have near codes, and whether the grid has no jumps."""
    holds, words = {}, []
    for name in labels(result):
        (ordered, said), (smooth, added) = (judged(result, name) for judged in (planes.organized, planes.smooth))
        share = f"{100 * result.value(name, NEIGHBORS):.1f}% of test images have the class of their 5 nearest codes"
        holds[name] = ordered and smooth
        words.append(f"{name}: {said}, {share}, and {added}")
    return where(holds, "; ".join(words))


def draw(lab: Lab) -> Iterator[Drawing]:
    """Draw codes and manifold with either loss."""
    for name in lab.runs:
        subject = lab.subject(name)
        yield from labeled(name, [*latents(subject), manifold(subject)])
