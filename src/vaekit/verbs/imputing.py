"""The verb that fills in what is missing: conditional means, their standard deviations, and draws."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_path, to_whole
from vaekit.compatibility import lacking
from vaekit.data import Space
from vaekit.data.columns import Scaling, places
from vaekit.data.delimited import read_cells
from vaekit.data.images import read_image
from vaekit.data.matching import as_table, matched
from vaekit.data.objects import read_object
from vaekit.data.opening import TEXT, ending, open_file
from vaekit.data.raw import Raw, Table
from vaekit.data.source import readable
from vaekit.data.values import as_float32
from vaekit.errors import InputError
from vaekit.evaluation.imputation import drawn, guesses, weighted
from vaekit.evaluation.rows import ROWS, shared_noise
from vaekit.measures import FILLING
from vaekit.model import VAE
from vaekit.outputs import (
    columns_of,
    kind_of,
    parts_of,
    what_of,
    write_columns,
    write_examples,
    write_scales,
    write_text,
)
from vaekit.run import Run
from vaekit.subject import Track
from vaekit.verbs.filled import Filled
from vaekit.verbs.reading import SEED, examples

BATCH = 8 * ROWS

log = logging.getLogger("vaekit")

SAMPLES, IMAGE_SAMPLES = 1000, 100


class Imputed(NamedTuple):
    """Rows whose missing values are filled in.

    Attributes:
        values: all rows in the data's own units and words, with means where values were missing, or modes of
            categories.
        scale: standard deviation of each value that was missing, or 1 − probability of a category's mode, and NaN of
            what was observed: (N, *event).
        draws: n copies of all rows with draws where values were missing, along a first axis; None unless asked for.
    """

    values: np.ndarray
    scale: np.ndarray
    draws: np.ndarray | None = None


def impute(
    run: Run | Place,
    input: Any,
    *,
    draws: int | None = None,
    samples: int | None = None,
    mask: Place | np.ndarray | None = None,
    seed: int = SEED,
    out: Place | None = None,
    scales: Place | None = None,
    device: str = "auto",
    data_root: Place | None = None,
    track: Track = iter,
) -> Imputed:
    """Fill in what is missing of each row by what the model expects, given what is observed of it.

    Means and standard deviations depend on no other row, on neither their order nor their number, bit for bit. They are
    those of p(x_missing | x_observed), by importance weights of draws of z, of which a model that was trained with
    missing values needs the fewest.

    Args:
        run: the run, or the path of its folder.
        input: as for ``encode``, with missing values: blanks, NA or NaN.
        draws: how many copies of the rows to draw, for multiple imputation; the same call gives the same draws.
        samples: draws of z for each row, which are weighted; 1000 for tables, 100 for images if None.
        mask: of images, a picture whose light pixels are missing, or booleans that are true there.
        seed: of the draws.
        out: a file to write the rows to as well: a table of text as .csv, whose other cells are as they were; .parquet,
            .npy or a picture. With ``draws`` it holds all copies, and a table begins with a column ``draw``.
        scales: a file to write the standard deviations to as well, .csv, .parquet or .npy.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        track: wraps the batches, to show progress.

    Raises:
        InputError: if the input does not fit the model's data, the model has no such density, or rows cannot be written
            to such a file.
    """
    run, target = Run.of(run), devices.choose(device)
    space = run.space
    if reason := lacking(FILLING, run.experiment):
        raise InputError(f"{run.path} cannot impute: it {reason}")
    copies = None if draws is None else to_whole(draws, "draws")
    kind_of(out, what_of(space))
    kind_of(scales, parts_of(space), "--scales")
    given = _given(run, input, data_root, mask)
    holes = given.x.isnan()
    rows = holes.flatten(1).any(1)
    if not rows.any():
        log.info("no value of the input is missing")
    filling = Filling(run.vae(target), space, samples, target)
    value, scale = filling.guesses(given.x[rows], track)
    spread = torch.full(holes.shape, torch.nan, dtype=torch.float64)
    spread[rows] = scale.where(holes[rows], torch.nan)
    filled, *copied = (
        _filled(given, holes.numpy(), rows.numpy(), each, space)
        for each in (value, *(filling.draws(given.x[rows], copies, seed) if copies else ()))
    )
    found = Imputed(filled, spread.numpy(), np.stack(copied) if copied else None)
    _write(found, given, holes.numpy(), run, out)
    write_scales(found.scale, space, scales)
    return found


class Given(NamedTuple):
    """Rows that are given, as numbers in the data's own units, and as the model reads them.

    Attributes:
        values: numbers, (N, *event); NaN or anything where values are missing.
        x: as the model reads them, (N, *event); NaN where values are missing.
        table: all columns of a table.
        path: the file that it is from.
    """

    values: np.ndarray
    x: Tensor
    table: Table | None = None
    path: Path | None = None


def _given(run: Run, input: Any, root: Place | None, mask: Place | np.ndarray | None) -> Given:
    space = run.space
    if not space.columns:
        x = torch.cat([*examples(run, input, root, holes=True)[0]])
        values = space.restore(x.nan_to_num(0))
        return Given(values, x if mask is None else torch.where(_mask(mask, space), torch.nan, x))
    if mask is not None:
        raise InputError(f"mask is for images, and {run.path} learned a table: leave cells blank")
    source = run.experiment.data
    path = readable(str(input)) if isinstance(input, Place) else None
    read = open_file(path, source.format, source.sentinels) if path else read_object(input, source.sentinels)
    array = read.x if isinstance(read, Raw) else read
    table = as_table(array)
    values = matched(table or array, space.columns, space.header)
    x = torch.from_numpy(as_float32(Scaling.of(space.columns).seen(values), "the input"))
    return Given(values, x, table, path)


def _mask(mask: Place | np.ndarray, space: Space) -> Tensor:
    """Read which pixels are missing, (*event) or whatever broadcasts with images."""
    _, height, width = space.event_shape if len(space.event_shape) == 3 else (0, 0, 0)
    hidden = read_image(to_path(mask, "mask"), (height, width), 1)[0] >= 128 if isinstance(mask, Place) else mask
    hidden = np.asarray(hidden)
    if hidden.dtype != np.bool_ or hidden.shape[-2:] != (height, width):
        raise InputError(
            f"mask has type {hidden.dtype} and shape {hidden.shape}: give booleans of shape {(height, width)}, true "
            "where pixels are missing, or a picture"
        )
    return torch.from_numpy(hidden)


class Filling:
    """What is filled into rows with missing values.

    Args:
        vae: the model, on the device.
        space: of its data.
        samples: draws of z for each row; None takes the usual number.
        device: where they are computed.
    """

    def __init__(self, vae: VAE, space: Space, samples: int | None, device: torch.device) -> None:
        self.vae, self.space, self.device = vae, space, device
        usual = IMAGE_SAMPLES if len(space.event_shape) == 3 else SAMPLES
        samples = usual if samples is None else to_whole(samples, "samples")
        self.noise = shared_noise(samples, self.vae.latent_dim)

    def guesses(self, x: Tensor, track: Track) -> tuple[Tensor, Tensor]:
        """Return what is expected of each element in the data's units, and its standard deviation, (rows, *event)."""
        if not len(x):
            return x.double(), x.double()
        return guesses(self.vae, track(x.split(BATCH)), self.noise, self.space, self.device)

    def draws(self, x: Tensor, copies: int, seed: int) -> Tensor:
        """Draw the elements that are missing, in the data's units, (copies, rows, *event)."""
        parts = [x.new_empty(copies, 0, *x.shape[1:])]
        with devices.seeded(seed, self.device), torch.no_grad():
            for block in x.split(ROWS):
                found = weighted(self.vae, block.to(self.device), self.noise, self.space)
                parts.append(drawn(found, copies).cpu())
        return torch.from_numpy(self.space.restore(torch.cat(parts, 1)))


