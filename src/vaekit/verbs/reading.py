"""Examples that a verb is given, as the model reads them, and where their rows are from."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.arguments import Place, to_path, to_whole
from vaekit.data import read_examples
from vaekit.data.matching import as_table
from vaekit.errors import InputError
from vaekit.outputs import Origin
from vaekit.run import Run

BATCH = 1000
SEED = 0


def examples(
    run: Run, input: Any, root: Place | None, *, holes: bool = False, size: int | None = None
) -> tuple[Iterable[Tensor], Origin]:
    """Read examples in the model's space, in batches, and the files and classes of the rows, where known.

    Args:
        run: the run.
        input: what it is given: a place, or data in memory.
        root: folder of named sets.
        holes: whether to take missing values, as NaN, even if the model was trained without any.
        size: of the batches.
    """
    space = replace(run.space, missing=True) if holes else run.space
    # Levels of 16-bit images are scaled as in training; where there were none, as they need.
    depth = {8: None, None: 16}.get(space.depth, space.depth)
    raw = read_examples(input, root, space.event_shape, depth, space.names, space.header, run.experiment.data)
    labels = None if raw.labels is None else raw.labels.tolist()
    if labels is not None and raw.classes:
        labels = ["" if k < 0 else raw.classes[k] for k in labels]
    cells = raw.x if raw.cells is None else raw.cells  # whose messages name the file's lines
    return space.encode_batches(cells, size or BATCH), Origin(raw.names, labels)


def example(run: Run, given: Any, name: str, root: Place | None, data: Place | None) -> Tensor:
    """Return one example as the model reads it, (1, *event)."""
    number = int(given) if isinstance(given, str) and given.isdecimal() and not Path(given).exists() else given
    if isinstance(number, int | np.integer):
        test, row = run.data(root, data).fixed("test"), to_whole(number, name, 0)
        _refuse_beyond(row, len(test), f"{name} is {row}", "the test split")
        return test.batch(torch.tensor([row])).x
    if not isinstance(given, Place):
        if (table := as_table(given)) is not None:
            if len(table) != 1:
                raise InputError(f"{name} is a table of {len(table)} rows: give one row")
            return run.space.encode_input(table)
        array = np.asarray(given)
        alone = array.ndim >= len(run.space.event_shape) and len(array) == 1
        return run.space.encode_input(array if alone else array[None])
    path, _, end = str(given).rpartition("#")
    numbered = bool(path) and end.isdecimal() and not to_path(given, name).exists()
    row, count, found = int(end) if numbered else 0, 0, torch.empty(0)
    for batch in examples(run, path if numbered else given, root)[0]:
        if count <= row < count + len(batch):
            found = batch[row - count : row - count + 1]
        count += len(batch)
    if not numbered and count > 1:
        raise InputError(f"{name} is {given}, which holds {count:,} examples: name one, as in {given}#0")
    _refuse_beyond(row, count, f"{name} is {given}", path)
    return found


def _refuse_beyond(row: int, size: int, what: str, where: str) -> None:
    if row >= size:
        raise InputError(f"{what}, but {where} has {size:,} examples: give a number from 0 to {size - 1}")
