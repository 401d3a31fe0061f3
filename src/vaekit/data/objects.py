"""Objects in memory: arrays, tensors, data frames, sparse matrices, images and data sets of other libraries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vaekit.data.arrays import dense, read_arrays
from vaekit.data.frames import as_objects, from_array, from_arrays, from_columns, read_frame
from vaekit.data.images import is_image, stacked
from vaekit.data.raw import Raw, Table, coded_labels, content_digest
from vaekit.errors import InputError, shown

PREFIX = "memory:"
"""what the names of data in memory begin with; the beginning of their digest follows"""
SOURCE = "the data in memory"
KINDS = (
    "a NumPy array, a tensor, a list of them or of images, a dictionary of arrays, a data frame, a sparse matrix, or a "
    "data set of torch or Hugging Face"
)


def is_held(value: Any) -> bool:
    """Say whether a value is data, and not the name of data.

    Example:
        >>> is_held("digits"), is_held(np.zeros((2, 3)))
        (False, True)
    """
    if isinstance(value, str):  # such as one of NumPy's, which turn into arrays
        return False
    if isinstance(value, list | tuple):
        return len(value) > 0
    known = isinstance(value, np.ndarray | Tensor | Mapping | Dataset)
    kind = type(value)  # frames that are computed when they are asked may compute already to be asked for columns
    return known or any(hasattr(kind, name) for name in ("columns", "column_names", "toarray", "__array__"))


def name_of(value: Any) -> str:
    """Name data in memory after their content, so that an experiment knows them again.

    Example:
        >>> name_of(np.zeros((2, 3)))
        'memory:4c564769e8be802d'
    """
    found = read_object(value)
    if isinstance(found, Table):  # what is read of it depends on what is asked
        cells = (values.astype(str) if values.dtype.kind == "O" else values for values in found.columns)
        digest = content_digest(np.array(found.names), *cells)
    else:
        digest = content_digest(found.x, found.labels)
    return f"{PREFIX}{digest[:16]}"


def read_object(value: Any, sentinels: Sequence[str] = ()) -> Table | Raw:
    """Read data in memory.

    Args:
        value: A NumPy array, a torch tensor or what turns into an array, (N, D), (N, H, W), (N, H, W, C) or
            (N, C, H, W); rows of a sparse matrix; a list of examples, of images or of dictionaries; a mapping of
            arrays, as in an .npz file, or of columns; a data frame or structured array; a data set of torch or of
            Hugging Face, of examples or with their labels.
        sentinels: Values of a table that stand for missing ones, besides blanks, NA and the like.

    Raises:
        InputError: If they are neither numbers nor a table, or examples are of unlike shapes.
    """
    if isinstance(value, Mapping):
        return _read_mapping(value, sentinels)
    if _is_hugging_face(value):
        return from_columns(_of_hugging_face(value), SOURCE, sentinels)
    if isinstance(value, Dataset):
        return _read_dataset(value)
    if hasattr(type(value), "columns"):
        return read_frame(value, SOURCE, sentinels)
    if isinstance(value, list | tuple) and isinstance(value[0], Mapping) and not is_image(value[0]):
        keys = list(dict.fromkeys(chain.from_iterable(value)))
        return from_columns({str(key): as_objects([row.get(key) for row in value]) for key in keys}, SOURCE, sentinels)
    array = _array(value)
    return from_array(array, SOURCE, sentinels) or Raw(_of_numbers(array), None)


def _read_mapping(value: Mapping, sentinels: Sequence[str]) -> Table | Raw:
    """Read arrays, columns or the parts of a data set, by their names."""
    if value and all(map(_is_hugging_face, value.values())):
        return read_arrays(dict(_parts(value)), SOURCE)
    arrays = {str(name): _array(array) for name, array in value.items() if array is not None}
    found = from_arrays(arrays, SOURCE, sentinels)
    return replace(found, x=_of_numbers(found.x)) if isinstance(found, Raw) else found


def _parts(parts: Mapping) -> Iterator[tuple[str, np.ndarray]]:
    """Give the examples of parts such as train and test, and their labels."""
    for name, part in parts.items():
        raw = read_object(part)
        if isinstance(raw, Table):
            raise InputError(f"{SOURCE} are tables, {' and '.join(parts)}: give one of them")
        yield name, raw.x
        if raw.labels is not None and raw.classes is not None:
            yield f"{name}_labels", np.array(raw.classes)[raw.labels]


def _is_hugging_face(value: Any) -> bool:
    return hasattr(type(value), "column_names") and hasattr(type(value), "features")


def _of_hugging_face(dataset: Any) -> dict[str, np.ndarray]:
    """Return the columns of a data set of Hugging Face, with the names of classes for their numbers."""
    if not hasattr(dataset, "__len__"):
        raise InputError(f"{SOURCE} are a stream ({type(dataset).__name__}): load the data set without streaming")
    table, columns = dataset.with_format("arrow")[:], {}
    for name, feature in dataset.features.items():
        extended = hasattr(table[name].type, "storage_type")  # arrays of a known shape
        values = dataset.with_format("numpy")[:][name] if extended else table[name].to_numpy()
        names = getattr(feature, "names", None)
        columns[name] = np.array([*names, None], object)[values] if names else np.asarray(values)  # -1 is unknown
    return columns


def _read_dataset(dataset: Dataset) -> Raw:
    """Read a data set of torch: examples, or tuples of an example, its label and perhaps more."""
    try:
        items = [dataset[i] for i in range(len(dataset))]  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        raise InputError(f"{SOURCE} are a Dataset without a length: give one that has a number of examples") from None
    if not all(isinstance(item, tuple | list) for item in items):
        return Raw(_of_numbers(_array(items)), None)
    x = _of_numbers(_array([item[0] for item in items]))
    if min(map(len, items)) < 2:
        return Raw(x, None)
    labels, classes = coded_labels(_array([item[1] for item in items]), SOURCE)
    return Raw(x, None, labels=labels, classes=classes)


def _array(value: Any) -> np.ndarray:
    """Return an array; examples that are apart are stacked."""
    if isinstance(value, Tensor):
        value = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
        return value.cpu().numpy()
    if isinstance(value, list | tuple):
        return stacked([_array(part) if isinstance(part, Tensor) else part for part in value], SOURCE)
    return dense(value, SOURCE)


def _of_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array of numbers.

    Raises:
        InputError: If it holds other values.
    """
    if array.dtype.kind not in "buif":
        raise InputError(f"{SOURCE} hold values of type {array.dtype} ({shown(array)}): give numbers")
    return array
