"""The one style of all figures, the sheet they are drawn on, and the way they are saved."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import cycle, islice
from pathlib import Path
from textwrap import fill
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vaekit.files import replacing
from vaekit.reporting.plots.fonts import FAMILY, in_their_fonts, legible, letters
from vaekit.text import escaped

Array = NDArray[Any]
P = ParamSpec("P")

INK, MUTED, RULE, PAPER = "#1f2329", "#68707c", "#d5d9de", "#ffffff"
# Ten colors (and three for few lines) that stand out by 3:1 from the white page and from the dark one, and no two of
# which are nearer than 0.09 in OKLab to normal, protan, deutan or tritan eyes; matplotlib's ten come as near as 0.007.
SERIES = ("#2f7ec0", "#d2622a", "#9030ee")
CLASSES = (
    "#0084fc", "#d80000", "#0c7830", "#b400b4", "#909c0c", "#609cb4", "#c07878", "#7830fc", "#f000fc", "#786078",
)  # fmt: skip
RAMP = ("#5458d6", "#8849c2", "#b345a0", "#cf4972", "#da5c3d", "#d37900")
"""the colors between which those of ordered names lie, from the first to the last"""

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
WIDTH, DPI = 5.2, 320  # inches, legible in a column of a paper and on a phone; 1,664 pixels, enough for a slide
FORMATS = ("svg", "png", "pdf")
ALWAYS = FORMATS[:2]
"""the formats in which every figure is saved"""


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


def save(figure: Figure, folder: Path, name: str, formats: Iterable[str] = ALWAYS) -> Path:
    """Write a figure as ``name.svg``, ``.png``, perhaps ``.pdf``, the same bytes every time; return the first path."""
    label = escaped(str(figure.get_label()))
    about = {
        "svg": {"Date": None, "Creator": None, "Description": label},
        "png": {"Software": "vaekit", "Description": label},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None, "Subject": label},
    }
    paths = {kind: folder / f"{name}.{kind}" for kind in formats}
    for kind, path in paths.items():
        with styled(), replacing(path) as file:
            figure.savefig(file, format=kind, metadata=about[kind])
    return next(iter(paths.values()))


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
    """Give each name a color: the few of series as far as they reach, else those of classes, again and again."""
    return dict(zip(names, islice(cycle(SERIES if len(names) <= len(SERIES) else CLASSES), len(names)), strict=True))


def ramp(names: Sequence[str]) -> dict[str, str]:
    """Give each of several names in order a color, evenly spaced along one ramp."""
    colors = LinearSegmentedColormap.from_list("ramp", RAMP)(np.linspace(0, 1, len(names)))
    return dict(zip(names, map(to_hex, colors), strict=True))


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
