"""Own tables: .csv and .tsv files of numbers, with a line of names or without, read in bounded memory."""

import csv
import logging
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain, count, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from vaekit.data.arrays import require_memory
from vaekit.data.cells import EXACT, SEPARATORS, Style, counts, is_header, is_word, rounded, style
from vaekit.data.columns import LABELS, NUMBERS, Columns, distinct, generic, listed, nameless, place, places
from vaekit.data.raw import Raw
from vaekit.errors import InputError

log = logging.getLogger("vaekit")

HEAD = 2**16
"""characters that tell how a table is written"""
LONGEST = 2**24
"""characters of a line"""
CHUNK = 2**16
"""cells that are read at a time"""
MANY_CLASSES = 100
"""a column called target with more different numbers is a quantity"""

SHOWN = 3
"""bad cells that are named one by one"""

Row = tuple[int, list[str]]


def read_table(path: Path, asked: Columns = Columns()) -> Raw:  # noqa: B008 (frozen)
    """Read a table; labels, and columns that only number the rows, are told apart from the data, and the log says so.

    Args:
        path: A file of UTF-8 text whose cells are separated by commas (.csv) or tabs (.tsv); other separators are
            recognized.
        asked: Which columns are labels, left out, or known to a model.

    Raises:
        InputError: If cells are not finite numbers, lines have unlike numbers of cells, or columns are missing.
    """
    require_memory(2 * path.stat().st_size, str(path))
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.read(HEAD)
            written = style(head if len(head) < HEAD else head[: head.rfind("\n") + 1] or head, usual)
            stream.seek(0)
            if written.separator != usual:
                commas = " and have decimal commas" if written.decimal == "," else ""
                names = {mark: word for word, mark in SEPARATORS.items()}
                log.info("cells of %s are separated by %ss%s", path, names[written.separator], commas)
            return _read(_rows(stream, written.separator, path), path, asked, written)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is not a UTF-8 text table ({error}): export it again, with every quotation mark closed"
        ) from error


def read_frame(frame: Any, asked: Columns, source: str) -> Raw:
    """Read a data frame as the file that its `to_csv` writes without its index.

    Args:
        frame: An object with names in `columns`, such as a DataFrame of pandas or polars.
        asked: As for `read_table`.
        source: What it is called in errors.

    Raises:
        InputError: As for `read_table`.
    """
    names = ["" if isinstance(name, int) else str(name) for name in frame.columns]
    rows: Iterator[Row] = enumerate(cells(frame), 1)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{source} have no rows of numbers: give a row for every example")
    written = Style(",")
    table = Table(source, _layout(names, first[1], source, asked, written, any(names)), written)
    table.read(chain([first], rows))
    return table.raw(asked)


def cells(frame: Any) -> Iterator[list[str]]:
    """Give the cells of each row of a data frame."""
    columns = [frame.iloc[:, i] if hasattr(frame, "iloc") else frame[name] for i, name in enumerate(frame.columns)]
    return (list(map(_cell, row)) for row in zip(*map(_values, columns), strict=True))


def _values(column: Any) -> list[Any]:
    """Return the values of a column of a data frame, with times as words."""
    values = np.asarray(column)
    return (values.astype(str) if values.dtype.kind in "mM" else values).tolist()


def _cell(value: Any) -> str:
    """Write a value as a cell: nothing for what is missing, 0 and 1 for booleans."""
    if isinstance(value, bool):
        return str(int(value))
    text = "" if value is None else str(value)
    return "" if text in ("nan", "<NA>", "NaT") else text


def _rows(stream: IO[str], separator: str, path: Path) -> Iterator[Row]:
    """Give the cells of every line that is not blank, with its number."""
    reader = csv.reader(_lines(stream, path), delimiter=separator, strict=True)
    for row in reader:
        if row:
            yield reader.line_num, row


def _lines(stream: IO[str], path: Path) -> Iterator[str]:
    for number in count(1):
        line = stream.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise InputError(
                f"{path} line {number} has more than {LONGEST:,} characters: give a line for every example, or save "
                "the examples as a .npy file"
            )
        if not line:
            return
        yield line


