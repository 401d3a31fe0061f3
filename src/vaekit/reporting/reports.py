"""The report of a run: its experiment, numbers and figures on one page that needs no network and no script."""

import logging
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vaekit import devices
from vaekit.arguments import Place
from vaekit.data import Space
from vaekit.data.columns import CODED
from vaekit.errors import InputError, command, nearest
from vaekit.evaluations import evaluations
from vaekit.files import is_file
from vaekit.labels import LABELS, label
from vaekit.notebook import Pictures
from vaekit.reporting.drawings import Drawing, binarized, drawings, example, named, of_images
from vaekit.reporting.pages import embedded, render
from vaekit.reporting.plots import ALWAYS, FORMATS, save
from vaekit.reporting.summary import novelty, uncorrected
from vaekit.run import EXPLORER, REPORT, Run
from vaekit.specs import described
from vaekit.subject import Track
from vaekit.text import pathless
from vaekit.training.state import trained_by

log = logging.getLogger("vaekit")

TOP = (("manifold", "latents-1d", "latents-2d"), ("traversals", "samples"), ("traversals", "reconstructions"))
"""figures that stand at the top of the page: the first of these groups that a run has two of"""
TABLE_TOP = ("reconstructions", "traversals")
HEADLINES = (
    "log_evidence", "ais", "bits_per_dim", "elbo", "reconstruction", "kl", "amortization_gap", "mutual_information",
    "effective_samples", "linear_probe", "nearest_neighbors",
)  # fmt: skip
"""numbers that come first, ten of them at most; the others are for those who look for them"""
FEW = 10

VALUES = {
    "binary": "0 or 1",
    "byte": "8-bit levels",
    "unit": "reals in [0, 1]",
    "real": "reals",
    "mixed": "columns of several kinds",
}


