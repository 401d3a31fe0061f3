"""Running a study: its experiments are trained once each and measured, and the results are stored."""

import csv
import io
import json
import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
import torch

from vaekit import devices
from vaekit.engine.local import local
from vaekit.engine.work import Finished, Work, reports
from vaekit.errors import InputError, RunError
from vaekit.estimates import Estimate
from vaekit.files import write
from vaekit.progress import Progress
from vaekit.records import plain
from vaekit.reporting.drawings import named
from vaekit.reporting.plots import save
from vaekit.run import Run
from vaekit.studies.lab import Lab
from vaekit.studies.planning import OUT, Planned, plan, sizes
from vaekit.studies.scale import Scale
from vaekit.studies.study import RESULT, Artifact, Key, Result, Row, counted
from vaekit.subject import Track

log = logging.getLogger("vaekit")

Follow = Callable[[Iterator[Progress]], Iterable[Progress]]
DOCUMENTED = Path("docs/reproductions/results")


def reproduce(
    study: str,
    *,
    only: Sequence[str] = (),
    scale: str = "laptop",
    seeds: int | None = None,
    jobs: int = 1,
    measure_only: bool = False,
    out: Path | str = OUT,
    results: Path | None = None,
    device: str = "auto",
    data_root: Path | None = None,
    follow: Follow = iter,
    track: Track = iter,
) -> list[Result]:
    """Train and measure the artifacts of a study, and store the results.

    Trainings are kept in ``out``, each in a folder named after its digest: finished ones are not trained again,
    wherever that was, and interrupted ones are resumed. An artifact is measured, and its result stored, once its own
    trainings are finished.

    Args:
        study: its name.
        only: names of artifacts; all if left out.
        scale: smoke, laptop or full.
        seeds: trainings per experiment; the scale decides if left out.
        jobs: trainings at a time, each in its own process with its share of the threads.
        measure_only: leave out the artifacts that have unfinished trainings, and train nothing.
        out: folder of the trainings.
        results: folder of the results; in a checkout that of the documentation, otherwise ``out``/results.
        device: auto, cpu or cuda.
        data_root: folder of named sets.
        follow: wraps the reports of each training, to show them; not called if trainings run at the same time.
        track: wraps the batches of the measurements, to show progress.

    Raises:
        InputError: if a name is unknown, or a count is not positive.
        InputError, RunError: at the end, if a training has failed, as in ``train``; artifacts that do not need it are
            measured all the same.
    """
    for name, count in (("jobs", jobs), ("seeds", seeds)):
        if count is not None and count < 1:
            raise InputError(f"{name} is {count}: give a number of at least 1")
    out = Path(out)
    folder = results_folder(results, out, scale)
    plans = {
        artifact.name: Plan(artifact, size, plan(artifact, size, out))
        for artifact, size in sizes(study, only, scale, seeds)
    }
    every = {p.path: p for each in plans.values() for p in each.trainings}
    finished = [p for p in every.values() if p.finished]
    waiting = [] if measure_only else [p for p in every.values() if p not in finished]
    log.info("%s, %d finished", counted(len(every), "training"), len(finished))
    found = {}
    with closing(trained(waiting, jobs, device, data_root, follow)) as ended:
        for name in ready(plans, chain((p.path for p in finished), successes(ended))):
            log.info("measuring %s", name)
            found[name] = investigate(study, scale, plans[name], folder / study, out, device, data_root, track)
            store(found[name], folder)
    for name in [name for name in plans if name not in found]:
        log.warning("%s is left out because not all of its trainings are finished", name)
    return [found[name] for name in plans if name in found]


class Plan(NamedTuple):
    """An artifact, how much of it is run, and its trainings."""

    artifact: Artifact
    size: Scale
    trainings: Sequence[Planned]


def ready(plans: Mapping[str, Plan], paths: Iterable[Path]) -> Iterator[str]:
    """Name each artifact once the folders of all its trainings have come."""
    missing = {name: {p.path for p in each.trainings} for name, each in plans.items()}
    for path in paths:
        for name, left in missing.items():
            if path in left:
                left.remove(path)
                if not left:
                    yield name


def trained(
    waiting: Sequence[Planned], jobs: int, device: str, data_root: Path | None, follow: Follow
) -> Generator[Finished, None, None]:
    """Train what is waiting, here one after the other or in processes, and give each training as it ends."""
    work = Work(device, data_root)
    if jobs == 1:
        yield from (_train_here(planned, work, follow) for planned in waiting)
    else:
        with closing(local([(planned,) for planned in waiting], work, jobs)) as engine:
            yield from chain.from_iterable(engine)


def successes(ended: Iterable[Finished]) -> Iterator[Path]:
    """Yield the folder of each training that is finished; one that fails does not stop the others.

    Raises:
        InputError, RunError: at the end, the first failure.
    """
    failures: list[InputError | RunError] = []
    for unit, error in ended:
        if error:
            log.warning("%s, seed %d, failed: %s", unit.label, unit.experiment.seed, error)
            failures.append(error)
            continue
        log.info("trained %s, seed %d", unit.label, unit.experiment.seed)
        yield unit.path
    if failures:
        raise failures[0]


