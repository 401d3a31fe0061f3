"""A unit: an experiment and the folder that is its state; and the units of a grid of settings."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vaekit import files, settings
from vaekit.errors import InputError, shown
from vaekit.experiment import Experiment
from vaekit.folders import EXPERIMENT, STATE
from vaekit.run import Run
from vaekit.training.state import saved_facts

LONGEST = 80
"""characters of a unit's name, beyond which the beginning of its digest stands for the rest"""
Point = Mapping[str, Any]
"""values by the dotted paths of the fields that a sweep varies"""


@dataclass(frozen=True)
class Unit:
    """A training: the experiment is what it is, and the folder how far it is.

    Attributes:
        label: what it is called where it is listed.
        experiment: what is trained.
        path: its folder.
    """

    label: str
    experiment: Experiment
    path: Path

    @property
    def begun(self) -> bool:
        """Whether there is a run in its folder."""
        return (self.path / EXPERIMENT).is_file()

    @property
    def finished(self) -> bool:
        """Whether its training is at its end, by all steps taken and saved or by early stopping."""
        if not (self.path / STATE).is_file():
            return False
        run = Run(self.path)
        facts, patience = saved_facts(run), self.experiment.early_stopping
        if facts is None or run.experiment != self.experiment:
            return False
        images = run.space.sizes["train"]
        seen = facts.step * min(self.experiment.batch_size, images)
        return seen >= samples(self.experiment, images) or (patience is not None and facts.stale >= patience)


def samples(experiment: Experiment, images: int) -> float:
    """Return how many training images an experiment sees if there are ``images``, minus what rounding may take."""
    return (experiment.training_samples or experiment.epochs * images) - 1e-3


def listed(base: Experiment, points: Iterable[Point], seeds: int, folder: Path) -> list[Unit]:
    """List the units of some combinations, each once, in the folders that they have or will have.

    A unit is known by its digest: one that is in the folder already keeps its name, whatever it would be called now.

    Raises:
        InputError: if a combination does not fit together, naming it.
    """
    there, found = _digests(folder), dict[str, Unit]()
    for point in points:
        for k in range(seeds):
            seeded = dict(point) if "seed" in point else {**point, "seed": base.seed + k}
            experiment = _replaced(base, seeded)
            digest = experiment.digest
            name = there.get(digest) or named(seeded, experiment)
            found.setdefault(digest, Unit(name, experiment, folder / name))
    return list(found.values())


def _replaced(base: Experiment, point: Point) -> Experiment:
    try:
        return base.replace_all(point)
    except InputError as error:
        raise InputError(f"{error} (in the grid at {point_name(point)})") from None


def point_name(point: Point) -> str:
    """Write the values of a combination.

    Example:
        >>> point_name({"model.latent_dim": 2, "objective.beta": 4.0})
        'model.latent_dim 2, objective.beta 4.0'
    """
    return ", ".join(f"{path} {_written(value)}" for path, value in point.items())


def named(point: Point, experiment: Experiment) -> str:
    """Name a unit by what is particular to it.

    Example:
        >>> from vaekit import Source
        >>> named({"model.latent_dim": 2, "objective.beta": 0.5, "seed": 0}, Experiment(data=Source(name="digits")))
        'latent_dim-2_beta-0.5_seed-0'
    """
    short = [path.rpartition(".")[2] for path in point]
    names = (last if short.count(last) == 1 else path for path, last in zip(point, short, strict=True))
    text = "_".join(f"{name}-{_written(value)}" for name, value in zip(names, point.values(), strict=True))
    slug = re.sub(r"[^\w.+-]+", "-", text).strip("-.")
    plain = slug == text and len(slug) <= LONGEST
    return slug if plain else f"{slug[:LONGEST]}-{experiment.digest[:8]}"


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "x".join(map(_written, value))
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _digests(folder: Path) -> dict[str, str]:
    """Return the names of the runs in a folder by the digests of their experiments; damaged ones are left out."""
    found = {}
    for path in sorted(folder.glob(f"*/{EXPERIMENT}")):
        try:
            found[settings.digest(json.loads(files.read_bytes(path)))] = path.parent.name
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def part(units: Sequence[Unit], only: str | None) -> list[Unit]:
    """Return the i-th of n parts of the units, asked for as "i/n", so that n processes share them.

    Raises:
        InputError: if it is not such a part.

    Example:
        >>> part("abcde", "2/2")
        ['b', 'd']
    """
    if only is None:
        return list(units)
    match = re.fullmatch(r"(\d+)/(\d+)", str(only))
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"only is {shown(only)}: give a part such as 1/4, the first of four")
    return list(islice(units, int(match[1]) - 1, None, int(match[2])))
