"""Trackio: a local dashboard with the interface of Weights & Biases."""

from collections.abc import Mapping
from typing import Any

import trackio

from vaekit.run import Run
from vaekit.tracking.tracker import Values


class Trackio:
    """A run of the project ``vaekit``; numbers only."""

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Begin a run, or continue the one of this identity."""
        name = f"{run.path.resolve().name}-{identity[:6]}"
        self.run = trackio.init(project="vaekit", name=name, config=dict(parameters), resume="allow")

    def log(self, values: Values, step: int) -> None:
        """Log numbers."""
        if numbers := {name: value for name, value in values.items() if isinstance(value, int | float)}:
            trackio.log(numbers, step=step)

    def close(self) -> None:
        """Finish the run."""
        trackio.finish()
