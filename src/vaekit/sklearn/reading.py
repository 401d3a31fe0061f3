"""What an estimator is given and gives back: arrays, and data frames of any library, whose columns may be words."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Space
from vaekit.data.arrays import arranged, as_images
from vaekit.data.columns import Columns, Scaling, generic
from vaekit.data.kinds import missing, side_by_side
from vaekit.data.matching import matched
from vaekit.data.objects import read_object
from vaekit.data.raw import Raw, Table
from vaekit.data.roles import typed
from vaekit.data.source import Source
from vaekit.data.values import as_float32
from vaekit.errors import InputError
from vaekit.sklearn.contract import AS_IT_IS, FINITE, validate_data

SOURCE = "X"
FRAMES = ("pandas", "polars")
LEAST = 2
"""rows at least: a single one has no scale"""

Rows = np.ndarray | Table


def is_frame(X: Any) -> bool:  # noqa: N803
    """Say whether rows have named columns."""
    return hasattr(type(X), "columns")


def read(estimator: Any, X: Any, fitting: bool) -> Rows:  # noqa: N803
    """Check rows, (n, features), by the rules of scikit-learn, and return them: a table of what has named columns.

    Args:
        estimator: whose n_features_in_ and feature_names_in_ are set or compared.
        X: what was given.
        fitting: whether they are set.
    """
    least = LEAST if fitting else 1
    if not is_frame(X):
        checks = {"dtype": "numeric", "ensure_min_samples": least, FINITE: "allow-nan"}
        values: np.ndarray = validate_data(estimator, X, reset=fitting, **checks)
        return values
    validate_data(estimator, X, reset=fitting, **AS_IT_IS)
    table = read_object(X)
    if not isinstance(table, Table):
        raise InputError(f"{SOURCE} has columns of arrays or images: give columns of numbers and words")
    if len(table) < least:
        raise InputError(f"{SOURCE} has 1 sample: give at least {least}")
    return table


def as_table(rows: Rows, source: Source) -> Raw:
    """Return rows as the columns of a table, each of its kind: as it is set, else by its type."""
    if not isinstance(rows, Table):
        rows = Table(SOURCE, names_of(rows), tuple(rows.T if rows.dtype.kind == "b" else rows.T.astype(np.float64)))
    return typed(rows, Columns(label="", wanted=rows.names, kinds=dict(source.columns)))


def as_pixels(rows: Rows, source: Source) -> Raw:
    """Return rows as bits, values in [0, 1] or gray levels, which their range tells, of images if those have a size."""
    if isinstance(rows, Table):
        rows = np.stack(rows.columns, axis=-1)
    size = (source.image_size, source.image_size) if isinstance(source.image_size, int) else source.image_size
    raw = Raw(rows, None)
    return arranged(as_images(raw, size, SOURCE) if size else raw, SOURCE)


def by_name(values: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the columns of rows (n, ...) or of rows with a field for each column, by name."""
    if values.dtype.names is not None:
        return {name: values[name] for name in values.dtype.names}
    return dict(zip(names, values.reshape(len(values), -1).T, strict=True))


def like(library: str | None, columns: Mapping[str, np.ndarray]) -> Any:
    """Return columns as a data frame of a library, or as an array, with a field for each column if any are words."""
    if library is not None:
        return import_module(library).DataFrame(dict(columns))
    if any(values.dtype.kind in "OU" for values in columns.values()):
        return side_by_side({name: np.array(values.tolist()) for name, values in columns.items()})
    return np.stack([*columns.values()], axis=-1).astype(np.float64)


def names_of(rows: Rows) -> tuple[str, ...]:
    """Name the columns of rows."""
    return rows.names if isinstance(rows, Table) else tuple(generic(i) for i in range(rows.shape[1]))


def seen_with_holes(rows: Rows, space: Space) -> Tensor:
    """Return rows as the model reads them, NaN where cells are missing, even if it was trained without such rows."""
    if not space.columns:
        return space.encode_input(rows)
    values = matched(rows, space.columns, space.header)
    return torch.from_numpy(as_float32(Scaling.of(space.columns).seen(values), SOURCE))


def filled(rows: Rows, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of rows with what was found where cells are missing."""
    given = rows.columns if isinstance(rows, Table) else rows.astype(np.float64).T
    columns = dict(zip(found, given, strict=True))
    return {name: np.where(missing(values), found[name], values) for name, values in columns.items()}


def library_of(X: Any) -> str | None:  # noqa: N803
    """Name the library that a data frame is of, if it is one that rows are given back in."""
    name = type(X).__module__.partition(".")[0]
    return name if is_frame(X) and name in FRAMES else None
