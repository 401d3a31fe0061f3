"""Curves of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vaekit.plots.style import MUTED, WIDTH, Array, Figure, drawn, number, palette, place, sheet, short

PANEL, GAP = 1.25, 0.32  # inches


@drawn
def curves(
    epochs: Array,
    panels: Mapping[str, Mapping[str, Array]],
    *,
    title: str,
    note: str = "",
    xlabel: str = "epoch",
    ylabel: str = "nats per example",
) -> Figure:
    """Draw one panel a quantity, one line a split, over a range that the first moments of training do not squash.

    Args:
        epochs: (rows,) when each row was measured, rising; 0 is the untrained model.
        panels: panel title → split → (rows,) values in nats; NaN where a row has none.
        title, note: what stands above.
        xlabel, ylabel: of the axes, where the rows are not counted in epochs or the values are not in nats.
    """
    figure = sheet(len(panels) * (PANEL + GAP) + 0.36, title, note)
    ends: dict[str, dict[str, float]] = {}
    for k, (name, series) in enumerate(reversed(list(panels.items()))):
        axes = place(figure, 0.66, 0.46 + k * (PANEL + GAP), WIDTH - 1.95, PANEL)
        low, high, hidden = _visible_range(epochs, list(series.values()))
        axes.set(ylim=(low, high), xlim=(0, max(1.01 * float(epochs[-1]), 1e-9)), ylabel=ylabel)
        axes.locator_params(axis="x", integer=bool(epochs[-1] >= 2))
        axes.grid(axis="y")
        axes.set_title(short(name, 40), loc="left", fontsize=8, pad=4)
        axes.set_title(hidden, loc="right", fontsize=6.5, color=MUTED, pad=4)
        axes.tick_params(labelbottom=k == 0)
        axes.set_xlabel(xlabel if k == 0 else "")
        known = {split: np.isfinite(values) for split, values in series.items()}
        colours = palette(list(series))
        for split, values in series.items():
            points = known[split].sum()
            line: dict[str, Any] = {"color": colours[split], "linewidth": 1.3, "markersize": 2.2 if points > 1 else 5}
            line["marker"] = "o" if points <= 20 else ""
            axes.plot(epochs[known[split]], values[known[split]], **line)
        ends[name] = {split: float(values[known[split]][-1]) for split, values in series.items() if known[split].any()}
        _end_labels(axes, ends[name], colours)
    last = "; ".join(
        f"{name}: " + ", ".join(f"{split} {number(value)}" for split, value in ends[name].items()) for name in panels
    )
    figure.set_label(f"Curves up to {round(float(epochs[-1]), 1):g} ({xlabel}). Last values ({ylabel}): {last}.")
    return figure


def _visible_range(epochs: Array, series: Sequence[Array]) -> tuple[float, float, str]:
    """The range of all that came after the first 5 % of the training, and a line on what lies outside of it."""
    values = np.concatenate(series)
    settled = np.tile(epochs >= max(0.05 * epochs[-1], np.nextafter(0, 1)), len(series))
    finite = np.isfinite(values)
    shown = values[finite & settled] if (finite & settled).any() else values[finite]
    if not shown.size:
        return 0.0, 1.0, "no finite values"
    pad = 0.06 * float(np.ptp(shown)) or 0.05 * abs(float(shown[0])) or 1.0
    low, high = float(shown.min()) - pad, float(shown.max()) + pad
    outside = values[finite & ((values < low) | (values > high))]
    if not outside.size:
        return low, high, ""
    extreme = float(outside[np.abs(outside - (low + high) / 2).argmax()])
    return low, high, f"off scale: the first values, {'up' if extreme > high else 'down'} to {number(extreme)}"


def _end_labels(axes: Axes, ends: Mapping[str, float], colours: Mapping[str, str]) -> None:
    """Write each line's last value beside its end, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    ceiling, gap = 1.0, min(0.14, 1 / len(ends)) if ends else 0.0
    for below, (value, split) in reversed(list(enumerate(sorted((end, split) for split, end in ends.items())))):
        inside = float(np.clip((value - low) / (high - low), 0, 1))
        height = max(min(inside, ceiling), below * gap)  # room for those below
        ceiling = height - gap
        text = f"{short(split, 14)} {number(value)}"
        axes.plot([1.02, 1.04], [height] * 2, color=colours[split], transform=axes.transAxes, clip_on=False)
        axes.text(1.055, height, text, fontsize=7, va="center", transform=axes.transAxes)