def figures(
    run: Run | Place,
    data_root: Place | None = None,
    data: Place | None = None,
    *,
    format: str = "svg",
    track: Track = iter,
) -> list[Path]:
    """Draw all figures that apply to a run and save them, as .svg and .png, in its folder ``figures``.

    What cannot be drawn because data, latents or a prior are missing is left out and logged in a line.

    Args:
        run: the run, or the path of its folder.
        data_root: folder of named sets.
        data: where the run's data are if they have moved.
        format: of the files that are returned: svg, png or pdf; .pdf is written on request only.
        track: wraps the figures, to show progress.

    Returns:
        a file for each figure; a notebook shows the figures.

    Raises:
        InputError: if the format is unknown.
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r} is unknown; {nearest(format, FORMATS)}")
    run = Run.of(run)
    return Pictures(_saved(run, drawing, format) for drawing in track(drawings(run, data_root, data, _log)))


def _log(line: str, details: str = "") -> None:
    log.info("%s%s", line, details)


def report(run: Run | Place, data_root: Place | None = None, data: Place | None = None, *, track: Track = iter) -> Path:
    """Draw the figures of a run and write them, its experiment and its numbers into report.html.

    Arguments as for ``figures``. The page has no absolute path of the data.

    Returns:
        the file.

    Raises:
        InputError: if the data or weights cannot be had, and there is a report that would lose its figures.
    """
    run, left_out = Run.of(run), list[str]()

    def leave_out(line: str, details: str = "") -> None:
        left_out.append(line)
        _log(line, details)

    there = (run.path / REPORT).exists()
    shown = [(d, embedded(_saved(run, d))) for d in track(drawings(run, data_root, data, leave_out, whole=there))]
    experiment = run.experiment.replace("data.name", run.space.title)
    found = [_evaluation(e, run.space) for e in evaluations(run)]
    place = run.path.name if run.path.is_absolute() else str(run.path)
    top = _top([drawing.name for drawing, _ in shown], run.space)
    page = render(
        "report",
        run=run,
        uncorrected=uncorrected,
        novelty=novelty,
        evaluate=command("evaluate", place),
        name=run.path.resolve().name,
        explorer=EXPLORER if is_file(run.path / EXPLORER) else None,
        data=named(run.space),
        one=example(run.space),
        headlines=next((e for e in reversed(found) if e["headlines"] and "stale" not in e), None),
        evaluations=found,
        facts=_facts(run),
        experiment=experiment,
        fields=[(field.path, field.value, field.meaning) for field in described(experiment)],
        top=sorted((each for each in shown if each[0].name in top), key=lambda each: top.index(each[0].name)),
        figures=[each for each in shown if each[0].name not in top],
        left_out=[line.replace(str(run.path), place) for line in left_out],
    )
    run.write(REPORT, page)
    return run.path / REPORT


def _saved(run: Run, drawing: Drawing, format: str = ALWAYS[0]) -> Path:
    with run.writing("figures") as folder:
        return save(drawing.figure, folder, drawing.name, dict.fromkeys((format, *ALWAYS)))


def _top(names: Sequence[str], space: Space) -> list[str]:
    """Choose the two figures that say most at a glance."""
    groups = TOP if of_images(space) else (TABLE_TOP,)
    found = [[name for name in group if name in names] for group in groups]
    return next((group for group in found if len(group) > 1), found[-1])


def _evaluation(evaluation: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """An evaluation with its numbers written to two digits of their standard errors, the ten headlines apart."""
    known = [key for key in LABELS if key in evaluation]
    others = [k for k, v in evaluation.items() if k not in LABELS and isinstance(v, dict) and "standard_error" in v]
    words = evaluation.get("words", {})
    rows = {
        key: (*LABELS.get(key, (key, "")), *_estimate(**evaluation[key]), words.get(key, "")) for key in known + others
    }
    headlines = {key: rows[key] for key in HEADLINES if key in rows}
    fewer = {
        label(key): evaluation[key]["images"]
        for key in known + others
        if evaluation[key].get("images", evaluation["images"]) != evaluation["images"]
    }
    left_out = [f"{label(name)}: {why}" for name, why in evaluation.get("left_out", {}).items()]
    return {
        **evaluation,
        "rows": list(rows.values()),
        "headlines": dict(islice(headlines.items(), FEW)),
        "fewer": fewer,
        "left_out": left_out,
        "cells": _cells(evaluation.get("hidden", {}), space),
        "noun": space.noun,
        "bits": binarized(space),
        "command": pathless(evaluation["command"]),
    }


def _cells(columns: Mapping[str, Any], space: Space) -> list[tuple[str, str, str, str]]:
    """By column: its name and what its error is, the error of the model and of the column alone, how many cells."""
    kinds = {column.name: column.kind for column in space.columns or ()}
    return [
        (
            f"{name} (share of wrong ones)" if kinds.get(name) in CODED else name,
            " ± ".join(_estimate(**found["model"])[:2]),
            " ± ".join(_estimate(**found["alone"])[:2]),
            f"{found['cells']:,}",
        )
        for name, found in columns.items()
    ]


def _estimate(value: float | None, standard_error: float | None, samples: int, **_: Any) -> tuple[str, str, int]:
    """Value and error to two digits of the error; None is what cannot be known, such as the error of one example."""
    digits = max(0, 1 - math.floor(math.log10(standard_error))) if standard_error else 3
    text, error = ("unknown" if x is None else f"{x:,.{digits}f}".replace("-", "−") for x in (value, standard_error))
    return text, error, samples


def _facts(run: Run) -> dict[str, str]:
    """Data and training in a few lines."""
    space = run.space
    weights = sum(p.numel() for p in devices.without_memory(lambda: run.experiment.model.build(space)).parameters())
    facts = {
        "data": space.title,
        "examples": ", ".join(f"{n:,} {part}" for part, n in space.sizes.items()),
        "shape of one": " × ".join(map(str, space.event_shape)),
        "values": VALUES[space.support],
        "binarization": binarized(space),
        "split": f"{space.split} (seed {run.experiment.data.seed})",
        "classes": ", ".join(space.classes or ()),
        "digest": space.digest[:16],
        "parameters": f"{weights:,}",
    }
    if trained := trained_by(run):
        facts["trained by"] = f"vaekit {trained}"
    for row in run.metrics()[-1:]:
        length = f"{round(row['epoch'], 1):g} epochs, {row['step']:,} steps, {row['samples']:,} {space.noun}"
        facts |= {"trained for": length, "time": _duration(row["seconds"])}
        if row.get("images_per_second"):
            facts["speed"] = f"{row['images_per_second']:,.0f} {space.noun} per second"
    return {name: text for name, text in facts.items() if text}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
