"""Sweeps: the units of a grid, worked on by an engine, in a folder from which it is read what is missing."""

import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from vaekit import devices, files
from vaekit.arguments import Place, to_path, to_whole
from vaekit.engine.costs import cost, seconds, space_of
from vaekit.engine.grids import SWEEP, Measures, Sweep, by_path
from vaekit.engine.local import local
from vaekit.engine.units import Unit, listed, part
from vaekit.engine.work import SweepProgress, Task, Work, Workers, done
from vaekit.errors import InputError, nearest, shown
from vaekit.experiment import ADAPTER, Experiment, fields
from vaekit.folders import SWEEP_FILE
from vaekit.footprint import training_bytes
from vaekit.measures import GROUPS
from vaekit.specs import explain
from vaekit.training.stacks import VARYING, refuse_unlike

log = logging.getLogger("vaekit")

FAILURES = "failures"
LOCK = ".sweep.lock"
ENGINES = ("auto", "local", "stack", "ray")
LARGEST_STACK, LARGEST_ON_CUDA = 16, 256
SMALL = 50_000
"""weights up to which a CPU gains from a stack"""
COPIES = 2
"""of what a training keeps: its own, and that in the stack"""
DEFAULT = Measures()
GROUP = {"linear_probe": "latents", "nearest_neighbors": "latents"}
"""groups of measures that have what is optimized; evidence has the rest"""


def sweep(
    experiment: Experiment | None = None,
    grid: Mapping[str, Any] | None = None,
    *,
    out: Place,
    seeds: int = 1,
    random: int | None = None,
    optimize: str | None = None,
    trials: int = 50,
    evaluate: str | Sequence[str] | None = ("evidence",),
    split: str = "test",
    samples: int = DEFAULT.samples,
    images: int = DEFAULT.images,
    engine: str = "auto",
    jobs: int | None = None,
    only: str | None = None,
    address: str | None = None,
    per_gpu: int = 1,
    device: str = "auto",
    data_root: Place | None = None,
) -> Generator[SweepProgress, None, None]:
    """Train and measure an experiment for all values of a grid, each with several seeds; yield where it stands.

    Each unit has a folder in ``out``, which is an ordinary run and its whole state: what was interrupted goes on, what
    is finished is left as it is, and a grid with more values or seeds trains what is missing. A unit that fails is
    written down in the folder ``failures`` with a sentence, and the others go on. You may close the generator at any
    report: what is being trained is saved.

    Args:
        experiment: the experiment that is varied; the one in ``out`` is continued if left out.
        grid: the values of each field by its dotted path or short name, {"latent_dim": [2, 5], "beta": [1, 4]}; with
            ``random`` or ``optimize`` a ``Range`` of numbers, too.
        out: the folder.
        seeds: trainings for each combination.
        random: number of combinations to draw; all are trained if left out.
        optimize: search by Optuna for the largest log_evidence, elbo, linear_probe or nearest_neighbors on validation
            examples; only the best combination is measured on test examples, once, at the end.
        trials: combinations that a search tries.
        evaluate: groups of measures, as for ``evaluate``; None measures nothing.
        split, samples, images: as for ``evaluate``.
        engine: auto, local (processes on this machine), stack (experiments that stack train as one model) or ray (tasks
            on the nodes of a cluster); auto and ray stack small models, and all that stack on a GPU.
        jobs: processes; as many as there are threads if left out, or for ray CPUs or shares of GPUs.
        only: a part of the units such as "1/4", so that several machines share a sweep on one disk.
        address: host:port of a Ray cluster, or auto; RAY_ADDRESS, or Ray on this machine, if left out.
        per_gpu: tasks of Ray that share a GPU.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.

    Raises:
        InputError: if a path or value does not fit, or the folder holds another sweep; nothing is trained then.
    """
    folder = to_path(out, "out")
    if experiment is None:
        asked = opened(folder)
    else:
        asked = specified(experiment, grid, seeds, random, optimize, trials, evaluate, split, samples, images)
    yield from run_sweep(
        asked, folder, engine=engine, jobs=jobs, only=only, address=address, per_gpu=per_gpu, device=device,
        data_root=data_root,
    )  # fmt: skip


