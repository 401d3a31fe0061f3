"""Figures of the latent space: codes as points, and what each latent unit carries."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]

from vaekit.reporting.plots.fonts import legible, letters
from vaekit.reporting.plots.style import (
    CLASSES,
    MUTED,
    PAPER,
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
    """Draw codes of one, two or three dimensions, colored by class and named where they lie.

    Classes are named on a plane itself if they lie apart there, and otherwise in a legend below.

    Args:
        points: (N, 1) is drawn as a histogram, (N, 2) as a plane, (N, 3) as a cloud.
        labels: (N,) integers, -1 where the class is unknown; the ten largest classes get a color, the others are gray.
        classes: names of the labels.
        axes_labels: one for each dimension.
        title, note: what stands above.
    """
    groups, axes_labels = _groups(len(points), labels, classes), list(map(legible, axes_labels))
    named = points.shape[1] == 2 and _apart(points, groups)
    keyed = [group for group in groups if not named or group[2] == MUTED]
    legend = labels is not None and bool(keyed)
    longest = max((letters(name) for name, _, _ in keyed), default=1)
    columns = int(np.clip(4.9 / (0.32 + 0.068 * longest), 1, max(1, len(keyed))))
    below = 0.17 * -(-len(keyed) // columns) + 0.1 if legend else 0.0
    if points.shape[1] == 3:
        figure = sheet(below + 4.3, title, note)
        axes = place(figure, 0.35, below + 0.15, 4.5, 4.1, projection="3d")
        _cloud(cast(Axes3D, axes), points, groups, axes_labels)
    else:
        span = np.ptp(points, axis=0)
        width = WIDTH - 0.85
        height = 2.2 if len(span) == 1 else width * float(np.clip(span[1] / (span[0] or 1), 0.6, 1.05))
        figure = sheet(below + height + 0.42, title, note)
        axes = place(figure, 0.72, below + 0.42, width, height)
        (_histogram if len(span) == 1 else _plane)(axes, points, groups, axes_labels)
        if named:
            _name(axes, points, groups)
    if legend:
        marks = [Line2D([], [], marker="o", linestyle="", color=c, markersize=4.5, label=name) for name, _, c in keyed]
        figure.legend(handles=marks, loc="lower center", ncols=columns, handletextpad=0.1, columnspacing=1.2)
    color = "" if labels is None else f", colored by class: {', '.join(name for name, _, _ in groups)}"
    figure.set_label(f"{len(points):,} points over {', '.join(axes_labels)}{color}.")
    return figure


def _groups(n: int, labels: Array | None, classes: Sequence[str] | None) -> Groups:
    """Name, rows and color of the ten largest classes in their own order, and of the rest."""
    if labels is None:
        return [("", np.arange(n), SERIES[0])]
    values, counts = np.unique(labels[labels >= 0], return_counts=True)
    largest = np.sort(values[np.argsort(-counts, kind="stable")[: len(CLASSES)]])
    names = [str(classes[k]) if classes and k < len(classes) else str(k) for k in largest]
    rest = np.flatnonzero(~np.isin(labels, largest))
    unnamed = [
        *[f"{len(values) - len(largest)} other classes"] * (len(values) > len(largest)),
        *["unknown classes"] * bool((labels < 0).any()),
    ]
    others: Groups = [(" and ".join(unnamed), rest, MUTED)] if len(rest) else []
    named = zip(names, largest, CLASSES, strict=False)
    return [(short(name), np.flatnonzero(labels == k), color) for name, k, color in named] + others


def _points(points: Array, groups: Groups) -> tuple[Array, dict[str, Any]]:
    """Points in an order in which no class is painted over the others, and how to paint them."""
    colors = np.empty(len(points), dtype="U7")
    for _, rows, color in groups:
        colors[rows] = color
    order = np.random.default_rng(0).permutation(len(points))
    return points[order].T, {"c": colors[order].tolist(), **dots(len(points) * len(points.T) // 2)}


def _plane(axes: Axes, points: Array, groups: Groups, names: Sequence[str]) -> None:
    (x, y), options = _points(points, groups)
    axes.scatter(x, y, **options)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.apply_aspect()


def _apart(points: Array, groups: Groups) -> bool:
    """Say whether most classes have a place of their own on a plane."""
    places = [_stronghold(points, rows) for name, rows, color in groups if name and color != MUTED]
    return 2 * len(set(places)) > len(places)


def _name(axes: Axes, points: Array, groups: Groups) -> None:
    """Write the name of each class where it lies."""
    written: list[tuple[float, float, str]] = []
    for name, rows, color in groups:
        if name and color != MUTED:
            # In points, since what must not overlap is the text.
            place = _stronghold(points, rows)
            u, v = axes.transData.transform(place) * 72 / axes.figure.dpi
            while any(abs(u - a) < 7 + 2.7 * letters(name + other) and abs(v - b) < 14 for a, b, other in written):
                v += 1.5
            written.append((u, v, name))
            x, y = axes.transData.inverted().transform((u * axes.figure.dpi / 72, v * axes.figure.dpi / 72))
            axes.plot(*zip(place, (x, y), strict=True), color=color, linewidth=0.8)  # seen where the name was moved far
            box = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": color, "linewidth": 1.2}
            axes.text(x, y, name, ha="center", va="center", fontsize=7.5, weight="bold", bbox=box)


def _stronghold(points: Array, rows: Array) -> tuple[float, float]:
    """The middle of the cell of an 18 × 18 grid in which a class has most points, the more so the purer the cell."""
    everyone, xs, ys = np.histogram2d(points[:, 0], points[:, 1], bins=18)
    own, _, _ = np.histogram2d(points[rows, 0], points[rows, 1], bins=(xs, ys))
    i, j = np.unravel_index((own**2 / np.maximum(everyone, 1)).argmax(), own.shape)
    return float(xs[i : i + 2].mean()), float(ys[j : j + 2].mean())


def _cloud(axes: Axes3D, points: Array, groups: Groups, names: Sequence[str]) -> None:
    xyz, options = _points(points, groups)
    axes.scatter(*xyz, **options)
    axes.view_init(elev=20, azim=-55)
    axes.set_box_aspect((1, 1, 0.95), zoom=0.94)
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=6.5, pad=-1)
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), names, strict=True):
        axis.set_label_text(name)
        axis.labelpad = -3
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(MUTED)


def _histogram(axes: Axes, points: Array, groups: Groups, names: Sequence[str]) -> None:
    edges = np.histogram_bin_edges(points[:, 0], bins=int(np.clip(len(points) ** 0.5, 10, 60))).tolist()
    for _, rows, color in groups:
        axes.hist(points[rows, 0], bins=edges, histtype="step", color=color, linewidth=1.2)
    axes.set(xlabel=names[0], ylabel="count")


@drawn
def kl_per_unit(kl: Array, used: Sequence[int], *, threshold: float, title: str, note: str = "") -> Figure:
    """Draw the KL of each latent unit, largest first, from 0 on a linear axis.

    Args:
        kl: (d,) mean KL of each unit, in nats.
        used: the units that are used; the others are open circles.
        threshold: below which a unit is idle, in nats.
        title, note: what stands above.
    """
    order = np.argsort(-kl, kind="stable")
    figure = sheet(2.25, title, note)
    axes = place(figure, 0.62, 0.42, WIDTH - 0.8, 1.75)
    places, busy = np.arange(len(kl)), np.isin(order, used)
    axes.vlines(places[busy], 0, kl[order][busy], color=SERIES[0], linewidth=1.4)
    size = float(np.clip(300 / len(kl), 6, 26))
    axes.scatter(places[busy], kl[order][busy], s=size, color=SERIES[0], clip_on=False, zorder=3)
    hollow: Any = {"facecolor": PAPER, "edgecolor": MUTED, "linewidth": 0.9}
    axes.scatter(places[~busy], kl[order][~busy], s=size, clip_on=False, zorder=3, **hollow)
    if len(kl) <= 16:
        for x, unit in enumerate(order):
            up: Any = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 6.5}
            axes.annotate(f"{kl[unit]:.2f}", (x, kl[unit]), **up)
    side = max(0.1, (6 - len(kl)) / 2)
    axes.set_xlim(-0.5 - side, len(kl) - 0.5 + side)
    axes.set_ylim(0, 1.12 * max(float(kl.max()), 10 * threshold))
    axes.grid(axis="y")
    if not busy.all():
        text = f"○ idle: under {threshold:g} nats, or codes that hardly differ from image to image"
        axes.text(1, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, color=MUTED)
    ticks = [f"z[{unit}]" if len(kl) <= 12 else str(unit) for unit in order] if len(kl) <= 24 else []
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel=f"{len(kl)} latent units, largest first", ylabel="KL (nats)")
    figure.set_label(
        f"The KL of {len(kl)} latent units: {len(used)} are used, "
        f"the largest has {number(float(kl.max()))} nats, all together {number(float(kl.sum()))}."
    )
    return figure
