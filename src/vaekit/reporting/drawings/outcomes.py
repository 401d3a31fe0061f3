"""Figures of what was measured: how the evidence grows with its draws, and what samples look like."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Space
from vaekit.errors import command
from vaekit.estimates import mean_over_images
from vaekit.evaluation.evidence import AT
from vaekit.evaluations import current
from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, example, named
from vaekit.run import Run


def outcomes(run: Run, leave_out: Callable[[str], Any]) -> Iterator[Drawing]:
    """Draw what the last evaluations found: how the evidence grows with its draws, and what samples look like."""
    evaluations = current(run)
    if not evaluations and run.results().get("evaluations"):
        again = command("evaluate", run.path)
        leave_out(f"no figures of the numbers: they were measured before the last training; {again} measures anew")
    if found := next((e for e in reversed(evaluations) if len(e.get("convergence", ())) > 1), None):
        bounds = run.measured(found["per_image"])
        if any(name.startswith(AT) for name in bounds):
            yield growth(found, bounds, run.space)
        else:
            leave_out("no growth of the evidence: its numbers of each example are gone")
    if found := next((e for e in reversed(evaluations) if "fidelity" in e), None):
        yield fidelity(found, run.space)
    if found := next((e for e in reversed(evaluations) if "samples" in e), None):
        yield confusion(found, run.space)
        yield classes(found, run.space)
        closest = run.measured(found["samples"]["closest"])
        shapes = [values.shape[1:] for name, values in closest.items() if name in ("samples", "training")]
        if shapes == [run.space.event_shape] * 2:
            yield neighbors(found, closest, run.space)


def fidelity(found: Mapping[str, Any], space: Space) -> Drawing:
    """Draw how like the data samples of a table are, by column and by pair of columns, of an evaluation."""
    columns, pairs = found["fidelity"]["columns"], found["fidelity"]["pairs"]
    figure = plots.fidelity(
        {name: (each["value"], each["standard_error"]) for name, each in columns.items()},
        *(np.array([pair[of] for pair in pairs], dtype=float) for of in ("real", "sampled", "standard_error")),
        title="Samples beside the data, by column and by pair",
        note=f"{named(space)}, {found['told_apart']['images']:,} {found['split']} rows",
    )
    caption = (
        "Left, how far the distributions of each column are apart (Kolmogorov–Smirnov distance, or total variation of "
        "categories), from 0 to 1. Right, the correlation of each pair, or Cramér's V where one is a category, in "
        "samples against the data; on the dashed line they agree. Bars are standard errors."
    )
    return Drawing("fidelity", figure, caption)


def growth(found: Mapping[str, Any], bounds: Mapping[str, Tensor], space: Space) -> Drawing:
    """Draw what more draws add to the importance bound, image by image, and beside it what annealing adds.

    Args:
        found: an evaluation.
        bounds: its numbers of each image, (images,) each, by their names in ``measured/``.
        space: of the data.
    """
    by_count = {int(k.removeprefix(AT)): values for k, values in bounds.items() if k.startswith(AT)}
    counts = sorted(by_count)
    each = torch.stack([by_count[k][: found["images"]] for k in counts])
    paired = [mean_over_images(values - each[0], 1) for values in each]
    gains, errors = (np.nan_to_num([getattr(gain, of) for gain in paired]) for of in ("value", "standard_error"))
    one, more = example(space), found.get("ais_minus_importance")
    annealed = None
    if more and more.get("images", found["images"]) == found["images"]:
        annealed = (gains[-1] + more["value"], more["standard_error"] or 0.0)
    figure = plots.growth(
        np.array(counts, dtype=float), gains, errors, annealed=annealed,
        title="What more draws add to the log-evidence",
        note=f"{named(space)}, {len(each.T):,} {found['split']} {one}s; gains over K = {counts[0]:,}, {one} by {one}",
        ylabel=f"nats gained per {one}",
    )  # fmt: skip
    caption = (
        "A bound from below in expectation: while it still climbs, more draws are needed. Bars are two standard errors "
        f"of the difference, {one} by {one}."
    )
    return Drawing("evidence", figure, caption)


def confusion(found: dict[str, Any], space: Space) -> Drawing:
    """Draw which class the reconstruction of each class is taken for."""
    quality = found["samples"]
    counts = np.array(quality["confusion"])
    accuracy = 100 * quality["classifier"]["accuracy"]["value"]
    judge = f"classifier of {accuracy:.2f}\u00a0% accuracy"
    figure = plots.confusion(
        counts,
        _classes(space, len(counts)),
        title="What reconstructions are taken for",
        note=f"{named(space)}, {counts.sum():,} {found['split']} images; {judge}",
    )
    return Drawing("confusion", figure, "Class of the input against class of its reconstruction.")


def _classes(space: Space, number: int) -> tuple[str, ...] | None:
    """Return the names of so many classes, if the data name as many."""
    return space.classes if len(space.classes or ()) == number else None


def classes(found: dict[str, Any], space: Space) -> Drawing:
    """Draw which classes samples are taken for, beside real images."""
    table, split = found["samples"]["table"], found["split"]
    counts = {f"{split} images": np.array(table[split]["class_counts"])}
    counts["samples"] = np.array(table["samples"]["class_counts"])
    figure = plots.class_counts(
        counts,
        _classes(space, len(counts["samples"])),
        title="What samples are taken for",
        note=f"{named(space)}, {counts['samples'].sum():,} images of each kind, by likeliest class",
    )
    return Drawing("classes", figure, f"Classes that samples from the prior and {split} images are taken for.")


def neighbors(found: dict[str, Any], closest: dict[str, Tensor], space: Space) -> Drawing:
    """Draw samples above their nearest training images: the closest of all, and the first, which were not picked."""
    samples, training = (closest[name].numpy() for name in ("samples", "training"))
    rows = (2, len(samples) // 2)
    figure = plots.pairs(
        samples.reshape(*rows, *space.event_shape),
        training.reshape(*rows, *space.event_shape),
        names=("sample", "training"),
        title="Samples and their nearest training images",
        note=f"means of p(x | z), z from the prior; trained on {named(space)}",
    )
    of = found["samples"]["distance_ratio"]["samples"]
    caption = (
        f"Above, the {rows[1]} of {of:,} samples that lie closest to a training image; below, {rows[1]} not picked."
    )
    return Drawing("neighbors", figure, caption)
