"""The one style of all figures, the sheet they are drawn on, and the way they are saved."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import cycle, islice
from pathlib import Path
from textwrap import fill
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vaekit.files import replacing
from vaekit.plots.fonts import FAMILY, in_their_fonts, legible, letters
from vaekit.text import escaped

Array = NDArray[Any]
P = ParamSpec("P")

INK, MUTED, RULE, PAPER = "#1f2329", "#68707c", "#d5d9de", "#ffffff"
SERIES = ("#2f7ec0", "#d2622a", "#22b39a")
# Ten colours no two of which are nearer than 0.117 in OKLab to normal, protan, deutan or tritan eyes; the usual ten of
# matplotlib come as near as 0.007. Neither too dark for a black page nor too light for a white one.
CLASSES = (
    "#5555bb", "#ccdd33", "#aa2277", "#55eeff", "#00aa00", "#ee5599", "#776600", "#99aaee", "#eeaa99", "#aa66ff",
)  # fmt: skip

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "font.family": FAMILY,
    "font.size": 8,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "vaekit",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7,
}
WIDTH, DPI = 5.2, 200  # inches: one size that is legible in a column of a paper and on a phone


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style whatever the user's settings are, and leave those as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function that draws a figure do so in this style, with names of any letters in it."""

    @wraps(draw)
    def drawing(*arguments: P.args, **options: P.kwargs) -> Figure:
        with styled():
            return in_their_fonts(draw(*arguments, **options))

    return drawing


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure as ``name.svg`` and ``name.png``, the same bytes every time, and return the path of the first."""
    path, label = folder / f"{name}.svg", escaped(str(figure.get_label()))
    with styled():
        with replacing(path) as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Description": label})
        with replacing(folder / f"{name}.png") as file:
            figure.savefig(file, format="png", metadata={"Software": "vaekit", "Description": label})
    return path


def sheet(height: float, title: str, note: str, dpi: float = DPI) -> Figure:
    """A figure whose lower ``height`` inches are free, under a title and a note that are wrapped to its width."""
    title, note = fill(legible(title), 58), fill(legible(note), 84)
    lines, more = title.count("\n") + 1, note.count("\n") + 1 if note else 0
    top = _whole(height + 0.14 + 0.19 * lines + 0.145 * more, dpi)
    figure = Figure(figsize=(WIDTH, top), dpi=dpi)
    left = 0.1 / WIDTH
    figure.text(left, 1 - 0.06 / top, title, fontsize=10, weight="bold", va="top", linespacing=1.25)
    figure.text(left, 1 - (0.1 + 0.18 * lines) / top, note, fontsize=7.5, color=MUTED, va="top", linespacing=1.3)
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Axes at a place given in inches, on whole pixels of the PNG."""
    w, h = figure.get_size_inches()
    x, y, dx, dy = (_whole(inches, figure.dpi) for inches in (left, bottom, width, height))
    return figure.add_axes((x / w, y / h, dx / w, dy / h), **options)


def _whole(inches: float, dpi: float) -> float:
    return round(inches * dpi) / dpi


def palette(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name: the few of series as far as they reach, else those of classes, again and again."""
    return dict(zip(names, islice(cycle(SERIES if len(names) <= len(SERIES) else CLASSES), len(names)), strict=True))


def dots(n: int) -> dict[str, Any]:
    """Options of a scatter of n points: the fewer, the larger; a bitmap inside vector files."""
    return {"s": float(np.clip(16000 / n, 1.6, 14)), "alpha": 0.75, "linewidths": 0, "rasterized": True}


def short(name: str, length: int = 18) -> str:
    """Write a name in letters that can be drawn, and cut it if it is too long."""
    name = legible(name)
    if letters(name) <= length:
        return name
    while letters(name) >= length:
        name = name[:-1]
    return f"{name}…"


def number(value: float) -> str:
    """One decimal for tens and hundreds, none above, three digits below; with a true minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return text.replace("-", "−")
