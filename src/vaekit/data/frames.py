"""Tables whose columns have types: data frames of any library, structured arrays, Parquet, Feather and JSON lines.

narwhals and polars are imported where they are needed, because that takes a third of a second.
"""

import io
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.arrays import read_arrays
from vaekit.data.columns import LABELS, distinct, generic, listed
from vaekit.data.encodings import unpacked
from vaekit.data.images import is_image, stacked
from vaekit.data.parsing import decisions, read_values
from vaekit.data.raw import Raw, Table, coded_labels
from vaekit.errors import InputError

log = logging.getLogger("vaekit")


def read_frame_file(path: Path, sentinels: Sequence[str] = ()) -> Table | Raw:
    """Read a .parquet, .feather or .jsonl file, which may be packed as .gz.

    Raises:
        InputError: If it is damaged, or its columns are neither a table nor examples.
    """
    import polars

    kind = next(each for each in map(str.lower, reversed(path.suffixes)) if each != ".gz")
    stream = io.BytesIO(unpacked(path))
    try:
        if kind == ".jsonl":
            frame = polars.read_ndjson(stream, infer_schema_length=None)
        else:
            frame = polars.read_parquet(stream) if kind == ".parquet" else polars.read_ipc(stream)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"{path} is truncated or not a {kind} file ({why}): write it again") from error
    return read_frame(frame, str(path), sentinels)


def read_frame(frame: Any, source: str, sentinels: Sequence[str] = ()) -> Table | Raw:
    """Read a data frame; its index, if it has one, is left out.

    Args:
        frame: Of pandas, polars, pyarrow or another library that narwhals knows.
        source: What it is called in messages.
        sentinels: Values that stand for missing ones, besides blanks, NA and the like.

    Raises:
        InputError: If its columns are neither a table nor examples.
    """
    import narwhals
    from narwhals import Categorical, Enum, LazyFrame, String, Struct

    if hasattr(frame, "set_axis"):  # pandas allows names that are equal or not words
        counted = all(isinstance(name, int) for name in frame.columns)
        frame = frame.set_axis(distinct(generic(i) if counted else str(name) for i, name in enumerate(frame)), axis=1)
    try:
        found = narwhals.from_native(frame)
    except TypeError as error:
        raise InputError(f"{source} are of type {type(frame).__name__}, which is not a data frame: {error}") from None
    found = found.collect() if isinstance(found, LazyFrame) else found
    columns, words = {}, set()
    for name in found.columns:
        column = found.get_column(name)
        if isinstance(column.dtype, Categorical | Enum):
            words.add(name)
            column = column.cast(String)
        apart = column.dtype == Struct or (column.dtype.is_integer() and column.null_count())
        columns[name] = as_objects(column.to_list()) if apart else column.to_numpy()
    return from_columns(columns, source, sentinels, words)


def from_columns(
    columns: Mapping[str, np.ndarray], source: str, sentinels: Sequence[str] = (), words: Collection[str] = ()
) -> Table | Raw:
    """Read named columns: a table; or examples and their labels if one of them holds arrays or images.

    Args:
        columns: Arrays of as many rows, by name.
        source: What they are called in messages.
        sentinels: As for `read_frame`.
        words: Columns whose strings are not read as numbers or dates.

    Raises:
        InputError: If there are no rows, or several columns hold arrays or images.
    """
    if not columns or not len(next(iter(columns.values()))):
        raise InputError(f"{source} has no rows: give a row for every example")
    apart = [name for name, values in columns.items() if values.ndim > 1 or _holds_arrays(values)]
    if len(apart) > 1:
        raise InputError(f"{source} has several columns of arrays or images ({listed(apart)}): keep one of them")
    if apart:
        return _examples(columns, apart[0], source)
    names = distinct(name.strip() or generic(i) for i, name in enumerate(columns))
    found = [
        read_values(values, f"column {name!r} of {source}", sentinels, name in words)
        for name, values in columns.items()
    ]
    if decided := decisions(names, found):
        log.info("chosen: reading %s with %s", source, "; ".join(decided))
    return Table(source, tuple(names), tuple(column.values for column in found))


def from_array(array: np.ndarray, source: str, sentinels: Sequence[str] = ()) -> Table | Raw | None:
    """Read a structured array, or rows of words or objects, as a table; None if the array is neither."""
    if array.dtype.names:
        words = {name for name in array.dtype.names if array[name].dtype.kind == "U"}
        return from_columns({name: array[name] for name in array.dtype.names}, source, sentinels, words)
    if array.ndim == 2 and array.dtype.kind in "OUT":
        return from_columns({generic(i): array[:, i] for i in range(array.shape[1])}, source, sentinels)
    return None


def from_arrays(arrays: Mapping[str, np.ndarray], source: str, sentinels: Sequence[str] = ()) -> Table | Raw:
    """Read arrays by name: the columns of a table, if they are several (N,); else examples, as `read_arrays` does.

    Raises:
        InputError: If the names or shapes do not tell what they are.
    """
    arrays = {name: array for name, array in arrays.items() if array.ndim}  # without descriptions
    if len(arrays) > 1 and {array.shape for array in arrays.values()} == {(len(next(iter(arrays.values()))),)}:
        return from_columns(arrays, source, sentinels)
    return read_arrays(arrays, source)


def as_objects(values: Sequence[Any]) -> np.ndarray:
    """Return an array (N,) of objects, which may be lists or dictionaries."""
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def _holds_arrays(values: np.ndarray) -> bool:
    first = next((value for value in values if value is not None), None) if values.dtype.kind == "O" else None
    return isinstance(first, np.ndarray | list | tuple) or is_image(first)


def _examples(columns: Mapping[str, np.ndarray], name: str, source: str) -> Raw:
    """Stack the arrays or images of a column; another one may hold their labels."""
    others = [other for other in columns if other != name]
    called = [other for word in LABELS for other in others if other.lower() == word] or others[: len(others) == 1]
    x = stacked(columns[name], source)
    if unused := [other for other in others if other not in called[:1]]:
        log.info("column %r of %s holds the examples, and others are left out: %s", name, source, listed(unused))
    if not called:
        return Raw(x, None)
    labels, classes = coded_labels(_plain(columns[called[0]]), source)
    log.info("column %r of %s is read as labels, not as data", called[0], source)
    return Raw(x, None, labels=labels, classes=classes, label_column=called[0])


def _plain(values: np.ndarray) -> np.ndarray:
    """Give strings that are stored as objects a type of their own."""
    return values.astype(str) if values.dtype.kind in "OT" else values
