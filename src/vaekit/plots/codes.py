"""Figures of the latent space: codes as points, and what each latent unit carries."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]

from vaekit.plots.fonts import legible, letters
from vaekit.plots.style import (
    CLASSES,
    INK,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    WIDTH,
    Array,
    Figure,
    dots,
    drawn,
    number,
    place,
    sheet,
    short,
)

Groups = list[tuple[str, Array, str]]


@drawn
def scatter(
    points: Array,
    labels: Array | None = None,
    classes: Sequence[str] | None = None,
    *,
    axes_labels: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Draw codes of one, two or three dimensions, coloured by class and named where they lie.

    Args:
        points: (N, 1) is drawn as a histogram, (N, 2) as a plane, (N, 3) from two sides.
        labels: (N,) integers; the ten largest classes get a colour, the others are grey.
        classes: names of the labels.
        axes_labels: one for each dimension.
        title, note: what stands above.
    """
    groups, axes_labels = _groups(len(points), labels, classes), list(map(legible, axes_labels))
    longest = max(letters(name) for name, _, _ in groups)
    columns = int(np.clip(4.9 / (0.32 + 0.068 * longest), 1, len(groups)))
    below = 0.0 if labels is None else 0.17 * -(-len(groups) // columns) + 0.1
    if points.shape[1] == 3:
        figure = sheet(below + 2.5, title, note)
        for left, azimuth in ((0.34, 30), (2.64, 120)):
            axes = place(figure, left, below + 0.08, 2.1, 2.4, projection="3d")
            _cloud(cast(Axes3D, axes), points, groups, axes_labels, azimuth)
    else:
        span = np.ptp(points, axis=0)
        width = WIDTH - 0.85
        height = 2.2 if len(span) == 1 else width * float(np.clip(span[1] / (span[0] or 1), 0.6, 1.05))
        figure = sheet(below + height + 0.42, title, note)
        axes = place(figure, 0.72, below + 0.42, width, height)
        (_histogram if len(span) == 1 else _plane)(axes, points, groups, axes_labels)
    if labels is not None:
        marks = [Line2D([], [], marker="o", linestyle="", color=c, markersize=4.5, label=name) for name, _, c in groups]
        figure.legend(handles=marks, loc="lower center", ncols=columns, handletextpad=0.1, columnspacing=1.2)
    colour = "" if labels is None else f", coloured by class: {', '.join(name for name, _, _ in groups)}"
    figure.set_label(f"{len(points):,} points over {', '.join(axes_labels)}{colour}.")
    return figure


def _groups(n: int, labels: Array | None, classes: Sequence[str] | None) -> Groups:
    """Name, rows and colour of the ten largest classes in their own order, and of the rest."""
    if labels is None:
        return [("", np.arange(n), SERIES[0])]
    values, counts = np.unique(labels, return_counts=True)
    largest = np.sort(values[np.argsort(-counts, kind="stable")[: len(CLASSES)]])
    names = [str(classes[k]) if classes and 0 <= k < len(classes) else str(k) for k in largest]
    rest = np.flatnonzero(~np.isin(labels, largest))
    others: Groups = [(f"{len(values) - len(largest)} other classes", rest, MUTED)] if len(rest) else []
    named = zip(names, largest, CLASSES, strict=False)
    return [(short(name), np.flatnonzero(labels == k), colour) for name, k, colour in named] + others


def _points(points: Array, groups: Groups) -> tuple[Array, dict[str, Any]]:
    """Points in an order in which no class is painted over the others, and how to paint them."""
    colours = np.empty(len(points), dtype="U7")
    for _, rows, colour in groups:
        colours[rows] = colour
    order = np.random.default_rng(0).permutation(len(points))
    return points[order].T, {"c": colours[order].tolist(), **dots(len(points) * len(points.T) // 2)}


def _plane(axes: Axes, points: Array, groups: Groups, names: Sequence[str]) -> None:
    (x, y), options = _points(points, groups)
    axes.scatter(x, y, **options)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.apply_aspect()
    written: list[tuple[float, float, str]] = []
    for name, rows, colour in groups:
        if name and colour != MUTED:
            # In points, since what must not overlap is the text.
            u, v = axes.transData.transform(_stronghold(points, rows)) * 72 / axes.figure.dpi
            while any(abs(u - a) < 7 + 2.7 * letters(name + other) and abs(v - b) < 14 for a, b, other in written):
                v += 1.5
            written.append((u, v, name))
            x, y = axes.transData.inverted().transform((u * axes.figure.dpi / 72, v * axes.figure.dpi / 72))
            box = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": colour, "linewidth": 1.2}
            axes.text(x, y, name, ha="center", va="center", fontsize=7.5, weight="bold", bbox=box)


def _stronghold(points: Array, rows: Array) -> tuple[float, float]:
    """The middle of the cell of an 18 × 18 grid in which a class has most points, the more so the purer the cell."""
    everyone, xs, ys = np.histogram2d(points[:, 0], points[:, 1], bins=18)
    own, _, _ = np.histogram2d(points[rows, 0], points[rows, 1], bins=(xs, ys))
    i, j = np.unravel_index((own**2 / np.maximum(everyone, 1)).argmax(), own.shape)
    return float(xs[i : i + 2].mean()), float(ys[j : j + 2].mean())


def _cloud(axes: Axes3D, points: Array, groups: Groups, names: Sequence[str], azimuth: float) -> None:
    xyz, options = _points(points, groups)
    axes.scatter(*xyz, **options)
    axes.view_init(elev=20, azim=azimuth)
    axes.set_box_aspect((1, 1, 0.95), zoom=0.98)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=6, pad=-3)
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), names, strict=True):
        axis.set_label_text(name)
        axis.labelpad = -7
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(MUTED)


