"""A table as a model reads it: kinds on their own scales, statistics of the training rows, constant columns apart."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vaekit.data.arrays import require_memory
from vaekit.data.columns import CODED, Column, Constant, Scaling, generic, listed
from vaekit.data.kinds import restored
from vaekit.data.raw import Raw
from vaekit.data.roles import support_of
from vaekit.errors import InputError

log = logging.getLogger("vaekit")

TOO_LARGE = 1e150
"""values whose squares a 64-bit float may not hold"""
TOO_FAR = 1e15
"""standard deviations whose square a 32-bit float may not hold"""


class Standardized(NamedTuple):
    """A table as a model reads it.

    Attributes:
        raw: Its examples, float32, with the columns that vary.
        constant: The columns that are constant over the training rows.
        stored: Values of the columns that vary, as they were read.
    """

    raw: Raw
    constant: tuple[Constant, ...]
    stored: np.ndarray


def standardized(raw: Raw, train: np.ndarray, source: str, learned: Sequence[str] | None = None) -> Standardized:
    """Bring the columns of a table to what a model reads, float32, with the statistics of their training rows.

    Args:
        raw: What was read; anything but a table is returned as it is.
        train: The training rows.
        source: What the data are called in messages.
        learned: The columns that a model knows; None takes those that vary over the training rows.

    Raises:
        InputError: If a value is too large or too far from the others, or no column varies.
    """
    if raw.columns is None and (raw.support != "real" or raw.x.ndim != 2):
        return Standardized(raw, (), raw.x)
    given = raw.columns or tuple(Column(name=generic(i)) for i in range(raw.x.shape[1]))
    require_memory(3 * raw.x.nbytes, source, "rows of real numbers are standardized in memory, so give fewer")
    if (bad := _beyond(raw.x, TOO_LARGE)) is not None:
        row, i = bad
        raise InputError(f"{source} has the value {raw.x[row, i]:g} in column {given[i].name!r}: rescale the column")
    rows = raw.x[train]
    low, high = _ends(rows)
    constant = ~(high - low >= 1 / TOO_LARGE)  # or missing in all training rows
    if constant.all():
        raise InputError(f"{source} has no column that varies over the training rows: there is nothing to learn")
    columns = _measured(given, rows, constant)
    x = Scaling.of(columns).seen(raw.x)
    if (bad := _beyond(x, TOO_FAR)) is not None:
        row, i = bad
        raise InputError(
            f"{source} has the value {raw.x[row, i]:g} in column {columns[i].name!r}, which is too far from the "
            f"training rows (mean {columns[i].shift:g}, standard deviation {columns[i].scale:g}): remove the row or "
            "rescale the column"
        )
    out = constant if learned is None else np.array([column.name not in learned for column in columns])
    taken = [_constant(columns[i], raw.x[:, i], train, i) for i in np.flatnonzero(out).tolist()]
    if taken:
        names = listed([each.name for each in taken])
        log.info("columns of %s that are constant over the training rows are not learned: %s", source, names)
        columns, x = tuple(columns[i] for i in np.flatnonzero(~out).tolist()), x[:, ~out]
    if any(column.standardized for column in columns):
        which = "" if all(column.standardized for column in columns) else "real and positive "
        log.info(
            "the %scolumns of %s are standardized, and densities are those of the standardized values", which, source
        )
    found = replace(raw, x=x.astype(np.float32), columns=columns, support=support_of(columns))
    return Standardized(found, tuple(taken), raw.x[:, ~out] if taken else raw.x)


def _beyond(x: np.ndarray, bound: float) -> tuple[int, int] | None:
    """Find the row and column of a value beyond a bound, if there is one."""
    if not np.any(np.abs(x) > bound):
        return None
    row, column = np.unravel_index(np.nanargmax(np.abs(x)), x.shape)
    return int(row), int(column)


def _ends(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the least and the greatest value of each column, infinities of one that has none."""
    return np.fmin.reduce(rows, axis=0, initial=np.inf), np.fmax.reduce(rows, axis=0, initial=-np.inf)


def _measured(columns: Sequence[Column], rows: np.ndarray, constant: np.ndarray) -> tuple[Column, ...]:
    """Give columns with the mean and standard deviation of their observed training values, of logarithms by kind."""
    kinds = np.array([column.kind for column in columns])
    values = rows.copy() if {"positive", "count"} & {*kinds} else rows
    values[:, kinds == "positive"] = np.log(rows[:, kinds == "positive"])
    values[:, kinds == "count"] = np.log1p(rows[:, kinds == "count"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any
        holes = bool(np.isnan(values).any())
        shift, scale = (np.nanmean(values, 0), np.nanstd(values, 0)) if holes else (values.mean(0), values.std(0))
    shift[constant], scale[constant] = np.nan_to_num(_first(values[:, constant])), 0
    return tuple(
        column if column.kind in CODED else replace(column, shift=float(mean), scale=float(std))
        for column, mean, std in zip(columns, shift, scale, strict=True)
    )


def _first(values: np.ndarray) -> np.ndarray:
    """Give the first value of each column that is not missing, NaN if there is none."""
    known = ~np.isnan(values)
    return values[known.argmax(0), np.arange(values.shape[1])]


def _constant(column: Column, values: np.ndarray, train: np.ndarray, place: int) -> Constant:
    """Describe a column by its value in the training rows, or if it is missing in all of them, in the others."""
    code = _first(values[train, None])[0]
    code = _first(values[:, None])[0] if np.isnan(code) else code
    return Constant(name=column.name, value=restored(column, np.array(code)).item(), place=place)
