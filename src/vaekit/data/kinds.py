"""Kinds of a table's columns: told from the values where none is set, and the numbers that values are to a model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vaekit.data.columns import CODED, Column, Kind, listed
from vaekit.data.raw import Table
from vaekit.errors import InputError, shown

SHOWN = 3
"""bad cells that are named one by one"""
TRUTHS = ("False", "True")
"""categories of a column of truth values"""
MOST_DECIMALS = 6
"""beyond these, numbers were computed and not written down"""
WANTED: dict[Kind, str] = {
    "real": "a finite number",
    "positive": "a finite number above 0",
    "count": "a whole number from 0 on",
    "binary": "0 or 1",
}
"""what the cells of a column of numbers are"""


@dataclass
class Problems:
    """Cells that do not fit their columns, to be refused in one sentence.

    Args:
        table: Whose cells they are.
        remedy: What to do about them.
    """

    table: Table
    remedy: str
    cells: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, rows: Iterable[int], column: str, values: np.ndarray, wanted: str) -> None:
        """Note cells by their rows."""
        self.cells += [(row, column, f"holds {shown(values.item(row))}, which is not {wanted}") for row in rows]

    def refuse(self) -> None:
        """Say in one sentence all that is wrong.

        Raises:
            InputError: If anything is.
        """
        if not self.cells:
            return
        first = sorted(self.cells)[:SHOWN]
        named = "; ".join(f"{self.table.where(row)}, column {column!r} {what}" for row, column, what in first)
        more = len(self.cells) - len(first)
        columns = listed(list(dict.fromkeys(column for _, column, _ in self.cells)))
        others = f" (and {more} more such cells, in columns {columns})" if more else ""
        raise InputError(f"{self.table.source} {named}{others}: {self.remedy}")


def missing(values: np.ndarray) -> np.ndarray:
    """Mark the missing cells of a column of a table.

    Example:
        >>> missing(np.array([1.0, np.nan])), missing(np.array(["a", None], object))
        (array([False,  True]), array([False,  True]))
    """
    return np.isnan(values) if values.dtype.kind == "f" else np.array([value is None for value in values.tolist()])


def are_words(values: np.ndarray) -> bool:
    """Whether a column of a table holds words, and not truth values."""
    return values.dtype.kind == "O" and not are_truths(values)


def are_truths(values: np.ndarray) -> bool:
    """Whether a column of a table holds truth values."""
    kinds = set(map(type, values.tolist())) if values.dtype.kind == "O" else set()
    return values.dtype.kind == "b" or bool in kinds


def spelled(values: np.ndarray) -> list[str | None]:
    """Write the cells of a column of a table as words, None where they are missing.

    Example:
        >>> spelled(np.array([1.0, 2.5, np.nan])), spelled(np.array([True]))
        (['1', '2.5', None], ['True'])
    """
    if values.dtype.kind != "f":
        return [None if value is None else str(value) for value in values.tolist()]
    return [None if v != v else f"{v:.0f}" if v % 1 == 0 and abs(v) < 2**53 else repr(v) for v in values.tolist()]


def number(word: str) -> float | None:
    """Read a word as a number, with a decimal point or comma; None if it is not one.

    Example:
        >>> number("1e3"), number("0,5"), number("7b"), number("1_000")
        (1000.0, 0.5, None, None)
    """
    if "_" in word or not word.isascii():
        return None
    try:
        return float(word.replace(",", ".", 1) if "." not in word else word)
    except ValueError:
        return None


def described(name: str, values: np.ndarray, kind: Kind | None, source: str) -> Column:
    """Say what a column of a table is to a model: of a kind that is set, else by its type.

    Raises:
        InputError: If its values are not of that kind.
    """
    truths = are_truths(values)
    kind = kind or ("binary" if truths else "category" if are_words(values) else "real")
    if kind not in CODED:
        return Column(name=name, kind=kind, decimals=decimals(values) if values.dtype.kind == "f" else None)
    if truths:
        return Column(name=name, kind=kind, categories=TRUTHS)
    words = _distinct(values)
    if kind == "binary" and not set(words) - {"0", "1"}:
        return Column(name=name, kind=kind)
    if kind == "binary" and len(words) > 2:
        raise InputError(
            f"{source} column {name!r} is set to be binary (data.columns.{name}) and has {len(words)} different values "
            f"({listed(words)}): set it to category"
        )
    return Column(name=name, kind=kind, categories=tuple(words))


def decimals(values: np.ndarray) -> int | None:
    """Count the decimals that a column of numbers needs, NaN left out; None if they are too many to be meant.

    Example:
        >>> decimals(np.array([2007.0, np.nan])), decimals(np.array([39.1, 18.75])), decimals(np.array([1 / 3]))
        (0, 2, None)
    """
    left = values[np.isfinite(values)]
    if not len(left):
        return None
    for places in range(MOST_DECIMALS + 1):
        left = left[np.round(left, places) != left]
        if not len(left):
            return places
    return None


def _distinct(values: np.ndarray) -> list[str]:
    """List the different values of a column as words: numbers by their size, words in alphabetical order."""
    if values.dtype.kind == "f":
        return [word for word in spelled(np.unique(values)) if word is not None]
    words = {word for word in spelled(values) if word is not None}
    numbers = {word: number(word) for word in words}
    return sorted(words, key=lambda word: (numbers[word] is None, numbers[word] or 0.0, word))


def codes(column: Column, values: np.ndarray, problems: Problems) -> np.ndarray:
    """Give the numbers (N,) that the cells of a column are, NaN where they are missing, and note those that are none.

    Args:
        column: What the column is.
        values: Its cells, as a `Table` has them.
        problems: Where cells that are not of this kind are noted.
    """
    if column.categories:
        return _places(column, values, problems)
    numbers = values.astype(np.float64) if values.dtype.kind in "bf" else _numbers(values)
    with np.errstate(invalid="ignore"):
        good = {
            "real": np.isfinite(numbers),
            "positive": (numbers > 0) & np.isfinite(numbers),
            "count": (numbers >= 0) & (numbers % 1 == 0),
            "binary": (numbers == 0) | (numbers == 1),
        }[column.kind]
    bad = np.flatnonzero(~good & ~missing(values))
    problems.add(bad.tolist(), column.name, values, WANTED[column.kind])
    return numbers


def _numbers(values: np.ndarray) -> np.ndarray:
    read = [None if value is None else number(str(value)) for value in values.tolist()]
    return np.array([np.nan if value is None else value for value in read], np.float64)


def _places(column: Column, values: np.ndarray, problems: Problems) -> np.ndarray:
    """Give the numbers of words among the categories of a column; truth values may be written in any way."""
    place: dict[str | None, float] = {word: float(k) for k, word in enumerate(column.categories)}
    words = spelled(values)
    if column.categories == TRUTHS:
        place |= {"false": 0.0, "true": 1.0, "0": 0.0, "1": 1.0}
        words = [word and word.lower() for word in words]
    place[None] = np.nan
    if values.dtype.kind == "f":  # 1 may have been written 01
        numbers = {number(word): code for word, code in place.items() if word is not None}
        found = [place[word] if word in place else numbers.get(number(word or "")) for word in words]
    else:
        found = [place.get(word) for word in words]
    bad = [row for row, code in enumerate(found) if code is None]
    problems.add(bad, column.name, values, f"one of {listed(column.categories)}")
    return np.array([np.nan if code is None else code for code in found], np.float64)


def restored(column: Column, codes: np.ndarray) -> np.ndarray:
    """Give values of a column as its file has them: numbers, words ("" where they are missing) or truth values.

    Args:
        column: What the column is.
        codes: Numbers, NaN where values are missing; between two categories the nearer one is taken.
    """
    if not column.categories:
        return codes
    unknown, last = np.isnan(codes), len(column.categories) - 1
    place = np.rint(np.where(unknown, 0, codes)).clip(0, last).astype(int)
    numbers = np.array([number(word) for word in column.categories], np.float64)  # NaN of words
    if column.categories == TRUTHS:
        return np.where(unknown, np.nan, place) if unknown.any() else place.astype(bool)
    if spelled(numbers) == list(column.categories):  # not 02139, nor digits that would be rounded
        return np.where(unknown, np.nan, numbers[place])
    return np.where(unknown, "", np.array(column.categories)[place])


def rounded(column: Column, numbers: np.ndarray) -> np.ndarray:
    """Give numbers the decimals of their file; positive ones stay so."""
    if column.decimals is None:
        return numbers
    found = np.round(numbers, column.decimals)
    return np.maximum(found, 10.0**-column.decimals) if column.kind == "positive" else found


def side_by_side(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put columns (...) together: numbers as an array (..., D), others as an array with a field for each column.

    Example:
        >>> side_by_side({"a": np.array([1.0, 2.0]), "b": np.array(["x", "y"])})["b"]
        array(['x', 'y'], dtype='<U1')
    """
    values = list(columns.values())
    if all(each.dtype.kind == "f" for each in values):
        return np.stack(values, axis=-1)
    array = np.empty(values[0].shape, [(name, each.dtype) for name, each in columns.items()])
    for name, each in columns.items():
        array[name] = each
    return array


def as_rows(table: Table) -> np.ndarray:
    """Give a table as an array of numbers (N, D), or with a field for each column; missing words are empty."""
    return side_by_side({name: _plain(values) for name, values in zip(table.names, table.columns, strict=True)})


def _plain(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return values
    return np.array([word or "" for word in spelled(values)], np.str_)
