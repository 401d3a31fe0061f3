"""The figure of how an estimate of the evidence grows with its draws."""

from typing import Any

from vaekit.plots.style import MUTED, SERIES, WIDTH, Array, Figure, drawn, number, place, sheet


@drawn
def growth(
    counts: Array,
    values: Array,
    errors: Array,
    *,
    others: dict[str, tuple[float, float]] | None = None,
    title: str,
    note: str = "",
) -> Figure:
    """Draw the importance bound over the number of draws, with two standard errors.

    Args:
        counts, values, errors: (k,) draws K, bounds in nats per example and their standard errors.
        others: name → (value, standard error) of estimates to be drawn as levels beside it.
        title, note: what stands above.
    """
    figure = sheet(2.1, title, note)
    axes = place(figure, 0.66, 0.46, WIDTH - 2.05, 1.55)
    axes.errorbar(counts, values, 2 * errors, color=SERIES[0], marker="o", markersize=3, linewidth=1.3, capsize=2)
    axes.set(xscale="log", xlabel="draws K of each example", ylabel="nats per example")
    axes.set_xticks(counts, [f"{int(k):,}" for k in counts])
    axes.minorticks_off()
    axes.grid(axis="y")
    beside: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "fontsize": 7, "va": "center"}
    axes.annotate(f"importance {number(float(values[-1]))}", (1.03, values[-1]), color=SERIES[0], **beside)
    for (name, (value, error)), colour in zip((others or {}).items(), (SERIES[1], SERIES[2], MUTED), strict=False):
        axes.axhline(value, color=colour, linewidth=1, linestyle="--")
        axes.axhspan(value - 2 * error, value + 2 * error, color=colour, alpha=0.12, linewidth=0)
        axes.annotate(f"{name} {number(value)}", (1.03, value), color=colour, **beside)
    pairs = ", ".join(f"K = {int(k):,}: {number(float(v))}" for k, v in zip(counts, values, strict=True))
    figure.set_label(f"Importance bound on the log-evidence, in nats per example. {pairs}.")
    return figure
