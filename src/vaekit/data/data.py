"""Data ready for training: three splits in one space, in memory or on the disk."""

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.disk import ahead, announce, scratch
from vaekit.data.raw import RESIDENT
from vaekit.data.space import Space
from vaekit.errors import InputError, nearest

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, repr=False)
class Split:
    """One part of a data set: examples as they are stored, read batch by batch.

    Args:
        x: Stored examples (N, *event), uint8 or float32; `batch` turns them into what a model reads.
        labels: Class numbers of this part's examples, if there are any.
        levels: What stored values are divided by: 255 for 8-bit levels, else 1.
        dynamic: Whether every batch draws its bits anew, x ~ Bernoulli(stored gray level).
        threshold: Whether gray levels from ½ on are read as 1 and the others as 0.
        index: The rows of `x` that belong to this part; None if all do. A memory map is shared between parts.
        missing: Whether stored examples, float32 then, may have holes, which stay holes when bits are drawn.
        names: Names of the files that this part's examples were read from, where each has one.
        device: Where batches go.
    """

    x: Tensor
    labels: Tensor | None = None
    levels: int = 1
    dynamic: bool = False
    threshold: bool = False
    index: Tensor | None = None
    missing: bool = False
    names: Sequence[str] | None = None
    device: torch.device | str = "cpu"

    def __repr__(self) -> str:
        return f"<Split of {len(self):,} examples of shape {tuple(self.x.shape[1:])}, stored as {self.x.dtype}>"

    def __len__(self) -> int:
        return len(self.x if self.index is None else self.index)

    def batch(self, rows: Tensor) -> Batch:
        """Give the model's view of some examples, whose x is float32 of shape (len(rows), *event)."""
        return self.seen(self.stored(rows))

    def stored(self, rows: Tensor) -> Batch:
        """Give examples as they are stored, before scaling and binarization."""
        here = rows.to(self.x.device)
        if self.index is not None:
            here = self.index[here]
        if self.large:
            announce(self.x, here)
        labels = None if self.labels is None else self.labels[rows.to(self.labels.device)].to(self.device)
        return Batch(self.x.index_select(0, here).to(self.device), rows.to(self.device), labels)

    def some(self, n: int, seed: int) -> Tensor:
        """Choose n examples by a seed, as the model reads them; gray levels where every batch draws its bits anew."""
        rows = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:n]
        return replace(self, dynamic=False).batch(rows).x

    def stream(self, rows: Iterable[Tensor]) -> Generator[Batch]:
        """Give `stored` for one batch of rows after the other; large arrays are read ahead by a thread.

        The thread draws no random numbers. Closing the generator ends it.
        """
        batches = map(self.stored, rows)
        yield from ahead(batches) if self.large else batches

    def seen(self, stored: Batch, uniform: Tensor | None = None) -> Batch:
        """Give the model's view of stored examples, whose x is float32.

        A dynamically binarized part draws from torch's global random state, unless it is given numbers that are uniform
        over [0, 1), one for every element.
        """
        return stored._replace(x=self._read(stored.x, uniform))

    def _read(self, stored: Tensor, uniform: Tensor | None) -> Tensor:
        if self.dynamic:
            x = draw_batch(stored) if uniform is None else (uniform * self.levels < stored).float()
        else:
            x = stored / self.levels
            x = (x >= 0.5).float() if self.threshold else x
        return torch.where(stored.isnan(), stored, x) if self.missing else x

    @property
    def large(self) -> bool:
        """Whether the stored examples are too many to be moved: they stay in their file or on the CPU."""
        return self.x.nbytes > RESIDENT

    def to(self, device: torch.device | str) -> "Split":
        """Move to a device, leaving arrays of more than a gibibyte where they are."""
        labels = None if self.labels is None else self.labels.to(device)
        x = self.x if self.large else self.x.to(device)
        index = None if self.index is None else self.index.to(x.device)
        return replace(self, x=x, index=index, labels=labels, device=device)

    def fixed(self, seed: tuple[int, ...], images: int | None = None) -> "Split":
        """Draw the bits of a dynamically binarized part once, the same for the same seed on every device.

        Args:
            seed: The bits of the first images do not depend on how many follow.
            images: How many images are drawn; None draws all.
        """
        if not self.dynamic:
            return self
        count = len(self) if images is None else min(images, len(self))
        shape, random = (count, *self.x.shape[1:]), np.random.default_rng(seed)
        kind = np.dtype(np.float32 if self.missing else np.uint8)
        large = math.prod(shape) * kind.itemsize > RESIDENT
        bits = torch.from_numpy(scratch(shape, kind) if large else np.empty(shape, kind))
        for rows in torch.arange(count).split(1024):
            gray = self.stored(rows).x.cpu()
            drawn = torch.from_numpy(draw_bits(gray.numpy(), random))
            bits[rows[0] : rows[-1] + 1] = torch.where(gray.isnan(), gray, drawn) if self.missing else drawn
        labels = None if self.labels is None else self.labels[:count]
        return replace(self, x=bits, labels=labels, levels=1, dynamic=False, index=None).to(self.device)


