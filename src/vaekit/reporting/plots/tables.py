"""Figures of tables: a small panel for each of the first twelve columns, or for each latent unit."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from vaekit.reporting.plots.style import INK, RULE, SERIES, WIDTH, Array, Figure, dots, drawn, place, sheet, short

PANELS, SIDE = 12, 1.25  # inches
MOST_BARS = 20
"""columns whose distances are drawn"""
MOST_NAMED = 4
"""categories that are named beside an axis; the numbers of more are"""
ACROSS, BESIDE = 30, 7
"""letters that their names have together below a panel, and each beside it"""
LARGEST = 250.0
"""points² of a dot that stands for all rows"""
Words = Sequence[Sequence[str] | None]
"""by column: what its numbers stand for if they are categories, else None"""


@drawn
def agreement(
    true: Array,
    reconstructed: Array,
    columns: Sequence[str],
    words: Words = (),
    *,
    title: str,
    note: str = "",
) -> Figure:
    """Draw reconstructed against true values, both (N, D), by column with R², the part of the variance explained.

    Args:
        true, reconstructed: what is NaN in the first is left out.
        columns: names of the D columns.
        words: what the numbers of a column of categories stand for, else None; of categories, the share of right ones
            is given in place of R², and areas are numbers of rows.
        title, note: what stands above.
    """
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        seen = ~np.isnan(true[:, k])
        x, y = true[seen, k], reconstructed[seen, k]
        if not len(x):
            axes.text(0.04, 0.96, "missing", transform=axes.transAxes, va="top", fontsize=7)
            continue
        categories = words[k] if k < len(words) else None
        if categories:
            pairs, counts = np.unique(np.stack([x, np.rint(y)]), axis=1, return_counts=True)
            axes.scatter(pairs[0], pairs[1], s=LARGEST * counts / len(x), color=SERIES[0], alpha=0.7, linewidths=0)
            axes.margins(0.25)
            _name_categories(axes.xaxis, categories, ACROSS // len(categories))
            _name_categories(axes.yaxis, categories, BESIDE)
            said = f"{100 * np.mean(x == np.rint(y)):.0f} % right"
        else:
            axes.scatter(x, y, color=SERIES[0], **dots(len(x)))
            said = _explained(x, y)
        ends = [float(x.min()), float(x.max())]
        axes.plot(ends, ends, color=INK, linewidth=0.7, linestyle="--")
        axes.text(0.04, 0.96, said, transform=axes.transAxes, va="top", fontsize=7)
    figure.supxlabel("value", fontsize=8, y=0.08 / figure.get_figheight())
    figure.supylabel("reconstruction", fontsize=8, x=0.06 / WIDTH)
    figure.set_label(f"{title}: scatter plots of {len(panels)} columns.")
    return figure


def _name_categories(axis: Axis, categories: Sequence[str], most: int) -> None:
    """Name few categories where their numbers are, each in so many letters at most, and count many."""
    if len(categories) <= MOST_NAMED:
        axis.set_ticks(range(len(categories)), [short(word, most) for word in categories], fontsize=5.5)
    else:
        axis.set_major_locator(MaxNLocator(4, integer=True))


def _explained(x: Array, y: Array) -> str:
    """The part of the variance of x that y explains."""
    spread = float(((x - x.mean()) ** 2).sum())
    return f"R² = {1 - float(((x - y) ** 2).sum()) / spread:.2f}".replace("-", "−") if spread else "constant"


@drawn
def marginals(
    data: Array, drawn: Array, columns: Sequence[str], words: Words = (), *, title: str, note: str = ""
) -> Figure:
    """Draw histograms of each column over the data (N, D), without what is NaN, and over draws of the model (M, D).

    Categories have a bar each; ``words`` says what their numbers stand for, and is None for other columns.
    """
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        values = data[~np.isnan(data[:, k]), k]
        edges = np.histogram_bin_edges(values, bins=24).tolist()
        if k < len(words) and (categories := words[k]):
            edges = (np.arange(len(categories) + 1) - 0.5).tolist()
            _name_categories(axes.xaxis, categories, ACROSS // len(categories))
        axes.hist(values, bins=edges, density=bool(len(values)), color=RULE, label="data")
        inside = drawn[(drawn[:, k] >= edges[0]) & (drawn[:, k] <= edges[-1]), k]
        drawing = np.histogram(inside, bins=edges, density=bool(len(inside)))[0]
        axes.stairs(drawing, edges, color=SERIES[1], linewidth=1.1, label="samples of the model")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=2)
    figure.set_label(f"{title}: histograms of {len(panels)} columns.")
    return figure


@drawn
def fidelity(
    distances: Mapping[str, tuple[float, float]],
    real: Array,
    sampled: Array,
    errors: Array,
    *,
    title: str,
    note: str = "",
) -> Figure:
    """Draw how far the samples' columns are from the data's, and the association of each pair in both.

    Args:
        distances: by column, the distance of the distributions and its standard error; the largest are drawn.
        real, sampled: correlation or Cramér's V of each pair, (pairs,).
        errors: standard errors of their differences, (pairs,).
        title, note: what stands above.
    """
    largest = sorted(distances, key=lambda name: distances[name], reverse=True)[:MOST_BARS]
    if len(largest) < len(distances):
        note = f"{note}{'; ' * bool(note)}the {len(largest)} of {len(distances)} columns that are farthest apart"
    height = max(1.9, 0.17 * len(largest))
    figure = sheet(height + 0.6, title, note)
    bars = place(figure, 1.3, 0.45, 1.3, height)
    values, spread = (np.array([distances[name][k] for name in largest]) for k in (0, 1))
    at = np.arange(len(largest))[::-1]
    bars.barh(at, values, xerr=spread, height=0.6, color=SERIES[0], error_kw={"linewidth": 0.7, "ecolor": INK})
    bars.set_yticks(at, [short(name, 18) for name in largest], fontsize=7)
    bars.set_xlim(left=0)
    bars.locator_params(axis="x", nbins=4)
    bars.set_xlabel("distance of distributions")
    if len(real):
        pairs = place(figure, 3.15, 0.45 + height - 1.9, 1.9, 1.9)
        ends = [float(min(real.min(), sampled.min(), 0)), float(max(real.max(), sampled.max()))]
        pairs.plot(ends, ends, color=INK, linewidth=0.7, linestyle="--")
        pairs.errorbar(real, sampled, yerr=errors, fmt="o", markersize=2.5, linewidth=0.5, color=SERIES[1], alpha=0.7)
        pairs.locator_params(nbins=5)
        pairs.set_xlabel("association in the data")
        pairs.set_ylabel("in samples")
    figure.set_label(f"{title}: bars of {len(largest)} columns and a scatter plot of {len(real)} pairs.")
    return figure


@drawn
def histograms(data: Array, columns: Sequence[str], *, title: str, note: str = "") -> Figure:
    """Draw a histogram of each column of the data (N, D), without what is NaN."""
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        axes.hist(data[~np.isnan(data[:, k]), k], bins=24, color=SERIES[0])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    figure.set_label(f"{title}: histograms of {len(panels)} columns.")
    return figure


@drawn
def responses(
    z: Array,
    responses: Array,
    columns: Sequence[str],
    *,
    names: Sequence[str],
    title: str,
    note: str = "",
    xlabel: str = "unit",
) -> Figure:
    """Draw how the decoded columns answer to each latent unit: the five that move most, rising or falling.

    Args:
        z: (steps,) values of a unit, rising.
        responses: (units, steps, D) decoded columns less their values in the middle, in standard deviations.
        columns: names of the D columns.
        names: of the units.
        title, note: what stands above.
        xlabel: of the lowest panels.
    """
    across = min(2, len(responses))
    down = -(-len(responses) // across)
    figure = sheet(down * (1.2 + 0.42) + 0.3, title, note)
    cell, room = WIDTH / 2, 1.1
    extent = 1.06 * max(float(np.abs(responses).max()), 0.1)
    for k, (name, lines) in enumerate(zip(names, responses, strict=True)):
        row = down - 1 - k // across
        axes = place(figure, 0.42 + k % across * cell, 0.46 + row * (1.2 + 0.42), cell - 0.42 - room, 1.2)
        axes.set_title(name, loc="left", fontsize=7.5, pad=3)
        axes.set(xlim=(z[0], z[-1]), ylim=(-extent, extent))
        axes.grid(axis="y")
        axes.locator_params(nbins=5)
        lowest = k + across >= len(responses)
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel(xlabel if lowest else "")
        change = lines[-1] - lines[0]
        most = sorted(np.argsort(-np.ptp(lines, axis=0), kind="stable")[:5], key=lambda j: -lines[-1, j])
        gap, height = 0.15, 1.0 + 0.15
        for place_below, j in zip(range(len(most) - 1, -1, -1), most, strict=True):
            color = SERIES[0] if change[j] > 0 else SERIES[1]
            axes.plot(z, lines[:, j], color=color, linewidth=1.1)
            end = float(np.clip((lines[-1, j] + extent) / (2 * extent), 0, 1))
            height = max(min(end, height - gap), place_below * gap)
            axes.text(1.04, height, short(columns[j], 20), transform=axes.transAxes, fontsize=6.3, va="center")
    figure.supylabel("change (standard deviations of the column)", fontsize=7.5, x=0.06 / WIDTH)
    moved = "; ".join(
        f"{name}: {short(columns[int(np.ptp(lines, axis=0).argmax())], 24)}"
        for name, lines in zip(names, responses, strict=True)
    )
    figure.set_label(f"Lines of the columns that move most with each latent unit. Most of all: {moved}.")
    return figure


def _panels(columns: Sequence[str], title: str, note: str) -> tuple[Figure, list[Axes]]:
    """Square panels, three a row, each under the name of its column."""
    shown = columns[:PANELS]
    if len(columns) > len(shown):
        note = f"{note}{'; ' * bool(note)}the first {len(shown)} of {len(columns)} columns"
    rows = -(-len(shown) // 3)
    figure = sheet(rows * (SIDE + 0.45) + 0.25, title, note)
    panels = []
    for k, name in enumerate(shown):
        axes = place(figure, 0.45 + k % 3 * (SIDE + 0.38), 0.45 + (rows - 1 - k // 3) * (SIDE + 0.45), SIDE, SIDE)
        axes.set_title(short(name, 24), loc="left", fontsize=7.5, pad=3)
        axes.locator_params(nbins=4)
        panels.append(axes)
    return figure, panels
