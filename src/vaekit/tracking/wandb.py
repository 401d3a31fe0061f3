"""Weights & Biases: offline, in the folder of the run, unless WANDB_MODE says otherwise."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from vaekit.run import Run
from vaekit.tracking.samples import cells
from vaekit.tracking.tracker import Values


class WandB:
    """A run of the project ``vaekit`` (or WANDB_PROJECT)."""

    def forget(self, run: Run, identity: str) -> None:
        """Remove what was written offline of this run: it is written anew."""
        for folder in (run.path / "wandb").glob(f"offline-run-*-{identity}"):
            shutil.rmtree(folder)

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Begin a run, or continue the one of this identity."""
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "vaekit"), name=run.path.resolve().name, id=identity,
            resume="allow", config=dict(parameters), dir=str(run.path), mode=mode,
        )  # fmt: skip

    def log(self, values: Values, step: int) -> None:
        """Log numbers, images and tables."""
        self.run.log({name: _shown(value) for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


def _shown(value: float | Path) -> Any:
    if isinstance(value, int | float):
        return value
    if value.suffix == ".csv":
        header, *rows = cells(value)
        return wandb.Table(columns=[*header], data=rows)
    return wandb.Image(str(value))
