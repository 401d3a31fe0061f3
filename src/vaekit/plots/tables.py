"""Figures of tables: one small panel for each of the first twelve columns."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vaekit.plots.style import INK, RULE, SERIES, WIDTH, Array, Figure, dots, drawn, place, sheet, short

PANELS, SIDE = 12, 1.25  # inches


@drawn
def agreement(true: Array, reconstructed: Array, columns: Sequence[str], *, title: str, note: str = "") -> Figure:
    """Draw reconstructed against true values, both (N, D), by column with R², the part of the variance explained."""
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        x, y = true[:, k], reconstructed[:, k]
        axes.scatter(x, y, color=SERIES[0], **dots(len(x)))
        ends = [float(x.min()), float(x.max())]
        axes.plot(ends, ends, color=INK, linewidth=0.7, linestyle="--")
        spread = float(((x - x.mean()) ** 2).sum())
        r2 = f"R² = {1 - float(((x - y) ** 2).sum()) / spread:.2f}".replace("-", "−") if spread else "constant"
        axes.text(0.04, 0.96, r2, transform=axes.transAxes, va="top", fontsize=7)
    figure.supxlabel("value", fontsize=8, y=0.08 / figure.get_figheight())
    figure.supylabel("reconstruction", fontsize=8, x=0.06 / WIDTH)
    figure.set_label(f"{title}: scatter plots of {len(panels)} columns.")
    return figure


@drawn
def marginals(data: Array, drawn: Array, columns: Sequence[str], *, title: str, note: str = "") -> Figure:
    """Draw histograms of each column over the data (N, D) and over draws of the model (M, D)."""
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        edges = np.histogram_bin_edges(data[:, k], bins=24).tolist()
        axes.hist(data[:, k], bins=edges, density=True, color=RULE, label="data")
        drawing = np.histogram(drawn[:, k], bins=edges, density=True)[0]
        axes.stairs(drawing, edges, color=SERIES[1], linewidth=1.1, label="draws of the model")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=2)
    figure.set_label(f"{title}: histograms of {len(panels)} columns.")
    return figure


@drawn
def histograms(data: Array, columns: Sequence[str], *, title: str, note: str = "") -> Figure:
    """Draw a histogram of each column of the data (N, D)."""
    figure, panels = _panels(columns, title, note)
    for k, axes in enumerate(panels):
        axes.hist(data[:, k], bins=24, color=SERIES[0])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    figure.set_label(f"{title}: histograms of {len(panels)} columns.")
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
