"""Own arrays: .npy and .npz files of images or rows; sizes are checked before memory is taken, pickles are refused."""

import errno
import logging
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from lzma import LZMAError
from math import isqrt
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import psutil

from vaekit.data.disk import header, mapped
from vaekit.data.images import Size
from vaekit.data.raw import RESIDENT, Raw, coded_labels
from vaekit.data.values import LEVELS, as_float32, extremes, has_holes, rounding, scale_that_fits, whole
from vaekit.errors import InputError

if TYPE_CHECKING:
    from vaekit.data.space import Support

log = logging.getLogger("vaekit")

CHANNELS = (1, 3)
SMALLEST = 7
"""side of the smallest images that rows are taken for"""
REMEDY = "save it so, and it is read piece by piece"
EXAMPLES = ("x", "X", "data")
"""names of arrays that hold examples"""
LABELS = ("labels", "label", "y", "Y", "target")
"""names of arrays that hold labels"""
PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


def open_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a .npz file by name.

    Raises:
        InputError: If it holds pickled objects, or is truncated or not a .npz file.
    """
    try:
        _verify_archive(path)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is truncated or not a .npz file ({error}): save it again with numpy.savez") from error


def open_array(path: Path) -> np.ndarray:
    """Open a .npy file: read if it is small, else memory-mapped, so that no write reaches the file.

    Raises:
        InputError: If it holds pickled objects, or is truncated or not a .npy file.
    """
    try:
        with path.open("rb") as stream:
            _array_bytes(stream, str(path))
        x = mapped(path)
    except InputError:
        raise
    except OSError as error:
        if error.errno == errno.ENOMEM:
            size = path.stat().st_size / 2**30
            remedy = "raise this process's limit of address space (ulimit -v)"
            raise InputError(f"{path} of {size:.1f} GiB cannot be mapped into memory: {remedy}") from None
        raise InputError(f"{path} cannot be read ({error.strerror or error}): make it readable") from None
    except (ValueError, TypeError, EOFError) as error:
        raise InputError(f"{path} is truncated or not a .npy file ({error}): save it again with numpy.save") from error
    return np.array(x) if x.nbytes <= RESIDENT else x


def arranged(raw: Raw, source: str) -> Raw:
    """Bring examples to (N, *event) and tell the support of their values; rows of reals become float64.

    Raises:
        InputError: If they are not numbers, not of such a shape, or not scaled.
    """
    x = raw.x
    if x.dtype.kind not in "buif":
        raise InputError(f"{source} holds values of type {x.dtype}: save numbers")
    if not 2 <= x.ndim <= 4 or not x.size:
        raise InputError(f"{source} has shape {x.shape}: give (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in CHANNELS:
        if x.shape[-1] not in CHANNELS:
            raise InputError(
                f"{source} has shape {x.shape}, in which neither the second nor the last axis is of 1 (gray) or "
                "3 (RGB) channels: keep one or three of them"
            )
        x = np.moveaxis(x, -1, 1)
    low, high = extremes(x, source, holes=True)
    support = _support(x, low, high, source)
    if support == "real" and x.ndim == 2:
        return replace(raw, x=_kept(x, np.float64, source), support=support)
    if has_holes(x) and support == "byte":
        x = x / np.float32(LEVELS)
    whole_numbers = support not in ("unit", "real") and not has_holes(x)
    kept = _kept(x, np.uint8 if whole_numbers else np.float32, source)
    if support == "unit" and (low < 0 or high > 1):
        require_memory(kept.nbytes, f"{source}, its values cut off at 0 and 1,", REMEDY)
        kept = kept.clip(0, 1)
    return replace(raw, x=kept, support=support)


def as_images(raw: Raw, size: Size, source: str) -> Raw:
    """Read rows of pixels as gray images of a height and width.

    Raises:
        InputError: If the examples are not rows of so many pixels.
    """
    if raw.x.ndim != 2:
        raise InputError(
            f"image_size (--image-size) is for folders of images and for rows of pixels, but {source} has examples of "
            f"shape {raw.x.shape[1:]}: leave it out"
        )
    height, width = size
    if raw.x.shape[1] != height * width:
        raise InputError(
            f"image_size (--image-size) {height}×{width} needs rows of {height * width} pixels, but {source} has "
            f"{raw.x.shape[1]} columns: choose another size, or name other columns with label or ignore"
        )
    return replace(raw, x=raw.x.reshape(-1, height, width), support=None, columns=None)


def side_of_images(x: np.ndarray) -> int | None:
    """Tell the side of the square images that rows of 8-bit levels look like, None if they do not."""
    side = isqrt(x.shape[1]) if x.ndim == 2 else 0
    if side < SMALLEST or side**2 != x.shape[1]:
        return None
    low, high = extremes(x, "the array", holes=True)
    return side if low >= 0 and LEVELS // 2 < high <= LEVELS and whole(x) else None


def require_memory(
    size: int, source: str, remedy: str = "save the examples as a .npy file, which is read piece by piece"
) -> None:
    """Refuse what cannot fit into this machine's memory."""
    memory = psutil.virtual_memory().total
    if size > memory:
        raise InputError(
            f"{source} takes {size / 2**30:.0f} GiB, but this machine has {memory / 2**30:.0f} GiB of memory: {remedy}"
        )


