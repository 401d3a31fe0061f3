"""What an encoder reads of x: numbers, one-hot categories and a mask; and how x is corrupted before it is read."""

import re
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import AfterValidator
from torch import Tensor, nn

from vaekit.data import Space
from vaekit.errors import InputError, shown

CATEGORIES = ("category", "ordinal")
"""the kinds of columns that are read as one-hot vectors"""


class Corruption(NamedTuple):
    """What an encoder does not see as it is while it is trained.

    Attributes:
        noise: standard deviation of what is added to numbers.
        hidden: share of the elements that are hidden.
    """

    noise: float = 0.0
    hidden: float = 0.0

    @classmethod
    def of(cls, text: str | None) -> "Corruption":
        """Read gaussian:σ or mask:share; None corrupts nothing.

        Raises:
            InputError: if it is neither.

        Example:
            >>> Corruption.of("mask:0.5")
            Corruption(noise=0.0, hidden=0.5)
        """
        if text is None:
            return cls()
        kind, _, word = text.partition(":")
        amount = float(word) if re.fullmatch(r"\d*\.?\d+(e-?\d+)?", word) else 0.0
        if kind == "gaussian" and 0 < amount < 1e6:
            return cls(noise=amount)
        if kind == "mask" and 0 < amount < 1:
            return cls(hidden=amount)
        raise InputError(
            f"corruption is {shown(text)}: give gaussian and a standard deviation, such as gaussian:0.3, or mask and a "
            "share of the elements between 0 and 1, such as mask:0.5"
        )


def _checked(text: str) -> str:
    Corruption.of(text)
    return text


CorruptionText = Annotated[str, AfterValidator(_checked)]


class Features(nn.Module):
    """What an encoder reads of x (batch, *event), whose first axis it changes: channels of images, columns of tables.

    Numbers come first: pixels, standardized columns, binary ones, and counts as standardized log(1 + x); then a one-hot
    vector for each category; then a mask with 1 where an element is observed, if elements may be missing. What is
    missing is 0 everywhere. In training mode, x is corrupted first.

    Args:
        space: of the data.
        corruption: gaussian:σ, mask:share, or None.
    """

    numbers: Tensor
    counts: Tensor
    shift: Tensor
    scale: Tensor
    owner: Tensor
    code: Tensor

    def __init__(self, space: Space, corruption: str | None = None) -> None:
        super().__init__()
        self.corruption, self.masked = Corruption.of(corruption), space.missing
        columns = space.columns if space.support == "mixed" else None
        self.mixed = columns is not None
        if columns is not None:
            coded = [i for i, column in enumerate(columns) if column.kind in CATEGORIES]
            plain = [i for i in range(len(columns)) if i not in coded]
            sizes = [len(columns[i].categories) for i in coded]
            count = [columns[i].kind == "count" for i in plain]
            self._keep("numbers", torch.tensor(plain, dtype=torch.int64))
            self._keep("counts", torch.tensor(count, dtype=torch.bool))
            self._keep("shift", torch.tensor([columns[i].shift for i in plain]))
            self._keep("scale", torch.tensor([columns[i].divisor for i in plain]))
            self._keep("owner", torch.tensor(coded, dtype=torch.int64).repeat_interleave(torch.tensor(sizes).long()))
            self._keep("code", torch.cat([torch.arange(0.0), *(torch.arange(float(size)) for size in sizes)]))
        first, *rest = space.event_shape
        read = len(self.numbers) + len(self.code) if columns is not None else first
        self.shape = (read + first * self.masked, *rest)

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor, persistent=False)

    @property
    def identity(self) -> bool:
        """Whether x is read as it is."""
        return not (self.mixed or self.masked or any(self.corruption))

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *features"]:
        if self.training and self.corruption.hidden:
            x = x.masked_fill(torch.rand_like(x) < self.corruption.hidden, torch.nan)
        seen = ~x.isnan()
        known = x.masked_fill(~seen, 0)
        parts = [self._numbers(known, seen)]
        if self.mixed:
            parts.append((x.index_select(1, self.owner) == self.code).to(x.dtype))
        if self.masked:
            parts.append(seen.to(x.dtype))
        return torch.cat(parts, 1)

    def _numbers(
        self, x: Float[Tensor, "batch *event"], seen: Bool[Tensor, "batch *event"]
    ) -> Float[Tensor, "batch *numbers"]:
        """Return the numbers, standardized, with noise where they are corrupted, and 0 where they are missing."""
        if self.mixed:
            x, seen = x.index_select(1, self.numbers), seen.index_select(1, self.numbers)
            x = torch.where(self.counts, (x.masked_fill(~self.counts, 0).log1p() - self.shift) / self.scale, x)
        if self.training and self.corruption.noise:
            x = x + self.corruption.noise * torch.randn_like(x)
        return x.masked_fill(~seen, 0)
