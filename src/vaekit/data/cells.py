"""Cells of a table as text: how they are separated, which are numbers, and whether the first line has names."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import numpy as np

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blank": " "}
"""what may stand between cells; several blanks count as one"""
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "missing", "?")
"""what stands for a missing value, in lower case"""
MARKS = {".": (",", "'", " ", "\u00a0", "\u202f"), ",": (".", "'", " ", "\u00a0", "\u202f")}
"""what may group digits by thousands, by what stands before decimals"""
EXACT = 2**53
"""whole numbers from here on may be rounded by a 64-bit float"""
GRID = 5
"""so many evenly spaced numbers are taken for names wherever they start"""

# No two repetitions that follow each other may take the same characters, else long cells take quadratic time.
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*", re.ASCII)
_PLAIN = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)
_ODD = re.compile(r"[+-]?(inf|infinity)|[\d_.,+\s-]*", re.IGNORECASE)
_GROUPED = {
    decimal: re.compile(rf"[+-]?\d{{1,3}}([{re.escape(''.join(marks))}])\d{{3}}(\1\d{{3}})*([{decimal}]\d+)?", re.ASCII)
    for decimal, marks in MARKS.items()
}


class Style(NamedTuple):
    """How a table is written.

    Attributes:
        separator: What stands between cells.
        decimal: What stands before decimals, a point or a comma.
        quote: What stands around cells that hold the separator.
    """

    separator: str
    decimal: str = "."
    quote: str = '"'

    def spelled(self, values: np.ndarray) -> list[str]:
        """Write values, numbers with up to nine digits.

        Example:
            >>> Style(";", ",").spelled(np.array([0.5, 2]))
            ['0,5', '2']
        """
        if values.dtype.kind != "f":
            return [str(value) for value in values.tolist()]
        return [f"{value:.9g}".replace(".", self.decimal) for value in values.tolist()]

    def number(self, cell: str) -> float | None:
        """Read a cell as a number, None if it is not one; digits may be grouped by thousands.

        Example:
            >>> Style(",").number("1e3"), Style(",").number("1_000"), Style(";", ",").number("0,5")
            (1000.0, None, 0.5)
            >>> Style(",").number("1,234.5"), Style(";", ",").number("1.234,5")
            (1234.5, 1234.5)
        """
        if grouped := _GROUPED[self.decimal].fullmatch(cell.strip()):
            cell = cell.replace(grouped[1], "")
        if self.decimal == ",":
            if "." in cell:
                return None
            cell = cell.replace(",", ".")
        return float(cell) if _NUMBER.fullmatch(cell) else None


def rounded(cell: str) -> bool:
    """Whether a cell is a whole number that a 64-bit float does not hold exactly.

    Example:
        >>> rounded("9007199254740993"), rounded("9007199254740992")
        (True, False)
    """
    return bool(_WHOLE.fullmatch(cell)) and Decimal(cell.strip()) != Decimal(float(cell))


def style(head: str, usual: str) -> Style:
    """Tell from a table's beginning how it is written: as usual, unless others give more numbers or equal lines.

    Example:
        >>> style("a;b\\n0,5;1", ",")
        Style(separator=';', decimal=',', quote='"')
    """
    lines = [line for line in head.splitlines() if line.strip()][:100]
    others = [mark for mark in SEPARATORS.values() if mark != usual and all(mark in line.strip() for line in lines)]
    quote = "'" if '"' not in head and _QUOTED.search(head) else '"'
    styles = [Style(mark, _decimal(lines, Style(mark, quote=quote)), quote) for mark in (usual, *others)]
    return max(styles, key=lambda style: _fit(lines, style))


_QUOTED = re.compile(r"(^|[,;\t| ])'[^'\n]*'([,;\t| ]|$)", re.MULTILINE)


def _decimal(lines: Sequence[str], style: Style) -> str:
    """Tell what stands before decimals: a comma if some stand where none groups digits, or between semicolons."""
    cells = [cell.strip() for row in split(lines, style) for cell in row]
    commas = [cell for cell in cells if "," in cell and (_COMMA.fullmatch(cell) or _GROUPED[","].fullmatch(cell))]
    if style.separator == ";":
        return "," if commas else "."
    points = any("." in cell and _NUMBER.fullmatch(cell) for cell in cells)
    return "," if not points and any(not _GROUPED["."].fullmatch(cell) for cell in commas) else "."


def _fit(lines: Sequence[str], style: Style) -> tuple[float, bool]:
    """Say how well a table is read in a style: the share of numbers, then whether all lines have as many cells."""
    rows = split(lines, style)
    numbers = [style.number(cell) is not None for row in rows for cell in row]
    return fmean(numbers or [0]), len({len(row) for row in rows}) == 1 and len(rows[0]) > 1


def split(lines: Iterable[str], style: Style) -> list[list[str]]:
    """Split lines into cells.

    Example:
        >>> split(["1  2 ", "3 4"], Style(" "))
        [['1', '2'], ['3', '4']]
    """
    return [cells for _, cells in numbered(lines, style)]


def numbered(lines: Iterable[str], style: Style, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of every line, none of a blank one, with the number of the line, counted from 1.

    Args:
        lines: Of the table; a cell in quotation marks may go over several.
        style: How they are written.
        strict: Whether a quotation mark that is never closed is an error.

    Raises:
        csv.Error: If quotation marks are wrong.
    """
    blanks = style.separator == " "
    lines = (line.strip() for line in lines) if blanks else lines
    reader = csv.reader(lines, delimiter=style.separator, quotechar=style.quote, skipinitialspace=blanks, strict=strict)
    for cells in reader:
        yield reader.line_num, cells


def is_word(cell: str, style: Style) -> bool:
    """Whether a cell could be a name: not blank, not a number or like one, and not a mark of a missing value."""
    cell = cell.strip()
    return style.number(cell) is None and cell.lower() not in MISSING and not _ODD.fullmatch(cell)


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
