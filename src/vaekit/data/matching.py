"""Input to a model of a table: its columns by name, or by position, and its cells as the numbers that they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from vaekit.data.columns import Column, places
from vaekit.data.kinds import Problems, codes
from vaekit.data.objects import read_object
from vaekit.data.raw import Table
from vaekit.data.values import extremes
from vaekit.errors import InputError

INPUT = "the input"
REMEDY = "give values as the model knows them"


def matched(array: Any, columns: Sequence[Column], header: Sequence[str]) -> np.ndarray:
    """Give the numbers (N, D) of the columns that a model knows, NaN where they are missing.

    Args:
        array: A data frame, a dictionary of columns or a structured array, whose columns are found by their names; or
            an array of numbers or words, whose columns are those of `header`, or those of the model alone.
        columns: Those of the model.
        header: All columns of the data, constant ones included, which the model does not know.

    Raises:
        InputError: If columns are missing, or a cell does not fit its column.
    """
    table = as_table(array)
    names = [column.name for column in columns]
    if table is None:
        x = numeric(array)
        if x.ndim != 2 or x.shape[1] not in (len(header), len(columns)):
            raise InputError(f"the input has shape {times(x.shape)}, but needs N rows of {len(header)} columns")
        x = x if x.shape[1] == len(columns) else x[:, [i for i, name in enumerate(header) if name in names]]
        if all(column.kind == "real" for column in columns):
            if not np.isnan(x).all():
                extremes(x, INPUT, holes=True)
            return x
        table = Table(INPUT, tuple(names), tuple(x.T.astype(np.float64)))
    where = places(names, table.names, INPUT, header)
    problems = Problems(table, REMEDY)
    x = np.stack([codes(c, table.columns[i], problems) for c, i in zip(columns, where, strict=True)], axis=-1)
    problems.refuse()
    return x


def as_table(array: Any) -> Table | None:
    """Read what has named columns, or words, as a table; None if it is an array of numbers.

    Raises:
        InputError: If its columns are not those of a table.
    """
    if isinstance(array, Table):
        return array
    named = hasattr(type(array), "columns") or isinstance(array, Mapping)
    words = isinstance(array, np.ndarray) and (array.dtype.names or array.dtype.kind in "OU")
    if not named and not words:
        return None
    found = read_object(array)
    if not isinstance(found, Table):
        raise InputError("the input has columns of arrays or images, but the model knows columns of numbers and words")
    return found


def numeric(array: Any) -> np.ndarray:
    """Give an array of numbers.

    Raises:
        InputError: If it holds anything else.
    """
    x = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    if x.dtype.kind not in "buif":
        raise InputError(f"the input holds values of type {x.dtype}, but only numbers can be encoded")
    return x


def times(shape: Sequence[int]) -> str:
    """Write a shape.

    Example:
        >>> times((5, 28, 28))
        '5×28×28'
    """
    return "×".join(map(str, shape)) or "()"
