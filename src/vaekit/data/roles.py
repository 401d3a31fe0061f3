"""Roles of a table's columns: which are labels, which only number the rows, and which a model learns."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.data.cells import rounded
from vaekit.data.columns import (
    CODED,
    LABELS,
    NUMBERS,
    Column,
    Columns,
    Kind,
    generic,
    nameless,
    place,
    places,
)
from vaekit.data.kinds import WANTED, Problems, are_words, as_rows, codes, described, missing, number
from vaekit.data.raw import Raw, Table
from vaekit.errors import InputError, shown

if TYPE_CHECKING:
    from vaekit.data.space import Support

log = logging.getLogger("vaekit")

MANY_CLASSES = 100
"""a column called target with more different numbers is a quantity"""
MANY_WORDS = 20
"""a column of more different words may be names of the rows"""
NUMBERING = "it only numbers the rows"
REMEDY = (
    "correct it, name what stands for missing values (data.sentinels), set the kind of the column "
    "(data.columns.NAME=category), or leave it out (ignore)"
)


@dataclass(frozen=True)
class Roles:
    """What each column of a table is for, by its place.

    Args:
        data: Columns that are learned, in order.
        labels: The column of labels.
        left_out: Why columns are left out, by name.
    """

    data: list[int]
    labels: int | None
    left_out: dict[str, str]


def typed(table: Table, asked: Columns = Columns()) -> Raw:  # noqa: B008 (frozen)
    """Give the examples of a table as numbers, with what their columns are; what is decided is logged.

    Args:
        table: As it was read.
        asked: Which columns are labels, left out, known to a model, or of a kind.

    Raises:
        InputError: If cells do not fit their columns, or columns are missing.
    """
    if not len(table):
        raise InputError(f"{table.source} has no rows: give a row for every example")
    kinds = {table.names[place(name, table.names, table.source)]: kind for name, kind in asked.kinds.items()}
    roles = _roles(table, asked, kinds)
    problems = Problems(table, REMEDY)
    for i in roles.data:
        _note_odd_words(table, i, kinds, problems)
    problems.refuse()
    columns = tuple(
        described(table.names[i], table.columns[i], kinds.get(table.names[i]), table.source) for i in roles.data
    )
    x = np.empty((len(table), len(columns)))
    for k, (i, column) in enumerate(zip(roles.data, columns, strict=True)):
        x[:, k] = codes(column, table.columns[i], problems)
    problems.refuse()
    for name, why in roles.left_out.items():
        keep = f"; --set {quote(f'data.columns.{name}=real')} reads it as data" if why == NUMBERING else ""
        log.info("column %r of %s is left out (%s%s)", name, table.source, why, keep)
    if not columns:
        raise InputError(f"{table.source} has no column to learn from: add one")
    raw = Raw(x, support_of(columns), columns=columns, left_out=roles.left_out)
    return raw if roles.labels is None else _with_labels(raw, table, roles.labels)


def untyped(table: Table, asked: Columns) -> Raw:
    """Give the examples of a table in its own units and words, as `Space.encode_input` takes them.

    Args:
        table: As it was read.
        asked: As for `typed`.

    Raises:
        InputError: If columns are missing.
    """
    roles = _roles(table, asked, {})
    names = tuple(table.names[i] for i in roles.data)
    cells = replace(table, names=names, columns=tuple(table.columns[i] for i in roles.data))
    raw = Raw(as_rows(cells), None, cells=cells)
    return raw if roles.labels is None else _with_labels(raw, table, roles.labels)


def support_of(columns: Sequence[Column]) -> "Support":
    """Say what the values of a table are to a model.

    Example:
        >>> support_of([Column(name="age", kind="count"), Column(name="height")])
        'mixed'
    """
    kinds = {column.kind for column in columns}
    return "real" if kinds <= {"real", "positive"} else "binary" if kinds == {"binary"} else "mixed"


def _roles(table: Table, asked: Columns, kinds: Mapping[str, Kind]) -> Roles:
    """Tell the columns apart by what is asked, by their names and by their values."""
    names, wanted = table.names, asked.wanted
    left_out = {names[place(name, names, table.source)]: "named by ignore" for name in asked.ignore}
    there = [i for i, name in enumerate(names) if name not in left_out]
    free = [i for i in there if names[i] not in (wanted or ()) and names[i] not in kinds]
    numbering = [i for i in free if _is_called_numbering(names, i)]
    labels = _label_column(table, [i for i in there if i not in numbering], free, asked)
    data = [i for i in there if i != labels]
    if wanted is not None:
        if nameless(wanted):
            data = [i for i in data if i not in numbering and (i not in free or names[i].lower() not in LABELS)]
        data = [data[k] for k in places(wanted, [names[i] for i in data], table.source, asked.header)]
        return Roles(data, labels, left_out)
    reasons = {i: why for i in data if i in free and (why := _why_left_out(table, i, i in numbering))}
    if len(reasons) == len(data):  # the only columns there are
        reasons = {i: why for i, why in reasons.items() if missing(table.columns[i]).all()}
    data = [i for i in data if i not in reasons]
    for i in data:
        if i in free and (notice := _notice(table, i, i in numbering, labels)):
            log.info("column %r of %s %s", names[i], table.source, notice)
    return Roles(data, labels, left_out | {names[i]: why for i, why in reasons.items()})


def _is_called_numbering(names: Sequence[str], i: int) -> bool:
    """Whether a column is called as those are that number the rows, or has no name where others have."""
    if len(names) == 1:
        return False
    return bool(NUMBERS.fullmatch(names[i].strip().lower())) or (names[i] == generic(i) and not nameless(names))


def _label_column(table: Table, among: Sequence[int], free: Sequence[int], asked: Columns) -> int | None:
    """Find the column that is named as the labels, else called like labels, else the only one of words.

    Raises:
        InputError: If the column that is named has other values than labels have.
    """
    if asked.label:
        found = place(asked.label, table.names, table.source)
        if _are_quantities(table.columns[found]):
            values = table.columns[found]
            raise InputError(
                f"{table.source} has the labels {shown(values[~missing(values)][0])}, ... in column {asked.label!r}, "
                "but labels are whole numbers or words: name another column"
            )
        return found
    if asked.label == "" or len(table.names) == 1:
        return None
    called = [i for word in LABELS for i in among if table.names[i].lower() == word]
    of_words = [i for i in among if are_words(table.columns[i])]
    if called:
        found, fits = called[0], not _is_target_of_quantities(table, called[0])
    elif len(of_words) == 1:
        found, fits = of_words[0], _are_classes(table.columns[of_words[0]])
    else:
        return None
    return found if fits and found in free else None


def _are_quantities(values: np.ndarray) -> bool:
    """Whether a column holds numbers that are not whole."""
    return values.dtype.kind == "f" and bool(np.any(values[~np.isnan(values)] % 1))


def _is_target_of_quantities(table: Table, i: int) -> bool:
    values = table.columns[i]
    if values.dtype.kind != "f" or _are_quantities(values):
        return _are_quantities(values)
    many = len(np.unique(values[~np.isnan(values)])) > min(MANY_CLASSES, len(table) / 2)
    return many and table.names[i].lower().startswith("target")


def _are_classes(values: np.ndarray) -> bool:
    """Whether words are few, and none is a number."""
    words = {word for word in values.tolist() if word is not None}
    return len(words) <= len(values) / 2 and not any(number(word) is not None for word in words)


def _why_left_out(table: Table, i: int, numbering: bool) -> str | None:
    """Say why a column that nobody asked for teaches nothing; None if it may."""
    values = table.columns[i]
    known = values[~missing(values)]
    if not len(known):
        return "it is empty"
    if numbering and (are_words(values) or _identifies(known)):
        return NUMBERING
    if are_words(values) and len(set(known)) > max(MANY_WORDS, len(known) / 2):
        return f"its words name the rows; data.columns.{table.names[i]}=category reads them as data"
    return None


def _identifies(values: np.ndarray) -> bool:
    """Whether numbers are whole and each is another."""
    return values.dtype.kind == "f" and not np.any(values % 1) and len(np.unique(values)) == len(values)


def _notice(table: Table, i: int, numbering: bool, labels: int | None) -> str | None:
    """Say what is to be known of a column that is read as data: that it may number the rows, or be the answer."""
    name, values = table.names[i], table.columns[i]
    leave = f"leave it out with ignore (--ignore {quote(name)}) if it is not"
    if numbering:
        return f"is read as data, because its values repeat or are not whole; {leave}"
    if values.dtype.kind == "f" and len(values) > 2 and values[0] in (0, 1) and np.all(np.diff(values) == 1):
        return f"counts the rows, and is read as data; {leave}"
    if values.dtype.kind == "f" and len(values) >= MANY_WORDS and _identifies(values):
        return f"has another whole number in every row, and is read as data; {leave}"
    if labels is None and name.lower() in (*LABELS, "y"):
        return f"is read as data; label (--label {quote(name)}) reads it as labels, and ignore leaves it out"
    return None


def _note_odd_words(table: Table, i: int, kinds: Mapping[str, Kind], problems: Problems) -> None:
    """Note the words of a column that are among numbers, and numbers that are kept as words because they are long."""
    name, values = table.names[i], table.columns[i]
    if not are_words(values) or kinds.get(name, "real") in CODED:
        return
    numbers = {word for word in set(values.tolist()) if word is not None and number(word) is not None}
    if not numbers:
        return
    are_numbers = np.array([word in numbers for word in values.tolist()])
    known = ~missing(values)
    if are_numbers.sum() < known.sum() / 2:
        return
    long = [row for row in np.flatnonzero(are_numbers).tolist() if rounded(values[row])]
    if long and are_numbers[known].all():
        row = long[0]
        raise InputError(
            f"{table.source} column {name!r} has whole numbers beyond 2^53, such as {shown(values[row])} in "
            f"{table.where(row)}, which 64-bit floats would round: leave it out (ignore), subtract a constant, or set "
            f"its kind (data.columns.{name}=category)"
        )
    commas = np.array(["," in (word or "") for word in values.tolist()])
    points = np.array(["." in (word or "") for word in values.tolist()])
    bad = known & (~are_numbers | (points if commas.any() else False))
    problems.add(np.flatnonzero(bad).tolist(), name, values, WANTED["real"])


def _with_labels(raw: Raw, table: Table, i: int) -> Raw:
    """Add the labels, -1 where one is missing."""
    name, values = table.names[i], table.columns[i]
    log.info(
        "column %r of %s is read as labels, not as data; label '' (--label '') reads it as data", name, table.source
    )
    known = ~missing(values)
    keys: list[Any] = [int(v) for v in values[known]] if values.dtype.kind == "f" else [str(v) for v in values[known]]
    classes = {key: code for code, key in enumerate(sorted(set(keys)))}
    codes = np.full(len(table), -1, np.int64)
    codes[known] = [classes[key] for key in keys]
    return replace(raw, labels=codes, classes=tuple(map(str, classes)), label_column=name)
