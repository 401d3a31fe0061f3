"""Arrays larger than memory: mapped from their files, and read from the disk before they are needed."""

import ctypes
import math
import mmap
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from vaekit.data.cache import cache_errors, cache_folder
from vaekit.errors import RunError

T = TypeVar("T")

NORESERVE = 0x4000
"""MAP_NORESERVE of Linux"""
AHEAD = 4
"""batches that are kept ready"""

Advise = Callable[[int, int, int], int]


@cache
def madvise() -> Advise | None:
    """Give the C library's function that tells the system how memory is used, if there is one (not on Windows)."""
    found: Any = getattr(ctypes.CDLL(None), "madvise", None) if os.name == "posix" else None
    if found:
        found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found


def header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of a .npy file: shape, whether in Fortran's order, and type; the data come next.

    Raises:
        ValueError: If it is not one.
    """
    try:
        read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
        shape, fortran, kind = read(stream)
    except (SyntaxError, TokenError, RecursionError, MemoryError, OverflowError, TypeError) as error:
        raise ValueError(f"its header is damaged, {error}") from None
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"its header has the shape {shape}")
    return shape, fortran, kind


def mapped(path: Path) -> np.ndarray:
    """Map a .npy file into memory, so that no write reaches the file; pages come from the disk when they are read."""
    with path.open("rb") as stream:
        shape, fortran, kind = header(stream)
        return np.ndarray(shape, kind, _private(stream), stream.tell(), order="F" if fortran else "C")


def _private(stream: IO[bytes]) -> mmap.mmap:
    if sys.platform == "linux":
        # Else Linux refuses a private map of more bytes than there is memory.
        return mmap.mmap(stream.fileno(), 0, flags=mmap.MAP_PRIVATE | NORESERVE)
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def scratch(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Give an array in a file without a name, which goes when the array goes: it needs the disk, not the memory.

    Raises:
        RunError: If the cache has no room.
    """
    folder, size = cache_folder(), math.prod(shape) * kind.itemsize
    with cache_errors():
        folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RunError(
            f"the bits drawn of {shape[0]:,} images take {size / 1e9:.1f} GB, "
            f"but the cache {folder} has {free / 1e9:.1f} GB left: make room, or set VAEKIT_CACHE to another folder"
        )
    with cache_errors(), tempfile.TemporaryFile(dir=folder) as stream:
        return np.memmap(stream, kind, "w+", shape=shape)


def announce(x: Tensor, rows: Tensor) -> None:
    """Tell the system which rows of a map are read next: it fetches them at once, and not their neighbors."""
    if not (advise := madvise()):
        return
    size = x.stride(0) * x.itemsize
    for row in rows.tolist():
        start = x.data_ptr() + row * size
        page = start - start % mmap.PAGESIZE
        advise(page, start + size - page, mmap.MADV_WILLNEED)


def ahead(items: Iterable[T]) -> Generator[T]:
    """Yield what an iterable gives, read by a thread a few items in advance.

    An error of the iterable is raised where its item would have come; closing the generator ends the thread.
    """
    source = iter(items)
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = deque(thread.submit(next, source, None) for _ in range(AHEAD))
        while (item := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, source, None))
            yield item