def specified(
    experiment: Experiment,
    grid: Mapping[str, Any] | None,
    seeds: int = 1,
    random: int | None = None,
    optimize: str | None = None,
    trials: int = 50,
    evaluate: str | Sequence[str] | None = ("evidence",),
    split: str = "test",
    samples: int = DEFAULT.samples,
    images: int = DEFAULT.images,
) -> Sweep:
    """Make a sweep from the arguments of ``sweep``."""
    metrics = tuple(evaluate.split(",") if isinstance(evaluate, str) else evaluate or ())
    if optimize:
        metrics, split = tuple(dict.fromkeys((*metrics, GROUP.get(optimize, "evidence")))), "validation"
    for name in metrics:
        if name not in GROUPS:
            raise InputError(f"metric {name!r} is unknown; {nearest(str(name), GROUPS)}")
    measures = Measures(metrics=metrics, split=split, samples=samples, images=images) if metrics else None  # type: ignore[arg-type]
    return Sweep(
        experiment=experiment, grid=by_path(grid or {}), seeds=seeds, random=random, optimize=optimize,  # type: ignore[arg-type]
        trials=trials, measures=measures,
    )  # fmt: skip


def run_sweep(
    asked: Sweep,
    folder: Path,
    *,
    engine: str = "auto",
    jobs: int | None = None,
    only: str | None = None,
    address: str | None = None,
    per_gpu: int = 1,
    device: str = "auto",
    data_root: Place | None = None,
) -> Generator[SweepProgress, None, None]:
    """Carry out a sweep in a folder, as ``sweep`` does."""
    chosen = chosen_engine(engine)
    people = partial(workers, chosen, jobs, address, per_gpu, device)
    data_root = None if data_root is None else to_path(data_root, "data_root")
    work = Work(device, data_root, asked.measures)
    if asked.optimize:
        from vaekit.engine.search import search

        if only:
            raise InputError(f"only is {only}: a search proposes one combination after the other, so leave it out")
        refuse_another(asked, folder)
        with people() as crew:
            begin(asked, folder)
            carried_out = partial(_carried_out, engine=chosen, crew=crew)
            yield from search(asked, folder, carried_out, work._replace(device=crew.device), crew.jobs)
        return
    units = part(_units(asked, folder), only)
    with people() as crew:
        begin(asked, folder)
        yield from _carried_out(units, folder, work._replace(device=crew.device), engine=chosen, crew=crew)


@contextmanager
def workers(engine: str, jobs: int | None, address: str | None, per_gpu: int, device: str) -> Iterator[Workers]:
    """Give those who work on units by an engine, for the time of the block."""
    count = None if jobs is None else to_whole(jobs, "jobs")
    if engine != "ray":
        for name, given in {"address": address, "per_gpu": None if per_gpu == 1 else per_gpu}.items():
            if given is not None:
                raise InputError(f"{name} is {shown(given)}, and engine {engine} has none: choose engine ray")
        count = count or torch.get_num_threads()
        yield Workers(partial(local, jobs=count), count, device)
        return
    from vaekit.engine.ray import cluster

    with cluster(address, count, to_whole(per_gpu, "per_gpu"), device) as crew:
        yield crew


def _units(asked: Sweep, folder: Path) -> list[Unit]:
    refuse_another(asked, folder)
    return listed(asked.experiment, asked.points, asked.seeds, folder)


def planned(asked: Sweep, out: Place, only: str | None = None, data_root: Place | None = None) -> list[dict[str, Any]]:
    """Say what each unit of a sweep would take; nothing is written."""
    units = part(_units(asked, to_path(out, "out")), only)
    work = Work(data_root=None if data_root is None else to_path(data_root), measures=asked.measures)
    rows = []
    for unit in units:
        ended = done(unit, work)
        space = space_of(unit.experiment.data, work.data_root)
        rows.append(
            {
                "unit": unit.label,
                "digest": unit.experiment.digest[:12],
                "weights": cost(unit.experiment.model, space.event_shape)[0],
                "seconds": 0.0 if ended else round(seconds(unit, work.measures, work.data_root), 2),
                "finished": ended,
            }
        )
    return rows