def _kept(x: np.ndarray, kind: type[np.generic], source: str) -> np.ndarray:
    """Leave an array where it is if it has the wanted type and order, else copy it into memory."""
    if x.dtype == np.bool_ and kind is np.uint8:
        x = x.view(np.uint8)
    if x.dtype != kind or not x.flags.c_contiguous:
        order = "" if x.flags.c_contiguous else ", not in C order"
        layout = "(N, D)" if x.ndim == 2 else "(N, C, H, W)"
        what = f"{source} is of type {x.dtype}{order}, and as {np.dtype(kind)} of shape {layout} in C order it"
        require_memory(x.size * np.dtype(kind).itemsize, what, REMEDY)
    return as_float32(x, source) if kind is np.float32 else np.ascontiguousarray(x, kind)


def _support(x: np.ndarray, low: float, high: float, source: str) -> "Support":
    """Tell what arranged examples are by their values, which run from `low` to `high`."""
    if low >= -rounding(x) and high <= 1 + rounding(x):
        return "binary" if whole(x) else "unit"
    if x.ndim == 2:
        # Whole numbers are gray levels in rows only if they are stored as bytes.
        return "byte" if x.dtype == np.uint8 else "real"
    if low >= 0 and whole(x):
        if high <= LEVELS:
            return "byte"
        raise InputError(
            f"{source} has images of whole numbers from {low:.9g} to {high:.9g}, but gray levels have 8 bits: "
            f"{scale_that_fits(high)} and save them as float32"
        )
    hint = "" if low < 0 else f"; if they are gray levels, {scale_that_fits(high)}"
    log.info("the pixels of %s run from %.9g to %.9g and are not scaled%s", source, low, high, hint)
    return "real"


def _array_bytes(stream: IO[bytes], source: str) -> int:
    """Give the bytes that a .npy header announces, header included, refusing pickled objects."""
    shape, _, kind = header(stream)
    if kind.hasobject:
        raise InputError(f"{source} holds pickled objects, which are never loaded: save an array of numbers")
    # Python's integers do not overflow as NumPy's would.
    return stream.tell() + int(np.prod(shape, dtype=object)) * kind.itemsize


def _verify_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                announced = _array_bytes(stream, f"{path} ({member.filename.removesuffix('.npy')})")
            if announced != member.file_size:
                raise ValueError(f"{member.filename} announces {announced} bytes and holds {member.file_size}")
        require_memory(sum(member.file_size for member in archive.infolist()), str(path))


def read_arrays(arrays: Mapping[str, np.ndarray], path: str) -> Raw:
    """Read named arrays: `x` and perhaps `labels`; or `train`, `test` and perhaps `validation`; or the only one.

    Args:
        arrays: By name.
        path: What they are called in errors.

    Raises:
        InputError: If the names or shapes do not tell what they are.
    """
    keys = {part: key for part, names in PARTS.items() if (key := first_of(arrays, *names, *(f"x_{n}" for n in names)))}
    if "train" in keys and "test" in keys:
        return _read_parts(arrays, keys, path)
    labels = first_of(arrays, *LABELS)
    others = [key for key in arrays if key != labels]
    key = first_of(arrays, *EXAMPLES) or (others[0] if len(others) == 1 else None)
    if key is None:
        raise InputError(
            f"{path} holds the arrays {', '.join(sorted(arrays))}: name the examples x (and labels), "
            "or train, validation and test"
        )
    x = arrays[key]
    codes, classes = _coded(arrays[labels], x, path) if labels else (None, None)
    return Raw(x, None, labels=codes, classes=classes)


def dense(array: Any, source: str) -> np.ndarray:
    """Return an array of scipy's sparse kind with its zeros, others as they are.

    Raises:
        InputError: If they take more memory than there is.
    """
    if not hasattr(array, "toarray"):
        return np.asarray(array)
    require_memory(int(np.prod(array.shape, dtype=object)) * array.dtype.itemsize, f"{source}, with its zeros,")
    return array.toarray()


def _read_parts(arrays: Mapping[str, np.ndarray], keys: Mapping[str, str], path: str) -> Raw:
    parts = [arrays[key] for key in keys.values()]
    if len({(part.shape[1:], part.dtype) for part in parts}) > 1:
        shapes = ", ".join(f"{key}: {part.shape} {part.dtype}" for key, part in zip(keys.values(), parts, strict=True))
        raise InputError(f"{path} has parts of unlike shapes or types ({shapes}): save them alike")
    x = np.concatenate(parts)
    names = [first_of(arrays, f"y_{key.removeprefix('x_')}", f"{key}_labels") for key in keys.values()]
    labels = [arrays[name] for name in names if name]
    codes, classes = _coded(np.concatenate(labels), x, path) if len(labels) == len(parts) else (None, None)
    return Raw(
        x,
        None,
        splits=("/".join(str(len(part)) for part in parts),),
        labels=codes,
        classes=classes,
        test=len(parts[-1]),
        shuffle="validation" not in keys,
    )


def _coded(labels: np.ndarray, x: np.ndarray, path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if not x.ndim or labels.shape[:1] != x.shape[:1]:
        raise InputError(
            f"{path} has examples of shape {x.shape} and labels of shape {labels.shape}: give one label per example"
        )
    return coded_labels(labels, path)


def first_of(arrays: Mapping[str, np.ndarray], *keys: str) -> str | None:
    """Return the first of some names that an array has, None if none has."""
    return next((key for key in keys if key in arrays), None)
