"""Names as they may be shown: files, columns and classes are called anything, and a terminal obeys what it reads."""

import codecs
import shlex
import unicodedata
from pathlib import PurePath, PureWindowsPath

JOINERS = "\u200c\u200d"
"""zero-width (non-)joiners, which are not printable but belong to words of many scripts"""


def escaped(text: str) -> str:
    r"""Escape what is not a character to be seen: control characters, line breaks, bytes that are not UTF-8.

    Example:
        >>> escaped("two\nlines, \x1b[31mred, caf\udce9, 猫")
        'two\\nlines, \\x1b[31mred, caf\\udce9, 猫'
    """
    return text if text.isprintable() else "".join(c if _visible(c) else escape(c) for c in text)


def title(source: str) -> str:
    """Return the name of a source of data without the folders of an absolute path, which are nobody else's business."""
    path = PurePath(source)
    return path.name if path.is_absolute() else source


def pathless(line: str, relative: bool = False) -> str:
    """Cut a command's absolute paths to their last names: where the user keeps them is nobody's business.

    With ``relative`` all paths are cut.

    Example:
        >>> pathless("vaekit evaluate '/home/me/my runs/first' --samples 1000")
        'vaekit evaluate first --samples 1000'
        >>> pathless("vaekit evaluate clinic/first --samples 1000", relative=True)
        'vaekit evaluate first --samples 1000'
    """
    try:
        words = shlex.split(line)
    except ValueError:  # a name with a quotation mark, written by hand
        words = line.split()
    parts = [PureWindowsPath(word) if ":" in word or "\\" in word else PurePath(word) for word in words]
    return shlex.join(
        part.name if part.is_absolute() or (relative and len(part.parts) > 1) else word
        for part, word in zip(parts, words, strict=True)
    )


def escape(character: str) -> str:
    r"""Write a character as Python's code point.

    Example:
        >>> print(escape("猫"))
        \u732b
    """
    return character.encode("unicode_escape").decode("ascii")


def _visible(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs" or character in JOINERS


PLAIN = {
    "±": "+/-", "×": "x", "−": "-", "–": "-", "…": "...", "·": "*", "→": "->", "≥": ">=", "≤": "<=", "≈": "~",
    "²": "^2", "½": "1/2", "√": "sqrt", "∞": "inf", "β": "beta", "σ": "sigma", "μ": "mu", "λ": "lambda", "Φ": "Phi",
}  # fmt: skip
"""how the signs of our own texts are written where the output does not know them"""


def plain(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks in ASCII (a handler of the codecs): our signs and accents by letters, else escaped.

    Example:
        >>> "−1.5 ± 0.2, Fréchet, 猫".encode("ascii", "plain")
        b'-1.5 +/- 0.2, Frechet, \\u732b'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    letter = unicodedata.normalize("NFD", character)[0]
    return PLAIN.get(character) or (letter if letter.isascii() else escape(character))


codecs.register_error("plain", plain)
