"""The figure of a confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm

from vaekit.reporting.plots.fonts import letters
from vaekit.reporting.plots.style import INK, PAPER, WIDTH, Array, Figure, drawn, number, place, sheet, short

# One hue that only darkens, so that every eye reads it alike, and a root scale, on which one percent is not white.
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, "#9cc6e8", "#2f7ec0", "#0f2f52"])
SCALE = PowerNorm(0.5, 0, 100)
WRITTEN = 14  # classes up to which every cell has room for its numbers
LETTER = 0.056  # inches that a letter of a class's name takes


@drawn
def confusion(counts: Array, classes: Sequence[str] | None = None, *, title: str, note: str = "") -> Figure:
    """Draw a confusion matrix: in each cell the percentage of its row, and the count below.

    Args:
        counts: (K, K) images by class of the input (rows) and class of the reconstruction (columns).
        classes: names of the K classes; their numbers if left out.
        title, note: what stands above.
    """
    n = len(counts)
    names = [short(str(name), 14) for name in (classes or range(n))]
    totals = counts.sum(1, keepdims=True)
    shares = 100 * counts / np.maximum(totals, 1)
    longest = max(map(letters, names)) * LETTER
    left, right = 0.42 + longest, 0.12 if n <= WRITTEN else 0.75
    side = WIDTH - left - right
    upright = longest <= side / n
    below = 0.36 + (0.08 if upright else longest)
    figure = sheet(side + below + 0.06, title, note)
    axes = place(figure, left, below, side, side)
    mesh = axes.pcolormesh(shares, cmap=SHADES, norm=SCALE, edgecolors=PAPER, linewidth=0.4 if n <= WRITTEN else 0)
    cells = " (cells: % of the row, and images)" if n <= WRITTEN else ""
    axes.set(xlim=(0, n), ylim=(n, 0), xlabel=f"class of the reconstruction{cells}", ylabel="class of the input")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    shown = np.arange(0, n, -(-n // 40))
    axes.set_xticks(shown + 0.5, [names[k] for k in shown], rotation=0 if upright else 90)
    axes.set_yticks(shown + 0.5, [names[k] for k in shown])
    if n <= WRITTEN:
        _write(axes, counts, shares, 72 * side / n)
    else:
        bar = place(figure, WIDTH - 0.55, below, 0.12, side)
        figure.colorbar(mesh, cax=bar, ticks=[0, 1, 5, 20, 50, 100], label="% of the input's class")
        bar.tick_params(length=2)
    figure.set_label(_sentence(counts, shares, names))
    return figure


def _write(axes: Axes, counts: Array, shares: Array, points: float) -> None:
    """Write percentage and count into every cell that is not empty; ``points`` is the side of a cell."""
    size = float(np.clip(0.24 * points, 4.5, 9))
    for i, j in np.argwhere(counts):
        color = PAPER if shares[i, j] > 20 else INK
        share = f"{shares[i, j]:.1f}" if shares[i, j] < 99.95 else "100"
        axes.text(j + 0.5, i + 0.4, share, ha="center", va="center", fontsize=size, color=color)
        count = f"{counts[i, j]:,}"
        axes.text(j + 0.5, i + 0.74, count, ha="center", va="center", fontsize=0.7 * size, color=color)


def _sentence(counts: Array, shares: Array, names: Sequence[str]) -> str:
    agreed = 100 * np.trace(counts) / max(1, counts.sum())
    others = np.where(np.eye(len(counts), dtype=bool), 0, shares)
    i, j = divmod(int(others.argmax()), len(counts))
    most = f"; most often {names[i]} becomes {names[j]}, {number(float(others[i, j]))} %" if others.any() else ""
    return f"Confusion matrix of {counts.sum():,} images: {number(float(agreed))} % keep their class{most}."
