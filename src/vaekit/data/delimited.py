"""Tables of text: how they are written is told from their beginning, and polars reads them.

polars is imported where it is needed, because that takes a third of a second.
"""

import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from vaekit.data.cells import SEPARATORS, Style, counts, is_header, numbered, split, style
from vaekit.data.columns import LABELS, distinct, generic
from vaekit.data.encodings import as_utf8, unpacked
from vaekit.data.parsing import decisions, parsed
from vaekit.data.raw import Table
from vaekit.errors import InputError, shown
from vaekit.specs import spec

if TYPE_CHECKING:
    from polars import DataFrame

log = logging.getLogger("vaekit")

HEAD = 2**16
"""bytes that tell how a table is written"""
DECIMALS = {"point": ".", "comma": ","}


@spec
class Format:
    """How a table of text is written, where what is told from the file is wrong."""

    separator: Literal["comma", "semicolon", "tab", "bar", "blank"] | None = None
    """what stands between cells (several blanks count as one); if none is given, it is told from the file"""
    decimal: Literal["point", "comma"] | None = None
    """what stands before decimals; if none is given, it is told from the file"""
    header: bool | None = None
    """whether the first line has the names of the columns; if none is given, it is told from the file"""
    encoding: str | None = None
    """encoding of the text, such as cp1252; if none is given, it is told from the file"""


def read_text(path: Path, written: Format = Format(), sentinels: Sequence[str] = ()) -> Table:  # noqa: B008 (frozen)
    """Read a table of text; what is told from it that is not plain to see is logged.

    Args:
        path: A .csv, .tsv or .txt file, or one of these packed as .gz.
        written: What is known of how it is written.
        sentinels: Cells that stand for missing values, besides blanks, NA and the like.

    Raises:
        InputError: If it is not text, has no rows, or lines of unlike numbers of cells.
    """
    data, encoding = as_utf8(unpacked(path), str(path), written.encoding)
    text = _written(data, path, written)
    frame = _frame(text)
    first, second = ([cell or "" for cell in row] for row in [*frame.head(2).rows(), (), ()][:2])
    named = _is_named(first, second, text.style, written)
    if len(frame) <= named:
        raise InputError(f"{path} has no rows: give a line for every example")
    names = tuple(distinct((first[i].strip() if named else "") or generic(i) for i in range(len(first))))
    columns = [parsed(column[named:], text.style.decimal, sentinels) for column in frame.get_columns()]
    usual = text.style.separator == _usual(path)
    decided = [
        *[f"encoding {encoding}"] * (encoding != "utf-8"),
        *[f"{_word(SEPARATORS, text.style.separator)}s between cells"] * (not usual),
        *["commas before decimals"] * (text.style.decimal == ","),
        *_about_names(first, named, text),
        *decisions(names, columns),
    ]
    if decided:
        log.info("chosen: reading %s with %s", path, "; ".join(decided))
    return Table(str(path), names, tuple(column.values for column in columns), partial(_where, text, named))


class Cells(NamedTuple):
    """The cells of a table of text as they are written.

    Attributes:
        style: How they are written.
        header: The first line, if it has the names of the columns.
        rows: The cells of each row.
    """

    style: Style
    header: list[str] | None
    rows: list[list[str]]


def read_cells(path: Path, written: Format = Format()) -> Cells:  # noqa: B008 (frozen)
    """Read the cells of a table of text, which `read_text` reads without an error, as they are written."""
    text = _written(as_utf8(unpacked(path), str(path), written.encoding)[0], path, written)
    first, *rest = (cells for _, cells in text.lines() if cells)
    if rest and len(rest[0]) == len(first) + 1:
        first = ["", *first]
    if _is_named(first, rest[0] if rest else (), text.style, written):
        return Cells(text.style, first, rest)
    return Cells(text.style, None, [first, *rest])


def _is_named(first: Sequence[str], second: Sequence[str], style: Style, written: Format) -> bool:
    """Tell whether the first line has the names of the columns."""
    return is_header(first, second, style, LABELS) if written.header is None else written.header


def _about_names(first: Sequence[str], named: bool, text: "_Text") -> Iterator[str]:
    """Say how the first line is read if it could be read otherwise."""
    if any(text.style.number(cell) is not None for cell in first) and (named or counts(first)):
        what = "names of the columns" if named else "an example"
        yield f"line {text.before + 1} ({', '.join(map(shown, first[:4]))}, ...) as {what}"


def _word(words: dict[str, str], mark: str) -> str:
    return next(word for word, each in words.items() if each == mark)


def _usual(path: Path) -> str:
    return "\t" if ".tsv" in map(str.lower, path.suffixes) else ","


