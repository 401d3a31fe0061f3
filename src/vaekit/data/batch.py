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
