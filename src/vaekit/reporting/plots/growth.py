"""The figure of how an estimate of the evidence grows with its draws."""

import numpy as np

from vaekit.reporting.plots.style import SERIES, WIDTH, Array, Figure, drawn, number, place, sheet


@drawn
def growth(
    counts: Array,
    gains: Array,
    errors: Array,
    *,
    annealed: tuple[float, float] | None = None,
    title: str,
    note: str = "",
    ylabel: str = "nats gained per image",
) -> Figure:
    """Draw what more draws add to the importance bound, as paired differences with two standard errors.

    Args:
        counts: (k,) draws K, rising.
        gains, errors: (k,) mean over the examples of the bound at K less that at the first K, and its standard error;
            0 of the first.
        annealed: the same of the annealed estimate, drawn as a level.
        title, note: what stands above.
        ylabel: of the vertical axis.
    """
    figure = sheet(2.1, title, note)
    axes = place(figure, 0.66, 0.46, WIDTH - 2.05, 1.55)
    axes.errorbar(counts, gains, 2 * errors, color=SERIES[0], marker="o", markersize=3, linewidth=1.3, capsize=2.5)
    axes.set(xscale="log", xlabel="draws K per example", ylabel=ylabel)
    axes.set_xticks(counts, [f"{int(k):,}" for k in counts])
    axes.minorticks_off()
    axes.grid(axis="y")
    levels = {"importance": (float(gains[-1]), float(errors[-1]))} | ({"annealed": annealed} if annealed else {})
    if annealed:
        value, error = annealed
        axes.axhline(value, color=SERIES[1], linewidth=1, linestyle="--")
        axes.axhspan(value - 2 * error, value + 2 * error, color=SERIES[1], alpha=0.12, linewidth=0)
    low, high = axes.get_ylim()
    height = -np.inf
    for name, (value, error) in sorted(levels.items(), key=lambda level: level[1]):
        height = max((value - low) / (high - low), height + 0.24)
        text = f"{name}\n{_signed(value)} ± {number(error)}"
        axes.text(1.03, height, text, transform=axes.transAxes, fontsize=7, va="center", linespacing=1.2)
    steps = ", ".join(f"K = {int(k):,}: {_signed(v)}" for k, v in zip(counts, gains, strict=True))
    figure.set_label(f"What more draws add to the bound on the log-evidence, in nats, over the first: {steps}.")
    return figure


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(float(value))
