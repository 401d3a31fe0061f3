"""Planning a study: which trainings there are, which are finished, and what the others will take."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit.engine.costs import OPERATIONS_A_SECOND, PASSES, cost, images, space_of
from vaekit.engine.units import Unit
from vaekit.errors import InputError, nearest
from vaekit.studies.catalog import STUDIES
from vaekit.studies.scale import SCALES, Scale
from vaekit.studies.study import Artifact, Study

OUT = Path("runs/reproduced")


@dataclass(frozen=True)
class Planned(Unit):
    """A training of a study, in a folder named after its digest; several artifacts may need it.

    Attributes:
        label: of the first experiment that needs it.
        artifact: the first one that needs it.
    """

    artifact: str


def find_study(name: str) -> Study:
    """Return a study by its name.

    Raises:
        InputError: if there is no study of that name.
    """
    for study in STUDIES:
        if study.name == name:
            return study
    raise InputError(f"study {name!r} is unknown; {nearest(name, [study.name for study in STUDIES])}")


def chosen(study: Study, only: Sequence[str], scale: str) -> list[Artifact]:
    """Return the artifacts of a study, or those that are named.

    Raises:
        InputError: if a name or the scale is unknown.
    """
    if scale not in SCALES:
        raise InputError(f"scale {scale!r} is unknown; {nearest(scale, SCALES)}")
    artifacts = {artifact.name: artifact for artifact in study.artifacts}
    for name in only:
        if name not in artifacts:
            raise InputError(f"artifact {name!r} of {study.name} is unknown; {nearest(name, artifacts)}")
    return [artifacts[name] for name in only] or list(study.artifacts)


def plan(artifact: Artifact, scale: Scale, out: Path) -> list[Planned]:
    """List the trainings of an artifact: each of its experiments, with each seed."""
    return [
        Planned(label, seeded, out / seeded.digest[:16], artifact.name)
        for seed in range(scale.seeds)
        for label, experiment in artifact.experiments(scale).items()
        for seeded in [experiment.replace("seed", seed)]
    ]


def digests(artifact: Artifact, scale: Scale) -> list[str]:
    """Return the digests of an artifact's trainings, which tell whether a result is of these."""
    return [planned.experiment.digest for planned in plan(artifact, scale, OUT)]


def sizes(study: str, only: Sequence[str], scale: str, seeds: int | None) -> Iterator[tuple[Artifact, Scale]]:
    """Go through the artifacts of a study, each with how much of it is run."""
    for artifact in chosen(find_study(study), only, scale):
        size = artifact.scales[scale]
        yield artifact, size if seeds is None else dataclasses.replace(size, seeds=seeds)


def dry_run(
    study: str,
    *,
    only: Sequence[str] = (),
    scale: str = "laptop",
    seeds: int | None = None,
    out: Path | str = OUT,
    data_root: Path | None = None,
) -> list[dict[str, Any]]:
    """Say what each training of a study would take; those that several artifacts share count once.

    Args: those of ``reproduce``.
    """
    planned = {
        p.path: p for artifact, size in sizes(study, only, scale, seeds) for p in plan(artifact, size, Path(out))
    }
    return [expected(p, data_root) for p in planned.values()]


def expected(planned: Planned, data_root: Path | None = None) -> dict[str, Any]:
    """Say what a training will take: weights, images, and seconds at a given number of operations per second."""
    experiment = planned.experiment
    space = space_of(experiment.data, data_root)
    weights, operations = cost(experiment.model, space.event_shape)
    seen = images(planned, space)
    return {
        "artifact": planned.artifact,
        "label": planned.label,
        "seed": experiment.seed,
        "weights": weights,
        "images": seen,
        "seconds": 0.0 if planned.finished else round(PASSES * operations * seen / OPERATIONS_A_SECOND, 1),
        "finished": planned.finished,
        "run": str(planned.path),
    }
