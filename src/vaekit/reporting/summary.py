"""An evaluation as tables and sentences, for whoever shows it."""

from collections.abc import Iterator, Mapping
from typing import Any

from vaekit import notebook
from vaekit.labels import BITS, COUNTS, FILLED, NATS, SAMPLED, SHARES, label


class Evaluation(dict[str, Any]):
    """What ``evaluate`` found: a dictionary that is shown as tables and sentences."""

    def __repr__(self) -> str:
        return "\n".join([*map(_columns, tables(self)), *remarks(self)])

    def _repr_html_(self) -> str:
        written = (notebook.table(rows, tuple(rows[0])[1:-1]) for rows in tables(self))
        return "".join([*written, *map(notebook.sentence, remarks(self))])


def _columns(rows: list[dict[str, str]]) -> str:
    """Rows under their names: numbers to the right, the first column and the words in the last one to the left."""
    lines = [tuple(rows[0]), *(tuple(row.values()) for row in rows)]
    first, *widths, _ = (max(map(len, column)) for column in zip(*lines, strict=True))
    numbers = ("  ".join(map(str.rjust, line[1:-1], widths)) for line in lines)
    return "\n".join(f"{line[0]:{first}}  {n}  {line[-1]}".rstrip() for line, n in zip(lines, numbers, strict=True))


def headline(found: Mapping[str, Any]) -> float | None:
    """Return the one number of an evaluation that is printed when quiet."""
    return next((found[key]["value"] for key in (*NATS, *SHARES) if key in found), None)


def tables(found: Mapping[str, Any]) -> Iterator[list[dict[str, str]]]:
    """Give the numbers of an evaluation as rows of tables, one table for each unit, with a word on what is good."""
    things, words = noun(found), found.get("words", {})
    units = {
        f"nats per {things[:-1]}": NATS,
        "bits": BITS,
        "accuracy of codes": SHARES,
        "samples": SAMPLED,
        "filled-in cells": FILLED,
        "importance weights": COUNTS,
    }
    for heading, labels in units.items():
        rows = [
            {
                heading: named.name,
                "value": number(found[key]["value"], 3),
                "±": number(found[key]["standard_error"], 3),
                "draws": str(found[key]["samples"]),
                things: str(found[key].get("images", found["images"])),
                "": words.get(key, ""),
            }
            for key, named in labels.items()
            if key in found
        ]
        if rows:
            yield rows


def remarks(found: Mapping[str, Any]) -> Iterator[str]:
    """Say what an evaluation was measured on, what its numbers mean, and what is left out."""
    if "stale" in found:
        yield f"{found['stale']}, not numbers of this model as it is now; to measure it: {found['command']}"
    yield f"{found['images']} {found['split']} {noun(found)}, binarization {found['binarization']}"
    if "note" in found:
        yield f"note: {found['note']}"
    yield from found.get("findings", ())
    for reason, measures in left_out(found).items():
        yield f"left out: {measures} ({reason})"


def uncorrected(frechet_distance: Mapping[str, Any]) -> str:
    """Mark a Fréchet distance of the first version, which has the bias of its number of images."""
    return "" if "of_samples" in frechet_distance else f" (of {frechet_distance['samples']:,} images)"


def novelty(quality: Mapping[str, Any]) -> Iterator[str]:
    """Say how near samples lie to the training images, beside held-out images."""
    ratio = quality["distance_ratio"]
    written = f"{number(ratio['value'], 3)} ± {number(ratio['standard_error'], 3)}"
    yield f"samples lie {written} times as far from their nearest training image as held-out images do"
    if nearer := quality.get("nearer"):
        share = f"{100 * nearer['value']:.1f} ± {100 * (nearer['standard_error'] or 0):.1f} %"
        yield f"novelty: a sample lies nearer to its than a held-out image does in {share} of cases (50 %: as new)"


def noun(found: Mapping[str, Any]) -> str:
    """Return what an evaluation calls the examples it measured; those of the first version are all called images."""
    return found.get("noun", "images")


def left_out(found: Mapping[str, Any]) -> dict[str, str]:
    """Return what an evaluation does not have: by reason, the names of the measures."""
    grouped: dict[str, list[str]] = {}
    for name, reason in found.get("left_out", {}).items():
        grouped.setdefault(reason, []).append(label(name))
    return {reason: ", ".join(names) for reason, names in grouped.items()}


def number(value: float | None, digits: int) -> str:
    """Write a number to so many digits; None is one that cannot be known, such as the error of a single example."""
    return "unknown" if value is None else f"{value:.{digits}f}"