def _filled(given: Given, holes: np.ndarray, rows: np.ndarray, found: Tensor, space: Space) -> np.ndarray:
    """Put what was found into the holes; what was observed stays as it was."""
    values = given.values.copy()
    new = space.rounded(found.numpy())
    new = new if values.dtype.kind == "f" else np.rint(new).clip(0, 255)
    values[holes] = new[holes[rows]].astype(values.dtype)
    return space.worded(values) if space.columns else values


def _write(found: Imputed, given: Given, holes: np.ndarray, run: Run, out: Place | None) -> None:
    """Write the rows, or all copies of them."""
    space = run.space
    written = found.values if found.draws is None else found.draws
    kind = kind_of(out, what_of(space))
    if kind in ("array", "picture"):
        write_examples(written.reshape(-1, *space.event_shape) if kind == "picture" else written, space, out)
    elif out is not None:
        names = space.names or ()
        where = places(names, given.table.names, "the input", space.header) if given.table else range(len(names))
        copies = [columns_of(copy, space) for copy in (written if found.draws is not None else written[None])]
        filled = Filled(copies, names, where, holes, found.draws is not None)
        if kind == "table" and given.path and ending(given.path) in TEXT:
            write_text(filled.text(read_cells(given.path, run.experiment.data.format)), out)
        else:
            write_columns(filled.columns(given.table), out)
