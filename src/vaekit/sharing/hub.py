"""A run on a hub: Hugging Face, a folder, or any file system that fsspec knows."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vaekit.arguments import Place, to_path
from vaekit.data import Space
from vaekit.data.named import NAMED
from vaekit.data.objects import PREFIX
from vaekit.errors import InputError, RunError
from vaekit.files import disk_errors, read_bytes, status, write
from vaekit.folders import EXPERIMENT, METRICS, RESULTS, SPACE, VERSIONS, WEIGHTS
from vaekit.run import Run, dumped, make
from vaekit.sharing.card import card, config
from vaekit.sharing.fetching import (
    CARD,
    CONFIG,
    HUGGING_FACE,
    PICTURES,
    file_system,
    first_line,
    hugging_face,
    is_address,
    repository,
)
from vaekit.text import pathless

log = logging.getLogger("vaekit")

Contents = Mapping[str, bytes]


def push(run: Run | Place, place: Place, *, figures: bool = True, public: bool = False) -> dict[str, Any]:
    """Share a trained run: experiment, weights, results, metrics, figures and a card, without any path of yours.

    Of the data, the model's space is shared (names of columns and classes, the SHA-256) and the name of the file;
    figures show examples of them, unless they are left out. ``vaekit.load`` opens the run where it is then.

    Args:
        run: the run, or the path of its folder.
        place: hf://user/name[@branch] for Hugging Face, a folder, or another address such as s3://bucket/name.
        figures: whether figures are shared, too.
        public: whether a new repository of Hugging Face can be read by all; one that exists stays as it is.

    Returns:
        the place and the files there.

    Raises:
        InputError: if the run has no weights, the place holds something else, or a package is missing.
        RunError: if the place cannot be reached or written.
    """
    run, address = Run.of(run), str(place)
    local = not is_address(place)
    if local:
        _refuse_ambiguous(address)
        address = to_path(place, "place").name
    run.vae()  # what cannot be loaded is not shared
    contents = shared(run, address, figures)
    if local:
        _to_folder(contents, to_path(place, "place"))
    elif address.startswith(f"{HUGGING_FACE}://"):
        _to_hugging_face(contents, *repository(address), public)
    else:
        _to_files(contents, address)
    return {"place": str(place), "files": sorted(contents)}


def shared(run: Run, address: str, figures: bool = True) -> dict[str, bytes]:
    """Return the files that are shared of a run by their names, experiment.json last."""
    contents = {WEIGHTS: (run.path / WEIGHTS).read_bytes()}
    contents |= {name: read_bytes(run.path / name) for name in (VERSIONS, METRICS) if status(run.path / name)}
    results = run.results()
    for found in results.get("evaluations", ()):
        found["command"] = pathless(found["command"], relative=True)
    contents[RESULTS] = _json(results or {"evaluations": []})
    if figures:
        paths = (path for pattern in PICTURES for path in sorted(run.path.glob(pattern)) if path.is_file())
        contents |= {f"figures/{path.name}": path.read_bytes() for path in paths}
    contents[SPACE] = dumped(nameless(run.space))
    contents[EXPERIMENT] = run.experiment.replace("data.name", file_name(run.experiment.data.name)).to_json().encode()
    with TemporaryDirectory() as scratch:  # the card is that of the run which others will load
        folder = Path(scratch)
        for name, content in contents.items():
            write(folder / name, content)
        about = _about(Run(folder), address)
    return {**about, **contents}


def _about(run: Run, address: str) -> dict[str, bytes]:
    """Return config.json and the card; trouble with the card keeps nothing from being shared."""
    contents = {CONFIG: _json(config(run))}
    try:
        contents[CARD] = card(run, address).encode()
    except Exception as error:
        log.warning("the card was not written (%s: %s); all else is shared", type(error).__name__, first_line(error))
    return contents


def file_name(name: str) -> str:
    """Return the name of data without its folders; the names of named sets and of data in memory stay.

    Example:
        >>> file_name("/home/me/clinic/scans.npy"), file_name("digits")
        ('scans.npy', 'digits')
    """
    return name if name in NAMED or name.startswith(PREFIX) else re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def nameless(space: Space) -> Space:
    """Return a space without the folders of its source."""
    return replace(space, source=file_name(space.source))


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, indent=2, allow_nan=False)}\n".encode()


def _refuse_ambiguous(place: str) -> None:
    """Refuse user/name where there is no folder user: it may be meant for a hub, or be mistyped."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", place) and not Path(place).parent.is_dir():
        raise InputError(f"{place}: write hf://{place} for Hugging Face, or make the folder {Path(place).parent} first")


def _refuse_taken(place: str, names: set[str], read: Callable[[], bytes]) -> None:
    """Refuse a place that holds anything but a shared run."""
    if not names:
        return
    try:
        ours = CONFIG in names and json.loads(read()).get("library_name") == "vaekit"
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise InputError(f"{place} holds something else than a shared run: name another place")


def _to_folder(contents: Contents, folder: Path) -> None:
    make(folder)
    _refuse_taken(str(folder), {path.name for path in folder.iterdir()}, (folder / CONFIG).read_bytes)
    with disk_errors(folder):
        for path in [path for pattern in PICTURES for path in folder.glob(pattern)]:
            if f"figures/{path.name}" not in contents:
                path.unlink()
        for name, content in contents.items():
            write(folder / name, content)


def _to_files(contents: Contents, address: str) -> None:
    system, root = file_system(address)
    try:
        there = {path.removeprefix(root).lstrip("/"): path for path in system.find(root)} if system.exists(root) else {}
        _refuse_taken(address, {*there}, lambda: system.cat_file(there[CONFIG]))
        for name, path in there.items():
            if name.startswith("figures/") and name not in contents:
                system.rm_file(path)
        for name, content in contents.items():
            system.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            system.pipe_file(f"{root}/{name}", content)
    except InputError:
        raise
    except Exception as error:  # of the network or the rights, from any package
        raise RunError(f"{address} cannot be written ({first_line(error)}): check it and try again") from None


def _to_hugging_face(contents: Contents, name: str, revision: str | None, public: bool) -> None:
    """Upload all files in one commit."""
    hub = hugging_face()
    try:
        api = hub.HfApi(library_name="vaekit")
        api.create_repo(name, private=not public, exist_ok=True)
        if revision:
            api.create_branch(name, branch=revision, exist_ok=True)
        with TemporaryDirectory() as scratch:
            for file, content in contents.items():
                write(Path(scratch) / file, content)
            api.upload_folder(
                repo_id=name, folder_path=scratch, revision=revision, delete_patterns=[*PICTURES],
                commit_message="Share a run of vaekit",
            )  # fmt: skip
    except Exception as error:  # of the network, the name or the token, from several packages
        raise RunError(
            f"hf://{name} cannot be written ({first_line(error)}): check the network and your token, and try again"
        ) from None
