"""Curves of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vaekit.reporting.plots.style import MUTED, WIDTH, Array, Figure, drawn, number, palette, place, ramp, sheet, short

PANEL, GAP = 1.25, 0.32  # inches


@drawn
def curves(
    epochs: Array,
    panels: Mapping[str, Mapping[str, Array]],
    *,
    title: str,
    note: str = "",
    xlabel: str = "epoch",
    ylabel: str = "nats per image",
    published: Mapping[str, str] | None = None,
    ordered: bool = False,
    errors: Mapping[str, Mapping[str, Array]] | None = None,
    bands: Mapping[str, Mapping[str, tuple[Array, Array]]] | None = None,
) -> Figure:
    """Draw a panel for each quantity with a line for each split, over a range that no few values squash.

    Args:
        epochs: (rows,) when each row was measured, rising; 0 is the untrained model.
        panels: panel title → split → (rows,) values in nats; NaN where a row has none.
        title, note: what stands above.
        xlabel, ylabel: of the axes, where the rows are not counted in epochs or the values are not in nats.
        published: line → the line whose hue it shares, dashed; a line of a paper beside the same method here.
        ordered: draw the lines in the colors of one ramp, from the first to the last.
        errors: panel title → line → (rows,) standard errors, of which two are drawn as bars.
        bands: panel title → line → the lowest and the highest of several trainings, (rows,) each.
    """
    published, errors, bands = published or {}, errors or {}, bands or {}
    figure = sheet(len(panels) * (PANEL + GAP) + 0.36, title, note)
    ends: dict[str, dict[str, float]] = {}
    for k, (name, series) in enumerate(reversed(list(panels.items()))):
        axes = place(figure, 0.66, 0.46 + k * (PANEL + GAP), WIDTH - 2.1, PANEL)
        bars = {split: 2 * each for split, each in errors.get(name, {}).items()}
        ends_of_bars = [series[split] + sign * bar for split, bar in bars.items() for sign in (-1, 1)]
        edges = [edge for band in bands.get(name, {}).values() for edge in band]
        low, high, hidden = _visible_range(epochs, [*series.values(), *ends_of_bars, *edges])
        axes.set(ylim=(low, high), xlim=(0, max(1.01 * float(epochs[-1]), 1e-9)), ylabel=ylabel)
        axes.locator_params(axis="x", integer=bool(epochs[-1] >= 2))
        axes.grid(axis="y")
        axes.set_title(short(name, 40), loc="left", fontsize=8, pad=4)
        axes.set_title(hidden, loc="right", fontsize=6.5, color=MUTED, pad=4)
        axes.tick_params(labelbottom=k == 0)
        axes.set_xlabel(xlabel if k == 0 else "")
        known = {split: np.isfinite(values) for split, values in series.items()}
        styles = _styles(list(series), published, ordered)
        for split, values in series.items():
            points = known[split].sum()
            line: dict[str, Any] = styles[split] | {"linewidth": 1.3, "markersize": 2.2 if points > 1 else 5}
            line["marker"] = "o" if points <= 20 and split not in published else ""
            axes.plot(epochs[known[split]], values[known[split]], **line)
            if split in bands.get(name, {}):
                axes.fill_between(epochs, *bands[name][split], color=line["color"], alpha=0.2, linewidth=0)
            if split in bars:
                each = (epochs, values, bars[split])
                axes.errorbar(*each, linestyle="", color=line["color"], elinewidth=1, capsize=2.5)
        ends[name] = {split: float(values[known[split]][-1]) for split, values in series.items() if known[split].any()}
        _end_labels(axes, ends[name], styles)
    last = "; ".join(
        f"{name}: " + ", ".join(f"{split} {number(value)}" for split, value in ends[name].items()) for name in panels
    )
    figure.set_label(f"Curves up to {round(float(epochs[-1]), 1):g} ({xlabel}). Last values ({ylabel}): {last}.")
    return figure


def _styles(lines: Sequence[str], published: Mapping[str, str], ordered: bool) -> dict[str, dict[str, Any]]:
    """Give each line its color, and dashes to the published ones, which have the color of another."""
    colors = (ramp if ordered else palette)([line for line in lines if line not in published])
    return {
        line: {"color": colors[published.get(line, line)], "linestyle": "--" if line in published else "-"}
        for line in lines
    }


def _visible_range(epochs: Array, series: Sequence[Array]) -> tuple[float, float, str]:
    """Choose the range that shows most, and say what lies outside of it.

    It holds where each line ends, and what came after the first 5 % of the training, but for values that lie three
    interquartile ranges from the others.
    """
    values = np.concatenate(series)
    settled = np.tile(epochs >= max(0.05 * epochs[-1], np.nextafter(0, 1)), len(series))
    finite = np.isfinite(values)
    shown = values[finite & settled] if (finite & settled).any() else values[finite]
    if not shown.size:
        return 0.0, 1.0, "no finite values"
    lower, upper = np.quantile(shown, [0.25, 0.75])
    near = (shown >= lower - 3 * (upper - lower)) & (shown <= upper + 3 * (upper - lower))
    last = [each[np.isfinite(each)][-1] for each in series if np.isfinite(each).any()]
    shown = np.concatenate([shown[near], last])
    pad = 0.06 * float(np.ptp(shown)) or 0.05 * abs(float(shown[0])) or 1.0
    low, high = float(shown.min()) - pad, float(shown.max()) + pad
    outside = values[finite & ((values < low) | (values > high))]
    if not outside.size:
        return low, high, ""
    extreme = float(outside[np.abs(outside - (low + high) / 2).argmax()])
    return low, high, f"off scale: {'up' if extreme > high else 'down'} to {number(extreme)}"


def _end_labels(axes: Axes, ends: Mapping[str, float], styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Write each line's last value beside its end, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    ceiling, gap = 1.0, min(0.14, 1 / len(ends)) if ends else 0.0
    for below, (value, split) in reversed(list(enumerate(sorted((end, split) for split, end in ends.items())))):
        inside = float(np.clip((value - low) / (high - low), 0, 1))
        height = max(min(inside, ceiling), below * gap)  # room for those below
        ceiling = height - gap
        text = f"{short(split, 14)} {number(value)}"
        style = dict(styles[split])
        if style["linestyle"] == "--":
            style["linestyle"] = (0, (2.2, 1.2))
        axes.plot([1.015, 1.05], [height] * 2, transform=axes.transAxes, clip_on=False, linewidth=1.3, **style)
        axes.text(1.065, height, text, fontsize=7, va="center", transform=axes.transAxes)
