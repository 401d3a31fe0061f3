"""A column of text or of other values read as numbers, truth values, dates or words, all its cells at once.

polars is imported where it is needed, because that takes a third of a second.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vaekit.data.cells import EXACT, MARKS, MISSING, rounded
from vaekit.data.columns import listed
from vaekit.errors import InputError, shown

if TYPE_CHECKING:
    from polars import Series

DATES = {
    "%Y-%m-%d": "year-month-day",
    "%Y/%m/%d": "year/month/day",
    "%d.%m.%Y": "day.month.year",
    "%m/%d/%Y": "month/day/year",
    "%d/%m/%Y": "day/month/year",
    "%d-%m-%Y": "day-month-year",
}
"""how dates are written; of several that fit all cells of a column, the first is taken"""
DAY = 86_400e6
"""microseconds of a day"""

_PADDED = r"^\s*0[0-9]+\s*$"
_DATE = re.compile(
    r"(\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4})([T ](\d\d?:\d\d)(:\d\d(\.\d+)?)?\s*([+-]\d.*|Z)?)?"
)


class Parsed(NamedTuple):
    """The cells of a column.

    Attributes:
        values: As `Table` has them.
        notice: What was decided that is not plain to see, such as "dates (...) as days since 1970-01-01".
    """

    values: np.ndarray
    notice: str = ""


def parsed(text: "Series", decimal: str = ".", sentinels: Sequence[str] = ()) -> Parsed:
    """Read a column of text.

    Args:
        text: A Series of polars of strings or nulls.
        decimal: What stands before decimals, a point or a comma.
        sentinels: Cells that stand for missing values, besides `MISSING`.
    """
    if not sentinels and decimal == "." and (plain := _cast(text)) is not None:
        return _numbers(plain, text)
    text = _without_missing(text, sentinels)
    plain, notice = _plainly(text, decimal)
    if plain is not None and (numbers := _cast(plain)) is not None:
        return _numbers(numbers, plain, notice)
    return _truths(text) or _dates(text) or Parsed(text.to_numpy())


def read_values(values: np.ndarray, source: str, sentinels: Sequence[str] = (), words: bool = False) -> Parsed:
    """Read a column of an array or a data frame; strings are read as text, unless they are `words`.

    Args:
        values: Of all rows: numbers, truth values, times, strings or objects of these and of what is missing.
        source: What the column is called in errors.
        sentinels: As for `parsed`.
        words: Whether the values are known to be words, such as those of a categorical column.

    Raises:
        InputError: If they are complex or bytes.
    """
    from polars import Series, String

    kind = values.dtype.kind
    if words:
        text = Series([None if _absent(value) else str(value) for value in values.tolist()], dtype=String)
        return Parsed(_without_missing(text, sentinels).to_numpy())
    if kind == "b":
        return Parsed(values)
    if kind in "iuf" and (kind == "f" or not len(values) or max(values.max(), -int(values.min())) < EXACT):
        return Parsed(_without_numbers(values.astype(np.float64), sentinels))
    if kind in "mM":
        days = values.astype(f"{kind}8[us]").astype(np.float64) / DAY
        days[np.isnat(values)] = np.nan
        return Parsed(days, "dates as days since 1970-01-01" if kind == "M" else "durations in days")
    known = [None if _absent(value) else value for value in values.tolist()]
    kinds = set(map(type, known)) - {type(None)}
    if any(issubclass(each, bytes | complex) for each in kinds):
        raise InputError(f"{source} holds {shown(values[0])}, which is neither a number nor a word: leave it out")
    if kinds and kinds <= {bool, np.bool_}:
        return Parsed(np.array(known))
    if kinds and all(issubclass(each, float | np.floating) for each in kinds):
        return read_values(np.array(known, np.float64), source, sentinels)  # None becomes NaN
    return parsed(Series([None if value is None else str(value) for value in known], dtype=String), ".", sentinels)


def decisions(names: Iterable[str], columns: Iterable[Parsed]) -> list[str]:
    """Say what was decided of columns, those of which the same was decided together.

    Example:
        >>> decisions(["a", "b"], [Parsed(np.zeros(2)), Parsed(np.zeros(2), "durations in days")])
        ["durations in days in 'b'"]
    """
    noticed = defaultdict(list)
    for name, column in zip(names, columns, strict=True):
        noticed[column.notice].append(name)
    return [f"{notice} in {listed(where)}" for notice, where in noticed.items() if notice]


def _absent(value: Any) -> bool:
    """Whether an object stands for a missing value: None, NaN, or those of pandas, which do not compare."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value))


