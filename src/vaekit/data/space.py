"""The space that examples live in: what a model and a run folder know of the data without the data."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from pydantic_core import ArgsKwargs
from torch import Tensor

from vaekit.data.columns import Column, Constant, Scaling, former_columns
from vaekit.data.kinds import restored, rounded, side_by_side
from vaekit.data.matching import matched, numeric, times
from vaekit.data.raw import Table
from vaekit.data.values import LEVELS, as_float32, extremes, rounding, scale_that_fits, whole
from vaekit.errors import InputError
from vaekit.specs import Count, Whole, spec
from vaekit.text import title

log = logging.getLogger("vaekit")

Support = Literal["binary", "byte", "unit", "real", "mixed"]
Binarization = Literal["none", "dynamic", "static", "threshold"]


@spec
class Space:
    """The facts about a data set that its models depend on, saved beside every model.

    Example:
        >>> space = Space(source="faces.npy", event_shape=(1, 2, 2), support="byte", binarization="none",
        ...               split="8/1/1", sizes={"train": 8, "validation": 1, "test": 1}, digest="")
        >>> space.encode_input(np.full((5, 2, 2), 255, np.uint8)).shape
        torch.Size([5, 1, 2, 2])
    """

    source: str
    """the named set or path that the data came from"""
    event_shape: tuple[Count, ...]
    """shape of one example: (C, H, W) of an image, (D,) of a table's row"""
    support: Support
    """values that the model sees: 0/1, levels k/255, reals in [0, 1], any reals, or columns of several kinds"""
    binarization: Binarization
    """how gray levels became bits; part of the data's identity, since likelihoods of unlike data do not compare"""
    split: str
    """the split as resolved, such as 50k/10k/10k"""
    sizes: dict[str, Whole]
    """examples in each part"""
    digest: str
    """SHA-256 of all stored examples and labels"""
    columns: tuple[Column, ...] | None = None
    """what each column of a table is, in the order of the model; rows of reals without names have such as column 1"""
    constant: tuple[Constant, ...] = ()
    """columns that never varied in training: the model does not read them, and outputs have them again"""
    missing: bool = False
    """whether elements may be missing, which the model reads as NaN"""
    classes: tuple[str, ...] | None = None
    """names of the classes that the labels 0, 1, ... stand for"""
    depth: Annotated[int, Field(ge=8, le=16)] | None = None
    """bits of the levels in the image files, 8 to 16, by which later images are scaled too; None if it is unknown"""
    mean: Annotated[float, Field(ge=0, le=1)] | None = None
    """mean of the training images' pixels, from 0 to 1; None if it is unknown"""

    def __post_init__(self) -> None:
        if len(self.event_shape) not in (1, 3):
            raise InputError(f"event_shape {self.event_shape} is neither (C, H, W) nor (D,): restore the file")
        if self.columns is not None and (len(self.columns),) != self.event_shape:
            raise InputError(
                f"there are {len(self.columns)} columns for examples of {self.event_shape}: restore the file"
            )

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, given: Any) -> Any:
        """Read what version 0.1.0 wrote: names of columns, and apart from them shift and scale, for rows of reals."""
        facts = given.kwargs if isinstance(given, ArgsKwargs) else given
        return former_columns(facts) if isinstance(facts, Mapping) else given

    def __hash__(self) -> int:
        return hash((self.digest, self.event_shape, self.support, self.binarization, self.split))

    @classmethod
    def of(cls, event_shape: Sequence[int], train: int = 0) -> "Space":
        """Give a space of values in [0, 1] of which nothing is known but the shape and number of training examples."""
        shape, sizes = tuple(event_shape), {"train": train}
        return cls(source="", event_shape=shape, support="unit", binarization="none", split="", sizes=sizes, digest="")

    @property
    def title(self) -> str:
        """The source without the folders of an absolute path."""
        return title(self.source)

    @property
    def noun(self) -> str:
        """What the examples are called."""
        return "images" if len(self.event_shape) == 3 else "examples"

    def encode_input(self, array: npt.ArrayLike | Tensor | Table) -> Tensor:
        """Turn raw examples into what the model reads, as float32 of shape (batch, *event).

        What the values mean is decided by the array as a whole, as it is when a file is trained on: bytes are gray
        levels, and so are whole numbers of other types, if one is above 1 and the model's own data were not reals;
        other values are in the model's range, where a rounding beyond 0 or 1 is cut off.

        Args:
            array: Gray levels, booleans, numbers in the model's range, or table rows in the file's units; gray
                images may lack their channel axis or be rows of pixels, and color images may have it last. A table with
                names, such as a DataFrame, is read by its names.

        Raises:
            InputError: If the shape, the range or a value does not fit this space.
        """
        x = self._read(array)
        return self._seen(x, self._divisor(x))

    def encode_batches(self, array: npt.ArrayLike | Tensor | Table, size: int) -> Iterator[Tensor]:
        """Give `encode_input` of an array in batches of `size`; a memory map is read piece by piece.

        Raises:
            InputError: If the shape, the range or a value of the whole array does not fit this space.
        """
        x = self._read(array)
        if not len(x):
            raise InputError("the input holds no example: give at least one")
        divisor = self._divisor(x)
        self._notice_inverted(x, divisor)
        return (self._seen(x[i : i + size], divisor) for i in range(0, len(x), size))

    def _divisor(self, x: np.ndarray) -> int:
        """Give by what the values of raw examples are divided: 255 if they are gray levels, else 1.

        Raises:
            InputError: If they do not fit this space's range.
        """
        if self.columns:
            return 1
        low, high = extremes(x, "the input", holes=self.missing)
        if self.support == "real":
            return 1
        within = low >= -rounding(x) and high <= 1 + rounding(x)
        if x.dtype == np.uint8 and not (self.support == "binary" and within):
            if within and high:
                log.warning("the input holds the bytes 0 and 1, read as levels of 255: give bits as booleans or floats")
            return LEVELS
        if within:
            return 1
        # The data of a "unit" model were scaled by someone who alone knows by what.
        if self.support == "unit" or low < 0 or high > LEVELS or not whole(x):
            scale = scale_that_fits(high) if low >= 0 and high > LEVELS else "scale them as its own were"
            raise InputError(
                f"the values run from {low:.9g} to {high:.9g}, but {self.source} has values in [0, 1]: {scale}, "
                "or give 8-bit levels as uint8"
            )
        return LEVELS

    def _notice_inverted(self, x: np.ndarray, divisor: int) -> None:
        """Warn if images would fit the training images far better with light and dark exchanged."""
        if self.mean is None:
            return
        mean = float(np.nanmean(x[:: -(-len(x) // 1000)], dtype=np.float64)) / divisor
        if abs(mean - self.mean) > 0.3 and abs(1 - mean - self.mean) < abs(mean - self.mean) / 2:
            usual, these = (
                ("light on dark", "dark on light") if self.mean < mean else ("dark on light", "light on dark")
            )
            log.warning(
                "the training images are %s (mean pixel %.2f), but these are %s (%.2f): invert them, %s − x",
                usual, self.mean, these, mean, divisor,
            )  # fmt: skip

    def _seen(self, x: np.ndarray, divisor: int) -> Tensor:
        """Turn some arranged examples into what the model reads."""
        if self.columns:
            x = self._scaling.seen(x.astype(np.float64))
        if self.columns or self.support == "real":
            return torch.from_numpy(as_float32(x, "the input"))
        x = (np.ascontiguousarray(x, np.float32) / np.float32(divisor)).clip(0, 1)
        if self.support == "binary":
            x = np.where(np.isnan(x), x, (x >= 0.5).astype(np.float32))
        return torch.from_numpy(x)

    def _read(self, array: Any) -> np.ndarray:
        """Give raw examples in the order of this space, the cells of a table as numbers.

        Raises:
            InputError: If their shape or a cell does not fit, or cells are missing that were not in training.
        """
        if not self.columns:
            return self._arranged(numeric(array))
        x = matched(array, self.columns, self.header)
        if not self.missing and np.isnan(x).any():
            row, k = np.argwhere(np.isnan(x))[0].tolist()
            raise InputError(
                f"the input has no value in row {row + 1}, column {self.columns[k].name!r}, but {self.source} has no "
                "missing values, so the model does not know any: fill it, or train with missing values "
                "(--set data.missing=0.1 hides a tenth)"
            )
        return x

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of a table's columns, in the order of the model."""
        return None if self.columns is None else tuple(column.name for column in self.columns)

    @property
    def header(self) -> list[str]:
        """Names of all columns of a table's output, constant ones included; none of other data."""
        names = list(self.names or ())
        for column in self.constant:
            names.insert(column.place, column.name)
        return names

    @cached_property
    def _scaling(self) -> Scaling:
        return Scaling.of(self.columns or ())

    def log_jacobian(self, x: Tensor) -> Tensor:
        """Give what log p gains from the model's units to the file's, (N,): the sum of `log_slopes`.

        Args:
            x: Examples as the model reads them, (N, *event).
        """
        return self.log_slopes(x).flatten(1).sum(1)

    def log_slopes(self, x: Tensor) -> Tensor:
        """Give log |dx/dv| of each value v in the file's units, (N, *event): 0 of what is missing and of other data.

        It is −log s of standardized columns, and −log s − log v of positive ones.

        Args:
            x: Examples as the model reads them, (N, *event).
        """
        if not self.columns:
            return torch.zeros_like(x)
        positive, shift, divisor = (torch.from_numpy(array).to(x.device) for array in self._scaling)
        logs = torch.where(positive, x * divisor + shift, 0)
        return -torch.where(x.isnan(), 0, divisor.log() + logs).to(x.dtype)

    def generated(self, x: npt.ArrayLike | Tensor) -> np.ndarray:
        """Turn what a model emits into the data's own units, decimals and words.

        Constant columns are as they were in training.

        Args:
            x: Examples in the model's space, (..., *event).

        Returns:
            Levels, floats or rows of numbers (..., *event); rows of a table with words or truth values have a field for
            each column, (...), as ``pandas.DataFrame`` and ``polars.DataFrame`` take them.
        """
        values = self.restore(x)
        return self.worded(self.rounded(values)) if self.columns else values

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Give rows of a table that a model made, as `restore` gives them, the decimals of its file; others stay."""
        if not self.columns:
            return values
        return np.stack([rounded(c, values[..., k]) for k, c in enumerate(self.columns)], -1)

    def worded(self, values: np.ndarray) -> np.ndarray:
        """Turn a table's rows of numbers, as `restore` gives them, into words where they stand for words.

        Args:
            values: Rows of numbers (..., D), NaN where they are missing.

        Returns:
            As of `generated`, with constant columns as they were in training.
        """
        columns = {c.name: restored(c, values[..., k]) for k, c in enumerate(self.columns or ())}
        fixed: dict[str, Any] = {c.name: c.shift for c in self.columns or () if c.scale == 0 and c.standardized}
        fixed |= {column.name: column.value for column in self.constant}
        columns |= {name: np.full(values.shape[:-1], value) for name, value in fixed.items()}
        return side_by_side({name: columns[name] for name in self.header})

    def restore(self, x: npt.ArrayLike | Tensor) -> np.ndarray:
        """Turn what a model reads or emits into the data's own units, and words into their numbers.

        Args:
            x: Examples in the model's space, (..., *event).

        Returns:
            uint8 levels, floats in [0, 1], or rows of numbers, (..., *event); NaN where x is, levels then as floats.
        """
        values = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
        if self.support == "byte":
            levels = np.rint(values * 255).clip(0, 255)
            return levels if self.missing and np.isnan(levels).any() else levels.astype(np.uint8)
        return self._scaling.values(values) if self.columns else values

    def _arranged(self, x: np.ndarray) -> np.ndarray:
        """Bring the axes of examples into this space's order."""
        shape = x.shape[1:]
        if shape == self.event_shape:
            return x
        if len(self.event_shape) == 3:
            channels, *size = self.event_shape
            if channels == 1 and list(shape) == size:
                return x[:, None]
            if list(shape) == [*size, channels]:
                return np.moveaxis(x, -1, 1)
            if channels == 1 and shape == (prod(size),):  # rows of pixels
                return x.reshape(-1, *self.event_shape)
        raise InputError(
            f"the input has shape {times(x.shape)}, but {self.source} needs N examples of {times(self.event_shape)}"
        )
