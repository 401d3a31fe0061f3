"""A run: the folder that holds an experiment, its weights, its state, its numbers and its pictures."""

import errno
import fcntl
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vaekit.arguments import Place, to_path
from vaekit.data import Data, Space
from vaekit.data.places import Places, search
from vaekit.data.source import to_name
from vaekit.errors import InputError, RunError
from vaekit.experiment import Experiment
from vaekit.model import VAE, Model
from vaekit.specs import explain

log = logging.getLogger("vaekit")

T = TypeVar("T")

EXPERIMENT, SPACE, METRICS, RESULTS = "experiment.json", "data.json", "metrics.jsonl", "results.json"
PLACES, REPORT = "places.json", "report.html"
WEIGHTS, STATE = "weights.safetensors", "state.safetensors"
FILES = (
    EXPERIMENT,
    SPACE,
    PLACES,
    METRICS,
    RESULTS,
    WEIGHTS,
    STATE,
    REPORT,
    "figures/*",
    "measured/*",
    "events.out.tfevents.*",
)
LATEST = "latest"

_SPACE: TypeAdapter[Space] = TypeAdapter(Space)
_PLACES: TypeAdapter[Places] = TypeAdapter(Places)


@dataclass(frozen=True)
class Run:
    """The folder of a run. ``Run(path)`` opens one, ``Run.create`` begins one; nothing in it is executed on loading.

    It is path-like: whatever takes the path of a run takes the run.

    Attributes:
        path: the folder, with experiment.json, data.json, weights.safetensors (the trained model),
            state.safetensors (what resuming needs), metrics.jsonl, results.json, figures/ and report.html;
            runs/latest stands for the run in the folder runs that was begun or resumed last.

    Raises:
        InputError: if the folder is no run.
    """

    path: Path

    def __post_init__(self) -> None:
        path = to_path(self.path, "run")
        object.__setattr__(self, "path", latest(path.parent) if path.name == LATEST and not path.exists() else path)
        if not to_path(self.path / EXPERIMENT).is_file():
            raise InputError(f"{self.path} is no run: it has no {EXPERIMENT}; 'vaekit runs' lists the runs there are")

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, run: "Run | Place") -> "Run":
        """Return the run in a folder, or the one that is given."""
        return run if isinstance(run, cls) else cls(to_path(run, "run"))

    @classmethod
    def create(cls, path: Path, experiment: Experiment, space: Space, overwrite: bool = False) -> "Run":
        """Begin a run in a new or empty folder; ``overwrite`` removes the files of a run that is there.

        Raises:
            InputError: if the folder holds anything else, or a run and ``overwrite`` is false.
        """
        refuse_taken(path, overwrite)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path} cannot be made ({error.strerror}): choose another --run") from None
        with disk_errors(path):
            for pattern in FILES:
                for file in path.glob(pattern):
                    file.unlink()
            write(path / SPACE, _SPACE.dump_json(space, indent=2) + b"\n")
            if places := Places.of(experiment.data.name, path):
                write(path / PLACES, _PLACES.dump_json(places, indent=2) + b"\n")
            write(path / EXPERIMENT, experiment.to_json().encode())
        return cls(path)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of this run."""
        return self._parsed(EXPERIMENT, Experiment.from_json)

    @cached_property
    def space(self) -> Space:
        """Shape, support, binarisation and split of the data it was trained on."""
        return self._parsed(SPACE, _SPACE.validate_json)

    def vae(self, device: torch.device | str = "cpu") -> VAE:
        """Return the trained model in evaluation mode.

        Keep it where many small inputs are to be encoded or decoded: the verbs read it anew each time.

        Raises:
            InputError: if the weights are missing, damaged or of another model; before memory is taken for them.
        """
        model, shape = self.experiment.model, self.space.event_shape
        weights, _ = read(self.path / WEIGHTS, weight_shapes(model, shape))
        with torch.random.fork_rng(devices=()):
            vae = model.build(shape)
        vae.load_state_dict(weights)
        return vae.to(device).eval()

    def data(self, root: Place | None = None, place: Place | None = None, *, stored: bool = False) -> Data:
        """Load the data of this run, wherever they are found: their digest decides.

        They are looked for where their name leads from the current folder, then where they were when training began,
        seen from the run's folder and by their absolute path.

        Args:
            root: folder of named sets.
            place: where they are, if nowhere there.
            stored: give them as they are stored, without the run's binarization.

        Raises:
            InputError: if no place holds the data that it was trained on; it names the places.
        """
        source = self.experiment.data
        if stored:
            source = replace(source, binarization="none", split=self.space.split)
        if place is not None:
            return search(source, [to_name(place)], self.space, root)
        return search(source, chain([source.name], self._places()), self.space, root)

    def _places(self) -> Iterator[str]:
        """Where its data were when its training began."""
        if (self.path / PLACES).exists():
            yield from self._parsed(PLACES, _PLACES.validate_json).seen_from(self.path)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl; a last line that a crash cut short is left out."""
        return self._parsed(METRICS, _rows) if (self.path / METRICS).exists() else []

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl anew."""
        self.write(METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl."""
        with disk_errors(self.path), (self.path / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def results(self) -> dict[str, Any]:
        """Return results.json, or an empty dictionary."""
        return self._parsed(RESULTS, _results) if (self.path / RESULTS).exists() else {}

    def _parsed(self, name: str, parse: Callable[[bytes], T]) -> T:
        """Parse a file of the run, and name it if it is missing, damaged or altered."""
        try:
            return parse((self.path / name).read_bytes())
        except OSError as error:
            reason = error.strerror
        except ValidationError as error:
            reason = explain(error, Space)
        except (ValueError, RecursionError) as error:
            reason = str(error)
        raise InputError(f"{self.path / name} cannot be read ({reason}): restore the file or train again")

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Append an evaluation to results.json; one by the same command is replaced."""
        kept = [e for e in self.results().get("evaluations", []) if e["command"] != evaluation["command"]]
        content = json.dumps({"evaluations": [*kept, dict(evaluation)]}, indent=2, allow_nan=False)
        self.write(RESULTS, f"{content}\n".encode())

    def measured(self, name: str) -> dict[str, Tensor]:
        """Return numbers of each image, (images,) by name, from a file of the run; none if it is not whole."""
        try:
            with safe_open(self.path / name, "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return {}

    def save(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
        """Write tensors, and facts as JSON in their header, to a safetensors file of the run."""
        metadata = {"facts": json.dumps(facts)} if facts else None
        self.write(name, save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata))

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the run as a whole."""
        with disk_errors(self.path):
            write(self.path / name, content)


def refuse_taken(path: Path, overwrite: bool = False) -> None:
    """Refuse a folder that holds anything but a run, or a run unless ``overwrite``."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / EXPERIMENT).is_file():
        raise InputError(f"{path} exists and is no run: choose another --run")
    if not overwrite:
        raise InputError(f"{path} holds a run already: use --resume, --overwrite or another --run")
    with alone(path):
        pass


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other trainings out of a folder; the lock is on the folder itself, and ends with the process.

    Raises:
        InputError: if another training is at work there.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path} is being trained already: wait for that training, or stop it first") from None
        yield
    finally:
        os.close(folder)


def weight_shapes(model: Model, event_shape: Sequence[int]) -> dict[str, torch.Size]:
    """Return the names and shapes of a model's weights; no memory is taken for them.

    Raises:
        InputError: if they are larger than any memory.
    """
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=()):
            return {name: tensor.shape for name, tensor in model.build(event_shape).state_dict().items()}
    except (RuntimeError, TypeError):
        sizes = f"latent_dim {model.latent_dim}, {model.network} and data of shape {tuple(event_shape)}"
        raise InputError(f"no memory holds a model with {sizes}: choose smaller sizes") from None


def _rows(content: bytes) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    if not all(isinstance(row, dict) and isinstance(row.get("step"), int) for row in rows):
        raise ValueError("a row has no step")
    return rows


def _results(content: bytes) -> dict[str, Any]:
    found = json.loads(content, parse_constant=lambda _: None)
    evaluations = found.get("evaluations") if isinstance(found, dict) else None
    if not isinstance(evaluations, list) or not all(isinstance(e, dict) and "command" in e for e in evaluations):
        raise ValueError("there is no list of evaluations in it")
    return cast("dict[str, Any]", found)


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


def read(path: Path, expected: Mapping[str, torch.Size], prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and facts from a safetensors file.

    Args:
        path: the file.
        expected: shapes with which those of the file's header are compared first.
        prefix: of the names that are compared; the others are taken as they are.

    Raises:
        InputError: if the file is missing, damaged, or holds other tensors than expected.
    """
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            found = {name: torch.Size(file.get_slice(name).get_shape()) for name in names if name.startswith(prefix)}
            wrong = found.items() ^ {prefix + name: shape for name, shape in expected.items()}.items()
            if wrong:
                raise InputError(f"{path}: {min(wrong)[0]!r} does not fit the experiment beside it: restore the files")
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in names}, facts
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: the run has no weights yet, train it or resume it") from None
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it or train again") from None


def new_path(folder: Path, name: str) -> Path:
    """Return ``folder/name-n`` with the smallest n that is free and larger than those in use."""
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    used = [int(m[1]) for p in folder.glob(f"{name}-*") if (m := re.fullmatch(re.escape(name) + r"-(\d+)", p.name))]
    return folder / f"{name}-{max(used, default=0) + 1}"


def find(folder: Path) -> list[Run]:
    """Return the runs in a folder, newest first; damaged ones are logged and left out."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder of your runs, or train one first")
    paths = (p for p in folder.iterdir() if (p / EXPERIMENT).is_file())
    newest = sorted(paths, key=lambda p: (p / EXPERIMENT).stat().st_mtime_ns, reverse=True)
    return [run for path in newest if (run := _whole(path))]


def _whole(path: Path) -> Run | None:
    try:
        run = Run(path)
        _ = run.experiment, run.space, run.metrics(), run.results()
    except InputError as error:
        log.warning("left out: %s", error)
        return None
    return run


def latest(folder: Path) -> Path:
    """Return the run in a folder that was begun or resumed last."""
    runs = find(folder)
    if not runs:
        raise InputError(f"{folder} holds no run: name one, or train one first")
    return runs[0].path
