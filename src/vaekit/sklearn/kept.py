"""A run in memory: what a fitted estimator keeps, which pickles, and which becomes a folder when it is saved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pydantic import TypeAdapter
from torch import Tensor

from vaekit import devices, records, tensorfile
from vaekit.arguments import Place, to_path
from vaekit.data import Space
from vaekit.experiment import Experiment
from vaekit.folders import WEIGHTS
from vaekit.model import VAE
from vaekit.run import Run, alone

_SPACE: TypeAdapter[Space] = TypeAdapter(Space)


class Kept:
    """The experiment, the space of its data, the trained weights and the metrics of a run that has no folder.

    A training writes to it as to a `Run`; nothing is written to the disk. It pickles as JSON and safetensors bytes.

    Args:
        experiment: what is trained.
        space: of the data.
    """

    path = Path("memory")

    def __init__(self, experiment: Experiment, space: Space) -> None:
        self.experiment, self.space = experiment, space
        self.files: dict[str, bytes] = {}
        self.rows: list[dict[str, Any]] = []
        self._models: dict[str, VAE] = {}

    def __repr__(self) -> str:
        epoch = self.rows[-1]["epoch"] if self.rows else 0
        return f"<Run in memory: {self.experiment.model.latent_dim} latents, {epoch:.4g} epochs>"

    def __getstate__(self) -> dict[str, Any]:
        space = _SPACE.dump_json(self.space).decode()
        return {"experiment": self.experiment.to_json(), "space": space, "files": self.files, "rows": self.rows}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(Experiment.from_json(state["experiment"]), _SPACE.validate_json(state["space"]))  # type: ignore[misc]
        self.files, self.rows = state["files"], state["rows"]

    def vae(self, device: torch.device | str = "cpu") -> VAE:
        """Return the trained model in evaluation mode, the same one each time."""
        key = str(device)
        if key not in self._models:
            with devices.isolated(torch.device("cpu")):
                vae = self.experiment.model.build(self.space)
            vae.load_state_dict(safetensors.torch.load(self.files[WEIGHTS]))
            self._models[key] = vae.to(device).eval()
        return self._models[key]

    def history(self) -> dict[str, np.ndarray]:
        """Return the metrics by columns, as ``Run.history`` does."""
        return records.by_columns(self.rows)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of metrics."""
        return list(self.rows)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace the rows of metrics."""
        self.rows = list(rows)

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Append a row of metrics."""
        self.rows.append(dict(row))

    def save(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
        """Keep tensors as the bytes of a safetensors file, with facts as JSON in its header."""
        metadata = {"facts": json.dumps(facts)} if facts else None
        self.files[name] = b"".join(tensorfile.pieces(tensors, metadata))
        self._models.clear()

    def to_folder(self, path: Place, overwrite: bool = False) -> Run:
        """Write a run folder, which every command and function of vaekit takes.

        Raises:
            InputError: if the folder holds anything else, or a run and ``overwrite`` is false.
        """
        folder = to_path(path, "path")
        with alone(folder):
            run = Run.create(folder, self.experiment, self.space, overwrite)
            run.write_metrics(self.rows)
            run.write(WEIGHTS, self.files[WEIGHTS])
            run.begin(self.experiment)
        return run
