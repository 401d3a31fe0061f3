"""A batch: what flows from the data to a step."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Some examples, with what is known of each.

    Attributes:
        x: The examples (batch, *event), as they are stored or as a model reads them; NaN where nothing is observed.
        rows: Their numbers in their split, (batch,).
        labels: Class numbers (batch,), -1 where the class is unknown; None if the data have no labels.
    """

    x: Tensor
    rows: Tensor | None = None
    labels: Tensor | None = None

    def chunk(self, n: int) -> list["Batch"]:
        """Cut into ``n`` batches of equal size, in order."""
        columns = ([None] * n if tensor is None else tensor.chunk(n) for tensor in self)
        return [Batch(*parts) for parts in zip(*columns, strict=True)]


class Share(NamedTuple):
    """The rows of a batch that one of several processes takes: from ``first`` until before ``last``, of ``whole``."""

    first: int
    last: int
    whole: int

    @classmethod
    def of(cls, whole: int, rank: int, size: int) -> "Share":
        """Divide a batch as evenly as can be.

        Example:
            >>> [Share.of(10, rank, 3).rows for rank in range(3)]
            [3, 3, 4]
        """
        return cls(whole * rank // size, whole * (rank + 1) // size, whole)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.last - self.first

    def taken(self, batch: Batch) -> Batch:
        """Return these rows of a whole batch."""
        columns = [None if tensor is None else tensor[self.first : self.last] for tensor in batch[1:]]
        return Batch(batch.x[self.first : self.last], *columns)