def _histogram(axes: Axes, points: Array, groups: Groups, names: Sequence[str]) -> None:
    edges = np.histogram_bin_edges(points[:, 0], bins=int(np.clip(len(points) ** 0.5, 10, 60))).tolist()
    for _, rows, colour in groups:
        axes.hist(points[rows, 0], bins=edges, histtype="step", color=colour, linewidth=1.2)
    axes.set(xlabel=names[0], ylabel="examples")


@drawn
def kl_per_unit(kl: Array, *, threshold: float, title: str, note: str = "") -> Figure:
    """Draw the KL of each latent unit, largest first, on a log axis with the threshold under which a unit is idle.

    Args:
        kl: (d,) mean KL of each unit, in nats.
        threshold: in nats.
        title, note: what stands above.
    """
    order = np.argsort(-kl, kind="stable")
    floor = threshold / 10
    figure = sheet(2.4, title, note)
    axes = place(figure, 0.62, 0.42, WIDTH - 1.3, 1.93)
    colours = [SERIES[0] if kl[unit] > threshold else RULE for unit in order]
    axes.bar(np.arange(len(kl)), np.maximum(kl[order] - floor, 0), bottom=floor, color=colours, width=0.8)
    side = max(0.1, (6 - len(kl)) / 2)
    axes.set_xlim(-0.5 - side, len(kl) - 0.5 + side)
    axes.set_yscale("log")
    axes.set_ylim(floor, max(2 * float(kl.max()), 10 * threshold))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="y")
    axes.axhline(threshold, color=INK, linewidth=0.8, linestyle="--")
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 7}
    axes.text(1.02, threshold, f"active\nabove {threshold:g}", **beside)
    ticks = [str(unit) for unit in order] if len(kl) <= 24 else []
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel=f"{len(kl)} latent units, largest first{' (index)' if ticks else ''}", ylabel="KL (nats)")
    figure.set_label(
        f"Bars of the KL of {len(kl)} latent units: {int((kl > threshold).sum())} are above {threshold:g} nats, "
        f"the largest has {number(float(kl.max()))}, all together {number(float(kl.sum()))}."
    )
    return figure
