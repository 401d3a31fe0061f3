"""Data in memory: arrays, data frames, data sets of torch; checked and read as files of the same content are."""

from collections.abc import Mapping
from hashlib import sha256
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vaekit.data.arrays import read_arrays
from vaekit.data.columns import Columns
from vaekit.data.raw import Raw, coded_labels, content_digest
from vaekit.data.tables import cells, read_frame
from vaekit.errors import InputError, shown

PREFIX = "memory:"
"""what the names of data in memory begin with; the beginning of their digest follows"""
SOURCE = "the data in memory"
KINDS = "a NumPy array, a tensor, a list of them, a dictionary of arrays, a data frame or a torch Dataset"


def is_held(value: Any) -> bool:
    """Say whether a value is data, and not the name of data.

    Example:
        >>> is_held("digits"), is_held(np.zeros((2, 3)))
        (False, True)
    """
    several = isinstance(value, list | tuple) and len(value) > 0
    return several or isinstance(value, np.ndarray | Tensor | Mapping | Dataset) or hasattr(value, "columns")


def name_of(value: Any) -> str:
    """Name data in memory after their content, so that an experiment knows them again.

    Example:
        >>> name_of(np.zeros((2, 3)))
        'memory:4c564769e8be802d'
    """
    if hasattr(value, "columns"):  # what is read of it depends on what is asked
        rows = chain([list(map(str, value.columns))], cells(value))
        digest = sha256("\n".join(map(repr, rows)).encode()).hexdigest()
    else:
        raw = read_held(value)
        digest = content_digest(raw.x, raw.labels)
    return f"{PREFIX}{digest[:16]}"


def read_held(value: Any, asked: Columns = Columns()) -> Raw:  # noqa: B008 (frozen)
    """Read data in memory.

    Args:
        value: A NumPy array or torch tensor, (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W); a list of examples; a
            mapping of arrays, as in an .npz file; an object with names in `columns`, such as a DataFrame of pandas or
            polars, as a .csv file; or a torch Dataset of examples or of pairs of example and label.
        asked: Which columns of a data frame are labels, left out, or known to a model.

    Raises:
        InputError: If they are not numbers, or examples are of unlike shapes.
    """
    if isinstance(value, Mapping):
        return read_arrays({str(name): _array(array) for name, array in value.items()}, SOURCE)
    if hasattr(value, "columns"):
        return read_frame(value, asked, SOURCE)
    if isinstance(value, Dataset):
        return _read_dataset(value)
    return Raw(_array(value), None)


def _read_dataset(dataset: Dataset) -> Raw:
    try:
        items = [dataset[i] for i in range(len(dataset))]  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        raise InputError(f"{SOURCE} are a Dataset without a length: give one that has a number of examples") from None
    if not all(isinstance(item, tuple | list) for item in items):
        return Raw(_array(items), None)
    x = _array([item[0] for item in items])
    if min(map(len, items)) < 2:
        return Raw(x, None)
    labels, classes = coded_labels(_array([item[1] for item in items]), SOURCE)
    return Raw(x, None, labels=labels, classes=classes)


def _array(value: Any) -> np.ndarray:
    """Return an array of numbers or words; examples that are apart are stacked."""
    if isinstance(value, Tensor):
        value = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
        return value.cpu().numpy()
    if isinstance(value, list | tuple):
        parts = [_array(part) if isinstance(part, Tensor) else np.asarray(part) for part in value]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            some = " and ".join(str(shape) for shape in sorted(shapes)[:2])
            raise InputError(f"{SOURCE} have examples of unlike shapes, {some}: bring them to one shape")
        value = np.stack(parts)
    array = np.asarray(value)
    if array.dtype.kind not in "buifU":
        raise InputError(f"{SOURCE} hold values of type {array.dtype} ({shown(value)}): give numbers")
    return array
