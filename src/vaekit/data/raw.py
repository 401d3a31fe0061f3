"""What readers return: columns of a table as they are, or examples as the files hold them, before splits."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vaekit.errors import InputError

if TYPE_CHECKING:
    from vaekit.data.columns import Column
    from vaekit.data.space import Support

# Arrays of more bytes stay in their files or on the CPU; smaller ones are read and live on the device.
RESIDENT = 2**30


def _numbered(row: int) -> str:
    """Name a row of data in memory by its number, counted from 1."""
    return f"row {row + 1}"


@dataclass(frozen=True)
class Table:
    """Columns of a table as a file or an object holds them, before it is known what they are for.

    Args:
        source: What the table is called in messages: the path of a file, or data in memory.
        names: Distinct names of the columns; "column 1", "column 2", ... where there are none.
        columns: An array (N,) per column. Numbers are float64 with NaN for missing cells (infinite ones are kept).
            Booleans are bool, or objects of bool and None if some are missing. Words are objects of str and None,
            without blanks around them; so are whole numbers that a float64 would round.
        where: Tells where in the source a row stands that is counted from 0, such as "line 3".
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    where: Callable[[int], str] = _numbered

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0


@dataclass(frozen=True)
class Raw:
    """Examples in file order.

    Args:
        x: Examples (N, *event), uint8 or float32; float64 for a table's rows; if there is no support, as stored.
        support: Values of the examples; None if they are yet to be told from the values themselves.
        splits: Ways to split them, the default first.
        labels: Class numbers (N,), int64.
        classes: Names of the classes.
        columns: What the columns of a table are; their categories are in `x` as numbers, and missing values as NaN.
        test: How many examples at the end are the official test part.
        shuffle: Whether the examples before the official test part are shuffled before a split cuts them.
        digest: SHA-256 of the examples, where a cache remembers it.
        names: Names of the files that the examples were read from.
        depth: Bits of the levels in image files: 8, or as many as the highest 16-bit level needs.
        label_column: The column of a table that was read as labels.
        left_out: Why columns of a table are left out, by name.
        cells: What `x` is of a table that a model reads, as the file has it.
    """

    x: np.ndarray
    support: "Support | None"
    splits: tuple[str, ...] = ("0.8/0.1/0.1", "0.9/0.1")
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    columns: "tuple[Column, ...] | None" = None
    test: int = 0
    shuffle: bool = True
    digest: str | None = None
    names: tuple[str, ...] | None = None
    depth: int | None = None
    label_column: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    cells: Table | None = None


def content_digest(*arrays: np.ndarray | None) -> str:
    """Give the SHA-256 of arrays: type, shape and bytes.

    Example:
        >>> content_digest(np.arange(3)) == content_digest(np.arange(3.0))
        False
    """
    found = hashlib.sha256()
    for array in arrays:
        if array is not None:
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def coded_labels(labels: np.ndarray, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the classes 0, 1, ... in sorted order and name them.

    Example:
        >>> coded_labels(np.array([7, 3, 7]), "x.npz")
        (array([1, 0, 1]), ('3', '7'))

    Raises:
        InputError: If the labels are neither whole numbers nor words.
    """
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels
    whole = labels.dtype.kind in "biuU" or (labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all()))
    if flat.ndim != 2 or flat.shape[1] != 1 or not whole:
        raise InputError(
            f"{source} has labels of type {labels.dtype} and shape {labels.shape}, but labels are one whole number "
            "or word per example"
        )
    values = flat[:, 0].astype(np.int64) if labels.dtype.kind in "bf" else flat[:, 0]
    names, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), tuple(map(str, names))
