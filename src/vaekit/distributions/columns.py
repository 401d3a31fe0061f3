"""Columns of a table side by side."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size


class Columns(Distribution):
    """Independent columns of a table, in groups of a kind.

    Args:
        groups: distributions of single numbers, with batch shapes (*batch, columns of the group).
        places: where each column of the groups, one after the other, stands in the table, (columns,).
        order: where each column of the table stands among those of the groups, (columns,).
    """

    arg_constraints = {}  # noqa: RUF012 (torch's interface)

    def __init__(
        self, groups: Sequence[Distribution], places: Int[Tensor, "columns"], order: Int[Tensor, "columns"]
    ) -> None:
        self.groups, self.places, self.order = groups, places, order
        super().__init__(groups[0].batch_shape[:-1], places.shape, validate_args=False)

    def log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch"]:
        return self.element_log_prob(value).sum(-1)

    def element_log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch_and_event"]:
        """log p(x_i) of each column, (*batch, columns)."""
        parts = value.index_select(-1, self.places).split([group.batch_shape[-1] for group in self.groups], -1)
        return self._joined([group.log_prob(part) for group, part in zip(self.groups, parts, strict=True)])

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        return self._joined([group.sample(sample_shape) for group in self.groups])

    @property
    def mean(self) -> Float[Tensor, "*batch_and_event"]:
        """Means of the columns; modes of those of categories."""
        return self._joined([group.mean for group in self.groups])

    @property
    def variance(self) -> Float[Tensor, "*batch_and_event"]:
        """Variances of the columns; NaN of those of categories."""
        return self._joined([group.variance for group in self.groups])

    def _joined(self, parts: Sequence[Tensor]) -> Float[Tensor, "*batch_and_event"]:
        """Bring what was computed group by group into the order of the table."""
        return torch.cat(list(parts), -1).index_select(-1, self.order)
