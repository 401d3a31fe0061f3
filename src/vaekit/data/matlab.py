"""Arrays of numbers in MATLAB files of versions 5 to 7.

scipy.io also reads them, but ends the process without an error if some bytes are damaged.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np

from vaekit.data.arrays import EXAMPLES, LABELS, first_of, read_arrays, require_memory
from vaekit.data.raw import Raw
from vaekit.errors import InputError

HEADER = 128
"""bytes before the first element"""
MATRIX, COMPRESSED = 14, 15
"""types of the elements of a file"""
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""types in which numbers are stored"""
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""classes of arrays, by the type of their numbers"""
SPARSE = 5
"""class of arrays without their zeros"""
COMPLEX, LOGICAL = 0x800, 0x200
"""flags of an array"""
_NOTHING = (0, b"")


def read_mat(path: Path) -> Raw:
    """Read a .mat file, whose arrays are named as in a .npz file; the last axis may count the examples.

    Raises:
        InputError: If it is damaged, of another version, or its arrays do not tell what they are.
    """
    require_memory(2 * path.stat().st_size, str(path))
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER], "")
    if b"MATLAB 7.3" in data[:HEADER] or data.startswith(b"\x89HDF"):
        raise InputError(f"{path} is a MATLAB 7.3 file, which is not read: save it with -v7")
    try:
        if not order:
            raise ValueError("its header says nothing of MATLAB 5 to 7")
        arrays = dict(_arrays(data[HEADER:], order, str(path)))
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise InputError(f"{path} is truncated or not a MATLAB file ({error}): save it again with -v7") from error
    return read_arrays(_by_examples(arrays), str(path))


def _by_examples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out single numbers, make columns of labels flat, and put an axis that counts the examples first."""
    arrays = {name: array for name, array in arrays.items() if name and array.size > 1}
    x, y = first_of(arrays, *EXAMPLES), first_of(arrays, *LABELS)
    if y:
        arrays[y] = arrays[y].reshape(-1)
    if x and y and len(arrays[x]) != len(arrays[y]) == arrays[x].shape[-1]:
        arrays[x] = np.ascontiguousarray(np.moveaxis(arrays[x], -1, 0))
    return arrays


def _arrays(data: bytes, order: str, source: str) -> Iterator[tuple[str, np.ndarray]]:
    """Give the real numeric arrays by name."""
    for kind, element in _elements(data, order):
        if kind == COMPRESSED:
            yield from _arrays(_inflated(element, order, source), order, source)
        elif kind == MATRIX:
            yield from _array(element, order, source)


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Give the type and the bytes of each element; small ones stand within their own tag."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if small := kind >> 16:
            yield kind & 0xFFFF, data[at + 4 : at + 4 + small]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise ValueError(f"an element announces {size:,} bytes, and {len(data) - at - 8:,} are left")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == COMPRESSED else -size % 8)


def _inflated(element: bytes, order: str, source: str) -> bytes:
    """Unpack an element after its tag has said how large it is."""
    unpacking = zlib.decompressobj()
    tag = unpacking.decompress(element, 8)
    _, size = struct.unpack(f"{order}II", tag)
    require_memory(2 * size, source)
    return tag + unpacking.decompress(unpacking.unconsumed_tail, size) if size else tag


def _array(element: bytes, order: str, source: str) -> Iterator[tuple[str, np.ndarray]]:
    """Give an array with its name if it holds real numbers."""
    parts = _elements(element, order)
    (flags,) = struct.unpack_from(f"{order}I", next(parts, _NOTHING)[1])
    kind = flags & 0xFF
    if flags & COMPLEX or kind not in (SPARSE, *CLASSES):
        return
    shape = np.frombuffer(next(parts, _NOTHING)[1], f"{order}i4").tolist()
    name = next(parts, _NOTHING)[1].decode("latin-1")
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"the array {name} has the shape {shape}")
    if kind == SPARSE:
        require_memory(8 * prod(shape), f"{source}, with its zeros,")
        rows, ends = (_numbers(next(parts, _NOTHING), order) for _ in range(2))
        columns = np.repeat(np.arange(shape[1]), np.diff(ends))
        array = np.zeros(shape)
        # MATLAB does not say truthfully how it stores truth values.
        array[rows[: len(columns)], columns] = flags & LOGICAL or _numbers(next(parts, _NOTHING), order)[: len(columns)]
    else:
        array = _numbers(next(parts, _NOTHING), order).astype(CLASSES[kind]).reshape(shape, order="F")
    yield name, array.astype(bool) if flags & LOGICAL else array


def _numbers(element: tuple[int, bytes], order: str) -> np.ndarray:
    kind, data = element
    if kind not in STORED:
        raise ValueError(f"numbers are of the unknown type {kind}")
    return np.frombuffer(data, order + STORED[kind])
