"""Names as they may be shown: files, columns and classes are called anything, and a terminal obeys what it reads."""

import unicodedata

JOINERS = "\u200c\u200d"
"""zero-width (non-)joiners, which are not printable but belong to words of many scripts"""


def escaped(text: str) -> str:
    r"""Escape what is not a character to be seen: control characters, line breaks, bytes that are not UTF-8.

    Example:
        >>> escaped("two\nlines, \x1b[31mred, caf\udce9, 猫")
        'two\\nlines, \\x1b[31mred, caf\\udce9, 猫'
    """
    return text if text.isprintable() else "".join(c if _visible(c) else escape(c) for c in text)


def escape(character: str) -> str:
    r"""Write a character as Python's code point.

    Example:
        >>> print(escape("猫"))
        \u732b
    """
    return character.encode("unicode_escape").decode("ascii")


def _visible(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs" or character in JOINERS
