"""A folder of images: decoded once, in parallel, into an array in the user's cache."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from vaekit.data.arrays import open_array
from vaekit.data.fetch import cache_folder
from vaekit.data.images import Header, Size, decode, guarded, read_header
from vaekit.data.raw import Raw, coded_labels, content_digest
from vaekit.errors import InputError, RunError

log = logging.getLogger("vaekit")

Progress = Callable[[Sequence[Path]], Iterable[Path]]

# Images that are decoded ahead of the one being written: enough for many threads, little memory.
AHEAD = 256


def read_folder(folder: Path, size: Size | None = None, channels: int | None = None, progress: Progress = iter) -> Raw:
    """Read a folder of images as 8-bit levels, decoding it when it is seen for the first time.

    Sub-folders are classes. Grey images only make one channel, any colour makes three; see `decode` for the rest.
    Hidden files are left out; other files that are no readable images are skipped, counted and named.

    Args:
        folder: The folder, searched with its sub-folders.
        size: Height and width to which the middle of every image is cropped and resized.
        channels: 1 or 3; None tells by the images.
        progress: Wraps the list of files while they are decoded.

    Raises:
        InputError: If there is no image, or sizes differ and none was asked for.
        RunError: If the cache has no room.
    """
    found = (path for path in folder.rglob("*") if path.is_file())
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    cached = cache_folder() / "images" / _key(folder, files, size, channels)
    if not cached.is_dir():
        _build(cached, folder, files, size, channels, progress)
    facts = json.loads((cached / "facts.json").read_text())
    if skipped := facts["skipped"]:
        first = ", ".join(f"{name} ({reason})" for name, reason in list(skipped.items())[:3])
        log.info("skipped %d of %d files of %s: %s", len(skipped), len(files), folder, first)
    x = open_array(cached / "images.npy")
    labels = None if facts["classes"] is None else np.load(cached / "labels.npy", allow_pickle=False)
    classes = facts["classes"] and tuple(facts["classes"])
    return Raw(x, "byte", labels=labels, classes=classes, digest=facts["digest"])


def _key(folder: Path, files: Sequence[Path], *options: object) -> str:
    """Tell folders apart by the names, sizes and times of their files, without reading them."""
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    facts = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    return hashlib.sha256(json.dumps([facts, *options]).encode()).hexdigest()[:32]


def _build(
    target: Path, folder: Path, files: Sequence[Path], size: Size | None, channels: int | None, progress: Progress
) -> None:
    """Decode a folder into `target`, which appears complete or not at all."""
    root = target.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        with guarded(), tempfile.TemporaryDirectory(dir=root) as scratch:
            draft = Path(scratch) / "draft"
            draft.mkdir()
            _fill(draft, folder, files, size, channels, progress)
            try:
                draft.rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster with the same folder
                    raise
    except OSError as error:
        raise RunError(f"{folder} could not be decoded into the cache {root} ({error}): make it writable") from error


def _fill(
    draft: Path, folder: Path, files: Sequence[Path], size: Size | None, channels: int | None, progress: Progress
) -> None:
    headers, skipped = _survey(files, folder)
    shape = _shape(headers, folder, size, channels)
    _require_room(draft, len(headers) * int(np.prod(shape)), folder)
    kept, failed = _write(draft / "images.npy", list(headers), shape, progress)
    if not kept:
        raise _no_image(folder, skipped | failed)
    labels, classes = _classes([path.relative_to(folder) for path in kept], folder)
    if labels is not None:
        np.save(draft / "labels.npy", labels)
    digest = content_digest(npy.open_memmap(draft / "images.npy", mode="r"), labels)
    names = {path.relative_to(folder).as_posix(): reason for path, reason in (skipped | failed).items()}
    (draft / "facts.json").write_text(json.dumps({"classes": classes, "skipped": names, "digest": digest}))


def _survey(files: Iterable[Path], folder: Path) -> tuple[dict[Path, Header], dict[Path, str]]:
    """Read all headers; give those of images, and for the other files the reason."""
    headers, skipped = {}, {}
    for path in files:
        try:
            headers[path] = read_header(path)
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise errors of many types for a broken file.
            skipped[path] = str(error) or type(error).__name__
    if not headers:
        raise _no_image(folder, skipped)
    return headers, skipped


def _no_image(folder: Path, skipped: Mapping[Path, str]) -> InputError:
    first = next((f" ({path.name}: {reason})" for path, reason in skipped.items()), "")
    return InputError(f"{folder} has {len(skipped)} files but no readable image{first}: give a folder of images")


def _shape(
    headers: Mapping[Path, Header], folder: Path, size: Size | None, channels: int | None
) -> tuple[int, int, int]:
    sizes = Counter(header.size for header in headers.values())
    if size is None and len(sizes) > 1:
        common = ", ".join(f"{h}×{w}" for (h, w), _ in sizes.most_common(3))
        side = min(64, min(min(size) for size in sizes))
        raise InputError(
            f"{folder} holds images of {len(sizes)} sizes ({common}, height×width): "
            f"add --image-size {side} to crop and resize them all"
        )
    if size and set(sizes) != {size}:
        log.info("images of %s are cropped and resized to %d×%d", folder, *size)
    grey = all(header.grey for header in headers.values())
    return (channels or (1 if grey else 3), *(size or next(iter(sizes))))


def _require_room(draft: Path, size: int, folder: Path) -> None:
    free = shutil.disk_usage(draft).free
    if free < size:
        raise RunError(
            f"{folder} takes {size / 1e9:.1f} GB when decoded, "
            f"but the cache {cache_folder()} has {free / 1e9:.1f} GB left: make room, or choose a smaller --image-size"
        )


def _write(
    target: Path, files: Sequence[Path], shape: tuple[int, int, int], progress: Progress
) -> tuple[list[Path], dict[Path, str]]:
    """Write images one after the other as they are decoded; a header of the same length then tells how many."""
    kept, failed = [], {}
    with target.open("wb") as stream:
        _write_header(stream, len(files), shape)
        for path, image in zip(progress(files), _decoded(files, shape), strict=True):
            if isinstance(image, str):
                failed[path] = image
            else:
                kept.append(path)
                stream.write(image.tobytes())
        stream.seek(0)
        _write_header(stream, len(kept), shape)
    return kept, failed


def _write_header(stream: IO[bytes], n: int, shape: tuple[int, int, int]) -> None:
    npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (n, *shape)})


def _decoded(files: Sequence[Path], shape: tuple[int, int, int]) -> Iterator[np.ndarray | str]:
    """Decode on all processors (Pillow frees the interpreter's lock); a file that breaks gives the reason."""

    def attempt(path: Path) -> np.ndarray | str:
        try:
            return decode(path, shape[1:], shape[0])
        except Exception as error:  # as in _survey
            return str(error) or type(error).__name__

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), AHEAD):
            yield from pool.map(attempt, files[start : start + AHEAD])


def _classes(files: Sequence[Path], folder: Path) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Take the first sub-folders that differ as classes, if every image is in one."""
    folders = [path.parent.parts for path in files]
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False)))
    names = [parts[shared : shared + 1] for parts in folders]
    if not all(names):
        if any(names):
            log.info(
                "%s has images both in sub-folders and beside them, so sub-folders are not read as classes", folder
            )
        return None, None
    return coded_labels(np.array([name for (name,) in names]), str(folder))
