"""Files: written as a whole, read within bounds, locked against each other."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

import psutil
from filelock import FileLock, Timeout

from vaekit.errors import InputError, RunError

LARGEST_TEXT = 2**28
"""largest text that is read at once, in bytes"""
LONGEST_COMMAND = 80
"""characters that are shown of the command of a process"""
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(\d+|[0-9a-f]{16}\.tmp)")
"""names of files that are being written, or were when their process was killed; version 0.1.0 used a number"""

REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EACCES: "make it writable, or copy it to a folder of your own",
    errno.EPERM: "make it writable, or copy it to a folder of your own",
    errno.EROFS: "make it writable, or copy it to a folder of your own",
    errno.EISDIR: "move away the folder that has the name of a file",
    errno.EEXIST: "move away the file or link that has the name of a folder",
    errno.ENOTDIR: "move away the file that has the name of a folder",
    errno.ELOOP: "remove the link that has the name of a file",
}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or an empty string if it cannot be read; an unchanged file is read once."""
    try:
        facts = path.stat()
        return _sha256(path.absolute(), facts.st_ino, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(1024)
def _sha256(path: Path, *_facts: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def status(path: Path) -> os.stat_result | None:
    """Return the status of a file or folder, following links; None if there is nothing.

    Raises:
        InputError: if it cannot be looked at: it is private, its name is too long, or links lead in a circle.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}): check the path and its permissions") from None


def is_file(path: Path) -> bool:
    """Return whether there is a regular file; raise an InputError if that cannot be told."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def refuse_irregular(path: Path, largest: int | None = None) -> None:
    """Refuse what would block or never end: pipes, devices, folders, and files of more than ``largest`` bytes.

    Raises:
        OSError: if there is nothing, or it cannot be looked at.
        ValueError: if it is not a regular file, or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    if largest is not None and found.st_size > largest:
        raise ValueError(f"it has {found.st_size:,} bytes, more than {largest:,}")


def read_bytes(path: Path) -> bytes:
    """Read a text file that is regular and of a sane size; raises as ``refuse_irregular`` does."""
    refuse_irregular(path, LARGEST_TEXT)
    return path.read_bytes()


def last_line(path: Path, size: int = 2**16) -> bytes:
    """Read the last whole line of a file from its end; empty if it does not begin within ``size`` bytes.

    Raises as ``refuse_irregular`` does.
    """
    refuse_irregular(path)
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - size))
        whole = file.read(size).rpartition(b"\n")[0]
    return whole.rpartition(b"\n")[2] if b"\n" in whole or end <= size else b""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces ``path`` at the end: at any moment there is either the old file or the new one.

    It is written under a name that nobody can have prepared, synced and renamed; a link is replaced, not followed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a renaming survive a power cut, if the system can."""
    if os.name == "posix":
        with suppress(OSError):
            entry = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(entry)
            finally:
                os.close(entry)


def write(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    with replacing(path) as file:
        file.write(content)


def append(path: Path, content: bytes) -> None:
    """Append to a file, but never through a link."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    with open(path, "ab", opener=opener) as file:
        file.write(content)


def remove_leftovers(folder: Path, names: Collection[str] = ()) -> None:
    """Remove what killed processes were writing in a folder, if it is to be one of ``names``, or whatever it is to be.

    Only for who holds the lock under which those files are written.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        found = TEMPORARY.fullmatch(path.name)
        if found and (not names or found["name"] in names):
            with suppress(OSError):
                path.unlink()


@contextmanager
def locked(path: Path, busy: str, remedy: str, seconds: float = 0) -> Iterator[None]:
    """Hold the lock file ``path``; the lock ends with the process, and the file with the lock.

    Raises:
        InputError: if another process, or thread, holds it for longer than ``seconds``: what is ``busy``, by which
            process, and what to do.
        OSError: if the lock file cannot be made.
    """
    lock = FileLock(path, timeout=seconds, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{busy} by {holder(path)}: {remedy}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # whoever waits for it sees that it is gone, and makes another
        lock.release()


def holder(path: Path) -> str:
    """Name the process that has a file open by its number and command; those of other machines are not seen."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if not any(word in process.name().lower() for word in ("python", "vaekit")):
                continue  # where it takes long to look at the files of others
            if not any(os.path.samefile(path, file.path) for file in process.open_files()):
                continue
            if process.pid == os.getpid():
                return "this process"
            words = process.cmdline()
            if any("multiprocessing" in word for word in words) and (parent := process.parent()):
                process, words = parent, parent.cmdline()  # which can be stopped
            command = " ".join([os.path.basename(words[0]), *words[1:]])
            return f"process {process.pid} ({command[:LONGEST_COMMAND]})"
    return "another process, perhaps on another machine"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a sentence; what was written before stays."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or error
        remedy = REMEDIES.get(error.errno or 0, "check the disk")
        raise RunError(
            f"{path} cannot be written ({reason}): {remedy}; the last files written there are whole"
        ) from None
