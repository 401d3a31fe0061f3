"""A run: the folder that holds an experiment, its weights, its state, its numbers and its pictures."""

import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vaekit import devices, files, notebook, records, tensorfile
from vaekit.arguments import Place, to_path
from vaekit.data import Data, Space
from vaekit.data.objects import PREFIX, is_held
from vaekit.data.places import Places, search
from vaekit.data.source import to_name
from vaekit.errors import InputError
from vaekit.experiment import Experiment
from vaekit.files import disk_errors, is_file, refuse_irregular, remove_leftovers, replacing, status, write
from vaekit.folders import (
    EXPERIMENT,
    LATEST,
    METRICS,
    RESULTS,
    SPACE,
    STATE,
    VERSIONS,
    WEIGHTS,
    link_latest,
    located,
    make,
)
from vaekit.model import VAE, Model
from vaekit.reporting.summary import Evaluation
from vaekit.sharing.fetching import brought
from vaekit.specs import explain
from vaekit.training.diagnosis import non_finite_weight

log = logging.getLogger("vaekit")

T = TypeVar("T")

PLACES, REPORT, TRACKING = "places.json", "report.html", "tracking.json"
EXPLORER = "explorer.html"
SELECTION = "selection.json"
"""examples that were selected in the explorer"""
TRAINED = (EXPERIMENT, SPACE, PLACES, VERSIONS, METRICS, WEIGHTS, STATE)
"""what only a training writes"""
FILES = (
    *TRAINED,
    RESULTS,
    REPORT,
    SELECTION,
    EXPLORER,
    "figures/*.svg",
    "figures/*.png",
    "figures/*.pdf",
    "measured/*.safetensors",
    "samples/*.png",
    "samples/*.csv",
    "events.out.tfevents.*",
)
FOLDERS = ("figures", "measured", "samples")
TRAINING_LOCK, RESULTS_LOCK = ".training.lock", ".results.lock"
REPLACED = ".replaced"
"""the experiment of a run whose files are being removed; where it lies, they may be"""
SHOWN = ("manifold", "traversals", "samples", "reconstructions", "marginals", "losses")
"""figures that stand for a run, the most telling ones first"""
SETS = ("train", "validation", "test")
SECONDS_TO_WAIT = 60.0
"""for others that write results"""

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
        InputError: if the folder is not a run.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", located(self.path))

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, run: "Run | Place") -> "Run":
        """Return ``run`` itself, or the run in that folder, or at that address, such as hf://user/name."""
        return run if isinstance(run, cls) else cls(to_path(brought(run), "run"))

    @classmethod
    def create(cls, path: Path, experiment: Experiment, space: Space, overwrite: bool = False) -> "Run":
        """Begin a run in a new or empty folder; ``overwrite`` removes the files of a run that is there.

        Whenever the process is killed, there is the old run, the new one, or a folder in which a run can begin. The
        training holds the lock ``alone`` meanwhile.

        Raises:
            InputError: if the folder holds anything else, or a run and ``overwrite`` is false.
        """
        path = to_path(path, "run")
        make(path)
        if taken := _taken(path, overwrite):
            raise InputError(taken)
        with disk_errors(path):
            if is_file(path / EXPERIMENT):
                (path / EXPERIMENT).replace(path / REPLACED)  # from here on the old run is gone
            remove(path)
            write(path / SPACE, dumped(space))
            if places := Places.of(experiment.data.name, path):
                write(path / PLACES, _PLACES.dump_json(places, indent=2) + b"\n")
            write(path / EXPERIMENT, experiment.to_json().encode())  # from here on the new run is there
            (path / REPLACED).unlink(missing_ok=True)
        return cls(path)

    def begin(self, experiment: Experiment) -> None:
        """Write down what the run is to be, as its training begins or goes on, and that it is the latest one."""
        self.write(EXPERIMENT, experiment.to_json().encode())
        versions = {name: version(name) for name in ("vaekit", "torch")} | {"python": platform.python_version()}
        self.write(VERSIONS, f"{json.dumps(versions, indent=2)}\n".encode())
        link_latest(self.path)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of this run."""
        return self._parsed(EXPERIMENT, Experiment.from_json)

    @cached_property
    def space(self) -> Space:
        """Shape, support, binarization and split of the data it was trained on."""
        return self._parsed(SPACE, _SPACE.validate_json)

    def vae(self, device: torch.device | str = "cpu") -> VAE:
        """Return the trained model in evaluation mode.

        Keep it if you encode or decode many small inputs: the verbs read it again each time.

        Raises:
            InputError: if the weights are missing, damaged, of another model, NaN or infinite; before memory is taken
                for those of another size.
        """
        model = self.experiment.model
        weights, _ = read(self.path / WEIGHTS, weight_shapes(model, self.space))
        with devices.isolated(torch.device("cpu")):
            vae = model.build(self.space)
        for name, tensor in vae.state_dict().items():
            if weights[name].dtype != tensor.dtype:
                raise InputError(f"{self.path / WEIGHTS}: {name!r} is of type {weights[name].dtype}: restore the file")
        vae.load_state_dict(weights)
        if weight := non_finite_weight(vae):
            raise InputError(
                f"{self.path / WEIGHTS}: weight {weight} is NaN or infinite: restore the file or train again"
            )
        return vae.to(device).eval()

    def data(self, root: Place | None = None, place: Any = None, *, stored: bool = False) -> Data:
        """Load the data of this run, wherever they are found: the digest decides.

        Their name is tried from the current folder first, then the place where they were when training began, relative
        to the run's folder and as an absolute path.

        Args:
            root: folder of named sets.
            place: where they are, if they were moved; or the data, if they are in memory.
            stored: give them as they are stored, without the run's binarization.

        Raises:
            InputError: if no place holds the data that it was trained on; it names the places.
        """
        source = self.experiment.data
        if stored:
            source = replace(source, binarization="none", split=self.space.split)
        if is_held(place):
            data = source.load(root, place=place, columns=self.space.header or None, learned=self.space.names)
            if data.space.digest != self.space.digest:
                raise InputError(
                    f"the data in memory have the digest {data.space.digest[:12]}, and {self.path} was trained on data "
                    f"of digest {self.space.digest[:12]}: give those"
                )
            return data
        if place is None and source.name.startswith(PREFIX):
            raise InputError(
                f"{self.path} was trained on data in memory, of digest {self.space.digest[:12]}: give them again "
                "(data=), or save them and name the file (--data PATH)"
            )
        if place is not None:
            return search(source, [to_name(place)], self.space, root)
        return search(source, chain([source.name], self._places()), self.space, root)

    def _places(self) -> Iterator[str]:
        """Yield the places where its data were when its training began."""
        if status(self.path / PLACES):
            yield from self._parsed(PLACES, _PLACES.validate_json).seen_from(self.path)

    def _repr_html_(self) -> str:
        """Show pictures that were drawn, the last metrics and the last evaluation of these weights."""
        try:
            row, weights = self.last_row() or {}, files.digest(self.path / WEIGHTS)
            kept = [e for e in self.results().get("evaluations", []) if e.get("weights") == weights]
            drawn = [path for name in SHOWN if is_file(path := self.path / "figures" / f"{name}.png")][:2]
            facts = f"{self.space.title}, {self.experiment.model.latent_dim} latents, {row.get('epoch', 0):.3g} epochs"
            metrics = notebook.table([{"last metrics": name, **row[name]} for name in SETS if name in row])
            found = Evaluation(kept[-1])._repr_html_() if kept else metrics
            return notebook.heading(str(self.path), facts) + notebook.Pictures(drawn)._repr_html_() + found
        except InputError as error:
            return notebook.heading(str(self.path)) + notebook.sentence(str(error))

    def explore(
        self, data: Any = None, *, data_root: Place | None = None, split: str = "test", points: int = 2000
    ) -> notebook.Frame:
        """Show the explorer in a notebook: the page that ``vaekit export --to html`` writes, in a frame.

        The page is kept in the notebook with all that it shows, a few megabytes, and needs nothing else from then on.

        Args:
            data: where the run's data are if they have moved, or the data themselves.
            data_root: folder of named sets.
            split: of which part examples are shown: train, validation or test.
            points: how many examples are shown at most.

        Raises:
            InputError: if the weights cannot be read, the data are not found, or there is no such split.
        """
        from vaekit.explorer.export import opened  # which stands above runs

        return notebook.Frame("vaekit explorer", opened(self, data, data_root, split, points))

    def history(self) -> dict[str, np.ndarray]:
        """Return metrics.jsonl by columns, such as "epoch" and "train.elbo", NaN where a row has no such number.

        ``pandas.DataFrame(run.history())`` and ``polars.DataFrame(run.history())`` make a table of it.
        """
        return records.by_columns(self.metrics())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl; a last line that a crash cut short is left out."""
        return self._parsed(METRICS, records.rows) if status(self.path / METRICS) else []

    def last_row(self) -> dict[str, Any] | None:
        """Return the last row of metrics.jsonl, if there is one; a long training's others are not read."""
        if status(self.path / METRICS) is None:
            return None
        with suppress(OSError, ValueError):
            if line := files.last_line(self.path / METRICS):
                return records.rows(line + b"\n")[0]
        return next(iter(self.metrics()[-1:]), None)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl anew."""
        self.write(METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl."""
        with disk_errors(self.path):
            files.append(self.path / METRICS, f"{json.dumps(row)}\n".encode())

    def results(self) -> dict[str, Any]:
        """Return results.json, or an empty dictionary."""
        return self._parsed(RESULTS, records.results) if status(self.path / RESULTS) else {}

    def _parsed(self, name: str, parse: Callable[[bytes], T]) -> T:
        """Parse a file of the run, and name it if it is missing, damaged or altered."""
        try:
            return parse(files.read_bytes(self.path / name))
        except OSError as error:
            reason = error.strerror
        except ValidationError as error:
            reason = explain(error, Space)
        except (ValueError, RecursionError) as error:
            reason = str(error)
        raise InputError(f"{self.path / name} cannot be read ({reason}): restore the file or train again")

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Append an evaluation to results.json; one by the same command is replaced."""
        with self.writing(RESULTS) as path:
            kept = [e for e in self.results().get("evaluations", []) if e["command"] != evaluation["command"]]
            content = json.dumps({"evaluations": [*kept, dict(evaluation)]}, allow_nan=False)
            found = records.results(content.encode())
            write(path, f"{json.dumps(found, indent=2, allow_nan=False)}\n".encode())

    def measured(self, name: str) -> dict[str, Tensor]:
        """Return the numbers of each image, (images, ...) by name, from a file of the run; none if it is damaged."""
        path = self.path / name
        try:
            refuse_irregular(path)
            with safe_open(path, "pt") as file:
                found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, RuntimeError, MemoryError, SafetensorError):
            return {}
        same = len({values.shape[:1] for values in found.values()}) == 1
        return found if same and all(map(_sane, found.values())) else {}

    def save(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
        """Write tensors, and facts as JSON in their header, to a safetensors file of the run."""
        metadata = {"facts": json.dumps(facts)} if facts else None
        with self.writing(name) as path, replacing(path) as file:
            file.writelines(tensorfile.pieces(tensors, metadata))

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the run as a whole."""
        with self.writing(name) as path:
            write(path, content)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give the path of a file or folder of the run for writing; results are written by one process at a time.

        Raises:
            InputError: if a link would lead out of the run, or others keep writing.
            RunError: if the disk is full, or the folder cannot be written.
        """
        path = self.path / name
        for part in (path, *path.parents[: len(Path(name).parts) - 1]):
            if part.is_symlink() and (part != path or part.is_dir()):
                raise InputError(f"{part} is a link out of the run: remove it, so that nothing else is written over")
        with disk_errors(self.path), nullcontext() if name in TRAINED else self._results():
            yield path

    @contextmanager
    def _results(self) -> Iterator[None]:
        """Keep other processes from writing results, and remove what killed ones left behind."""
        busy, remedy = f"results of {self.path} are being written", "try again when that is done"
        with files.locked(self.path / RESULTS_LOCK, busy, remedy, SECONDS_TO_WAIT):
            remove_leftovers(self.path, (RESULTS, REPORT))
            for folder in FOLDERS:
                remove_leftovers(self.path / folder)
            yield


def _sane(values: Tensor) -> bool:
    """Return whether these can be numbers of images: they have an axis of images, and a plausible size."""
    if values.dtype not in (torch.float32, torch.float64) or not values.ndim or not values.numel():
        return False
    return bool(values.nan_to_num(0, 0, 0).abs().amax() < records.LARGEST)


def dumped(space: Space) -> bytes:
    """Return the content of data.json."""
    return _SPACE.dump_json(space, indent=2) + b"\n"


def remove(path: Path) -> None:
    """Remove the files of a run and nothing else: folders stay, and links go, not what they point to."""
    for folder in FOLDERS:
        if (path / folder).is_symlink():
            (path / folder).unlink()
    for pattern in FILES:
        for file in path.glob(pattern):
            if file.is_symlink() or not file.is_dir():
                file.unlink()


def refuse_taken(path: Path, overwrite: bool = False) -> None:
    """Refuse a folder that holds anything but a run, or a run unless ``overwrite``; or one that is being trained."""
    path = to_path(path, "run")
    if taken := _taken(path, overwrite):
        raise InputError(taken)
    if is_file(path / EXPERIMENT):
        with alone(path):
            pass


def _taken(path: Path, overwrite: bool) -> str | None:
    """Return why no run may begin in a folder, or None."""
    if path.name == LATEST and path.is_symlink():
        return f"{path} is a link to the run that was begun last: name that run, or another folder (--run)"
    if status(path) is None or (path.is_dir() and _free(path, overwrite)):
        return None
    if not is_file(path / EXPERIMENT):
        return f"{path} exists and is not a run: name another folder (--run)"
    if overwrite:
        return None
    return (
        f"{path} holds a run already: resume it (--resume), overwrite it (--overwrite), or name another folder (--run)"
    )


def _free(path: Path, overwrite: bool) -> bool:
    """Whether a folder is empty, or holds only what a process left that was killed while it began or replaced a run."""
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name another folder (--run)") from None
    names -= {name for name in names if files.TEMPORARY.fullmatch(name)} | {TRAINING_LOCK, RESULTS_LOCK}
    if REPLACED in names and EXPERIMENT not in names:
        return True
    if overwrite and EXPERIMENT not in names:
        return all(any(Path(name).match(pattern.partition("/")[0]) for pattern in FILES) for name in names)
    if not names <= {SPACE, PLACES}:
        return False
    with suppress(OSError, ValueError):
        return not names or bool(_SPACE.validate_json(files.read_bytes(path / SPACE)))
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other trainings out of a folder, which is made if there is none; the lock ends with the process.

    Raises:
        InputError: if another training is at work there.
    """
    path = to_path(path, "run")
    make(path)
    busy, remedy = f"{path} is being trained already", "wait for that training, or stop it first"
    with ExitStack() as lock:
        with disk_errors(path):
            lock.enter_context(files.locked(path / TRAINING_LOCK, busy, remedy))
        remove_leftovers(path, TRAINED)
        yield


