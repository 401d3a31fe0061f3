"""A run: the folder that holds an experiment, its weights, its state, its numbers and its pictures."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vaekit.data import Data, Space
from vaekit.errors import InputError, RunError
from vaekit.experiment import Experiment, explain
from vaekit.model import VAE

EXPERIMENT, SPACE, METRICS, RESULTS = "experiment.json", "data.json", "metrics.jsonl", "results.json"
WEIGHTS, STATE = "weights.safetensors", "state.safetensors"
FILES = (EXPERIMENT, SPACE, METRICS, RESULTS, WEIGHTS, STATE, "report.html")

_SPACE: TypeAdapter[Space] = TypeAdapter(Space)


@dataclass(frozen=True)
class Run:
    """The folder of a run. ``Run(path)`` opens one, ``Run.create`` begins one; nothing in it is executed on loading.

    Attributes:
        path: the folder, with experiment.json, data.json, weights.safetensors (the trained model),
            state.safetensors (what resuming needs), metrics.jsonl, results.json, figures/ and report.html.

    Raises:
        InputError: if the folder is no run.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not (self.path / EXPERIMENT).is_file():
            raise InputError(f"{self.path} is no run: it has no {EXPERIMENT}; 'vaekit runs' lists the runs there are")

    @classmethod
    def create(cls, path: Path, experiment: Experiment, space: Space, overwrite: bool = False) -> "Run":
        """Begin a run in a new or empty folder; ``overwrite`` removes the files of a run that is there.

        Raises:
            InputError: if the folder holds anything else, or a run and ``overwrite`` is false.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            if not (path / EXPERIMENT).is_file():
                raise InputError(f"{path} exists and is no run: choose another --run")
            if not overwrite:
                raise InputError(f"{path} holds a run already: use --resume, --overwrite or another --run")
            for name in FILES:
                (path / name).unlink(missing_ok=True)
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            write(path / SPACE, _SPACE.dump_json(space, indent=2) + b"\n")
            write(path / EXPERIMENT, experiment.to_json().encode())
        return cls(path)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of this run."""
        return Experiment.from_json((self.path / EXPERIMENT).read_bytes())

    @cached_property
    def space(self) -> Space:
        """Shape, support, binarisation and split of the data it was trained on."""
        try:
            return _SPACE.validate_json((self.path / SPACE).read_bytes())
        except FileNotFoundError:
            raise InputError(f"{self.path} has no {SPACE}: the run is damaged, train it again") from None
        except ValidationError as error:
            raise InputError(f"{self.path / SPACE}: {explain(error)}") from None

    def vae(self, device: torch.device | str = "cpu") -> VAE:
        """Return the trained model in evaluation mode.

        Raises:
            InputError: if the weights are missing, damaged or of another model; before memory is taken for them.
        """
        with torch.random.fork_rng():
            with torch.device("meta"):
                shapes = self.experiment.model.build(self.space.event_shape).state_dict()
            weights, _ = read(self.path / WEIGHTS, {name: tensor.shape for name, tensor in shapes.items()})
            vae = self.experiment.model.build(self.space.event_shape)
        vae.load_state_dict(weights)
        return vae.to(device).eval()

    def data(self, root: Path | None = None) -> Data:
        """Load the data of this run.

        Raises:
            InputError: if they are not the data that it was trained on.
        """
        data = self.experiment.data.load(root)
        if data.space.digest != self.space.digest:
            raise InputError(
                f"{self.experiment.data.name} has changed since {self.path} was trained on it "
                f"(digest {data.space.digest[:12]}, was {self.space.digest[:12]}): restore the data or train again"
            )
        return data

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl; a last line that a crash cut short is left out."""
        path = self.path / METRICS
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl anew."""
        self.write(METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl."""
        with disk_errors(self.path), (self.path / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def results(self) -> dict[str, Any]:
        """Return results.json, or an empty dictionary."""
        path = self.path / RESULTS
        return json.loads(path.read_text()) if path.exists() else {}

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Append an evaluation to results.json; one of the same split, binarisation and settings is replaced."""
        key = ("command",)
        kept = [e for e in self.results().get("evaluations", []) if any(e[k] != evaluation[k] for k in key)]
        self.write(RESULTS, (json.dumps({"evaluations": [*kept, dict(evaluation)]}, indent=2) + "\n").encode())

    def save(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
        """Write tensors, and facts as JSON in their header, to a safetensors file of the run."""
        metadata = {"facts": json.dumps(facts)} if facts else None
        self.write(name, save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata))

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the run as a whole."""
        with disk_errors(self.path):
            write(self.path / name, content)


def write(path: Path, content: bytes) -> None:
    """Write, sync, rename: at any moment there is the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a sentence; what was written before stays."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise RunError(
            f"{path} cannot be written ({reason}): make room or choose another --run; "
            "the last files written there are whole"
        ) from None


def read(path: Path, expected: Mapping[str, torch.Size] | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and facts from a safetensors file, whose header is compared with ``expected`` shapes first.

    Raises:
        InputError: if the file is missing, damaged, or holds other tensors than expected.
    """
    try:
        with safe_open(path, "pt") as file:
            found = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if expected is not None and found != dict(expected):
                wrong = sorted(found.items() ^ dict(expected).items())[0][0]
                raise InputError(f"{path}: weight {wrong!r} does not fit the experiment beside it: restore the file")
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in found}, facts
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: the run has no weights yet, train it or resume it") from None
    except (SafetensorError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}): restore it or train again") from None


def new_path(folder: Path, name: str) -> Path:
    """Return ``folder/name-n`` with the smallest n that is free and larger than those in use."""
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    used = [int(m[1]) for p in folder.glob(f"{name}-*") if (m := re.fullmatch(re.escape(name) + r"-(\d+)", p.name))]
    return folder / f"{name}-{max(used, default=0) + 1}"


def find(folder: Path) -> list[Run]:
    """Return the runs in a folder, newest first."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder of your runs, or train one first")
    paths = (p for p in folder.iterdir() if (p / EXPERIMENT).is_file() and not p.is_symlink())
    return [Run(p) for p in sorted(paths, key=lambda p: (p / EXPERIMENT).stat().st_mtime, reverse=True)]


def latest(folder: Path) -> Path:
    """Return the run in a folder that was begun last."""
    runs = find(folder)
    if not runs:
        raise InputError(f"{folder} holds no run: name one, or train one first")
    return runs[0].path
