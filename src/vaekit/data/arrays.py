"""Own arrays: .npy and .npz files of images or rows; sizes are checked before memory is taken, pickles are refused."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from vaekit.data.disk import header, mapped
from vaekit.data.raw import RESIDENT, Raw, coded_labels
from vaekit.data.space import Support
from vaekit.errors import InputError

PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


def read_npy(path: Path) -> Raw:
    """Read a .npy file of shape (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)."""
    x, support = arranged(open_array(path), str(path))
    return Raw(x, support)


def read_npz(path: Path) -> Raw:
    """Read a .npz file: `x` and perhaps `labels`; or `train`, `test` and perhaps `validation`; or its only array."""
    try:
        _verify_archive(path)
        with np.load(path, allow_pickle=False) as arrays:
            return _read_arrays(arrays, path)
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is truncated or no .npz file ({error}): save it again with numpy.savez") from error


def open_array(path: Path) -> np.ndarray:
    """Open a .npy file: read if it is small, else memory-mapped, so that no write reaches the file.

    Raises:
        InputError: If it holds pickled objects, or is truncated or no .npy file.
    """
    try:
        with path.open("rb") as stream:
            _array_bytes(stream, str(path))
        x = mapped(path)
    except InputError:
        raise
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise InputError(f"{path} is truncated or no .npy file ({error}): save it again with numpy.save") from error
    return np.array(x) if x.nbytes <= RESIDENT else x


def arranged(x: np.ndarray, source: str) -> tuple[np.ndarray, Support]:
    """Bring an array to (N, *event) and tell the support of its values; rows of reals become float64."""
    if x.dtype.kind not in "buif":
        raise InputError(f"{source} holds values of type {x.dtype}: save numbers")
    if not 2 <= x.ndim <= 4 or not x.size:
        raise InputError(f"{source} has shape {x.shape}: give (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3):
        x = np.moveaxis(x, -1, 1)
    if x.ndim == 4 and x.shape[1] not in (1, 3):
        raise InputError(f"{source} has images of {x.shape[1]} channels: give 1 (grey) or 3 (RGB)")
    support = _support(x, source)
    if support == "real" and x.ndim == 2:
        return _kept(x, np.float64, source), support
    return _kept(x, np.float32 if support in ("unit", "real") else np.uint8, source), support


def require_memory(
    size: int, source: str, remedy: str = "save the examples as a .npy file, which is read piece by piece"
) -> None:
    """Refuse what cannot fit into this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise InputError(
            f"{source} takes {size / 2**30:.0f} GiB, but this machine has {memory / 2**30:.0f} GiB of memory: {remedy}"
        )


def _kept(x: np.ndarray, kind: type[np.generic], source: str) -> np.ndarray:
    """Leave an array where it is if it has the wanted type and order, else copy it into memory."""
    if x.dtype == np.bool_ and kind is np.uint8:
        x = x.view(np.uint8)
    if x.dtype != kind or not x.flags.c_contiguous:
        size = x.size * np.dtype(kind).itemsize
        require_memory(size, source, "save images as uint8 or float32 in (N, C, H, W), which are read piece by piece")
    return np.ascontiguousarray(x, kind)


def _support(x: np.ndarray, source: str) -> Support:
    # A map larger than memory is so read once, not twice.
    ends = np.array([(part.min(), part.max()) for part in (x[i : i + 1024] for i in range(0, len(x), 1024))])
    low, high = ends.min(), ends.max()
    if not np.isfinite([low, high]).all():
        bad = ~np.isfinite(x)
        first = tuple(map(int, np.argwhere(bad)[0]))
        raise InputError(f"{source} has {bad.sum()} NaN or infinite values, the first at {first}: fill or remove them")
    if low < 0 or high > 255:
        return "real"
    if high <= 1:
        return "binary" if _whole(x) else "unit"
    # Whole numbers up to 255 are grey levels in images of any type, but in rows only if they are stored as bytes.
    return "byte" if x.dtype == np.uint8 or (x.ndim == 4 and _whole(x)) else "real"


def _whole(x: np.ndarray) -> bool:
    if x.dtype.kind in "bui":
        return True
    return all(not np.any(x[i : i + 1024] % 1) for i in range(0, len(x), 1024))


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


def _read_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> Raw:
    keys = {part: key for part, names in PARTS.items() if (key := _first(arrays, *names, *(f"x_{n}" for n in names)))}
    if "train" in keys and "test" in keys:
        return _read_parts(arrays, keys, path)
    labels = _first(arrays, "labels", "y")
    others = [key for key in arrays if key != labels]
    key = "x" if "x" in arrays else others[0] if len(others) == 1 else None
    if key is None:
        raise InputError(
            f"{path} holds the arrays {', '.join(sorted(arrays))}: name the examples x (and labels), "
            "or train, validation and test"
        )
    x, support = arranged(arrays[key], f"{path} ({key})")
    codes, classes = _coded(arrays[labels], len(x), path) if labels else (None, None)
    return Raw(x, support, labels=codes, classes=classes)


def _read_parts(arrays: Mapping[str, np.ndarray], keys: Mapping[str, str], path: Path) -> Raw:
    parts = [arrays[key] for key in keys.values()]
    if len({(part.shape[1:], part.dtype) for part in parts}) > 1:
        shapes = ", ".join(f"{key}: {part.shape} {part.dtype}" for key, part in zip(keys.values(), parts, strict=True))
        raise InputError(f"{path} has parts of unlike shapes or types ({shapes}): save them alike")
    x, support = arranged(np.concatenate(parts), f"{path} ({', '.join(keys.values())})")
    names = [_first(arrays, f"y_{key.removeprefix('x_')}", f"{key}_labels") for key in keys.values()]
    labels = [arrays[name] for name in names if name]
    codes, classes = _coded(np.concatenate(labels), len(x), path) if len(labels) == len(parts) else (None, None)
    return Raw(
        x,
        support,
        splits=("/".join(str(len(part)) for part in parts),),
        labels=codes,
        classes=classes,
        test=len(parts[-1]),
        shuffle="validation" not in keys,
    )


def _coded(labels: np.ndarray, n: int, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels.shape[:1] != (n,):
        raise InputError(f"{path} has {n} examples but labels of shape {labels.shape}: give one label an example")
    return coded_labels(labels, str(path))


def _first(arrays: Mapping[str, np.ndarray], *keys: str) -> str | None:
    return next((key for key in keys if key in arrays), None)
