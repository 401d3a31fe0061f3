"""Pages that need no network and no script: one look, on light and dark screens, with all figures inside."""

from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaekit.reporting.plots import INK, MUTED, PAPER, RULE
from vaekit.text import escaped

COLORS = {
    "ink": (INK, "#e4e7eb"),
    "muted": (MUTED, "#98a1ad"),
    "rule": (RULE, "#3a414b"),
    "paper": (PAPER, "#15181d"),
}
"""the neutral colors of page and figures, on a light and on a dark screen"""

_dark = " ".join(f"--{name}: {dark};" for name, (_, dark) in COLORS.items())
THEME = f"@media (prefers-color-scheme: dark) {{ :root {{ {_dark} }} }}"


def render(kind: str, **values: Any) -> bytes:
    """Fill the template of a kind of page; names in the values are escaped where they cannot be shown."""
    environment = Environment(
        loader=PackageLoader("vaekit.reporting"),
        autoescape=True, finalize=_shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    light = {name: light for name, (light, _) in COLORS.items()}
    page = environment.get_template(f"{kind}.html.j2")
    return page.render(kind=kind, light=light, theme=THEME, version=version("vaekit"), **values).encode()


def _shown(value: Any) -> Any:
    """Escape what no page may hold in a value of the template, except line breaks, which are spaces there."""
    return "\n".join(map(escaped, value.split("\n"))) if isinstance(value, str) else value


def embedded(path: Path) -> str:
    """Turn an .svg file into a data URI whose neutral colors follow the reader's light or dark screen."""
    svg = path.read_text("utf-8")
    for name, (light, _) in COLORS.items():
        svg = svg.replace(f": {light}", f": var(--{name}, {light})")
    svg = svg.replace("*{", f"{THEME} *{{", 1)
    return "data:image/svg+xml," + quote(svg, safe=" ='/:;,+()")
