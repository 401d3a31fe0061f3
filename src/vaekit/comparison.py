"""Comparing runs: numbers side by side, differences image by image, curves and rate–distortion points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from vaekit.arguments import Place, to_path
from vaekit.errors import InputError, shown
from vaekit.estimates import mean_over_images, plain
from vaekit.plots import Figure, curves, rate_distortion, save
from vaekit.run import Run

PANELS = {"loss": "Held-out loss", "reconstruction": "Held-out reconstruction", "kl": "Held-out KL"}


def compare(runs: Sequence[Run | Place], *, split: str = "test", out: Place | None = None) -> dict[str, Any]:
    """Set evaluated runs side by side, with differences to the first image by image.

    Args:
        runs: two or more, or the paths of their folders, evaluated on the same images.
        split: of which evaluations.
        out: a folder to draw into: the runs' curves, comparison.svg, and where they lie between rate (KL) and
            distortion (reconstruction), rate-distortion.svg; each also as .png.

    Returns:
        ``rows``, one a run: its numbers of the split, and ``difference``, the mean over images of its log-evidence less
        that of the first run, with standard error, images and a verdict in words, and a note where its likelihood is
        no density of such data; split and binarization.

    Raises:
        InputError: if a run was not evaluated, or data, split or binarisation differ: such numbers have no order.
    """
    if isinstance(runs, Place):
        raise InputError(f"runs is {shown(runs)}: give a list of two or more")
    opened = [Run.of(run) for run in runs]
    if len(opened) < 2:
        raise InputError(f"{len(opened)} run was given to compare: name at least 2")
    first = opened[0]
    for run in opened[1:]:
        for what in ("digest", "binarization", "split"):
            ours, theirs = getattr(first.space, what), getattr(run.space, what)
            if ours != theirs:
                raise InputError(
                    f"{first.path} and {run.path} cannot be ranked, their data differ in {what} "
                    f"({ours[:16]} and {theirs[:16]}): compare runs on the same data"
                )
    measured = [_measured(run, split) for run in opened]
    rows: list[dict[str, Any]] = []
    for run, (found, values) in zip(opened, measured, strict=True):
        numbers = {name: found[name] for name in ("log_evidence", "elbo", "kl", "reconstruction")}
        rows.append({"run": str(run.path), "latent_dim": run.experiment.model.latent_dim, **numbers})
        if "note" in found:
            rows[-1]["note"] = found["note"]
        if len(rows) > 1:
            rows[-1]["difference"] = difference(values, measured[0][1])
            if rows[-1].get("note") != rows[0].get("note"):
                rows[-1]["difference"]["verdict"] = "not comparable, see the notes"
    if out is not None:
        folder = to_path(out, "out")
        save(curves_of(opened), folder, "comparison")
        save(plane_of(opened, rows, split), folder, "rate-distortion")
    return {"split": split, "binarization": first.space.binarization, "rows": plain(rows)}


def _measured(run: Run, split: str) -> tuple[dict[str, Any], Tensor]:
    """The last evaluation of a split with a log-evidence, and that of each image."""
    for found in reversed(run.results().get("evaluations", [])):
        if found.get("split") == split and "per_image" in found:
            return found, run.measured(found["per_image"])["log_evidence"]
    raise InputError(f"{run.path} has no log-evidence of {split} images: run 'vaekit evaluate {run.path}' first")


def difference(ours: Tensor, theirs: Tensor) -> dict[str, Any]:
    """Mean of ours − theirs over the images that both have, with standard error, and what it shows at two of them.

    Example:
        >>> import torch
        >>> difference(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.1, 2.0, 3.8]))["verdict"]
        'no difference shown'
    """
    images = min(len(ours), len(theirs))
    found = mean_over_images(ours[:images] - theirs[:images], 1)
    shown = abs(found.value) > 1.96 * found.standard_error
    word = ("better" if found.value > 0 else "worse") if shown else "no difference shown"
    return {"value": found.value, "standard_error": found.standard_error, "images": images, "verdict": word}


def curves_of(runs: Sequence[Run]) -> Figure:
    """Draw the held-out terms of several runs over their epochs."""
    rows = dict(zip(_names(runs), (run.metrics() for run in runs), strict=True))
    epochs = sorted({row["epoch"] for each in rows.values() for row in each})

    def values(name: str, term: str) -> np.ndarray:
        found = {row["epoch"]: (row.get("validation") or row.get("test") or {}).get(term) for row in rows[name]}
        return np.array([found.get(epoch, np.nan) for epoch in epochs], dtype=float)

    panels = {title: {name: values(name, term) for name in rows} for term, title in PANELS.items()}
    space = runs[0].space
    return curves(
        np.array(epochs), panels, title="Runs compared", note=f"{space.source}, {space.binarization} binarization"
    )


def plane_of(runs: Sequence[Run], rows: Sequence[Mapping[str, Any]], split: str) -> Figure:
    """Draw where several runs lie between rate and distortion."""
    rates, distortions = (
        np.array([[row[name]["value"], row[name]["standard_error"]] for row in rows], dtype=float)
        for name in ("kl", "reconstruction")
    )
    space = runs[0].space
    note = f"{space.source}, {space.binarization} binarization, {split} images; bars: two standard errors"
    return rate_distortion(_names(runs), rates, distortions, title="Rate and distortion", note=note)


def _names(runs: Sequence[Run]) -> list[str]:
    """The names of the runs' folders, or their paths where two have one name."""
    names = [run.path.name for run in runs]
    return names if len(set(names)) == len({run.path for run in runs}) else [str(run.path) for run in runs]
