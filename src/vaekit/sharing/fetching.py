"""Runs on a hub: their addresses, the files that are shared of a run, and how they come here."""

import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from vaekit.errors import InputError
from vaekit.files import disk_errors, replacing
from vaekit.folders import EXPERIMENT, METRICS, RESULTS, SPACE, VERSIONS, WEIGHTS

SHARED = (WEIGHTS, SPACE, VERSIONS, METRICS, RESULTS, EXPERIMENT)
"""files of a run that are shared, experiment.json last: where it lies, the run is whole"""
PICTURES = ("figures/*.svg", "figures/*.png")
CARD, CONFIG = "README.md", "config.json"
HUGGING_FACE = "hf"


def is_address(place: object) -> bool:
    """Whether a place is an address, such as hf://user/name or s3://bucket/name, and not a path.

    Example:
        >>> is_address("hf://me/digits"), is_address("runs/digits")
        (True, False)
    """
    return isinstance(place, str) and "://" in place


def brought(run: Any) -> Any:
    """Return what names a run as it is, or the folder into which the run at an address was brought."""
    return fetched(run) if is_address(run) else run


def fetched(address: str) -> Path:
    """Bring the run at an address here, and return its folder; only JSON, weights and pictures are taken.

    Raises:
        InputError: if a package is missing, or there is nothing that can be read.
    """
    there = address.startswith(f"{HUGGING_FACE}://")
    return from_hugging_face(*repository(address)) if there else _from_files(address)


def repository(address: str) -> tuple[str, str | None]:
    """Split hf://user/name[@revision] into the repository and the revision.

    Example:
        >>> repository("hf://me/digits@v1")
        ('me/digits', 'v1')
    """
    name, _, revision = address.partition("://")[2].partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise InputError(f"{address} is not the address of a model: write hf://user/name or hf://user/name@revision")
    return name, revision or None


def hugging_face() -> Any:
    """Import huggingface_hub.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise InputError("hf:// needs the package huggingface_hub: pip install 'vaekit[hub]'") from None
    return huggingface_hub


def from_hugging_face(name: str, revision: str | None) -> Path:
    """Bring a model of Hugging Face into its cache, and return the folder there."""
    hub = hugging_face()
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=[*SHARED, *PICTURES]))
    except Exception as error:  # of the network, the name, the revision or the token, from several packages
        at = f" at {revision}" if revision else ""
        raise InputError(
            f"hf://{name}{at} cannot be fetched ({first_line(error)}): check the name, the network, and your token"
        ) from None


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address and the path on it.

    Raises:
        InputError: if there is no such system, or its package is missing.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{address} cannot be opened ({first_line(error)}): install its package, or correct it"
        ) from None


def _from_files(address: str) -> Path:
    """Copy the shared files at an address to the cache; those of this machine stay where they are."""
    system, root = file_system(address)
    if "file" in (system.protocol, *system.protocol):
        return Path(root)
    import pooch

    folder = Path(pooch.os_cache("vaekit")) / "hub" / sha256(address.encode()).hexdigest()[:16]
    try:
        found = {str(PurePosixPath(path).relative_to(PurePosixPath(root))): path for path in system.find(root)}
        with disk_errors(folder):
            for name in wanted([*found]):
                with system.open(found[name], "rb") as source, replacing(folder / name) as target:
                    shutil.copyfileobj(source, target)
    except Exception as error:  # of the network, the name or the rights, from any package
        raise InputError(
            f"{address} cannot be fetched ({first_line(error)}): check the address and the network"
        ) from None
    if EXPERIMENT not in found:
        raise InputError(f"{address} holds no run: it has no {EXPERIMENT}; check the address")
    for name in {*SHARED} - {*found}:
        (folder / name).unlink(missing_ok=True)
    return folder


def wanted(names: Sequence[str]) -> list[str]:
    """Return the files that belong to a shared run, experiment.json last; nothing else is taken from a hub.

    Example:
        >>> wanted(["experiment.json", "model.pkl", "figures/a.png", "weights.safetensors"])
        ['weights.safetensors', 'figures/a.png', 'experiment.json']
    """
    pictures = sorted(name for name in names if any(PurePosixPath(name).match(pattern) for pattern in PICTURES))
    files = [name for name in SHARED if name in names]
    last = [name for name in files if name == EXPERIMENT]
    return [*(name for name in files if name != EXPERIMENT), *pictures, *last]


def first_line(error: Exception) -> str:
    """Say what went wrong in one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
