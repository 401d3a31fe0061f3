"""One run that is explored by requests: its view, opened again whenever a training replaces the weights."""

import json
from dataclasses import dataclass, field
from math import isfinite, prod
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from vaekit.arguments import Place, to_whole
from vaekit.errors import InputError
from vaekit.evaluations import weights_digest
from vaekit.explorer.atlas import atlas, scores
from vaekit.explorer.view import View
from vaekit.files import status
from vaekit.folders import METRICS
from vaekit.run import SELECTION, TRAINING_LOCK, Run
from vaekit.settings import fields

MOST = 4096
"""examples or codes of a request at most"""
SELECTABLE = 1_000_000
"""rows of a selection at most"""


class Selection(NamedTuple):
    """Examples that were selected in the explorer: rows (n,) of a split, in the order of its examples."""

    split: str
    rows: np.ndarray


def selection(run: Run | Place) -> Selection:
    """Return the examples of a run that were last selected in the explorer and kept there ("Open in Python").

    ``run.data().fixed(found.split).batch(torch.from_numpy(found.rows)).x`` are the examples themselves,
    and ``run.data().fixed(found.split).names`` names the files of the split's pictures.

    Raises:
        InputError: if nothing was selected, or the file that keeps it is damaged.
    """
    run = Run.of(run)
    path = run.path / SELECTION
    try:
        found = json.loads(path.read_bytes())
        return Selection(found["split"], np.array(found["rows"], np.int64))
    except FileNotFoundError:
        raise InputError(f"nothing is selected in {run.path}: select examples in the explorer first") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: select the examples again in the explorer") from None


@dataclass
class Room:
    """A run and what requests ask of it, one at a time; octets are little-endian float32.

    Args:
        run: the run.
        split: of which part examples are shown.
        points: how many.
        root: folder of named sets.
        place: where the run's data are, if they have moved.
    """

    run: Run
    split: str
    points: int
    root: Place | None = None
    place: Any = None
    lock: RLock = field(default_factory=RLock)
    opened: tuple[str, View] | None = None
    described: tuple[str, bytes] | None = None
    scored: tuple[str, bytes] | None = None

    def weights(self) -> str:
        """Return the digest of the weights that the run has now; nothing if it has none."""
        return weights_digest(self.run)

    def view(self) -> View:
        """Return the run's model and data, read again if its weights were replaced.

        Raises:
            InputError: if there are no weights yet, or the data are not found.
        """
        with self.lock:
            weights = self.weights()
            if self.opened is None or self.opened[0] != weights:
                data = self.opened[1].data if self.opened else self.run.data(self.root, self.place)
                self.opened = weights, View.of(self.run, data, self.split)
            return self.opened[1]

    def atlas(self) -> bytes:
        """Return everything that the page shows without asking, as JSON."""
        with self.lock:
            view, weights = self.view(), self.opened[0] if self.opened else ""
            if self.described is None or self.described[0] != weights:
                self.described = weights, json.dumps(atlas(view, self.points), allow_nan=False).encode()
            return self.described[1]

    def scores(self) -> bytes:
        """Return the scores by which the map may be colored, as JSON, while others may ask."""
        with self.lock:
            view, weights = self.view(), self.opened[0] if self.opened else ""
        if self.scored is None or self.scored[0] != weights:
            self.scored = weights, json.dumps(scores(view, self.points), allow_nan=False).encode()
        return self.scored[1]

    def decode(self, octets: bytes) -> bytes:
        """Decode codes (n, d) to examples (n, *event)."""
        with self.lock:
            return _octets(self.view().decode(self._codes(octets)))

    def encode(self, octets: bytes) -> bytes:
        """Encode examples (n, *event): their means (n, d), then their scales (n, d) where they have them."""
        with self.lock:
            found = self.view().encode(self._examples(octets))
            return _octets(found.mean) + (b"" if found.scale is None else _octets(found.scale))

    def score(self, octets: bytes) -> bytes:
        """Score examples (n, *event): ELBO, log p(x) and its standard error, (n, 3); nothing if there are no scores."""
        with self.lock:
            found = self.view().score(self._examples(octets))
            return b"" if found is None else _octets(np.stack(found, axis=1))

    def sample(self, count: int, temperature: float, seed: int) -> bytes:
        """Draw codes (count, d) from the prior, contracted to its center by a temperature below 1."""
        with self.lock:
            return _octets(self.view().sample(to_whole(count, "count"), temperature, seed))

    def select(self, body: bytes) -> None:
        """Keep a selection {"rows": [...]} in the run's folder, for ``selection``.

        Raises:
            InputError: if it is not one of examples of the split.
        """
        with self.lock:
            size = len(self.view().part)
            try:
                rows = json.loads(body)["rows"]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InputError('a selection is {"rows": [...]}') from None
            whole = isinstance(rows, list) and all(type(row) is int and 0 <= row < size for row in rows)
            if not whole or len(rows) > SELECTABLE:
                raise InputError(f"a selection is of rows from 0 to {size - 1}, {SELECTABLE:,} at most")
            self.run.write(SELECTION, json.dumps({"split": self.split, "rows": sorted(set(rows))}).encode())

    def is_training(self) -> bool:
        """Whether the run is being trained."""
        return status(self.run.path / TRAINING_LOCK) is not None

    def written(self) -> tuple[int, int]:
        """Return size and time of metrics.jsonl, which change with every row."""
        found = status(self.run.path / METRICS)
        return (found.st_size, found.st_mtime_ns) if found else (0, 0)

    def news(self, since: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows metrics.jsonl has, and those after the first ``since``, flat as in ``Run.history``.

        What is NaN or infinite is None.
        """
        rows = self.run.metrics()
        return len(rows), [{name: _finite(value) for name, value in fields(row)} for row in rows[since:]]

    def _examples(self, octets: bytes) -> Tensor:
        return self.view().read(_numbers(octets, self.run.space.event_shape, holes=self.run.space.missing))

    def _codes(self, octets: bytes) -> np.ndarray:
        return _numbers(octets, (self.view().vae.latent_dim,))


def _numbers(octets: bytes, shape: tuple[int, ...], holes: bool = False) -> np.ndarray:
    """Read float32 numbers (n, *shape); with ``holes`` some may be missing, as NaN."""
    size = 4 * prod(shape)
    if not octets or len(octets) % size or len(octets) > MOST * size:
        raise InputError(f"{len(octets)} octets are not 1 to {MOST} times {prod(shape)} numbers of 4 octets")
    values = np.frombuffer(octets, "<f4").reshape(-1, *shape).astype(np.float32)
    if np.isinf(values).any() or (np.isnan(values).any() and not holes):
        raise InputError("numbers are NaN or infinite")
    return values


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _octets(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
