"""The data sheet: what data are, what is odd about them, what vaekit would choose, and the command to train."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan, prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch

from vaekit.arguments import Place, to_path
from vaekit.choices import suggested
from vaekit.data import Data, Source, Support
from vaekit.data.checking import facts
from vaekit.data.columns import generic
from vaekit.data.decoding import Progress
from vaekit.data.source import to_name
from vaekit.errors import InputError, command
from vaekit.files import write
from vaekit.likelihoods import Likelihood, Own
from vaekit.reporting.pages import embedded, render
from vaekit.reporting.plots import Figure, histograms, levels, samples, save

EXAMPLES = 16
LOOKED_AT = 1000
"""examples whose values are drawn as a histogram"""
CELLS = 8
"""columns of a table whose first rows are shown"""
SUPPORTS: dict[str, tuple[Support, ...]] = {
    likelihood.kind: likelihood.supports for likelihood in get_args(get_args(Likelihood)[0]) if likelihood is not Own
}
"""the values that each likelihood of vaekit accepts, by its kind"""


def datasheet(
    name: Place,
    *,
    split: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    label: str | None = None,
    ignore: Sequence[str] = (),
    data_root: Place | None = None,
    out: Place | None = None,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Look at data before training: ``vaekit.data.check``, what would be chosen for them, and the command to train.

    Args:
        name: a named set or the path of own data.
        split, image_size, label, ignore: fields of ``Source``.
        data_root: folder of named sets.
        out: an .html file for a page with pictures, or a folder for the page and its pictures.
        progress: wraps the list of files while an image folder is decoded.

    Raises:
        InputError: if the data are refused, or the page cannot be written.
    """
    source = Source(name=to_name(name), split=split, image_size=image_size, label=label, ignore=tuple(ignore))
    raw = source.read(data_root, progress)
    chosen, data = suggested(source, raw)
    found = facts(raw, data, SUPPORTS)
    found["chosen"] = [choice._asdict() for choice in chosen]
    found["command"] = command("train", *_words(source, data_root))
    if out is not None:
        typed = command("train", *_words(replace(source, name=data.space.title), None))  # a page may be passed on
        found["path"] = str(_write(to_path(out, "out"), data, found | {"command": typed}))
    return found


def _words(source: Source, data_root: Place | None) -> list[str]:
    words = [source.name]
    if source.image_size:
        size = source.image_size
        words += ["--image-size", str(size)] if isinstance(size, int) else ["--set", f"data.image_size={list(size)}"]
    words += [] if source.label is None else ["--label", source.label]
    words += [word for name in source.ignore for word in ("--ignore", name)]
    words += ["--set", f"data.split={source.split}"] if source.split else []
    return words + (["--data-root", str(data_root)] if data_root else [])


def _write(out: Path, data: Data, found: Mapping[str, Any]) -> Path:
    """Write the page to a file, or with its pictures to a folder."""
    page = out if out.suffix.lower() in (".html", ".htm") else out / "data.html"
    try:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) if page == out else out
            folder.mkdir(parents=True, exist_ok=True)
            figures = [(figure, embedded(save(figure, folder, key))) for key, figure in _figures(data).items()]
        rows = _rows(data) if data.space.columns else []
        html = render("data", name=data.space.title, found=found, summary=summary(found), figures=figures, rows=rows)
        write(page.resolve(), html)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error}): choose another place (--out)") from None
    return page


def _figures(data: Data) -> dict[str, Figure]:
    """Draw training examples spread over all, and the values of many."""
    space, rows = data.space, torch.linspace(0, len(data.train) - 1, min(LOOKED_AT, len(data.train))).long()
    values = space.restore(data.train.batch(rows).x)
    note = f"of {len(rows):,} training examples"
    if len(space.event_shape) == 1:
        names = space.names or [generic(i) for i in range(space.event_shape[0])]
        return {"values": histograms(values, names, title="The values of each column", note=note)}
    few = torch.linspace(0, len(data.train) - 1, min(EXAMPLES, len(data.train))).long()
    images = data.train.batch(few).x.numpy()
    if space.support == "real":
        low, high = np.nanmin(images), np.nanmax(images)
        images = (images - low) / max(float(high - low), 1e-12)
    return {
        "examples": samples(images, title="Examples", note="training images spread over all"),
        "values": levels(values, title="The values of the pixels", note=note),
    }


def _rows(data: Data) -> list[Sequence[str]]:
    """The first cells of the first rows of a table, under the names of the columns."""
    names = data.space.header[:CELLS]
    rows = data.space.generated(data.train.batch(torch.arange(min(EXAMPLES, len(data.train)))).x)
    columns = [rows[name] if rows.dtype.names else rows[:, i] for i, name in enumerate(names)]
    cells = [[_cell(value) for value in column.tolist()] for column in columns]
    return [names, *map(list, zip(*cells, strict=True))]


def _cell(value: Any) -> str:
    return str(value) if not isinstance(value, float) else "" if isnan(value) else f"{value:.5g}"


def summary(found: Mapping[str, Any]) -> dict[str, str]:
    """Say what data are, in a few lines of a name and a text."""
    n, *shape = found["shape"]
    facts = {
        "examples": f"{n:,} {_kind(shape)}",
        "values": _values(found),
        "missing": f"{found['missing']:,} of {prod(found['shape']):,}" if found["missing"] else "",
        "parts": ", ".join(f"{count:,} {part}" for part, count in found["sizes"].items())
        + f" (split {found['split']})",
        "classes": _classes(found["classes"] or {}),
        "labels": f"column {found['label_column']!r}" if found.get("label_column") else "",
        "left out": "; ".join(f"{name!r} ({why})" for name, why in found.get("left_out", {}).items()),
        "mean pixel": "" if found["mean"] is None else f"{found['mean']:.3f} of 1",
        "digest": found["digest"][:16],
    }
    return {name: text for name, text in facts.items() if text}


def _values(found: Mapping[str, Any]) -> str:
    if found["support"] == "mixed":
        return found["values"]
    low, high = (f"{value:,.6g}" for value in found["range"])
    standardized = ", standardized by column" if found["columns"] and found["support"] == "real" else ""
    return f"{found['values']}, from {low} to {high}{standardized}"


def _kind(shape: Sequence[int]) -> str:
    if len(shape) == 1:
        return f"rows of {shape[0]:,} columns"
    return f"{'gray' if shape[0] == 1 else 'color'} images of {shape[1]}×{shape[2]}"


def _classes(counts: Mapping[str, int], most: int = 12) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:most])
    more = f", and {len(counts) - most} more" if len(counts) > most else ""
    return f"{len(counts)}: {shown}{more}" if counts else ""
