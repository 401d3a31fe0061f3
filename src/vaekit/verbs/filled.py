"""Tables whose missing cells are filled in: as columns, or as a text whose other cells stay as they are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vaekit.data.columns import distinct
from vaekit.data.delimited import Cells
from vaekit.data.kinds import spelled
from vaekit.data.raw import Table

DRAW = "draw"
"""the column that numbers the copies of a table, from 1 on"""


class Filled(NamedTuple):
    """Copies of a table with values in place of missing ones.

    Attributes:
        copies: each as columns by name, those that the model knows among them.
        names: the columns that the model knows.
        where: their places in the table that was given.
        holes: which of their cells were missing, (N, columns).
        numbered: whether a column says which copy a row is of.
    """

    copies: Sequence[Mapping[str, np.ndarray]]
    names: Sequence[str]
    where: Sequence[int]
    holes: np.ndarray
    numbered: bool

    def columns(self, table: Table | None) -> dict[str, np.ndarray]:
        """Return all columns of the table that was given, or those of the copies, one copy below the other."""
        names = tuple(self.copies[0]) if table is None else table.names
        own = dict(zip(self.where, self.names, strict=True)) if table else dict(enumerate(names))
        columns = [
            np.concatenate([copy[own[i]] for copy in self.copies])
            if i in own
            else np.tile(_plain(table.columns[i]), len(self.copies))  # type: ignore[union-attr]
            for i in range(len(names))
        ]
        first = [np.repeat(np.arange(1, len(self.copies) + 1), len(self.holes))] if self.numbered else []
        return dict(zip(distinct([DRAW] * self.numbered + [*names]), [*first, *columns], strict=True))

    def text(self, cells: Cells) -> Cells:
        """Return the cells of a table of text with those replaced that were missing."""
        first = [[str(k + 1)] if self.numbered else [] for k in range(len(self.copies))]
        rows = []
        for number, copy in zip(first, self.copies, strict=True):
            own = [cells.style.spelled(copy[name]) for name in self.names]
            for row, missing, *new in zip(cells.rows, self.holes.tolist(), *own, strict=True):
                replaced = list(row)
                for k, i in enumerate(self.where):
                    if missing[k]:
                        replaced[i] = new[k]
                rows.append(number + replaced)
        header = cells.header and [DRAW] * self.numbered + cells.header
        return cells._replace(header=header, rows=rows)


def _plain(values: np.ndarray) -> np.ndarray:
    """Return a column of any table as an array of one type; missing words are empty."""
    return values if values.dtype.kind != "O" else np.array([word or "" for word in spelled(values)], np.str_)
