"""Work on units: train them, alone or as a stack, and measure them, until they are finished or asked to stop."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from vaekit.engine.grids import Measures
from vaekit.engine.units import Unit
from vaekit.errors import InputError, RunError
from vaekit.evaluations import current
from vaekit.experiment import Experiment
from vaekit.files import disk_errors, locked
from vaekit.progress import Progress
from vaekit.reporting.measurement import evaluate
from vaekit.run import Run
from vaekit.training.loop import train
from vaekit.training.stacks import train_stack

log = logging.getLogger("vaekit")

SECONDS_TO_WAIT = 60.0
"""for another process to leave a unit, such as one that saves its state because it was stopped"""

Task = tuple[Unit, ...]
"""a unit, or several that train as one stack"""
Stopping = Callable[[], bool]
"""asked again and again whether to stop; what is trained until then is saved"""


class Work(NamedTuple):
    """How units are worked on."""

    device: str = "auto"
    data_root: Path | None = None
    measures: Measures | None = None


class Finished(NamedTuple):
    """A unit that nothing more is done for, and what went wrong with it, if anything did."""

    unit: Unit
    error: InputError | RunError | None = None


class SweepProgress(NamedTuple):
    """Where a sweep stands.

    Attributes:
        finished: the units that ended since the last report, each with what went wrong, if anything did.
        done, failed, total: numbers of units.
        seconds: spent so far.
        left: seconds to go, by those spent; None before a unit has ended.
    """

    finished: Sequence[Finished]
    done: int
    failed: int
    total: int
    seconds: float
    left: float | None


Engine = Callable[[Sequence[Task], Work], Generator[list[Finished], None, None]]
"""Works on tasks and yields the units that are finished since the last time, at least once a second, even if there are
none; when it is closed, what is being trained is saved. Tasks may be done in any order, anywhere that their folders can
be reached."""


class Workers(NamedTuple):
    """Who works on units.

    Attributes:
        engine: gives tasks to them.
        jobs: tasks that are worked on at a time.
        device: where they compute.
    """

    engine: Engine
    jobs: int
    device: str


class Stopped(Exception):  # noqa: N818 (not an error)
    """What ends the work on a unit when it is to stop."""


def never() -> bool:
    """Say that there is no reason to stop."""
    return False


def taken(measures: Measures, run: Run) -> bool:
    """Whether a run whose weights have not changed since has these measures already."""
    return any(
        found["split"] == measures.split
        and set(measures.metrics) <= set(found.get("metrics", ()))
        and found["images"] >= min(measures.images, run.space.sizes[measures.split])
        and found.get("log_evidence", {}).get("samples", measures.samples) >= measures.samples
        for found in current(run)
    )


def done(unit: Unit, work: Work) -> bool:
    """Whether a unit is trained and measured."""
    with suppress(InputError):  # of a damaged folder, which the work on it then reports
        return unit.finished and (work.measures is None or taken(work.measures, Run(unit.path)))
    return False


def carry_out(task: Task, work: Work, stopping: Stopping = never) -> list[Finished]:
    """Train and measure the units of a task; one that fails does not stop the others.

    Returns: the units that are finished, all of them unless it was to stop.
    """
    finished = list[Finished]()
    try:
        if len(task) > 1:
            with suppress(InputError, RunError):  # each unit then says by itself what went wrong with it
                _train_together(task, work, stopping)
        for unit in task:
            finished.append(Finished(unit, _failure(unit, work, stopping)))
    except Stopped:
        pass
    return finished


def _failure(unit: Unit, work: Work, stopping: Stopping) -> InputError | RunError | None:
    """Work on a unit, and return what went wrong."""
    try:
        _finish(unit, work, stopping)
    except (InputError, RunError) as error:
        return error
    except Stopped:
        raise
    except Exception as error:
        log.debug("%s failed", unit.path, exc_info=True)
        return RunError(f"{unit.path}: {type(error).__name__}: {error}")
    return None


def _finish(unit: Unit, work: Work, stopping: Stopping) -> None:
    busy, remedy = f"{unit.path} is being worked on", "run the sweep again when that is done, or stop it first"
    with disk_errors(unit.path.parent):
        unit.path.parent.mkdir(parents=True, exist_ok=True)
    with locked(unit.path.with_name(f".{unit.path.name}.lock"), busy, remedy, SECONDS_TO_WAIT):
        if not unit.finished:
            _heed(reports(unit.experiment, unit.path, work), stopping)
        measures = work.measures
        if measures and not taken(measures, Run(unit.path)):
            evaluate(
                unit.path, device=work.device, data_root=work.data_root,
                track=lambda items: _stoppable(items, stopping), **asdict(measures),
            )  # fmt: skip


def reports(experiment: Experiment, path: Path, work: Work) -> Iterator[Progress]:
    """Begin or resume a training."""
    begun = Unit("", experiment, path).begun
    return train(experiment, path, device=work.device, data_root=work.data_root, resume=begun)


def _train_together(task: Task, work: Work, stopping: Stopping) -> None:
    """Train those units as a stack that are not finished, which all have begun or none has."""
    left = [unit for unit in task if not unit.finished]
    begun = [unit for unit in left if unit.begun]
    for units, resume in ((begun, True), ([unit for unit in left if unit not in begun], False)):
        if len(units) > 1:
            experiments, paths = [unit.experiment for unit in units], [unit.path for unit in units]
            stacked = train_stack(experiments, paths, device=work.device, data_root=work.data_root, resume=resume)
            _heed(stacked, stopping)


def _heed(reports: Any, stopping: Stopping) -> None:
    """Train to the end, or save the state and stop."""
    with closing(reports):
        for _ in _stoppable(reports, stopping):
            pass


def _stoppable(items: Iterable[Any], stopping: Stopping) -> Iterator[Any]:
    for item in items:
        if stopping():
            raise Stopped
        yield item
