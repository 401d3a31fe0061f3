"""Cells of a table: how they are separated, which are numbers, and whether the first line is one of names."""

import csv
import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
EXACT = 2**53
"""whole numbers from here on may be rounded by a 64-bit float"""
GRID = 5
"""so many evenly spaced numbers are taken for names wherever they start"""

# No two repetitions that follow each other may take the same characters, else long cells take quadratic time.
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*", re.ASCII)
_PLAIN = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)
_NO_NAME = re.compile(r"[+-]?(nan|inf|infinity)|n/?a|null|none|missing|[?]|[\d_.,+\s-]*", re.IGNORECASE)


class Style(NamedTuple):
    """How a table is written.

    Attributes:
        separator: What stands between cells.
        decimal: What stands before decimals, a point or a comma.
    """

    separator: str
    decimal: str = "."

    def number(self, cell: str) -> float | None:
        """Read a cell as a number, None if it is not one; digits may not be grouped.

        Example:
            >>> Style(",").number("1e3"), Style(",").number("1_000"), Style(";", ",").number("0,5")
            (1000.0, None, 0.5)
        """
        if self.decimal == ",":
            if "." in cell:
                return None
            cell = cell.replace(",", ".")
        return float(cell) if _NUMBER.fullmatch(cell) else None

    def rounded(self, cell: str) -> bool:
        """Whether a cell is a whole number that a 64-bit float does not hold exactly.

        Example:
            >>> Style(",").rounded("9007199254740993"), Style(",").rounded("9007199254740992")
            (True, False)
        """
        cell = cell.replace(self.decimal, ".")
        return bool(_WHOLE.fullmatch(cell)) and Decimal(cell.strip()) != Decimal(float(cell))


def style(head: str, usual: str) -> Style:
    """Tell from a table's beginning how it is written: as usual, unless other separators give more numbers.

    Example:
        >>> style("a;b\\n0,5;1", ",")
        Style(separator=';', decimal=',')
    """
    lines = [line for line in head.splitlines() if line.strip()][:100]
    others = [mark for mark in SEPARATORS if mark != usual and all(mark in line for line in lines)]
    styles = [Style(usual), *(Style(mark, _decimal(lines, mark)) for mark in others)]
    return max(styles, key=lambda style: _share_of_numbers(lines, style))


def _decimal(lines: Sequence[str], separator: str) -> str:
    """A comma among digits is a decimal comma where semicolons stand between cells, elsewhere it may group digits."""
    commas = separator == ";" and any(_COMMA.fullmatch(cell) for cell in _cells(lines, separator))
    return "," if commas else "."


def _share_of_numbers(lines: Sequence[str], style: Style) -> float:
    return fmean([style.number(cell) is not None for cell in _cells(lines, style.separator)] or [0])


def _cells(lines: Sequence[str], separator: str) -> list[str]:
    return [cell for row in csv.reader(lines, delimiter=separator) for cell in row]


def is_word(cell: str, style: Style) -> bool:
    """Whether a cell could be a name: not blank, not a number or like one, and not a mark of a missing value."""
    return style.number(cell) is None and not _NO_NAME.fullmatch(cell.strip())


def is_header(first: Sequence[str], second: Sequence[str], style: Style, known: Sequence[str] = ()) -> bool:
    """Tell whether the first line has the names of the columns.

    Words are names. Numbers are where the line below shows it: beside words that have numbers below them, or evenly
    spaced (0, 1, 2, ... or years) above values that are not.

    Args:
        first, second: The cells of the first two lines; the second may be empty.
        style: How the table is written.
        known: Words that are names of columns wherever they stand.
    """
    places = [i for i, cell in enumerate(first) if style.number(cell) is not None]
    words = [i for i, cell in enumerate(first) if is_word(cell, style)]
    if not places:
        return bool(words)
    numbers, below = [first[i] for i in places], [second[i] for i in places if i < len(second)]
    above_number = any(
        i < len(second) and style.number(second[i]) is not None for i in range(len(first)) if i not in places
    )
    if words:
        named = above_number or any(first[i].strip().lower() in known for i in words)
        whole = all(map(_WHOLE.fullmatch, numbers)) and len(set(numbers)) == len(numbers)
        return (named and whole) or _are_names(numbers, below, style)
    if len(places) == len(first):
        return _are_names(numbers, below, style)
    blank = not any(cell.strip() for i, cell in enumerate(first) if i not in places)  # else NaN or the like
    return blank and above_number and (counts(numbers) or _are_names(numbers, below, style))


def _are_names(numbers: Sequence[str], below: Sequence[str], style: Style) -> bool:
    """Whether numbers are evenly spaced over others that are not: many of them, or a count above decimals."""
    if not _spaced(numbers) or _spaced(below):
        return False
    decimals = any(style.decimal in cell and style.number(cell) is not None for cell in below)
    return len(numbers) >= GRID or (counts(numbers) and decimals)


def counts(cells: Sequence[str]) -> bool:
    """Whether cells count 0, 1, 2, ... or 1, 2, 3, ..., or are years at even distances.

    Example:
        >>> counts(["0", "1"]), counts(["2019", "2020"]), counts(["7", "8"])
        (True, True, False)
    """
    if not _spaced(cells):
        return False
    first, second, last = Decimal(cells[0]), Decimal(cells[1]), Decimal(cells[-1])
    return (first in (0, 1) and second == first + 1) or (first >= 1500 and last <= 2200 and first % 1 == 0)


def _spaced(cells: Sequence[str]) -> bool:
    """Whether cells are plain numbers that ascend evenly."""
    if len(cells) < 2 or not all(map(_PLAIN.fullmatch, cells)) or max(map(len, cells)) > 20:
        return False
    values = [Decimal(cell.strip()) for cell in cells]
    steps = {after - before for before, after in pairwise(values)}
    return len(steps) == 1 and min(steps) > 0
