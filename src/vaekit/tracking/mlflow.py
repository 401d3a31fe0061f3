"""MLflow: one run of its experiment ``vaekit`` for each run, where MLFLOW_TRACKING_URI says, or in this folder."""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from vaekit.run import Run
from vaekit.tracking.tracker import Values

EXPERIMENT, TAG = "vaekit", "vaekit.identity"
LONGEST = 500
"""of a parameter, in characters"""


class MLflow:
    """A client that writes each number once."""

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Find the run by its tag, or create it."""
        self.client = MlflowClient()
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else self.client.create_experiment(EXPERIMENT)
        there = self.client.search_runs([number], f"tags.`{TAG}` = '{identity}'")
        name = run.path.resolve().name
        found = there[0] if there else self.client.create_run(number, tags={TAG: identity}, run_name=name)
        self.id, self.known = found.info.run_id, dict[str, set[tuple[int, float]]]()
        for path, value in parameters.items():
            if found.data.params.get(path) is None:  # what was logged cannot be changed
                self.client.log_param(self.id, path, str(value)[:LONGEST])

    def log(self, values: Values, step: int) -> None:
        """Log metrics that are not there yet, and pictures and tables as artifacts."""
        for name, value in values.items():
            if not isinstance(value, int | float):
                self.client.log_artifact(self.id, str(value), name.partition("/")[0])
                continue
            if name not in self.known:
                self.known[name] = {(m.step, m.value) for m in self.client.get_metric_history(self.id, name)}
            if (step, value) not in self.known[name]:
                self.client.log_metric(self.id, name, value, step=step)
                self.known[name].add((step, value))

    def close(self) -> None:
        """Mark the run as finished."""
        self.client.set_terminated(self.id)