def weight_shapes(model: Model, space: Space) -> dict[str, torch.Size]:
    """Return the names and shapes of a model's weights, without allocating them if it can be built on no device.

    Raises:
        InputError: if they are larger than any memory.
    """
    try:
        weights = devices.without_memory(lambda: model.build(space).state_dict())
        return {name: tensor.shape for name, tensor in weights.items()}
    except (RuntimeError, TypeError, MemoryError) as error:
        if not devices.is_memory_error(error):
            raise
        sizes = f"latent_dim {model.latent_dim}, {model.network} and data of shape {space.event_shape}"
        raise InputError(f"no memory holds a model with {sizes}: choose smaller sizes") from None


def read(path: Path, expected: Mapping[str, torch.Size], prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and facts from a safetensors file.

    Args:
        path: the file.
        expected: shapes that the file's header must have.
        prefix: start of the names that are compared; other tensors are not checked.

    Raises:
        InputError: if the file is missing, damaged, or holds other tensors than expected.
    """
    try:
        refuse_irregular(path)
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            found = {name: torch.Size(file.get_slice(name).get_shape()) for name in names if name.startswith(prefix)}
            wrong = found.items() ^ {prefix + name: shape for name, shape in expected.items()}.items()
            if wrong:
                raise InputError(f"{path}: {min(wrong)[0]!r} does not fit the experiment beside it: restore the files")
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            if not isinstance(facts, dict):
                raise ValueError("its facts are not an object")
            return {name: file.get_tensor(name) for name in names}, facts
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: the run has no weights yet, train it or resume it") from None
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError, RuntimeError, MemoryError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it or train again") from None
