"""The space that examples live in: what a model and a run folder know of the data without the data."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.errors import InputError
from vaekit.specs import spec

Support = Literal["binary", "byte", "unit", "real"]
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
    """The named set or path that the data came from."""
    event_shape: tuple[int, ...]
    """Shape of one example: (C, H, W) of an image, (D,) of a table's row."""
    support: Support
    """Values that the model sees: 0/1, levels k/255, reals in [0, 1], or any reals."""
    binarization: Binarization
    """How grey levels became bits; part of the data's identity, since likelihoods of unlike data do not compare."""
    split: str
    """The split as resolved, such as 50k/10k/10k."""
    sizes: dict[str, int]
    """Examples in each part."""
    digest: str
    """SHA-256 of all stored examples and labels."""
    columns: tuple[str, ...] | None = None
    """Names of a table's columns."""
    shift: tuple[float, ...] | None = None
    """Mean of each column over the training rows, subtracted from what the model sees."""
    scale: tuple[float, ...] | None = None
    """Standard deviation of each column over the training rows, by which the model's input is divided."""
    classes: tuple[str, ...] | None = None
    """Names of the classes that the labels 0, 1, ... stand for."""

    def encode_input(self, array: npt.ArrayLike | Tensor) -> Tensor:
        """Turn raw examples into what the model reads, as float32 of shape (batch, *event).

        Args:
            array: 8-bit images, floats in the model's range, or table rows in the file's units; grey images may
                lack their channel axis and colour images may have it last.

        Raises:
            InputError: If the shape, the range or a value does not fit this space.
        """
        x = _numeric(array)
        levels = x.dtype == np.uint8 and not (self.support == "binary" and x.max(initial=0) <= 1)
        x = self._arranged(x).astype(np.float64 if self.scale else np.float32)
        if self.support == "real":
            if self.shift and self.scale:
                x = (x - np.array(self.shift)) / np.array(self.scale)
            return torch.from_numpy(x.astype(np.float32))
        x = x / np.float32(255) if levels else x
        if x.size and (x.min() < 0 or x.max() > 1):
            raise InputError(
                f"the values run from {x.min():g} to {x.max():g}, but {self.source} has values in [0, 1]: "
                "give 8-bit images (uint8) or scale the values"
            )
        return torch.from_numpy((x >= 0.5).astype(np.float32) if self.support == "binary" else x)

    def restore(self, x: npt.ArrayLike | Tensor) -> np.ndarray:
        """Turn what a model emits into the data's own units: uint8 levels, floats in [0, 1], or table rows.

        Args:
            x: Examples in the model's space, (..., *event).
        """
        values = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
        if self.support == "byte":
            return np.rint(values * 255).clip(0, 255).astype(np.uint8)
        if self.shift and self.scale:
            return values * np.array(self.scale) + np.array(self.shift)
        return values

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
                return np.ascontiguousarray(np.moveaxis(x, -1, 1))
        raise InputError(
            f"the input has shape {_times(x.shape)}, but {self.source} needs N examples of {_times(self.event_shape)}"
        )


def _numeric(array: npt.ArrayLike | Tensor) -> np.ndarray:
    x = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    if x.dtype.kind not in "buif":
        raise InputError(f"the input holds values of type {x.dtype}, but only numbers can be encoded")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError("the input holds NaN or infinite values: fill or remove them")
    return x


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "()"