def opened(folder: Path) -> Sweep:
    """Read the sweep of a folder.

    Raises:
        InputError: if there is none, or its file is damaged.
    """
    try:
        return SWEEP.validate_json(files.read_bytes(folder / SWEEP_FILE))
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no sweep: give data and a --grid, or name the folder of one (--out)"
        ) from None
    except ValidationError as error:
        reason = explain(error, Sweep)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise InputError(f"{folder / SWEEP_FILE} cannot be read ({reason}): restore it, or name another folder (--out)")


def refuse_another(asked: Sweep, folder: Path) -> None:
    """Refuse a folder that holds the sweep of another experiment, apart from the fields that either varies."""
    if not folder.exists():
        return
    if not (folder / SWEEP_FILE).is_file():
        if not folder.is_dir() or {path.name for path in folder.iterdir()} - {LOCK}:
            raise InputError(f"{folder} exists and is not a sweep: name another folder (--out)")
        return
    old = opened(folder)
    varied = ("seed", *old.grid, *asked.grid)
    ours, theirs = (dict(fields(ADAPTER.dump_python(each.experiment, mode="json"))) for each in (asked, old))
    for path in sorted(ours.keys() | theirs.keys()):
        if not any(f"{path}.".startswith(f"{each}.") for each in varied) and ours.get(path) != theirs.get(path):
            raise InputError(
                f"{folder} holds another sweep ({path} is {theirs.get(path)!r} there and {ours.get(path)!r} here): "
                "name another folder (--out)"
            )


def begin(asked: Sweep, folder: Path) -> None:
    """Write down what a folder is the sweep of; fields that an earlier grid varied stay among those of the grid."""
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with files.locked(folder / LOCK, f"{folder} is being written", "try again", 60):
            written = json.loads(SWEEP.dump_json(asked))
            if (folder / SWEEP_FILE).is_file():
                tree = ADAPTER.dump_python(asked.experiment, mode="json")
                written["grid"] |= {p: [value_at(tree, p)] for p in opened(folder).grid if p not in asked.grid}
            files.write(folder / SWEEP_FILE, f"{json.dumps(written, indent=2)}\n".encode())


def value_at(tree: Any, path: str) -> Any:
    """Return the value of a field by its dotted path; of a part that has kinds, its kind."""
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree["kind"] if isinstance(tree, Mapping) and "kind" in tree else tree


def chosen_engine(engine: str) -> str:
    """Return the name of an engine."""
    if engine not in ENGINES:
        raise InputError(f"engine {shown(engine)} is unknown; {nearest(str(engine), ENGINES)}")
    return engine


def _carried_out(
    units: Sequence[Unit], folder: Path, work: Work, *, engine: str, crew: Workers
) -> Generator[SweepProgress, None, None]:
    """Work on the units that are missing, and write down those that fail."""
    began, missing = time.perf_counter(), [unit for unit in units if not done(unit, work)]
    for unit in units:
        if unit not in missing:
            record(folder, unit, None)
    tasks = grouped(missing, engine, crew.jobs, work)
    expect(units, missing, tasks, crew.jobs, work)
    ended, failed = 0, 0
    yield SweepProgress([], len(units) - len(missing), 0, len(units), 0.0, None)
    with closing(crew.engine(tasks, work)) as reports:
        for finished in reports:
            for unit, error in finished:
                record(folder, unit, error)
            ended += len(finished)
            failed += sum(error is not None for _, error in finished)
            spent = time.perf_counter() - began
            left = spent / ended * (len(missing) - ended) if ended else None
            yield SweepProgress(finished, len(units) - len(missing) + ended - failed, failed, len(units), spent, left)


