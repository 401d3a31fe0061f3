"""The verb that scores: how probable each row is to a model, and which of its columns or pixels are odd."""

import logging
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from vaekit import devices, evaluations
from vaekit.arguments import Place, to_whole
from vaekit.compatibility import lacking
from vaekit.data import Space
from vaekit.errors import InputError, nearest, shown
from vaekit.evaluation.rows import ROWS, SEED, by_rows, shared_noise
from vaekit.evaluation.scores import DRAWS, By, scores, share_lower
from vaekit.measures import DENSITY
from vaekit.model import VAE
from vaekit.outputs import kind_of, parts_of, write_parts, write_rows
from vaekit.run import Run
from vaekit.subject import Track
from vaekit.verbs.reading import examples

log = logging.getLogger("vaekit")

Units = Literal["model", "file"]
QUANTILE = 0.95
REFERENCE = 10_000
"""training rows at most whose scores stand for those of all"""
BATCH = 8 * ROWS


class Scores(NamedTuple):
    """Scores of N rows; ``pandas.DataFrame(scores.table())`` makes a table of them.

    Attributes:
        score: log p(x) or what was asked for, (N,) nats; the higher, the more probable is the row to the model.
        standard_error: of the score, over draws of z, (N,).
        share_lower: share of the training rows that score lower, (N,); NaN if the training data are not found.
        flag: whether a row scores lower than all but a share 1 − quantile of the training rows, (N,).
        parts: what each column or pixel contributes to the score, (N, *event); None unless asked for.
        rest: what the latents contribute, (N,): score = sum of parts + rest; None unless asked for.
    """

    score: np.ndarray
    standard_error: np.ndarray
    share_lower: np.ndarray
    flag: np.ndarray
    parts: np.ndarray | None = None
    rest: np.ndarray | None = None

    def table(self) -> dict[str, np.ndarray]:
        """Return the columns by name, without the parts."""
        return dict(zip(self._fields[:4], self[:4], strict=True))


def score(
    run: Run | Place,
    input: Place | np.ndarray | Tensor,
    *,
    by: By = "evidence",
    draws: int = DRAWS,
    quantile: float = QUANTILE,
    units: Units = "model",
    out: Place | None = None,
    parts: Place | bool = False,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
    track: Track = iter,
) -> Scores:
    """Score rows by how probable they are to the model, and flag those that are less probable than training rows.

    A row's score depends on no other row, on neither their order nor their number, bit for bit: all rows share the
    noise of their draws. The scores of up to 10,000 training rows are computed once and kept in the run.

    Args:
        run: the run, or the path of its folder.
        input: as for ``encode``; missing values are left out of the density.
        by: evidence, log p(x) by importance sampling; elbo, its lower bound; or reconstruction, E_q log p(x | z).
        draws: of z for each row.
        quantile: a row is flagged if its score is among the lowest 1 − quantile of the training rows' scores.
        units: model, densities of standardized values, which columns of unlike units share; or file, of the values as
            the file has them. Both rank rows alike, but for columns whose logarithms the model reads.
        out: a file to write them to as well, .csv or .parquet: the file or number of each row, score, standard_error,
            share_lower, flag, and the label where there are labels.
        parts: True, or a file to write them to as well: what each column or pixel contributes to the score. A .csv or
            .parquet file has a column ``rest`` as well, what the latents contribute, so that each row adds up to the
            score; .npy has the parts alone.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: where the run's training data are if they have moved.
        track: wraps the batches, to show progress.

    Raises:
        InputError: if the input does not fit the model's data, the model has no such density, or scores cannot be
            written to such a file.
    """
    run, target, draws = Run.of(run), devices.choose(device), to_whole(draws, "draws")
    _refuse_unlike(run, by, units, quantile)
    kind_of(out, "scores")
    kind_of(parts if isinstance(parts, Place) else None, parts_of(run.space), "--parts")
    vae, weights = evaluations.trained(run, target)
    batches, origin = examples(run, input, data_root, size=BATCH)
    how = How(by, draws, units)
    found = _scored(run, vae, how, track(batches), target, parts is not False)
    share = share_lower(found["score"], _reference(run, vae, weights, how, target, data_root, data, track))
    arrays = {name: values.numpy() for name, values in (found | {"share_lower": share}).items()}
    scored = Scores(**arrays, flag=arrays["share_lower"] < 1 - quantile)
    if out is not None:
        write_rows(scored.table(), out, origin)
    if isinstance(parts, Place) and scored.parts is not None and scored.rest is not None:
        write_parts(scored.parts, scored.rest, run.space, parts, origin)
    return scored


class How(NamedTuple):
    """What is scored, by how many draws, and in which units."""

    by: By
    draws: int
    units: Units


def _scored(
    run: Run, vae: VAE, how: How, batches: Iterable[Tensor], device: torch.device, parts: bool = False
) -> dict[str, Tensor]:
    """Return score and standard_error of rows, and if asked for parts and rest."""
    noise = shared_noise(how.draws, vae.latent_dim)

    def computed(x: Tensor) -> dict[str, Tensor]:
        found = scores(vae, x, noise, how.by, parts)
        if how.units == "file":
            slopes = run.space.log_slopes(x)
            found["score"] = found["score"] + slopes.flatten(1).sum(1)
            if parts:
                found["parts"] = found["parts"] + slopes
        return found

    return by_rows(batches, device, computed)


def _reference(
    run: Run,
    vae: VAE,
    weights: str,
    how: How,
    device: torch.device,
    root: Place | None,
    place: Place | None,
    track: Track,
) -> Tensor:
    """Return the scores of training rows, which are kept in the run; none if the training data are not found."""
    facts = (
        evaluations.facts_of(run, "train", "fp32") | how._asdict() | {"rows": REFERENCE, "seed": SEED, "batch": ROWS}
    )
    file = evaluations.numbers_file("scores", facts, weights)
    if kept := run.measured(file):
        return kept["score"]
    try:
        train = run.data(root, place, stored=True).train
    except InputError as error:
        log.warning("no row is compared with the training rows or flagged: %s", error)
        return torch.empty(0)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(SEED))[:REFERENCE].sort().values
    batches = list(chosen.split(BATCH))
    found = _scored(run, vae, how, (_seen(run.space, train.batch(rows).x) for rows in track(batches)), device)
    run.save(file, {"score": found["score"]})
    return found["score"]


def _seen(space: Space, x: Tensor) -> Tensor:
    """Return training examples as examples are read that are given: bits that were drawn in training are rounded."""
    return (x >= 0.5).float() if space.support == "binary" else x


def _refuse_unlike(run: Run, by: str, units: str, quantile: float) -> None:
    if by not in get_args(By):
        raise InputError(f"there is no score by {by!r}: {nearest(str(by), get_args(By))}")
    if units not in get_args(Units):
        raise InputError(f"units {units!r} are unknown: {nearest(str(units), get_args(Units))}")
    if not (isinstance(quantile, int | float) and 0 < quantile < 1):
        raise InputError(
            f"quantile is {shown(quantile)}: give a share of the training rows between 0 and 1, such as 0.95"
        )
    if by != "reconstruction" and (reason := lacking(DENSITY, run.experiment)):
        raise InputError(f"a score by {by} {reason}: score by reconstruction (--by reconstruction)")
