"""Many trainings at once: models that differ only in a few numbers take their steps as one stacked model."""

import logging
import math
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack

import torch

from vaekit import devices
from vaekit.arguments import Place, to_path
from vaekit.compatibility import Needs, unmet
from vaekit.data import Data
from vaekit.errors import InputError, shown
from vaekit.experiment import ADAPTER, Experiment, fields
from vaekit.run import Run, alone, refuse_taken
from vaekit.training import loop
from vaekit.training.captured_stack import CapturedStack, capturing
from vaekit.training.checks import check, chosen_device, refuse_another, refuse_no_experiment
from vaekit.training.loop import Progress
from vaekit.training.stacked import Member, Stack, Stacked
from vaekit.training.steps import refuse_unknown

log = logging.getLogger("vaekit")

NEEDS: Needs = dict.fromkeys(("prior", "posterior", "network", "objective"), frozenset(("stackable",)))
"""what a stack asks of the parts: no weight, state or draw that it does not know how to stack"""
VARYING = ("seed", "model.latent_dim", "objective.beta", "optimizer.learning_rate")
"""prefixes of the fields that may differ in a stack; the third also covers beta_schedule"""


def train_stack(
    experiments: Sequence[Experiment],
    runs: Sequence[Run | Place],
    *,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
    resume: bool = False,
    overwrite: bool = False,
    compile: str = "auto",
) -> Generator[list[Progress], None, None]:
    """Train experiments that differ in seed, β, learning rate or number of latents at once, each in its own folder.

    The products of all networks are computed as one batched product, which saves small models the time between
    products. Each run draws the order, bits and noise that it would draw alone, and ends with the same weights up to
    rounding; each folder is that of an ordinary run. A model with fewer latents than the widest is padded with zeros: a
    padded latent has q = p, hence no KL, and no weight to the decoder.

    Yields one Progress per experiment, as often as ``train`` does; the generator may be closed at any report. If a
    training fails or stops early, the others go on; the first error is raised at the end. Resumed runs that are at
    different steps, because they were killed while being saved, are brought to the same step first. Torch's global
    state is shared with the caller as in ``train``.

    Args:
        experiments: two or more; seed, objective.beta and its schedule, optimizer.learning_rate and model.latent_dim
            may differ.
        runs: their folders.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: with ``resume``, where the runs' data are if they have moved.
        resume: continue the runs in the folders.
        overwrite: replace the runs in the folders.
        compile: auto (if there are enough steps for it to pay off), on or off.

    Raises:
        InputError: as in ``train``, or if the experiments cannot be stacked.
        RunError: as in ``train``.
    """
    paths = [to_path(run, "run") for run in runs]
    refuse_unknown(compile)
    for experiment in experiments:
        refuse_no_experiment(experiment)
    refuse_unlike(experiments)
    if not len(experiments) == len(paths) == len({path.resolve() for path in paths}):
        names = ", ".join(map(str, paths))
        raise InputError(f"runs {names} do not match {len(experiments)} experiments: name one folder for each")
    chosen = chosen_device(device)
    if resume:
        folders = [Run(path) for path in paths]
        refuse_unlike([folder.experiment for folder in folders])
        refuse_other_data(folders)
        for experiment, folder in zip(experiments, folders, strict=True):
            refuse_another(experiment, folder)
        loaded = folders[0].data(data_root, data)
    else:
        refuse_place(data)
        for path in paths:
            refuse_taken(path, overwrite)
        loaded = experiments[0].data.load(data_root)
    for experiment in experiments:
        check(experiment, loaded.space, chosen)
    loaded = loaded.to(chosen)
    with ExitStack() as locks, devices.memory_errors(f"a stack of {len(paths)} models", "train fewer at once"):
        for path in paths:
            locks.enter_context(alone(path))
        if not resume:
            folders = [Run.create(p, e, loaded.space, overwrite) for p, e in zip(paths, experiments, strict=True)]
        yield from devices.in_turns(reports(experiments, folders, loaded, chosen, compile), chosen)