@dataclass(frozen=True)
class _Text:
    """A table as text.

    Args:
        source: What it is called in errors.
        data: Its text as UTF-8, without comments before the table.
        style: How it is written.
        before: How many lines stand before.
    """

    source: str
    data: bytes
    style: Style
    before: int

    def lines(self, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Give the cells of every line, none of a blank one, with its number in the file."""
        stream = io.TextIOWrapper(io.BytesIO(self.data), "utf-8", newline="")
        return ((line + self.before, cells) for line, cells in numbered(stream, self.style, strict))


def _written(data: bytes, path: Path, written: Format) -> _Text:
    """Tell how a table is written, and take off comments before it; one that has the names of its columns stays."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    before, comment = 0, b""
    while data[:1] in (b"#", b"\n", b"\r"):
        line, _, data = data.partition(b"\n")
        before, comment = before + 1, line.lstrip(b"#").strip() or comment
    data = data.rstrip(b"\r\n")
    head = data[:HEAD].decode(errors="ignore")
    whole = head if len(data) < HEAD else head[: head.rfind("\n") + 1] or head
    found = style(whole, _usual(path))
    found = found._replace(
        separator=SEPARATORS.get(written.separator or "", found.separator),
        decimal=DECIMALS.get(written.decimal or "", found.decimal),
    )
    names, cells = (split([line], found) for line in (comment.decode(), whole.partition("\n")[0]))
    if comment and len(names[0]) == len(cells[0]):
        data, before = comment + b"\n" + data, before - 1
    return _Text(str(path), data, found, before)


def _frame(text: _Text) -> "DataFrame":
    """Read all cells as strings, blank ones as nulls, without blank lines.

    Raises:
        InputError: If lines have unlike numbers of cells, or quotation marks are wrong.
    """
    import polars

    if not text.data:
        raise InputError(f"{text.source} has no rows: give a line for every example")
    mark, quoted = text.style.separator.encode(), text.style.quote.encode() in text.data
    if not quoted:
        data = _tidy(text)
        frame = _parsed(data, text.style)
        if frame is not None and data.count(mark) == (frame.width - 1) * len(frame):
            return frame
    blank = _checked(text)
    if blank is None:  # a name is missing: that of the column which numbers the rows
        return _frame(replace(text, data=2 * text.style.quote.encode() + mark + text.data))
    frame = None if mark == b" " else _parsed(text.data, text.style)
    if frame is not None and len(frame) == len(blank):
        return frame.filter(~polars.Series(blank, dtype=polars.Boolean)) if any(blank) else frame
    frame = _parsed(_rewritten(text), Style(","))
    if frame is None:
        raise InputError(f"{text.source} cannot be read as a table of text: export it again")
    return frame


def _parsed(data: bytes, style: Style) -> "DataFrame | None":
    import polars

    try:
        return polars.read_csv(
            data, has_header=False, infer_schema=False, separator=style.separator, quote_char=style.quote
        )
    except polars.exceptions.PolarsError:
        return None


def _tidy(text: _Text) -> bytes:
    """Take out blank lines and, between cells that blanks separate, all blanks but one."""
    data = text.data
    if text.style.separator == " ":
        data = (re.sub(b" +", b" ", data) if b"  " in data else data).strip(b" ")
        for end in (b"\n", b"\r\n"):
            data = data.replace(b" " + end, end).replace(end + b" ", end)
    return re.sub(rb"(\r?\n){2,}", b"\n", data) if re.search(rb"\n\r?\n", data) else data


def _checked(text: _Text) -> list[bool] | None:
    """Tell which lines are blank; None if the first line lacks a cell that all others have.

    Raises:
        InputError: If lines have unlike numbers of cells, or quotation marks are wrong.
    """
    try:
        counted = [(line, len(cells)) for line, cells in text.lines(strict=True)]
    except csv.Error as error:
        raise InputError(
            f"{text.source} is not a table of text ({error}): export it again, with every quotation mark closed"
        ) from error
    first = counted[0][1]
    ragged = [(line, cells) for line, cells in counted if cells not in (0, first)]
    if ragged and all(cells in (0, first + 1) for _, cells in counted[1:]):
        return None
    if ragged:
        (line, cells), more = ragged[0], len(ragged) - 1
        others = f" (and {more} more lines have another number of cells)" if more else ""
        raise InputError(
            f"{text.source} line {line} has {cells} cells, but the first line has {first}{others}: "
            "give every line as many, and quotation marks to cells that hold the separator"
        )
    return [not cells for _, cells in counted]


def _rewritten(text: _Text) -> bytes:
    """Write a table anew whose quotation marks or blanks polars does not read as csv does."""
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(cells for _, cells in text.lines() if cells)
    return stream.getvalue().encode()


def _where(text: _Text, named: bool, row: int) -> str:
    """Name the line of a row."""
    rows = (line for line, cells in text.lines() if cells)
    return f"line {next(islice(rows, row + named, None))}"
