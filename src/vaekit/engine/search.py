"""Search: Optuna proposes combinations, validation examples judge them, and test examples are measured once."""

import json
import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from vaekit import files
from vaekit.engine.costs import space_of
from vaekit.engine.grids import Range, Sweep
from vaekit.engine.units import Point, Unit, listed, point_name
from vaekit.engine.work import SweepProgress, Work
from vaekit.errors import InputError
from vaekit.evaluations import current
from vaekit.run import Run

log = logging.getLogger("vaekit")

TRIALS = "trials.jsonl"
Carried = Callable[[Sequence[Unit], Path, Work], Generator[SweepProgress, None, None]]


def search(asked: Sweep, folder: Path, carried_out: Carried, work: Work, jobs: int) -> Generator[SweepProgress]:
    """Try combinations that Optuna proposes, as many at a time as there are processes, and yield where it stands.

    Each proposal is written down before it is tried, so that an interrupted search goes on with those it has. At the
    end the best combination is measured on test examples.

    Args:
        asked: the sweep, with what is optimized.
        folder: its folder.
        carried_out: what trains and measures units.
        work: how.
        jobs: combinations that are tried at a time.

    Raises:
        InputError: if Optuna is not installed, or there are no validation examples.
    """
    optuna = _optuna()
    if "validation" not in space_of(asked.experiment.data, work.data_root).sizes:
        raise InputError(
            f"data {asked.experiment.data.name!r} has no validation examples, which a search is judged by: "
            "choose a split with some (--set data.split=...)"
        )
    points, tried = _read(folder / TRIALS)[: asked.trials], list[Point]()
    sampler = optuna.samplers.TPESampler(seed=asked.draw_seed + len(points), constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    spaces = {path: _distribution(values, optuna) for path, values in asked.grid.items()}
    ended, failed = 0, 0
    while len(tried) < asked.trials:
        batch = points[len(tried) :][:jobs]
        trials: list[Any] = [None] * len(batch)
        while len(batch) < min(jobs, asked.trials - len(tried)):
            trials.append(study.ask(spaces))
            batch.append(_point(trials[-1].params, asked))
            with files.disk_errors(folder):
                files.append(folder / TRIALS, f"{json.dumps(batch[-1])}\n".encode())
        units = listed(asked.experiment, batch, asked.seeds, folder)
        for progress in carried_out(units, folder, work):
            total = asked.trials * asked.seeds
            yield progress._replace(done=ended + progress.done, failed=failed + progress.failed, total=total, left=None)
        ended, failed = ended + progress.done, failed + progress.failed
        for trial, point in zip(trials, batch, strict=True):
            value = _value(asked, point, folder)
            if trial is None:
                study.add_trial(_former(point, value, spaces, asked, optuna))
            else:
                study.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
        tried += batch
    judged = [(value, point) for point in tried if (value := _value(asked, point, folder)) is not None]
    if judged and asked.measures:
        value, best = max(judged, key=lambda pair: pair[0])
        log.info(
            "best of %d trials: %s, %s %.3f on validation examples; it is now measured on test examples",
            len(tried), point_name(best), asked.optimize, value,
        )  # fmt: skip
        once = work._replace(measures=replace(asked.measures, split="test"))
        yield from carried_out(listed(asked.experiment, [best], asked.seeds, folder), folder, once)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("--optimize needs Optuna: run pip install 'vaekit[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(values: Range | list[Any], optuna: Any) -> Any:
    if not isinstance(values, Range):
        return optuna.distributions.CategoricalDistribution([json.dumps(value) for value in values])
    kind = optuna.distributions.IntDistribution if values.whole else optuna.distributions.FloatDistribution
    return kind(values.low, values.high, log=values.log)


def _point(params: Point, asked: Sweep) -> Point:
    return {
        path: params[path] if isinstance(values, Range) else json.loads(params[path])
        for path, values in asked.grid.items()
    }


def _former(point: Point, value: float | None, spaces: dict[str, Any], asked: Sweep, optuna: Any) -> Any:
    """Make a trial of a combination that was tried before."""
    params = {
        path: point[path] if isinstance(values, Range) else json.dumps(point[path])
        for path, values in asked.grid.items()
    }
    states = optuna.trial.TrialState
    state = states.FAIL if value is None else states.COMPLETE
    return optuna.trial.create_trial(state=state, value=value, params=params, distributions=spaces)


def _value(asked: Sweep, point: Point, folder: Path) -> float | None:
    """Return the mean over seeds of what is optimized, on validation examples; None if no unit has it."""
    values = []
    for unit in listed(asked.experiment, [point], asked.seeds, folder):
        if unit.begun:
            kept = [found for found in current(Run(unit.path)) if found["split"] == "validation"]
            values += [found[asked.optimize]["value"] for found in kept[-1:] if asked.optimize in found]
    return fmean(values) if values else None


def _read(path: Path) -> list[Point]:
    """Read the combinations that were proposed; a last line that a crash cut short is left out."""
    try:
        lines = files.read_bytes(path).splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): restore it, or name another folder (--out)") from None