def refuse_unlike(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments that cannot be stacked, naming the first field that stands in the way."""
    if len(experiments) < 2:
        raise InputError(f"a stack needs at least two experiments, not {len(experiments)}: give more, or use train")
    first, *others = (dict(fields(ADAPTER.dump_python(e, mode="json"))) for e in experiments)
    for other in others:
        for path, value in first.items():
            if not path.startswith(VARYING) and other.get(path) != value:
                raise InputError(
                    f"{path} is {value!r} in one experiment and {other.get(path)!r} in another: in a stack, only seed, "
                    "model.latent_dim, objective.beta, objective.beta_schedule and optimizer.learning_rate may differ"
                )
    if reason := unmet(NEEDS, experiments[0]):
        raise InputError(f"a stack {reason}, or train one by one")
    if corruption := experiments[0].model.corruption:
        raise InputError(f"model.corruption is {corruption}, which stacks do not draw: choose none, or train alone")
    dims = {experiment.model.latent_dim for experiment in experiments}
    free_bits = getattr(experiments[0].objective, "free_bits", 0.0)
    if free_bits and len(dims) > 1:
        raise InputError(
            f"objective.free_bits is {free_bits}, which padded latents would be charged as well: "
            "give all experiments the same model.latent_dim, or train one by one"
        )


def refuse_other_data(folders: Sequence[Run]) -> None:
    """Refuse runs that were not trained on the same data."""
    for folder in folders:
        if folder.space.digest != folders[0].space.digest:
            raise InputError(f"{folder.path} has different data from {folders[0].path}: resume them one by one")


def reports(
    experiments: Sequence[Experiment], folders: Sequence[Run], data: Data, device: torch.device, compile: str
) -> Generator[list[Progress], None, None]:
    """Train all of them to the end, as ``Training.reports`` does with one.

    Those at the lowest step are stacked; those that are done leave the stack, and those that it catches up with join.
    """
    members = [Member(e, folder, data, device) for e, folder in zip(experiments, folders, strict=True)]
    for member in members:
        member.run.begin(member.experiment)
    reported, saved = -math.inf, time.perf_counter()
    rows = {member: member.attempt(member.begin) for member in members}
    stack = stacked(lowest(members) or members, compile)
    try:
        while True:
            now = time.perf_counter()
            for member in stack.members:
                member.seconds = now - member.began
            if any(rows.values()) or now - reported > loop.SECONDS_BETWEEN_REPORTS:
                reported = now
                stack.settle()
                try:
                    yield [member.report(rows.get(member)) for member in members]
                except GeneratorExit:
                    stack.save()
                    raise_first(members)
                    raise
            for member in members:
                if member.finished and not member.ended:
                    member.ended = True
                    member.attempt(member.end)
            going = lowest(members)
            if not going:
                break
            if going != stack.members:
                stack.close()
                stack = stacked(going, compile)
            if now - saved > loop.SECONDS_BETWEEN_CHECKPOINTS:
                stack.save()
                saved = now
            stack.take_steps()
            rows = {m: m.attempt(m.evaluate) for m in stack.members if m.evaluation_due and not m.error}
    finally:
        stack.close()
    raise_first(members)


def stacked(members: Sequence[Member], compile: str) -> Stacked:
    """Return the stack of some trainings: its steps are captured where that can be done."""
    return CapturedStack(members, compile) if capturing(members) else Stack(members, compile)


def lowest(members: Sequence[Member]) -> list[Member]:
    """Return the unfinished trainings that have taken the fewest steps."""
    going = [member for member in members if not member.finished]
    return [member for member in going if member.step == min(each.step for each in going)]


def raise_first(members: Sequence[Member]) -> None:
    """Raise the error of the first training that failed, if one did."""
    for member in members:
        if member.error:
            raise member.error


def refuse_place(data: Place | None) -> None:
    """Refuse another place for the data of a new training: its experiment names them."""
    if data is not None:
        raise InputError(f"data is {shown(data)}, which is for resuming: name the data of a new run in its experiment")
