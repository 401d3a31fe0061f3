"""Pieces of HTML for notebooks: escaped, without scripts or style sheets, in colors that suit light and dark pages."""

import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

from vaekit.text import escaped

ACCENT, SECOND = "#3987d8", "#d9822b"
"""colors of curves and bars, seen on white and on black"""
LINE = "1px solid rgba(128, 128, 128, 0.35)"
MUTED = "opacity: 0.7"
CELL = "text-align: {side}; padding: 2px 14px 2px 0; vertical-align: top; background: none"
WIDTH, HEIGHT = 300, 90
"""of a curve, in pixels"""
TALL = 720
"""pixels of a frame"""


def running() -> bool:
    """Say whether this code runs in a notebook, which shows HTML and replaces what it showed before."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Place:
    """A place in a notebook's output where one thing is shown after the other."""

    def __init__(self) -> None:
        self.name = ""

    def show(self, html: str, text: str) -> None:
        """Show a piece of HTML instead of what was shown before, and the text where there is no HTML."""
        from IPython.display import display  # only where it runs already

        begun, self.name = bool(self.name), self.name or uuid4().hex
        bundle = {"text/html": html, "text/plain": text}
        display(bundle, raw=True, display_id=self.name, update=begun)


def text(value: Any) -> str:
    """Escape a value for HTML, and what is not a character to be seen as everywhere else."""
    return escape(escaped(str(value)))


def heading(title: str, note: str = "") -> str:
    """Write a title, and a note behind it."""
    return f'<div><b>{text(title)}</b> <span style="{MUTED}">{text(note)}</span></div>'


def sentence(words: str) -> str:
    """Write a line of text."""
    return f"<div>{text(words)}</div>"


def table(rows: Iterable[Mapping[str, Any]], right: Sequence[str] = ()) -> str:
    """Write rows under the names of their columns; the columns in ``right`` are aligned to the right."""
    rows = list(rows)
    if not rows:
        return ""

    def cells(tag: str, values: Mapping[str, Any]) -> str:
        styles = (CELL.format(side="right" if name in right else "left") for name in rows[0])
        pairs = zip(styles, values.values(), strict=True)
        return "".join(f'<{tag} style="{style}">{text(value)}</{tag}>' for style, value in pairs)

    head = f'<tr style="border-bottom: {LINE}; background: none">{cells("th", {name: name for name in rows[0]})}</tr>'
    body = "".join(f'<tr style="background: none">{cells("td", row)}</tr>' for row in rows)
    return f'<table style="border-collapse: collapse; margin: 4px 0">{head}{body}</table>'


def folded(title: str, html: str) -> str:
    """Hide a piece of HTML under a title that opens it."""
    return f'<details><summary style="cursor: pointer; {MUTED}">{text(title)}</summary>{html}</details>'


def picture(path: Path, width: int = 640) -> str:
    """Embed a .png file, or nothing if it cannot be read."""
    try:
        data = b64encode(path.read_bytes()).decode("ascii")
    except OSError:
        return ""
    style = f"width: 100%; max-width: {width}px; background: white; border-radius: 4px; margin: 4px 0"
    return f'<img alt="{text(path.stem)}" style="{style}" src="data:image/png;base64,{data}">'


class Pictures(list[Path]):
    """Paths of figures, as a list; a notebook shows the figures."""

    def _repr_html_(self) -> str:
        return "".join(map(picture, (path.with_suffix(".png") for path in self)))


class Frame:
    """A page of its own with scripts inside a notebook's page, which it cannot reach."""

    def __init__(self, title: str, page: str) -> None:
        self.title, self.page = title, page

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {TALL}px; border: {LINE}; border-radius: 4px"
        sandbox = "allow-scripts allow-downloads"
        inner = escape(self.page)
        return f'<iframe title="{text(self.title)}" sandbox="{sandbox}" style="{style}" srcdoc="{inner}"></iframe>'


def bar(share: float) -> str:
    """Draw how much is done, between 0 and 1."""
    done = 100 * min(1.0, max(0.0, share))
    inner = f'<div style="width: {done:.1f}%; height: 6px; border-radius: 3px; background: {ACCENT}"></div>'
    style = f"width: {WIDTH}px; max-width: 100%; border-radius: 3px; background: rgba(128, 128, 128, 0.3)"
    return f'<div style="{style}; margin: 4px 0">{inner}</div>'


def curve(series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw lines through points (x, y), two at most, each with its name and last value in its color.

    Points that are NaN or infinite are left out; nothing is drawn of fewer than two.
    """
    kept = {name: [p for p in points if isfinite(p[0]) and isfinite(p[1])] for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if len(points) > 1}
    if not kept:
        return ""
    xs, ys = zip(*(point for points in kept.values() for point in points), strict=True)
    (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))
    across, up = WIDTH / ((right - left) or 1), (HEIGHT - 8) / ((high - low) or 1)
    lines, names = "", ""
    for color, (name, points) in zip((ACCENT, SECOND), kept.items(), strict=False):
        places = (f"{across * (x - left):.1f},{4 + up * (high - y):.1f}" for x, y in points)
        lines += f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{" ".join(places)}"/>'
        names += f'<span style="color: {color}; margin-right: 12px">{text(name)} {points[-1][1]:.2f}</span>'
    drawing = f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{lines}</svg>'
    return f'<div style="margin: 4px 0">{drawing}<br>{names}</div>'