def _train_here(planned: Planned, work: Work, follow: Follow) -> Finished:
    log.info("training %s, seed %d", planned.label, planned.experiment.seed)
    try:
        for _ in follow(reports(planned.experiment, planned.path, work)):
            pass
    except (InputError, RunError) as error:
        return Finished(planned, error)
    return Finished(planned)


def investigate(
    study: str, scale: str, each: Plan, folder: Path, out: Path, device: str, data_root: Path | None, track: Track
) -> Result:
    """Measure what was trained, seed by seed, and draw the figures, of the first seed unless they show all."""
    artifact, size, planned = each
    labs = [
        Lab({p.label: Run(p.path) for p in planned if p.experiment.seed == seed}, size, device, data_root, track)
        for seed in range(size.seeds)
    ]
    began = time.perf_counter()
    rows = aggregated([artifact.measure(lab) for lab in labs])
    first = replace(labs[0], others=[lab.runs for lab in labs[1:]])
    figures, tables = drawn(artifact, first, folder, f"{artifact.name}-{scale}", out)
    runs = {p: Run(p.path) for p in planned}
    return Result(
        study=study,
        artifact=artifact.name,
        scale=scale,
        size=size,
        rows=rows,
        figures=figures,
        tables=tables,
        data=sorted({named(run.space) for run in runs.values()}),
        epochs={p.label: round(run.metrics()[-1]["epoch"], 2) for p, run in runs.items()},
        digests=[p.experiment.digest for p in planned],
        command=f"vaekit reproduce {study} --only {artifact.name} --scale {scale} --seeds {len(labs)}",
        training_seconds=round(sum(run.metrics()[-1]["seconds"] for run in runs.values()), 1),
        measuring_seconds=round(time.perf_counter() - began, 1),
        machine=machine(labs[0].device),
        versions={"python": platform.python_version(), **{name: version(name) for name in ("torch", "vaekit")}},
    )


def results_folder(results: Path | None, out: Path, scale: str = "") -> Path:
    """Return the folder of results: the one named, or in a checkout that of the documentation, except for smoke."""
    if results is not None:
        return Path(results)
    return DOCUMENTED if DOCUMENTED.is_dir() and scale != "smoke" else out / "results"


def aggregated(measured: Sequence[Mapping[Key, Estimate]]) -> list[Row]:
    """Average the numbers of several seeds.

    Example:
        >>> aggregated([{("d = 2", "KL"): Estimate(1.0, 0.1, 1)}, {("d = 2", "KL"): Estimate(3.0, 0.1, 1)}])[0].value
        2.0
    """
    rows = []
    for label, quantity in measured[0]:
        values = [numbers[label, quantity].value for numbers in measured]
        error = measured[0][label, quantity].standard_error
        known, deviation = error if math.isfinite(error) else None, stdev(values) if len(values) > 1 else None
        rows.append(Row(label, quantity, fmean(values), known, deviation, values))
    return rows


def drawn(artifact: Artifact, lab: Lab, folder: Path, stem: str, out: Path) -> tuple[dict[str, str], list[str]]:
    """Draw the figures of an artifact next to its result, as .png, and the numbers of curves, as .csv.

    Returns: captions by name of the figure, and names of the tables.
    """
    captions, tables = {}, []
    for drawing in artifact.figures(lab):
        picture = save(drawing.figure, out / "figures", f"{stem}-{drawing.name}").with_suffix(".png")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, folder / picture.name)
        captions[picture.name] = drawing.caption
        if drawing.table is not None:
            tables.append(picture.with_suffix(".csv").name)
            write(folder / tables[-1], csv_of(drawing.table).encode())
    return captions, tables


def csv_of(table: Mapping[str, np.ndarray]) -> str:
    """Write columns of numbers as CSV, to six digits; NaN is an empty cell.

    Example:
        >>> print(csv_of({"epoch": np.array([1, 2]), "KL": np.array([0.25, np.nan])}), end="")
        epoch,KL
        1,0.25
        2,
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table)
    for values in zip(*table.values(), strict=True):
        rows.writerow("" if np.isnan(value) else f"{value:.6g}" for value in values)
    return text.getvalue()


def machine(device: str) -> str:
    """Say what kind of machine this is."""
    target = devices.choose(device)
    gpu = f"{torch.cuda.get_device_name(target)}, " if target.type == "cuda" else ""
    return f"{gpu}{os.cpu_count()} CPU cores ({platform.machine()})"


def store(result: Result, folder: Path) -> Path:
    """Write a result as JSON."""
    path = folder / result.study / f"{result.artifact}-{result.scale}.json"
    content = json.dumps(plain(RESULT.dump_python(result, mode="json")), indent=1, ensure_ascii=False)
    write(path, f"{content}\n".encode())
    return path
