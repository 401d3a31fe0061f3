"""How evaluations, comparisons and runs are printed: as tables, each number with its standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaekit.display.messages import listing, say, table
from vaekit.display.progress import terms, whole
from vaekit.labels import label
from vaekit.reporting.summary import novelty, number, remarks, tables, uncorrected


def evaluation(found: Mapping[str, Any]) -> None:
    """Print an evaluation: each number with its standard error, what it was measured on, and what it means."""
    for rows in tables(found):
        table(rows, tuple(rows[0]))
    if "samples" in found:
        quality(found["samples"])
    say(*remarks(found))


def quality(found: Mapping[str, Any]) -> None:
    """Print what a classifier makes of samples, beside what they are to be compared with."""
    accuracy = found["classifier"]["accuracy"]
    rows = [
        {
            f"by a classifier of {100 * accuracy['value']:.2f} % accuracy": name,
            "inception score": _pair(row["inception_score"], 2),
            f"legible (p > {found['legible_above']})": _pair(row["legibility"], 3),
            "of the right class": _pair(row["agreement"], 3),
        }
        for name, row in found["table"].items()
    ]
    table(rows, tuple(rows[0]))
    rows = [
        {
            "by its features, beside held-out images": name,
            "Fréchet distance": _pair(row["frechet_distance"], 2) + uncorrected(row["frechet_distance"]),
            "kernel distance": _pair(row.get("kernel_distance"), 3),
            "clipped density": _pair(row.get("clipped_density"), 3),
            "clipped coverage": _pair(row.get("clipped_coverage"), 3),
        }
        for name, row in found["table"].items()
        if row["frechet_distance"]
    ]
    table(rows, tuple(rows[0]))
    for sentence in novelty(found):
        say(sentence)


def comparison(found: Mapping[str, Any]) -> None:
    """Print runs side by side."""
    rows = []
    for row in found["rows"]:
        difference = row.get("difference")
        rows.append(
            {
                "run": row["run"],
                "d": str(row["latent_dim"]),
                "seed": str(row["seed"]),
                "log-evidence": _pair(row["log_evidence"], 2),
                "ELBO": _pair(row["elbo"], 2),
                "reconstruction": _pair(row["reconstruction"], 2),
                "KL": _pair(row["kl"], 2),
                "difference to the first": f"{_pair(difference, 3)}: {difference['verdict']}" if difference else "",
            }
        )
    table(rows, tuple(rows[0]))
    say(f"{found['split']} images, binarization {found['binarization']}; differences are paired, image by image")
    if any(len(each["seeds"]) > 1 for each in found["configurations"]):
        print()
        seeds(found["configurations"])
    if "seeds" in found:
        say(found["seeds"])
    for row in found["rows"]:
        if "note" in row:
            say(f"note on {row['run']}: {row['note']}")


def seeds(configurations: Sequence[Mapping[str, Any]]) -> None:
    """Print the log-evidence of configurations over their seeds."""
    rows = []
    for each in configurations:
        difference, deviation = each.get("difference"), each["standard_deviation"]
        spread = "" if deviation is None else f" ± {deviation:.2f}"
        verdict = difference and difference["verdict"]
        rows.append(
            {
                "configuration": f"{each['configuration']}: {', '.join(each['runs'])}",
                "seeds": str(len(each["seeds"])),
                "log-evidence ± s.d. over seeds": f"{each['mean']:.2f}{spread}",
                "difference to the first": f"{_pair(difference, 3)}: {verdict}" if verdict else "",
            }
        )
    table(rows, tuple(rows[0]))


def refit(found: Mapping[str, Any]) -> None:
    """Print what a prior that was fitted afterwards is worth."""
    rows = [
        {
            "": row["name"],
            "before": _pair(row["before"], 3),
            "after": _pair(row["after"], 3),
            "difference": _pair(row["difference"], 3),
            " ": "paired" if row["paired"] else "",
        }
        for row in found["rows"]
    ]
    table(rows, tuple(rows[0]))
    say(f"prior {found['prior']} fitted to the codes of {found['source']}; {found['images']:,} test {found['noun']}")
    for name, reasons in found["left_out"].items():
        for when, reason in reasons.items():
            say(f"left out {when}: {label(name)}, because {reason}")


def _pair(estimate: Mapping[str, Any] | None, digits: int) -> str:
    if estimate is None:
        return ""
    return f"{number(estimate['value'], digits)} ± {number(estimate['standard_error'], digits)}"


def run(facts: Mapping[str, Any]) -> None:
    """Print what a run is."""
    shown = {
        name: value for name, value in facts.items() if name not in ("last", "evaluations", "settings", "versions")
    }
    shown["trained by"] = (
        ", ".join(f"{name} {number}" for name, number in (facts["versions"] or {}).items()) or "unknown"
    )
    last = facts["last"]
    if last:
        shown["trained"] = (
            f"{whole(last['epoch'], last['step']):g} epochs, {last['step']} steps, {last['seconds']:.1f} s"
        )
        shown["last"] = terms(last["train"], last)
    listing(shown)
    for found in facts["evaluations"]:
        say("")
        evaluation(found)
