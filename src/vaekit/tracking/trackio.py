"""Trackio: a local dashboard with the interface of Weights & Biases."""

from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import trackio

from vaekit.run import Run
from vaekit.tracking.samples import cells
from vaekit.tracking.tracker import Values

PROJECT = "vaekit"


class Trackio:
    """A run of the project ``vaekit``."""

    def forget(self, run: Run, identity: str) -> None:
        """Remove what is on this machine of this run: it is written anew."""
        with suppress(ValueError):  # there is no such project yet
            for found in trackio.Api().runs(PROJECT):
                if found.name == _name(run, identity):
                    found.delete()

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Begin a run, or continue the one of this identity."""
        with redirect_stdout(StringIO()):  # where results are printed
            trackio.init(
                project=PROJECT, name=_name(run, identity), config=dict(parameters), resume="allow", embed=False,
                auto_log_cpu=False, auto_log_gpu=False,
            )  # fmt: skip

    def log(self, values: Values, step: int) -> None:
        """Log numbers, images and tables."""
        trackio.log({name: _shown(value) for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Finish the run."""
        with redirect_stdout(StringIO()):
            trackio.finish()


def _name(run: Run, identity: str) -> str:
    return f"{run.path.resolve().name}-{identity[:6]}"


def _shown(value: float | Path) -> Any:
    if isinstance(value, int | float):
        return value
    if value.suffix == ".csv":
        header, *rows = cells(value)
        return trackio.Table(columns=header, data=rows)
    return trackio.Image(str(value))
