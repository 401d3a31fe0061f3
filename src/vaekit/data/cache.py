"""The user's cache: what is in it appears whole or not at all, prepared by one process at a time."""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
from filelock import FileLock, Timeout

from vaekit.errors import RunError

log = logging.getLogger("vaekit")


def cache_folder() -> Path:
    """Return the folder for downloads and decoded images: $VAEKIT_CACHE, or the user's own cache."""
    chosen = os.environ.get("VAEKIT_CACHE")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("vaekit"))


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turn a cache that is full or cannot be written into a sentence."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the cache {cache_folder()} cannot be written ({error.strerror or error}): "
            "make room, make it writable, or set VAEKIT_CACHE to another folder"
        ) from error


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Provide an empty folder on the cache's disk to prepare `target` in; other processes wait until it is closed.

    What processes that were killed have left is removed.

    Raises:
        RunError: If the cache cannot be written, here or in the body.
    """
    root = cache_folder() / "drafts"
    folder = root / hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    with cache_errors():
        for path in (root, target.parent):
            path.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        with _alone(folder, target):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(folder: Path, target: Path) -> Iterator[None]:
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("another process is preparing %s: waiting for it", target)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def publish(path: Path, target: Path) -> None:
    """Move a finished file or folder to its place once all its bytes are on the disk, so that no crash tears it."""
    for each in (*path.rglob("*"), path):
        _sync(each)
    path.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    if path.is_dir():
        if os.name == "posix":  # elsewhere folders cannot be opened
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sweep(root: Path) -> None:
    """Remove the drafts of processes that have ended, which no longer hold their locks."""
    for folder in root.iterdir():
        if folder.is_dir():
            with suppress(Timeout), FileLock(f"{folder}.lock", blocking=False):
                shutil.rmtree(folder, ignore_errors=True)
