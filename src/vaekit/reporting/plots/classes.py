"""The figure of which classes images are of."""

from collections.abc import Mapping, Sequence

import numpy as np

from vaekit.reporting.plots.fonts import letters
from vaekit.reporting.plots.style import WIDTH, Array, Figure, drawn, number, palette, place, sheet, short

LETTER = 0.056  # inches that a letter of a class's name takes


@drawn
def class_counts(
    counts: Mapping[str, Array], classes: Sequence[str] | None = None, *, title: str, note: str = ""
) -> Figure:
    """Draw how many images are of each class, side by side for several sets of images.

    Args:
        counts: name of a set → (K,) images of each class.
        classes: names of the K classes; their numbers if left out.
        title, note: what stands above.
    """
    n = len(next(iter(counts.values())))
    names = [short(str(name), 14) for name in (classes or range(n))]
    width = WIDTH - 0.75
    longest = max(map(letters, names)) * LETTER
    upright = longest <= width / n
    below = 0.42 + (0.08 if upright else longest)
    figure = sheet(below + 1.75, title, note)
    axes = place(figure, 0.62, below, width, 1.65)
    bar = 0.8 / len(counts)
    for k, (name, color) in enumerate(palette(list(counts)).items()):
        axes.bar(np.arange(n) + (k - (len(counts) - 1) / 2) * bar, counts[name], bar, color=color, label=name)
    shown = np.arange(0, n, -(-n // 40))
    axes.set_xticks(shown, [names[k] for k in shown], rotation=0 if upright else 90)
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.6, n - 0.4), ylabel="images")
    axes.grid(axis="y")
    figure.legend(loc="lower center", ncols=len(counts))
    ends = "; ".join(
        f"{name}: from {number(float(each.min()))} of {names[each.argmin()]} to {number(float(each.max()))} of "
        f"{names[each.argmax()]}"
        for name, each in counts.items()
    )
    figure.set_label(f"Bars of how many images are of each of {n} classes. {ends}.")
    return figure
