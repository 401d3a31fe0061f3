"""What the columns of a table are if nobody says: kinds that are told from the values, with the reasons."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vaekit.data.arrays import side_of_images
from vaekit.data.columns import Column, Kind, listed
from vaekit.data.kinds import TRUTHS
from vaekit.data.raw import Raw
from vaekit.data.roles import support_of

FEW, LARGEST = 100, 1000
"""how many different values counts have at most, and the largest of them"""
SPREAD = 10
"""how many times the smallest value the largest of a positive column is at least"""


class Inference(NamedTuple):
    """A kind of column that was told from its values, and the reason."""

    kind: Kind
    reason: str


def inferences(raw: Raw) -> dict[str, Inference]:
    """Tell what the columns of a table are that are not any real numbers, by name.

    Args:
        raw: What was read; columns of numbers are not told apart if they look like pixels.
    """
    columns = raw.columns or ()
    pixels = bool(columns) and side_of_images(raw.x) is not None
    found = {column.name: _inference(column, raw.x[:, i], pixels) for i, column in enumerate(columns)}
    return {name: inference for name, inference in found.items() if inference}


def _inference(column: Column, values: np.ndarray, pixel: bool) -> Inference | None:
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max() or (column.kind == "real" and pixel):
        return None
    return inferred(known) if column.kind == "real" else Inference(column.kind, _reason(column))


def _reason(column: Column) -> str:
    if column.categories == TRUTHS:
        return "true and false"
    return f"words: {listed(column.categories)}" if column.categories else "it is set"


def retyped(raw: Raw, kinds: Mapping[str, Kind]) -> Raw:
    """Give columns of real numbers the kinds that they were told to be."""
    columns = tuple(
        replace(column, kind=kinds[column.name]) if column.kind == "real" and column.name in kinds else column
        for column in raw.columns or ()
    )
    return replace(raw, columns=columns, support=support_of(columns)) if columns else raw


def inferred(values: np.ndarray) -> Inference | None:
    """Tell from a column's known numbers, which differ, what it is if it is not any real number; None if it is.

    Counts are whole numbers that begin near 0 and vary about as much as random counts do, or more. Skewed positive
    numbers, of unlike sizes, are those whose logarithms are much less skewed.

    Example:
        >>> inferred(np.array([0.0, 3, 1, 0, 2]))
        Inference(kind='count', reason='whole numbers from 0 to 3')
    """
    low, high = values.min(), values.max()
    if not np.any(values % 1):
        if low == 0 and high == 1:
            return Inference("binary", "0 and 1")
        few = len(np.unique(values)) <= FEW and high <= LARGEST
        if few and 0 <= low <= high / 10 and values.var() >= values.mean() / 2:
            return Inference("count", f"whole numbers from {low:.0f} to {high:.0f}")
    if 0 < SPREAD * low < high and (skew := _skewness(values)) > 1 and abs(_skewness(np.log(values))) < skew / 2:
        return Inference("positive", f"positive numbers from {low:.6g} to {high:.6g}, skewed as logarithms are not")
    return None


def _skewness(values: np.ndarray) -> float:
    centered = values - values.mean()
    return float((centered**3).mean() / max((centered**2).mean(), np.finfo(float).tiny) ** 1.5)
