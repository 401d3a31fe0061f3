"""What a tracker is, and how a run gets into it: while it is trained, or afterwards from its files."""

import json
import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from importlib import import_module
from itertools import chain
from math import isfinite
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from vaekit.arguments import Place
from vaekit.errors import InputError, RunError, command, nearest
from vaekit.evaluations import current
from vaekit.files import read_bytes, status
from vaekit.labels import LABELS
from vaekit.progress import Progress
from vaekit.run import SETS, TRACKING, Run
from vaekit.settings import fields
from vaekit.tracking import samples

log = logging.getLogger("vaekit")

Values = Mapping[str, float | Path]
"""numbers, and the paths of pictures (.png) and tables (.csv), by name"""


class Tracker(Protocol):
    """Where the numbers of a run go besides its folder."""

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Begin, or find again, what has this identity; parameters are the fields of its experiment."""

    def log(self, values: Values, step: int) -> None:
        """Take numbers, pictures and tables of a step, which is counted in training examples seen; once each."""

    def close(self) -> None:
        """Write what is left."""


TRACKERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "WandB", "trackio": "Trackio"}
"""classes by the name of their package and of their module here, which is imported when it is asked for"""


def tracker(name: str) -> Tracker:
    """Return a tracker, and nothing else is imported.

    Raises:
        InputError: if it is unknown, or its package is not installed.
    """
    if name not in TRACKERS:
        raise InputError(f"the tracker {name!r} is unknown: {nearest(str(name), TRACKERS)}")
    try:
        found: Tracker = getattr(import_module(f"vaekit.tracking.{name}"), TRACKERS[name])()
    except ImportError as error:
        raise InputError(f"the tracker {name} is not installed ({error}): pip install 'vaekit[{name}]'") from None
    return found


def record(
    reports: Generator[Progress, None, None], folder: Path, name: str, draw: bool = True
) -> Generator[Progress, None, None]:
    """Pass on the reports of a training, and log each evaluation: its terms, train/elbo and so on, and samples.

    If the tracker fails, the training goes on without it, samples are kept, and a warning says how to copy it later.

    Args:
        reports: of the training; its numbers stay what they are.
        folder: of the run.
        name: of the tracker.
        draw: whether to draw samples, which are kept in the run.
    """
    found = tracker(name)
    with closing(reports), ExitStack() as stack:
        first = next(reports)  # creates the folder
        run, copying = Run(folder), _Attempts(partial(_lost, name, folder))
        drawing = _Attempts(lambda error: f"samples of {folder} are not kept any more ({_reason(error)})")
        stack.callback(copying.attempt, found.close)
        copying.attempt(_open, found, run)
        for report in chain([first], reports):
            if report.row:
                if draw and drawing.work:
                    drawing.attempt(samples.keep, run, report.model, report.row["step"])
                if copying.work:
                    copying.attempt(_log, found, run, report.row)
            yield report


class _Attempts:
    """Calls that a training can do without: the first one that fails is told of."""

    def __init__(self, sentence: Callable[[Exception], str]) -> None:
        self.sentence, self.work = sentence, True

    def attempt(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # of the network or the disk, from any package
            if self.work:
                log.warning("%s", self.sentence(error))
            self.work = False


def _log(tracker: Tracker, run: Run, row: Mapping[str, Any]) -> None:
    tracker.log(terms(row) | samples.kept(run, row["step"]), row["samples"])


def _lost(name: str, folder: Path, error: Exception) -> str:
    again = command("track", folder, "--to", name)
    return f"{name} did not take {folder} ({_reason(error)}): nothing of the run is lost; copy it later with {again}"


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def track(run: Run | Place, *, to: str) -> Path:
    """Write a run into a tracker: experiment, rows of metrics.jsonl, samples, results with errors, figures.

    Once more writes the same run again, not a second one.

    Args:
        run: the run, or the path of its folder.
        to: tensorboard (event files in the run's folder), mlflow, wandb (offline unless WANDB_MODE says otherwise) or
            trackio; their own environment variables say where they write.

    Returns:
        the folder of the run.

    Raises:
        InputError: if the tracker is unknown, or its package is not installed.
        RunError: if it cannot be reached or written; the run is as it was.
    """
    run, found = Run.of(run), tracker(to)
    rows = run.metrics()
    try:
        _open(found, run, afresh=True)
        for row in rows:
            _log(found, run, row)
        if outcome := results(run) | pictures(run):
            found.log(outcome, rows[-1]["samples"] if rows else 0)
        found.close()
    except (InputError, RunError):
        raise
    except Exception as error:  # of the network or the disk, from any package
        raise RunError(_lost(to, run.path, error)) from None
    return run.path


def _open(tracker: Tracker, run: Run, afresh: bool = False) -> None:
    parameters = {path: value for path, value in fields(json.loads(run.experiment.to_json())) if path != "data.name"}
    if afresh and hasattr(tracker, "forget"):
        tracker.forget(run, identity(run))
    tracker.open(run, identity(run), {"data": run.space.title, **parameters})


def identity(run: Run) -> str:
    """Return the name by which trackers know a run; it stays with the folder and goes when the run is replaced."""
    try:
        if status(run.path / TRACKING):
            return str(json.loads(read_bytes(run.path / TRACKING))["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a damaged file: the run gets a new name
    new = token_hex(8)
    run.write(TRACKING, f"{json.dumps({'identity': new})}\n".encode())
    return new


def terms(row: Mapping[str, Any]) -> dict[str, float | Path]:
    """Return the terms of an evaluation by part and name."""
    return {f"{part}/{name}": value for part in SETS for name, value in row.get(part, {}).items()}


def results(run: Run) -> dict[str, float | Path]:
    """Return the numbers that were measured of the weights, each with its standard error."""
    found: dict[str, float | Path] = {}
    for evaluation in current(run):
        for name in LABELS.keys() & evaluation.keys():
            estimate = evaluation[name]
            for key, value in (("", estimate["value"]), (".standard_error", estimate["standard_error"])):
                if value is not None and isfinite(value):
                    found[f"results/{evaluation['split']}/{name}{key}"] = value
    return found


def pictures(run: Run) -> dict[str, float | Path]:
    """Return the figures that were drawn."""
    return {f"figures/{path.stem}": path for path in sorted((run.path / "figures").glob("*.png"))}
