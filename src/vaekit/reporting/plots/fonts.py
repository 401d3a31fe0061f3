"""Letters of every script: the style's font, those of the system where it lacks a letter, else code points."""

from functools import cache
from unicodedata import east_asian_width

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from vaekit.text import escape, escaped

FAMILY = "DejaVu Sans"
"""the font that comes with matplotlib"""
NO_LETTERS = ("Last Resort", "STIX", "cm", ".")
"""beginnings of the names of fonts that draw boxes or mathematics"""


def legible(text: str) -> str:
    """Replace what no font here can draw, and what is not to be seen at all, by code points."""
    return "".join(c if _family(c) else escape(c) for c in escaped(text))


def letters(text: str) -> int:
    """Count how many letters' room a text takes: those of East Asia are as wide as two.

    Example:
        >>> letters("猫 cat")
        6
    """
    return sum(1 + (east_asian_width(character) in "WF") for character in text)


def in_their_fonts(figure: Figure) -> Figure:
    """Give each text of a figure the fonts that its letters need, and take none for a formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        families = dict.fromkeys([FAMILY, *map(_family, text.get_text())])
        if len(families) > 1:
            text.set_fontfamily([family for family in families if family])
            text.set_fontweight("normal")  # matplotlib warns where one of them has no bold
    return figure


@cache
def _family(character: str) -> str | None:
    """The family whose font has a letter, the style's if it can be; None where there is none."""
    if character == "\n" or _draws(findfont(FontProperties(family=FAMILY)), character):
        return FAMILY
    return next((family for family, path in _others() if _draws(path, character)), None)


@cache
def _others() -> list[tuple[str, str]]:
    """Family and file of the system's upright fonts, those without serifs first."""
    fonts = {
        (font.name, str(font.fname))
        for font in fontManager.ttflist
        if font.style == "normal" and not font.name.startswith(NO_LETTERS)
    }
    return sorted(fonts, key=lambda font: ("Sans" not in font[0], font))


def _draws(path: str, character: str) -> bool:
    try:
        return FT2Font(path).get_char_index(ord(character)) != 0
    except (OSError, RuntimeError):  # a font that is gone or damaged
        return False
