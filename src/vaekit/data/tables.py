"""Own tables: .csv and .tsv files of numbers, with a header line or without."""

import csv
import logging
import math
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from vaekit.data.arrays import require_memory
from vaekit.data.raw import Raw, coded_labels
from vaekit.errors import InputError

log = logging.getLogger("vaekit")

LABELS = ("label", "labels", "class")


def read_table(path: Path) -> Raw:
    """Read a table; a column named label or class that holds whole numbers becomes the labels.

    Raises:
        InputError: If a cell is no finite number, or a line has more or fewer cells than the first.
    """
    require_memory(2 * path.stat().st_size, str(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            names, cells = _parse(lines, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no UTF-8 text table ({error}): export it again") from error
    x = np.frombuffer(cells, np.float64).reshape(-1, len(names))
    return _without_labels(x, names, path)


def _parse(lines: Iterable[list[str]], path: Path) -> tuple[tuple[str, ...], array]:
    """Read the names of the columns, if the first line has names, and the cells row by row."""
    numbered = ((number, row) for number, row in enumerate(lines, 1) if row)
    names: tuple[str, ...] = ()
    cells = array("d")
    for line, row in numbered:
        if not names:
            header = _is_header(row, line, path)
            names = tuple(cell.strip() if header and cell.strip() else f"column {i}" for i, cell in enumerate(row, 1))
            if header:
                continue
        if len(row) != len(names):
            raise InputError(f"{path} line {line} has {len(row)} cells, but the first line has {len(names)}")
        try:
            values = [float(cell) for cell in row]
        except ValueError:
            raise _bad_cell(row, names, line, path) from None
        if not all(map(math.isfinite, values)):
            raise _bad_cell(row, names, line, path)
        cells.extend(values)
    if not cells:
        raise InputError(f"{path} has no rows of numbers: give a line for every example")
    return names, cells


def _is_header(row: Sequence[str], line: int, path: Path) -> bool:
    numbers = [cell for cell in row if _is_number(cell)]
    words = [cell for cell in row if cell.strip() and not _is_number(cell)]
    if words and numbers:
        raise InputError(
            f"{path} line {line} mixes words such as {words[0]!r} and numbers such as {numbers[0]!r}: "
            "give a first line of column names, and numbers below it"
        )
    return bool(words)


def _bad_cell(row: Sequence[str], names: Sequence[str], line: int, path: Path) -> InputError:
    name, cell = next((name, cell) for name, cell in zip(names, row, strict=True) if not _is_number(cell, finite=True))
    what = f"holds {cell!r}, which is no finite number" if cell.strip() else "is empty"
    return InputError(f"{path} line {line}, column {name!r} {what}: fill it, encode it as a number, or remove it")


def _is_number(cell: str, finite: bool = False) -> bool:
    try:
        return math.isfinite(float(cell)) or not finite
    except ValueError:
        return False


def _without_labels(x: np.ndarray, names: tuple[str, ...], path: Path) -> Raw:
    column = next((i for i, name in enumerate(names) if name.lower() in LABELS), None)
    if column is None or len(names) == 1 or np.any(x[:, column] % 1):
        return Raw(x, "real", columns=names)
    log.info("column %r of %s is read as labels, not as data", names[column], path)
    codes, classes = coded_labels(x[:, column], str(path))
    columns = names[:column] + names[column + 1 :]
    return Raw(np.delete(x, column, axis=1), "real", labels=codes, classes=classes, columns=columns)
