"""Data in memory, ready for training: three splits in one space."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vaekit.data.raw import RESIDENT
from vaekit.data.space import Space
from vaekit.errors import InputError, nearest

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """One part of a data set: examples as they are stored, read batch by batch.

    Args:
        x: Stored examples (N, *event), uint8 or float32; `batch` turns them into what a model reads.
        labels: Class numbers of this part's examples, if there are any.
        levels: What stored values are divided by: 255 for 8-bit levels, else 1.
        dynamic: Whether every batch draws its bits anew, x ~ Bernoulli(stored grey level).
        threshold: Whether grey levels from ½ on are read as 1 and the others as 0.
        index: The rows of `x` that belong to this part; None if all do. A memory map is shared between parts.
        device: Where batches go.
    """

    x: Tensor
    labels: Tensor | None = None
    levels: int = 1
    dynamic: bool = False
    threshold: bool = False
    index: Tensor | None = None
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(self.x if self.index is None else self.index)

    def batch(self, rows: Tensor) -> Tensor:
        """Give the model's view of some examples, float32 of shape (len(rows), *event).

        A dynamically binarised part draws from torch's global random state.
        """
        x = self.stored(rows) / self.levels
        if self.threshold:
            return (x >= 0.5).float()
        return torch.bernoulli(x) if self.dynamic else x

    def to(self, device: torch.device | str) -> "Split":
        """Move to a device, leaving arrays of more than a gibibyte where they are."""
        labels = None if self.labels is None else self.labels.to(device)
        x = self.x if self.x.nbytes > RESIDENT else self.x.to(device)
        index = None if self.index is None else self.index.to(x.device)
        return replace(self, x=x, index=index, labels=labels, device=device)

    def fixed(self, seed: tuple[int, ...]) -> "Split":
        """Draw the bits of a dynamically binarised part once, the same for the same seed on every device."""
        if not self.dynamic:
            return self
        random = np.random.default_rng(seed)
        blocks = [draw_bits(self.stored(rows).cpu().numpy(), random) for rows in torch.arange(len(self)).split(1024)]
        bits = torch.from_numpy(np.concatenate(blocks)).to(self.device)
        return replace(self, x=bits, levels=1, dynamic=False, index=None)

    def stored(self, rows: Tensor) -> Tensor:
        """Give examples as they are stored, before scaling and binarisation."""
        rows = rows.to(self.x.device)
        return self.x[rows if self.index is None else self.index[rows]].to(self.device)


def drawing_seed(seed: int, name: str) -> tuple[int, int]:
    """Seed the bits of a part apart from those of other parts and from the split."""
    return seed, 1 + PARTS.index(name)


def draw_bits(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw b ~ Bernoulli(grey) for every pixel, as uint8; grey levels are k of 255 if 8-bit."""
    if grey.dtype == np.uint8:
        # A level u uniform over 0..254 lies below k with probability k/255 exactly.
        return (random.integers(0, 255, grey.shape, dtype=np.uint8) < grey).view(np.uint8)
    return (random.random(grey.shape, dtype=np.float32) < grey).view(np.uint8)


@dataclass(frozen=True)
class Data:
    """A data set in its splits; with dynamic binarisation only `train` is drawn anew batch by batch."""

    space: Space
    train: Split
    validation: Split | None
    test: Split
    seed: int = 0

    def to(self, device: torch.device | str) -> "Data":
        """Move every split to a device."""
        validation = self.validation and self.validation.to(device)
        return replace(self, train=self.train.to(device), validation=validation, test=self.test.to(device))

    def fixed(self, name: str) -> Split:
        """Give a split for evaluation: under dynamic binarisation, with the bits fixed by the data's own seed.

        Runs with different training seeds are so compared on the same bits.

        Raises:
            InputError: If there is no such split.
        """
        if name not in PARTS:
            raise InputError(f"there is no split {name!r}: {nearest(name, PARTS)}")
        split: Split | None = getattr(self, name)
        if split is None:
            raise InputError(
                f"{self.space.source} split as {self.space.split} has no {name} part: "
                "choose train or test, or give --set data.split three parts"
            )
        return split.fixed(drawing_seed(self.seed, name))
