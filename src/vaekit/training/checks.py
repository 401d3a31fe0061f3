"""What is refused before a training begins."""

import logging
import math
from typing import Any

import torch

from vaekit import devices
from vaekit.compatibility import Needs, misfit, traits, unmet
from vaekit.data import Space
from vaekit.data.objects import PREFIX, is_held
from vaekit.errors import InputError, shown
from vaekit.experiment import Experiment, unlike
from vaekit.footprint import refuse_too_large
from vaekit.run import Run

log = logging.getLogger("vaekit")

ROWWISE: Needs = dict.fromkeys(("objective", "network"), frozenset(("rowwise",)))
"""what several processes ask of the parts, because each sees only its own rows of a batch"""


def refuse_another(experiment: Experiment, run: Run) -> None:
    """Refuse to resume a run as another experiment."""
    if difference := unlike(run.experiment, experiment):
        raise InputError(
            f"{run.path} was begun with another experiment ({difference}): resume it with its own, of which only "
            "epochs and training_samples may change, or train into another folder"
        )


def refuse_no_experiment(experiment: Any) -> None:
    """Refuse what is not an experiment, such as the name of a data set."""
    if not isinstance(experiment, Experiment):
        raise InputError(f"experiment is {shown(experiment)}: make one with vaekit.choose or vaekit.Experiment")


def refuse_begun(experiment: Experiment) -> None:
    """Refuse to begin what begins with the weights of a trained run."""
    if "begun" in traits(experiment.objective):
        raise InputError(
            f"objective {experiment.objective.kind!r} begins with the weights of a trained run: 'vaekit refit-prior' "
            "fits a prior to the codes of one"
        )


def chosen_device(name: str) -> torch.device:
    """Choose the device, and say so if the user left it open."""
    device = devices.choose(name)
    if name == "auto":
        reason = "this machine has one" if device.type == "cuda" else "no CUDA device was found"
        log.info("chosen: device %s because %s", device, reason)
    return device


def check(experiment: Experiment, space: Space, device: torch.device, workers: int = 1) -> None:
    """Refuse data that the likelihood does not cover, early stopping without validation images, and excessive sizes."""
    if reason := misfit(experiment, space):
        raise InputError(reason)
    if (images := min(experiment.batch_size, space.sizes["train"])) < workers:
        raise InputError(f"batch_size {images} is less than {workers} workers: choose a larger one, or fewer workers")
    batch = experiment.batch_size if device.type == "cpu" else math.ceil(experiment.batch_size / workers)
    refuse_too_large(experiment.replace("batch_size", batch), space, device)


def refuse_apart(experiment: Experiment, workers: int, data: Any, compile: str) -> None:
    """Refuse to have several processes train what each of them could not train on some rows of every batch."""
    if workers == 1:
        return
    if reason := unmet(ROWWISE, experiment):
        raise InputError(f"a training by {workers} workers {reason}, or train with one")
    if corruption := experiment.model.corruption:
        raise InputError(
            f"model.corruption is {corruption}, which {workers} workers do not draw: choose none, or train with one"
        )
    if compile == "on":
        raise InputError(
            f"compile is on, and {workers} workers take eager steps: choose auto or off, or train with one"
        )
    if is_held(data) or experiment.data.name.startswith(PREFIX):
        raise InputError(
            f"the data are in memory, where {workers} workers do not find them: save them, and name the file"
        )
