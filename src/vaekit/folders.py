"""Where runs are: the folders that hold one, newest first, runs/latest, and new ones."""

import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from vaekit.arguments import Place, to_path
from vaekit.errors import InputError
from vaekit.files import is_file, status

log = logging.getLogger("vaekit")

EXPERIMENT, SPACE, METRICS, RESULTS = "experiment.json", "data.json", "metrics.jsonl", "results.json"
VERSIONS = "versions.json"
WEIGHTS, STATE = "weights.safetensors", "state.safetensors"
SWEEP_FILE = "sweep.json"
"""what a folder of runs is the sweep of"""
LATEST = "latest"
RUNS = "runs"
"""name of the folders in which a link to the latest run is kept"""


def located(run: Place) -> Path:
    """Return the folder of a run; ``latest`` stands for the run beside it that was begun or resumed last.

    Raises:
        InputError: if the folder is not a run.
    """
    path = to_path(run, "run")
    if path.name == LATEST and (path.is_symlink() or status(path) is None):
        path = latest(path.parent)
    if not is_file(path / EXPERIMENT):
        raise InputError(f"{path} is not a run: it has no {EXPERIMENT}; 'vaekit runs' lists the runs there are")
    return path


def newest(folder: Path) -> list[Path]:
    """Return the folders of runs in a folder, the one begun or resumed last first; links named latest are left out.

    Nothing is read but times: a run may prove damaged when it is looked at.
    """
    try:
        paths = list(folder.iterdir()) if folder.is_dir() else None
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): make it readable") from None
    if paths is None:
        raise InputError(f"{folder} is not a folder: name the folder of your runs, or train one first")
    times = dict[Path, int]()
    for path in paths:
        if path.name == LATEST and path.is_symlink():
            continue
        try:
            found = status(path / EXPERIMENT)
        except InputError as error:
            log.warning("left out: %s", error)
            continue
        if found and stat.S_ISREG(found.st_mode):
            times[path] = found.st_mtime_ns
    return sorted(times, key=times.__getitem__, reverse=True)


def latest(folder: Path) -> Path:
    """Return the run in a folder that was begun or resumed last."""
    found = newest(folder)
    if not found:
        raise InputError(f"{folder} holds no run: name one, or train one first")
    return found[0]


def link_latest(path: Path) -> None:
    """Let runs/latest lead to a run in the folder runs, for who looks into it without vaekit.

    Nothing but such a link is replaced, and there is none where the system has no links.
    """
    path = Path(os.path.abspath(path))
    link = path.with_name(LATEST)
    if path.parent.name != RUNS or path == link or (os.path.lexists(link) and not link.is_symlink()):
        return
    temporary = path.with_name(f".{LATEST}.{token_hex(8)}.tmp")
    with suppress(OSError, NotImplementedError):
        try:
            temporary.symlink_to(path.name, target_is_directory=True)
            temporary.replace(link)
        finally:
            temporary.unlink(missing_ok=True)


def make(path: Path) -> None:
    """Make the folder of a run if it does not exist."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be made ({reason}): name another folder (--run)") from None


@contextmanager
def new_path(folder: Path, name: str) -> Iterator[Path]:
    """Make the folder ``folder/name-n`` with a new n, and remove it at the end if it is still empty.

    Because it is made at once, no other process gets the same name.
    """
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    while True:
        used = [int(m[1]) for p in folder.glob(f"{name}-*") if (m := re.fullmatch(re.escape(name) + r"-(\d+)", p.name))]
        path = folder / f"{name}-{max(used, default=0) + 1}"
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            if not path.is_dir():
                make(folder)
        except OSError as error:
            raise InputError(f"{path} cannot be made ({error.strerror}): name another folder (--run)") from None
    try:
        yield path
    finally:
        with suppress(OSError):
            path.rmdir()
