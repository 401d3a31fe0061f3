"""The figure of where models lie between rate and distortion."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vaekit.reporting.plots.style import MUTED, RULE, SERIES, WIDTH, Array, Figure, drawn, number, place, sheet, short


@drawn
def rate_distortion(names: Sequence[str], rates: Array, distortions: Array, *, title: str, note: str = "") -> Figure:
    """Draw models as points with two standard errors, over lines of one ELBO each: rate + distortion = −ELBO.

    Reference: *Fixing a broken ELBO (Alemi, Poole, Fischer, Dillon, Saurous, Murphy, 2018)*, arXiv:1711.00464.

    Args:
        names: of the models.
        rates, distortions: (models, 2), the KL and minus the expected log-likelihood, in nats per example, each with
            its standard error, NaN where it is unknown.
        title, note: what stands above.
    """
    figure = sheet(3.66, title, note)
    axes = place(figure, 0.66, 0.46, WIDTH - 1.76, 3.0)
    axes.set(xlim=_range(rates), ylim=_range(distortions))
    axes.set(xlabel="rate: KL (nats per example)", ylabel="distortion: −E log p(x | z) (nats per example)")
    _levels(axes)
    (x, dx), (y, dy) = rates.T, distortions.T
    axes.errorbar(
        x, y, 2 * dy, 2 * dx, color=SERIES[0], linestyle="", marker="o", markersize=4, elinewidth=1, capsize=2
    )
    _label(axes, names, np.stack([x, y], axis=1))
    places = "; ".join(f"{name}: {number(a)}, {number(b)}" for name, a, b in zip(names, x, y, strict=True))
    figure.set_label(f"Rate and distortion of {len(names)} models, in nats per example. {places}.")
    return figure


def _range(estimates: Array) -> tuple[float, float]:
    """From the lowest to the highest bar, with room for the labels."""
    value, error = estimates[:, 0], np.nan_to_num(2 * estimates[:, 1])
    low, high = float((value - error).min()), float((value + error).max())
    pad = 0.15 * (high - low) or 1.0
    return low - pad, high + pad


def _levels(axes: Axes) -> None:
    """Draw the lines of one ELBO each, named where they come in at the left or from above."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for level in MaxNLocator(7).tick_values(left + bottom, right + top):
        if left + bottom < level < right + top:
            axes.plot([left, right], [level - left, level - right], color=RULE, linewidth=0.8, zorder=0)
            x, y = (left, level - left) if level - left < top else (level - top, top)
            axes.annotate(
                f"ELBO {0.0 - level:g}".replace("-", "−"),
                (x, y),
                (3, 2),
                textcoords="offset points",
                fontsize=6,
                color=MUTED,
            )


def _label(axes: Axes, names: Sequence[str], points: Array) -> None:
    """Write each name beside its point, from below to above, and higher where it would cover another."""
    written: list[tuple[float, float]] = []
    for k in np.argsort(points[:, 1]):
        # In points, since what must not overlap is the text.
        x, y = axes.transData.transform(points[k]) * 72 / axes.figure.dpi
        u, v = x + 6, y + 5
        while any(abs(u - a) < 4 * max(map(len, names)) and abs(v - b) < 9 for a, b in written):
            v += 1.5
        written.append((u, v))
        axes.annotate(short(names[k]), points[k], (u - x, v - y), textcoords="offset points", fontsize=7)