def _without_numbers(values: np.ndarray, sentinels: Sequence[str]) -> np.ndarray:
    """Replace numbers that stand for missing values by NaN."""
    numbers = [number for number in map(_float, sentinels) if number is not None]
    values[np.isin(values, numbers)] = np.nan
    return values


def _cast(text: "Series") -> "Series | None":
    """Return the numbers of a column that has no other cells; None if it has."""
    from polars import Float64

    numbers = text.cast(Float64, strict=False)
    return numbers if numbers.null_count() == text.null_count() else None


def _without_missing(text: "Series", sentinels: Sequence[str]) -> "Series":
    """Strip blanks around cells, and turn those that stand for missing values to nulls."""
    import polars

    stripped = text.str.strip_chars()
    missing = stripped.str.to_lowercase().is_in(list(MISSING))
    if sentinels:
        missing |= stripped.is_in(list(sentinels))
        numbers = [number for number in map(_float, sentinels) if number is not None]
        missing |= stripped.cast(polars.Float64, strict=False).is_in(numbers)
    return stripped.set(missing, None)


def _float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _plainly(text: "Series", decimal: str) -> tuple["Series | None", str]:
    """Write numbers with a point and without marks between groups of digits, and say which marks there were.

    Where decimals follow a comma, a point that groups no digits is not part of a number.
    """
    notice = ""
    for mark in MARKS[decimal]:
        grouped = text.str.contains(rf"^[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}})+(?:[{decimal}][0-9]+)?$")
        if grouped.any():
            notice = f"digits grouped by {mark!r}"
            text = text.str.replace_all(mark, "", literal=True).zip_with(grouped, text)
    if decimal == ".":
        return text, notice
    return None if text.str.contains(".", literal=True).any() else text.str.replace(",", ".", literal=True), notice


def _numbers(numbers: "Series", text: "Series", notice: str = "") -> Parsed:
    """Return numbers; those that would be rounded or lose leading zeros stay words, because they name something."""
    if text.str.contains(_PADDED).any():
        return Parsed(text.str.strip_chars().to_numpy(), "whole numbers with leading zeros as words")
    values = numbers.to_numpy().astype(np.float64, copy=False)
    large = np.flatnonzero(np.abs(values) >= EXACT).tolist()
    if any(rounded(text[row]) for row in large):
        return Parsed(text.str.strip_chars().to_numpy(), "whole numbers beyond 2^53 as words")
    return Parsed(values, notice)


def _truths(text: "Series") -> Parsed | None:
    """Read true and false in any case."""
    lower = text.str.to_lowercase()
    known = lower.drop_nulls()
    if not known.is_in(["true", "false"]).all():
        return None
    return Parsed((lower == "true").to_numpy())


def _dates(text: "Series") -> Parsed | None:
    """Read dates, with or without times, as days since 1970-01-01."""
    known = text.drop_nulls()
    first = _DATE.fullmatch(known[0])
    if first is None:
        return None
    _, time, _, seconds, _, zone = first.groups()
    clock = f" %H:%M{':%S%.f' if seconds else ''}{'%#z' if zone else ''}" if time else ""
    text = text.str.replace("T", " ", literal=True)
    for date, name in DATES.items():
        moments = text.str.to_datetime(date + clock, strict=False, time_unit="us")
        if moments.null_count() == text.null_count():
            days = moments.dt.epoch("us").to_numpy().astype(np.float64) / DAY
            return Parsed(days, f"dates ({name}) as days since 1970-01-01")
    return None