def expect(units: Sequence[Unit], missing: Sequence[Unit], tasks: Sequence[Task], jobs: int, work: Work) -> None:
    """Say how many units there are, and about how long the missing ones will take."""
    log.info("%d units, %d of them finished", len(units), len(units) - len(missing))
    if not missing:
        return
    with suppress(InputError):  # of data that cannot be read, which each unit reports
        spent = sum(seconds(unit, work.measures, work.data_root) for unit in missing) / min(jobs, len(tasks))
        stacked = sum(len(task) > 1 for task in tasks)
        how = f", {stacked} of {len(tasks)} tasks as stacks" if stacked else ""
        log.info("expected: about %s in %s%s", duration(spent), counted(min(jobs, len(tasks)), "process"), how)


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def duration(seconds: float) -> str:
    """Write a time roughly.

    Example:
        >>> duration(50), duration(200), duration(90_000)
        ('50 seconds', '3 minutes', '25 hours')
    """
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"


def record(folder: Path, unit: Unit, error: Exception | None) -> None:
    """Write down why a unit failed, or remove that where it has not."""
    path = folder / FAILURES / f"{unit.label}.json"
    with suppress(OSError):  # of a full disk: the sentence is in the report, too
        if error is None:
            path.unlink(missing_ok=True)
        else:
            content = {"unit": unit.label, "digest": unit.experiment.digest, "error": str(error)}
            files.write(path, f"{json.dumps(content, indent=2, ensure_ascii=False)}\n".encode())


def failures(folder: Place) -> dict[str, str]:
    """Return why units of a sweep failed, by their names."""
    found = {}
    for path in sorted((to_path(folder) / FAILURES).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found[path.stem] = str(json.loads(files.read_bytes(path))["error"])
    return found


def grouped(units: Sequence[Unit], engine: str, jobs: int, work: Work) -> list[Task]:
    """Make tasks of units: those that stack together as an engine would have it, others one by one."""
    if engine == "local":
        return [(unit,) for unit in units]
    groups = dict[tuple[bool, str], list[Unit]]()
    for unit in units:
        tree = fields(ADAPTER.dump_python(unit.experiment, mode="json"))
        alike = json.dumps({path: value for path, value in tree if not path.startswith(VARYING)}, sort_keys=True)
        groups.setdefault((unit.begun, alike), []).append(unit)
    return [task for group in groups.values() for task in _stacked(group, engine, jobs, work)]


def _stacked(group: Sequence[Unit], engine: str, jobs: int, work: Work) -> Iterator[Task]:
    """Cut units that differ only in what stacks allow into stacks, a process at least having one."""
    size = ceil(len(group) / jobs)
    if size > 1:
        stacked = stacks(group) and (engine == "stack" or gains(group[0], work))
        size = min(size, largest(group[0], work)) if stacked else 1
    for first in range(0, len(group), size):
        yield tuple(group[first : first + size])


def stacks(group: Sequence[Unit]) -> bool:
    """Whether the parts of the units can be stacked."""
    try:
        refuse_unlike([unit.experiment for unit in group])
    except InputError:
        return False
    return True


def largest(unit: Unit, work: Work) -> int:
    """Return how many models a stack has at most: on a GPU, as many as take half of its memory."""
    with suppress(InputError):
        device = devices.choose(work.device)
        if device.type == "cuda":
            taken = sum(training_bytes(unit.experiment, space_of(unit.experiment.data, work.data_root)))
            return max(1, min(LARGEST_ON_CUDA, int(devices.memory(device) / 2 / (COPIES * taken))))
    return LARGEST_STACK


def gains(unit: Unit, work: Work) -> bool:
    """Whether a stack of such models is faster than one after the other: on a GPU, or if they are small."""
    with suppress(InputError):
        if work.device.startswith("cuda") or devices.choose(work.device).type == "cuda":
            return True
        space = space_of(unit.experiment.data, work.data_root)
        return cost(unit.experiment.model, space.event_shape)[0] <= SMALL
    return False
