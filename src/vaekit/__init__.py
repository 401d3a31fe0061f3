"""vaekit: variational auto-encoders, trained, evaluated honestly and looked at.

Every verb of the command line is a function here; modules hold the rest. Names are imported when they are first used,
so that ``import vaekit`` is instant.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "InputError": "errors",
    "RunError": "errors",
    "Source": "data",
    "Data": "data",
    "Model": "model",
    "VAE": "model",
    "Experiment": "experiment",
    "Run": "run",
    "choose": "choices",
    "train": "training",
    "fit": "display.training",
    "train_stack": "stacks",
    "demo": "verbs",
    "load": "verbs",
    "evaluate": "measurement",
    "Annealing": "evaluation.annealing",
    "per_image": "evaluations",
    "compare": "comparison",
    "reproduce": "studies.running",
    "encode": "verbs",
    "decode": "verbs",
    "reconstruct": "verbs",
    "sample": "verbs",
    "show": "verbs",
    "runs": "verbs",
    "doctor": "verbs",
    "figures": "reports",
    "report": "reports",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit' has no attribute {name!r}")
    return getattr(import_module(f"vaekit.{_HOMES[name]}"), name)
