"""What the values of an array are: their range, whether they are whole, and the range that they would fit."""

from collections.abc import Iterator

import numpy as np

from vaekit.errors import InputError

BLOCK = 2**24
"""bytes looked at together, so that a map larger than memory is read piece by piece"""
ROUNDING = 1e-5
"""what interpolation and sums in single precision leave above 1 or below 0: far less than a gray level"""
LEVELS = 255
"""the highest 8-bit level"""
BITS = (8, 10, 12, 14, 16, 24, 32)


def blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in pieces, in the order in which it is stored."""
    x = x.T if x.flags.f_contiguous else x
    rows = max(1, BLOCK // max(1, x[:1].nbytes))
    return (x[i : i + rows] for i in range(0, len(x), rows))


def extremes(x: np.ndarray, source: str, holes: bool = False) -> tuple[float, float]:
    """Give the least and the greatest value; 0 and 0 of an empty array.

    Args:
        x: The values.
        source: What they are called in errors.
        holes: Whether NaN stands for values that are missing.

    Raises:
        InputError: If a value is infinite, or NaN where none may be missing, or all are missing.
    """
    if not x.size:
        return 0.0, 0.0
    ends = np.array([(part.min(), part.max()) for part in blocks(x)])
    if holes and np.isnan(ends).any():
        ends = np.array([(np.fmin.reduce(part, axis=None), np.fmax.reduce(part, axis=None)) for part in blocks(x)])
        ends = ends[~np.isnan(ends).any(1)]
        if not len(ends):
            raise InputError(f"{source} has no value that is not missing (NaN): give some")
    if not np.isfinite(ends).all():
        bad = np.isinf(x) if holes else ~np.isfinite(x)
        first = tuple(map(int, np.unravel_index(bad.argmax(), bad.shape)))
        what = "infinite" if holes else "NaN or infinite"
        raise InputError(f"{source} has {bad.sum()} {what} values, the first at {first}: fill or remove them")
    return float(ends.min()), float(ends.max())


def has_holes(x: np.ndarray) -> bool:
    """Whether values are missing, which are NaN."""
    return x.dtype.kind == "f" and any(np.isnan(part.max()) for part in blocks(x) if part.size)


def whole(x: np.ndarray) -> bool:
    """Whether all values that are not missing are whole numbers."""
    return x.dtype.kind in "bui" or not any(np.any(part % 1 > 0) for part in blocks(x))


def rounding(x: np.ndarray) -> float:
    """Give the excess over a range that is taken as a rounding: 1e-5, or more for types of fewer digits."""
    return max(ROUNDING, float(np.finfo(x.dtype).eps)) if x.dtype.kind == "f" else 0.0


def scale_that_fits(high: float) -> str:
    """Say by what to divide values from 0 to `high` so that they lie in [0, 1].

    Example:
        >>> scale_that_fits(4000)
        'divide them by 4095 (12 bits)'
    """
    bits = next((bits for bits in BITS if high < 2**bits), None)
    return f"divide them by {2**bits - 1} ({bits} bits)" if bits else f"divide them by {high:.9g}"


def as_float32(x: np.ndarray, source: str) -> np.ndarray:
    """Convert to float32 in C order.

    Raises:
        InputError: If a finite value is beyond float32.
    """
    with np.errstate(over="ignore"):
        kept = np.ascontiguousarray(x, np.float32)
    if x.dtype.itemsize > kept.itemsize and any(np.isinf(part).any() for part in blocks(kept)):
        raise InputError(f"{source} has values beyond 3.4e38, the end of single precision: scale them down")
    return kept
