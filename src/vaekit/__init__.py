"""vaekit: train variational auto-encoders, evaluate them honestly, and look at what they learned.

Every verb of the command line is a function here, and so are the parts of an experiment. ``Gaussian`` is the
likelihood; the posterior is ``vaekit.posteriors.Gaussian``. Names are imported when they are first used, so that
``import vaekit`` is instant.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "errors": ("InputError", "RunError"),
    "data": ("Source", "Data"),
    "model": ("Model", "VAE"),
    "conditional": ("Conditional",),
    "building": ("Builder",),
    "networks": ("MLP", "Conv", "Architecture"),
    "likelihoods": ("Bernoulli", "ContinuousBernoulli", "Gaussian", "DiscretizedLogistic", "Categorical"),
    "objectives": (
        "ELBO",
        "Importance",
        "Capacity",
        "Reconstruction",
        "WakeSleep",
        "MonteCarloEM",
        "Objective",
        "Loss",
    ),
    "training.optimizers": ("Adam", "AdamW", "Adamax", "Adagrad", "RMSprop", "SGD"),
    "experiment": ("Experiment",),
    "run": ("Run",),
    "settings": ("options",),
    "choices": ("choose",),
    "training.loop": ("train",),
    "display.training": ("fit",),
    "training.stacks": ("train_stack",),
    "engine.sweeps": ("sweep",),
    "engine.tables": ("tabulate",),
    "engine.grids": ("Range",),
    "verbs.starting": ("demo", "load", "doctor"),
    "verbs.coding": ("encode", "decode", "reconstruct", "interpolate"),
    "verbs.sampling": ("sample",),
    "verbs.scoring": ("score",),
    "verbs.imputing": ("impute",),
    "listing": ("show", "runs"),
    "explorer.exploring": ("explore",),
    "explorer.room": ("selection",),
    "refitting": ("refit_prior",),
    "evaluation.annealing": ("Annealing",),
    "reporting.measurement": ("evaluate",),
    "evaluations": ("per_image",),
    "reporting.comparison": ("compare",),
    "studies.running": ("reproduce",),
    "reporting.reports": ("figures", "report"),
    "sharing.exporting": ("export",),
    "tracking.tracker": ("track",),
    "sharing.hub": ("push",),
    "sharing.citation": ("cite",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}
_MODULES = {
    name: name for name in ("data", "networks", "priors", "posteriors", "likelihoods", "objectives", "schedules")
} | {"optimizers": "training.optimizers"}

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("vaekit")
    if name in _MODULES:
        return import_module(f"vaekit.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit' has no attribute {name!r}")
    return getattr(import_module(f"vaekit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
