"""Planning a study: which trainings there are, which are finished, and what the others will take."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch.utils.flop_counter import FlopCounterMode

from vaekit.data import Source, Space
from vaekit.errors import InputError, nearest
from vaekit.experiment import Experiment
from vaekit.model import Model
from vaekit.run import STATE, Run
from vaekit.studies.catalog import STUDIES
from vaekit.studies.scale import SCALES, Scale
from vaekit.studies.study import Artifact, Study

OUT = Path("runs/reproduced")
OPERATIONS_A_SECOND = 1e11
"""multiplications and additions per second that expected times are based on: two CPU cores"""
PASSES = 3
"""a step costs as much as three forward passes"""


class Planned(NamedTuple):
    """A training of a study.

    Attributes:
        artifact, label: the first artifact and experiment that need it.
        experiment: what is trained.
        path: its folder, named after its digest.
    """

    artifact: str
    label: str
    experiment: Experiment
    path: Path

    @property
    def finished(self) -> bool:
        """Whether all its steps have been taken and saved."""
        if not (self.path / STATE).is_file():
            return False
        run = Run(self.path)
        with safe_open(self.path / STATE, "pt") as file:
            steps = json.loads(file.metadata()["facts"])["step"]
        return steps * self.experiment.batch_size >= samples(self.experiment, run.space)


def samples(experiment: Experiment, space: Space) -> float:
    """Return the training images that an experiment sees, minus what rounding may take."""
    return (experiment.training_samples or experiment.epochs * space.sizes["train"]) - 1e-3


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
        Planned(artifact.name, label, seeded, out / seeded.digest[:16])
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
    space = _space(experiment.data, data_root)
    weights, operations = cost(experiment.model, space.event_shape)
    images = math.ceil(samples(experiment, space))
    return {
        "artifact": planned.artifact,
        "label": planned.label,
        "seed": experiment.seed,
        "weights": weights,
        "images": images,
        "seconds": 0.0 if planned.finished else round(PASSES * operations * images / OPERATIONS_A_SECOND, 1),
        "finished": planned.finished,
        "run": str(planned.path),
    }


@lru_cache
def _space(source: Source, data_root: Path | None) -> Space:
    return source.load(data_root).space


@lru_cache
def cost(model: Model, event_shape: tuple[int, ...]) -> tuple[int, int]:
    """Count the weights of a model and the operations of its forward pass for one image.

    Example:
        >>> cost(Model(latent_dim=2), (1, 8, 8))
        (68068, 134000)
    """
    with torch.device("meta"):
        vae = model.build(event_shape)  # the first linear layer multiplies matrices to choose its library: not counted
        with FlopCounterMode(display=False) as counter:
            vae.decode(vae.encode(torch.zeros(1, *event_shape)))
    return sum(p.numel() for p in vae.parameters()), counter.get_total_flops()