class Layout(NamedTuple):
    """What each column of a table is.

    Attributes:
        names: Of all columns.
        numbers: Columns that are read as numbers.
        labels: The column that may be labels, kept as text.
        guessed: Whether no name says that it is.
        numbering: Columns that are called as row numbers are.
        left_out: Why columns are left out, by name.
    """

    names: list[str]
    numbers: list[int]
    labels: int | None
    guessed: bool
    numbering: list[int]
    left_out: dict[str, str]


def _read(rows: Iterator[Row], path: Path, asked: Columns, written: Style) -> Raw:
    head = list(islice(rows, 2))
    if not head:
        raise InputError(f"{path} has no rows of numbers: give a line for every example")
    first, second = (head[i][1] if i < len(head) else [] for i in range(2))
    names = is_header(first, second, written, LABELS)
    if any(written.number(cell) is not None for cell in first) and (names or counts(first)):
        what = "the names of the columns, not as an example" if names else "an example, not as the names of the columns"
        log.info("line %d of %s (%s, ...) is read as %s", head[0][0], path, ", ".join(map(_short, first[:4])), what)
    layout = _layout(first if names else [""] * len(first), second if names else first, path, asked, written, names)
    table = Table(path, layout, written)
    table.read(chain(head[names:], rows))
    return table.raw(asked)


def _layout(
    header: Sequence[str], below: Sequence[str], path: Path | str, asked: Columns, written: Style, named: bool
) -> Layout:
    """Tell the columns apart by their names and by the first line of values."""
    names = distinct(cell.strip() or generic(i) for i, cell in enumerate(header))
    words = {i for i, cell in enumerate(below) if i < len(names) and is_word(cell, written)}
    left_out = {names[place(name, names, str(path))]: "named by ignore" for name in asked.ignore}
    free = [i for i, name in enumerate(names) if name not in left_out and name not in (asked.wanted or ())]
    numbering = [i for i in free if named and len(names) > 1 and NUMBERS.fullmatch(header[i].strip().lower())]
    labels = _label_column(names, [i for i in free if i not in numbering], words, path, asked)
    numbering = [i for i in numbering if i != labels]
    left_out |= {names[i]: "it only numbers the rows" for i in numbering if i in words}
    kept = [i for i, name in enumerate(names) if i != labels and name not in left_out]
    if asked.wanted is not None:
        if nameless(asked.wanted):
            kept = [i for i in kept if i not in numbering and (i not in free or names[i].lower() not in LABELS)]
        kept = [kept[i] for i in places(asked.wanted, [names[i] for i in kept], str(path))]
    guessed = labels is not None and asked.label is None and names[labels].lower() not in LABELS
    return Layout(names, kept, labels, guessed, numbering, left_out)


def _label_column(
    names: Sequence[str], free: Sequence[int], words: set[int], path: Path | str, asked: Columns
) -> int | None:
    """Find the column that is named as the labels, else called like labels, else the only one of words."""
    if asked.label is not None:
        return place(asked.label, names, str(path)) if asked.label else None
    called = [i for word in LABELS for i in free if names[i].lower() == word]
    of_words = [i for i in free if i in words]
    found = called[0] if called else of_words[0] if len(of_words) == 1 else None
    return found if len(names) > 1 else None


@dataclass
class Text:
    """A column kept as text: of every row, the number of its cell among the distinct cells."""

    lines: dict[str, int] = field(default_factory=dict)
    """first line of each distinct cell"""
    numbers: dict[str, int] = field(default_factory=dict)
    codes: array = field(default_factory=lambda: array("q"))

    def add(self, cell: str, line: int) -> None:
        """Append a row."""
        if cell not in self.numbers:
            self.lines[cell], self.numbers[cell] = line, len(self.numbers)
        self.codes.append(self.numbers[cell])


