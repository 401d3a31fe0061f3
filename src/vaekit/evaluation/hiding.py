"""How well cells of a table that are hidden on purpose are filled in, beside a guess by each column alone."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from vaekit.estimates import Estimate, jackknife_error
from vaekit.evaluation.rows import SEED

PARTS = 5
"""how many times a table is filled in, each time without one of so many parts of its cells"""


def parts(shape: Sequence[int], seed: int = SEED) -> Int64[Tensor, "rows columns"]:
    """Divide the cells of a table at random: give each the number of the part with which it is hidden."""
    return torch.randint(PARTS, tuple(shape), generator=torch.Generator().manual_seed(seed))


def typical(known: Float64[Tensor, "_ columns"], coded: Sequence[bool]) -> Float64[Tensor, "columns"]:
    """Return what each column alone says of a cell: the mean of what is known of it, or the mode of categories."""
    columns = [column[~column.isnan()] for column in known.T]
    return torch.stack([
        column.mode().values if category and len(column) else column.mean()
        for column, category in zip(columns, coded, strict=True)
    ])  # fmt: skip


def recovered(
    truth: Float64[Tensor, "rows columns"],
    guess: Float64[Tensor, "rows columns"],
    alone: Float64[Tensor, "columns"],
    names: Sequence[str],
    coded: Sequence[bool],
    draws: int,
) -> dict[str, Any]:
    """Compare what hidden cells are with what they were filled in with.

    Args:
        truth: rows in the file's units, categories by their numbers, NaN where cells are missing.
        guess: what each cell was filled in with when it was hidden.
        alone: what each column alone says of its cells, as of ``typical``.
        names: of the columns.
        coded: which of them are numbers of categories.
        draws: of z behind a guess.

    Returns:
        imputation: the mean squared error of a column's numbers over that of ``alone``, or its wrong categories over
        those of ``alone``, averaged over the columns. hidden: by column, the number of ``cells``, and the root mean
        square of the errors in its units, or the share of wrong categories, of the ``model`` and of the column
        ``alone``. All with standard errors, by leaving out row after row.
    """
    categories, counts = torch.tensor(coded), (~truth.isnan()).double()
    ours, others = (_misses(truth, each, categories) for each in (guess, alone.expand_as(truth)))
    columns: dict[str, dict[str, Any]] = {
        name: {"cells": int(cells)} for name, cells in zip(names, counts.sum(0), strict=True) if cells
    }
    for who, misses in (("model", ours), ("alone", others)):
        values, without = (_sizes(*each, categories) for each in zip(_sums(misses), _sums(counts), strict=True))
        for k, name in enumerate(names):
            if name in columns:
                columns[name][who] = Estimate(float(values[0, k]), jackknife_error(without[:, k]), draws)
    varied = (_sums(others)[1] > 0).all(0)
    value, without = ((a[:, varied] / b[:, varied]).mean(1) for a, b in zip(_sums(ours), _sums(others), strict=True))
    found = Estimate(float(value), jackknife_error(without), draws)
    return {"imputation": found._asdict() | {"images": len(truth)}, "hidden": columns}


def _misses(truth: Tensor, guess: Tensor, categories: Tensor) -> Tensor:
    """Return the squared error of each number, 1 of each category that is wrong, and 0 of what is missing."""
    errors = torch.where(categories, (guess != truth).double(), (guess - truth).square())
    return errors.where(~truth.isnan(), 0)


def _sums(each: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum over the rows, (1, columns), and the sums without each of them, (rows, columns)."""
    total = each.sum(0, keepdim=True)
    return total, (total - each).clamp_min(0)


def _sizes(misses: Tensor, counts: Tensor, categories: Tensor) -> Tensor:
    """Return root mean squares of the errors of numbers, and shares of wrong categories."""
    mean = misses / counts
    return torch.where(categories, mean, mean.sqrt())