def drawing_seed(seed: int, name: str) -> tuple[int, int]:
    """Seed the bits of a part apart from those of other parts and from the split."""
    return seed, 1 + PARTS.index(name)


def draw_bits(gray: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw b ~ Bernoulli(gray) for every pixel, as uint8; gray levels are k of 255 if 8-bit."""
    if gray.dtype == np.uint8:
        # A level u uniform over 0..254 lies below k with probability k/255 exactly.
        return (random.integers(0, 255, gray.shape, dtype=np.uint8) < gray).view(np.uint8)
    return (random.random(gray.shape, dtype=np.float32) < gray).view(np.uint8)


def draw_batch(gray: Tensor) -> Tensor:
    """Draw b ~ Bernoulli(gray) from torch's global random state, as float32; for levels as `draw_bits`."""
    uniform = draw_levels(gray.shape, gray.device) if gray.dtype == torch.uint8 else torch.rand_like(gray)
    return (uniform < gray).float()


def draw_levels(shape: torch.Size, device: torch.device) -> Tensor:
    """Draw numbers that are uniform over 0..254 from torch's global random state, as uint8."""
    if device.type != "cpu":
        return torch.randint(0, 255, shape, dtype=torch.uint8, device=device)
    # A CPU spends its time in the generator, so a number of 64 bits makes eight levels; the few numbers that hold the
    # byte 255 are drawn again as a whole.
    size = shape.numel()
    levels = torch.empty(math.ceil(size / 8), 1, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
    again = (levels == 255).view(torch.int64).nonzero()[:, 0]
    levels[again] = torch.randint(0, 255, (len(again), 8), dtype=torch.uint8)
    return levels.flatten()[:size].view(shape)


@dataclass(frozen=True, repr=False)
class Data:
    """A data set in its splits; with dynamic binarization only `train` is drawn anew batch by batch."""

    space: Space
    train: Split
    validation: Split | None
    test: Split
    seed: int = 0

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,} {name}" for name, size in self.space.sizes.items())
        return f"<Data {self.space.title}: {sizes} {self.space.noun} of {'×'.join(map(str, self.space.event_shape))}>"

    def to(self, device: torch.device | str) -> "Data":
        """Move every split to a device."""
        validation = self.validation and self.validation.to(device)
        return replace(self, train=self.train.to(device), validation=validation, test=self.test.to(device))

    def fixed(self, name: str, images: int | None = None) -> Split:
        """Give a split for evaluation: under dynamic binarization, with the bits fixed by the data's own seed.

        Runs with different training seeds are so compared on the same bits. Drawing those of a whole training set
        takes time; where only the first `images` are looked at, bits need be drawn for no more.

        Raises:
            InputError: If there is no such split.
        """
        if name not in PARTS:
            raise InputError(f"there is no split {name!r}: {nearest(name, PARTS)}")
        split: Split | None = getattr(self, name)
        if split is None:
            raise InputError(
                f"{self.space.source} split as {self.space.split} has no {name} part: "
                "choose train or test, or train with a split of three parts (data.split)"
            )
        return split.fixed(drawing_seed(self.seed, name), images)