class Table:
    """Cells of a table as they are read, and what is wrong with them.

    Args:
        path: Of the file, or what the table is called.
        layout: What each column is.
        style: How cells are written.
    """

    def __init__(self, path: Path | str, layout: Layout, style: Style) -> None:
        self.path, self.layout, self.style = path, layout, style
        self.numbers, self.text, self.rows = array("d"), Text(), 0
        self.problems: list[str] = []
        self.bad: Counter[int] = Counter()
        self.rounded: dict[int, str] = {}
        self.ragged: list[tuple[int, int]] = []

    def read(self, rows: Iterable[Row]) -> None:
        """Read all rows, a chunk of cells at a time."""
        width = len(self.layout.names)
        rows = iter(rows)
        while chunk := list(islice(rows, max(1, CHUNK // width))):
            whole = [row for row in chunk if len(row[1]) == width]
            self.ragged += [(line, len(row)) for line, row in chunk if len(row) != width]
            self._read_chunk(whole)

    def _read_chunk(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        labels, columns = self.layout.labels, self.layout.numbers
        if labels is not None:
            for line, row in rows:
                self.text.add(row[labels].strip(), line)
        cells = [row[i] for _, row in rows for i in columns]
        values = self._quickly(cells)
        if values is None:
            read = map(self.style.number, cells)
            values = np.array([np.nan if value is None else value for value in read], np.float64)
        for k in np.flatnonzero(~np.isfinite(values)).tolist():
            self._note_bad(columns[k % len(columns)], rows[k // len(columns)][0], cells[k])
        for k in np.flatnonzero(np.abs(values) >= EXACT).tolist():
            if np.isfinite(values[k]) and rounded(cells[k].replace(self.style.decimal, ".")):
                line = rows[k // len(columns)][0]
                self.rounded.setdefault(columns[k % len(columns)], f"{_short(cells[k])} in line {line}")
        self.numbers.frombytes(values.tobytes())

    def _quickly(self, cells: Sequence[str]) -> np.ndarray | None:
        """Read cells by Python's own rules, which allow more than numbers: None if there may be such."""
        text = "".join(cells)
        if self.style.decimal != "." or "_" in text or not text.isascii():
            return None
        try:
            return np.array(list(map(float, cells)), np.float64)
        except ValueError:
            return None

    def _note_bad(self, column: int, line: int, cell: str) -> None:
        self.bad[column] += 1
        if len(self.problems) < SHOWN:
            what = f"holds {_short(cell)}, which is not a finite number" if cell.strip() else "is empty"
            self.problems.append(f"line {line}, column {self.layout.names[column]!r} {what}")

    def raw(self, asked: Columns) -> Raw:
        """Give the examples without labels and without columns that only number the rows.

        Raises:
            InputError: If anything is wrong with the table.
        """
        keys = self._labels(asked)
        self._refuse()
        columns, at = list(self.layout.numbers), self.layout.labels
        x = np.frombuffer(self.numbers, np.float64).reshape(self.rows, len(columns))
        if at is not None and keys is None and asked.wanted is None:
            position = sum(i < at for i in columns)
            x = np.insert(
                x, position, np.array(list(map(self.style.number, self.text.numbers)))[self.text.codes], axis=1
            )
            columns.insert(position, at)
        left_out = dict(self.layout.left_out)
        if asked.wanted is None:
            x, columns = self._without_numbering(x, columns, left_out)
        for name, why in left_out.items():
            log.info("column %r of %s is left out (%s)", name, self.path, why)
        for i in columns:
            if i in self.rounded:
                raise InputError(
                    f"{self.path} column {self.layout.names[i]!r} has whole numbers beyond 2^53, such as "
                    f"{self.rounded[i]}, which 64-bit floats would round: leave it out (ignore), or subtract a constant"
                )
        if not columns:
            raise InputError(f"{self.path} has no column of numbers to learn from: add one")
        names = tuple(self.layout.names[i] for i in columns)
        raw = Raw(np.ascontiguousarray(x), "real", columns=names, left_out=left_out)
        return raw if at is None or keys is None else self._with_labels(raw, keys, self.layout.names[at])

    def _with_labels(self, raw: Raw, keys: Sequence[int | str], name: str) -> Raw:
        log.info("column %r of %s is read as labels, not as data", name, self.path)
        classes = {key: code for code, key in enumerate(sorted(set(keys)))}
        codes = np.array([classes[key] for key in keys], np.int64)[self.text.codes]
        return replace(raw, labels=codes, classes=tuple(map(str, classes)), label_column=name)

    def _labels(self, asked: Columns) -> list[int] | list[str] | None:
        """Tell which class each distinct cell of the column of labels stands for; None if it holds quantities."""
        column, cells = self.layout.labels, list(self.text.numbers)
        if column is None or not cells:
            return None
        name, values = self.layout.names[column], list(map(self.style.number, cells))
        if all(value is not None and math.isfinite(value) for value in values):
            few = len(cells) <= min(MANY_CLASSES, self.rows / 2) or not name.lower().startswith("target")
            if all(value % 1 == 0 for value in values if value is not None) and (few or asked.label):
                return [int(Decimal(cell.replace(self.style.decimal, "."))) for cell in cells]
            if asked.label:
                raise InputError(
                    f"{self.path} has the labels {_short(cells[0])}, ... in column {name!r}, but labels are whole "
                    "numbers or words: name another column"
                )
            return None
        classes = not self.layout.guessed or (len(cells) <= self.rows / 2 and not any(v is not None for v in values))
        missing = [
            c for c, v in zip(cells, values, strict=True) if (c.lower() in ("", "nan") if classes else v is None)
        ]
        if missing and asked.wanted is not None:
            return None  # a model needs no labels
        for cell in missing:
            for _ in range(self.text.codes.count(self.text.numbers[cell])):
                self._note_bad(column, self.text.lines[cell], cell)
        return cells

    def _without_numbering(
        self, x: np.ndarray, columns: list[int], left_out: dict[str, str]
    ) -> tuple[np.ndarray, list[int]]:
        """Leave out columns that are named like row numbers and never repeat; name others that count the rows."""
        kept = []
        for k, i in enumerate(columns):
            name = self.layout.names[i]
            if i in self.layout.numbering and len(columns) > 1 and _identifies(x[:, k], self.rounded.get(i)):
                left_out[name] = "it only numbers the rows"
                continue
            kept.append(k)
            if self.rows > 2 and x[0, k] in (0, 1) and np.all(np.diff(x[:, k]) == 1):
                log.info("column %r of %s counts the rows, and is read as data; ignore leaves it out", name, self.path)
            elif i in self.layout.numbering:
                log.info("column %r of %s is read as data, since its values repeat or are not whole", name, self.path)
        return x[:, kept] if len(kept) < len(columns) else x, [columns[k] for k in kept]

    def _refuse(self) -> None:
        """Say in one sentence all that is wrong with the lines and cells."""
        found = [*self._about_lines(), *self._about_cells()]
        if found:
            raise InputError(f"{self.path} {'; also, '.join(found)}")
        if not self.rows:
            raise InputError(f"{self.path} has no rows of numbers: give a line for every example")

    def _about_lines(self) -> Iterator[str]:
        if self.ragged:
            (line, cells), more = self.ragged[0], len(self.ragged) - 1
            others = f" (and {more} more lines have another number of cells)" if more else ""
            yield (
                f"line {line} has {cells} cells, but the first line has {len(self.layout.names)}{others}: "
                "give every line as many, and quotation marks to cells that hold the separator"
            )

    def _about_cells(self) -> Iterator[str]:
        if self.problems:
            more = self.bad.total() - len(self.problems)
            columns = listed([self.layout.names[i] for i in self.bad])
            others = f" (and {more} more such cells, in columns {columns})" if more else ""
            yield (
                f"{'; '.join(self.problems)}{others}: fill it, encode it as a number, or leave the column "
                "out (ignore); one column of words may be the labels (label)"
            )


def _identifies(values: np.ndarray, rounded: str | None) -> bool:
    return rounded is not None or (not np.any(values % 1) and len(np.unique(values)) == len(values))


def _short(cell: str, most: int = 40) -> str:
    return repr(cell if len(cell) <= most else f"{cell[:most]}...")
