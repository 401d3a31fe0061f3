"""A folder of images: decoded once, in parallel, into an array in the user's cache."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from pydantic import TypeAdapter

from vaekit.data.arrays import open_array
from vaekit.data.cache import cache_folder, draft, publish
from vaekit.data.decoding import Picture, Progress, highest_level, survey, write
from vaekit.data.images import Header, Size, depth_of, guarded, reason
from vaekit.data.listing import Folders, Listing, classes, listed, part, shared, split_level
from vaekit.data.raw import RESIDENT, Raw, coded_labels, content_digest
from vaekit.errors import InputError, RunError
from vaekit.specs import spec
from vaekit.text import escaped

log = logging.getLogger("vaekit")

Options = tuple[Size | None, int | None, int | None]

PARTS = ("train", "validation", "test")
LARGE = 256 * 256
"""pixels from which on a hint says how to make images smaller"""


@spec
class Facts:
    """What the cache knows of a decoded folder beside its images."""

    digest: str
    names: tuple[str, ...]
    """of the files, below the folder, with the frame where a file has several"""
    classes: tuple[str, ...] | None
    split: dict[str, int] | None
    """images of each part, if the folders are an official split"""
    depth: int
    """bits of the highest level in 16-bit files; 8 if there are none"""
    notes: tuple[str, ...]
    """what is not plain to see in how the folder was read, said every time"""


def read_folder(
    folder: Path,
    size: Size | None = None,
    channels: int | None = None,
    progress: Progress = iter,
    depth: int | None = None,
) -> Raw:
    """Read a folder of images as 8-bit levels, decoding it when its content is seen for the first time.

    Sub-folders are classes, or the parts of an official split (train, validation, test) with classes below or above.
    Gray images only make one channel, any color makes three; see `decode` for the rest. Every frame of a file is an
    image. Links are followed. Hidden files and runs of vaekit are left out; other files that cannot be read as images
    are skipped, counted and named.

    Args:
        folder: The folder, searched with its sub-folders.
        size: Height and width to which the middle of every image is cropped and resized.
        channels: 1 or 3; None tells by the images.
        progress: Wraps the list of files while they are decoded.
        depth: Bits of the levels in 16-bit files; None tells by the highest of all files.

    Raises:
        InputError: If there is no image, or sizes differ and none was asked for.
        RunError: If the cache has no room.
    """
    listing = listed(folder)
    found = _cached(folder, listing, (size, channels, depth), progress)
    facts = found.facts
    for note in (*_left_out(listing, folder), *facts.notes):
        log.info("%s: %s", folder, note)
    return Raw(
        found.x,
        "byte",
        labels=found.labels,
        classes=facts.classes,
        digest=facts.digest,
        names=facts.names,
        depth=facts.depth,
        **_official(facts.split),
    )


class Entry(NamedTuple):
    """A decoded folder in the cache."""

    facts: Facts
    x: np.ndarray
    labels: np.ndarray | None


def _cached(folder: Path, listing: Listing, options: Options, progress: Progress) -> Entry:
    """Find a folder in the cache by its content, or decode it there; an index by names and stamps spares reading it."""
    stamps = _stamps(folder, listing.files)
    index = cache_folder() / "index" / _key(stamps, options)
    known = _read(cache_folder() / "images" / content) if (content := _indexed(index)) else None
    if known:
        return known
    target = cache_folder() / "images" / _key(_contents(folder, listing.files), options)
    with draft(target) as scratch:
        found = _read(target)
        if not found:
            fresh, old = scratch / "fresh", scratch / "old"
            fresh.mkdir()
            with guarded():
                _fill(fresh, folder, listing.files, options, progress)
            if _stamps(folder, listing.files) != stamps:
                raise _changed(folder)
            if target.exists():
                target.replace(old)
            publish(fresh, target)
            found = _read(target)
        index.parent.mkdir(exist_ok=True)
        (scratch / "index").write_text(target.name, encoding="utf-8")
        publish(scratch / "index", index)
    if not found:
        raise RunError(f"{target} cannot be read back: check the disk, or set VAEKIT_CACHE to another folder")
    return found


def _stamps(folder: Path, files: Sequence[Path]) -> list[tuple[str | int, ...]]:
    """Tell the state of files without reading them: a write to a file changes its stamp, a copy has another one."""
    try:
        states = [(path, path.stat() if os.path.exists(path) else path.lstat()) for path in files]
    except OSError as error:
        raise _changed(folder) from error
    return [
        (os.fspath(path.relative_to(folder)), s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for path, s in states
    ]


def _changed(folder: Path) -> RunError:
    return RunError(f"{folder} was changed while it was read: try again when its files are complete")


def _contents(folder: Path, files: Sequence[Path]) -> list[tuple[str, str]]:
    return [(path.relative_to(folder).as_posix(), _content(path)) for path in files]


def _content(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return reason(error)


def _key(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _indexed(index: Path) -> str | None:
    """Read which entry an index names."""
    found = index.read_bytes()[:33].decode("ascii", "replace") if index.is_file() else ""
    return found if re.fullmatch("[0-9a-f]{32}", found) else None


def _read(entry: Path) -> Entry | None:
    """Open a decoded folder, or say that it is damaged; it is then decoded again."""
    if not entry.exists():
        return None
    try:
        facts = Facts(**json.loads((entry / "facts.json").read_bytes()))
        x = open_array(entry / "images.npy")
        labels = np.load(entry / "labels.npy", allow_pickle=False) if facts.classes else None
        if len(x) != len(facts.names) or (labels is not None and labels.shape != x.shape[:1]):
            raise ValueError("its files do not belong together")
        # What is mapped is not read as a whole, which would take as long as the training's first epoch.
        if x.nbytes <= RESIDENT and content_digest(x, labels) != facts.digest:
            raise ValueError("its content has changed")
    except (OSError, ValueError, TypeError, EOFError, RecursionError) as error:
        log.warning("%s in the cache is damaged (%s), so the folder is decoded again", entry, error)
        return None
    return Entry(facts, x, labels)


def _fill(target: Path, folder: Path, files: Sequence[Path], options: Options, progress: Progress) -> None:
    """Decode a folder into `target`."""
    size, channels, depth = options
    headers, skipped = survey(files)
    if not headers:
        raise _no_image(folder, skipped)
    folders = {picture: picture.path.relative_to(folder).parent.parts for picture in headers}
    level = split_level(list(folders.values()))
    inside = headers if level is None else _by_part(headers, folders, level, folder)
    shape = _shape(inside, folder, size, channels)
    _require_room(target, len(inside) * int(np.prod(shape)), folder)
    deep = [picture for picture, header in inside.items() if header.deep]
    depth = (depth or depth_of(highest_level(deep))) if deep else 8
    kept, failed = write(target / "images.npy", list(inside), shape, depth, progress)
    total = len(headers) + len(skipped)
    skipped |= failed
    if not kept:
        raise _no_image(folder, skipped)
    found = [folders[picture] for picture in kept]
    split = None if level is None else _sizes([part(each, level) for each in found])
    labels, names, mixed = _classes(found if level is None else [each[:level] + each[level + 1 :] for each in found])
    if labels is not None:
        np.save(target / "labels.npy", labels)
    several = {picture.path for picture in headers if picture.frame}
    files_of = {picture: _name(picture, folder, picture.path in several) for picture in (*kept, *skipped)}
    coarse = [picture for picture in kept if inside[picture].coarse]
    notes = [
        *_skipped({files_of[picture]: why for picture, why in skipped.items()}, total),
        *(["there are images in sub-folders and beside them, so sub-folders are not read as classes"] if mixed else []),
        *_several(len(several), len(kept)),
        *_depth(depth, highest_level(coarse)),
        *_split(split, len(headers) - len(inside)),
    ]
    facts = Facts(
        digest=content_digest(npy.open_memmap(target / "images.npy", mode="r"), labels),
        names=tuple(files_of[picture] for picture in kept),
        classes=names,
        split=split,
        depth=depth,
        notes=tuple(notes),
    )
    (target / "facts.json").write_bytes(TypeAdapter(Facts).dump_json(facts))


def _name(picture: Picture, folder: Path, several: bool) -> str:
    name = escaped(picture.path.relative_to(folder).as_posix())
    return f"{name}#{picture.frame}" if several else name


def _by_part(
    headers: Mapping[Picture, Header], folders: Mapping[Picture, Folders], level: int, folder: Path
) -> dict[Picture, Header]:
    """Order pictures by the part of the split they belong to, leaving out those beside the parts."""
    parts = {picture: part(folders[picture], level) for picture in headers}
    found = {name: [picture for picture in headers if parts[picture] == name] for name in PARTS}
    if not found["train"]:
        raise InputError(f"{folder} has folders for validation and test, but none for train: name the one to read")
    return {picture: headers[picture] for pictures in found.values() for picture in pictures}


def _sizes(parts: Sequence[str | None]) -> dict[str, int]:
    return {name: parts.count(name) for name in PARTS if name in parts}


def _official(split: Mapping[str, int] | None) -> dict[str, Any]:
    """Describe the official split to `Raw`; where there are two parts, the second is the test part."""
    if split is None or len(split) < 2:
        return {}
    sizes = list(split.values())
    held = sizes[0] // 10
    more = (f"{sizes[0] - held}/{held}/{sizes[1]}",) if len(sizes) == 2 and held else ()
    return {"splits": ("/".join(map(str, sizes)), *more), "test": sizes[-1], "shuffle": len(sizes) == 2}


def _classes(folders: Sequence[Folders]) -> tuple[np.ndarray | None, tuple[str, ...] | None, bool]:
    """Number the classes, and name them; or tell whether some images alone are in sub-folders."""
    names = classes(folders)
    if names is None:
        return None, None, max(map(len, folders)) > shared(folders)
    labels, found = coded_labels(np.array(names), "the folder")
    return labels, tuple(map(escaped, found)), False


def _left_out(listing: Listing, folder: Path) -> Iterator[str]:
    for paths, why in (
        (listing.runs, "a run of vaekit"),
        (listing.repeated, "a link to a folder that is read already"),
    ):
        if paths:
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            yield f"left out {', '.join(escaped(str(path.relative_to(folder))) for path in paths[:3])}{more}: {why}"


def _skipped(reasons: Mapping[str, str], total: int) -> Iterator[str]:
    if reasons:
        first = ", ".join(f"{name} ({escaped(why)})" for name, why in list(reasons.items())[:3])
        yield f"skipped {len(reasons)} of {total} files: {first}"


def _several(files: int, images: int) -> Iterator[str]:
    if files:
        yield (
            f"files with several pages or frames: {files}; each frame is an image ({images} in all), "
            "and frames of one file may fall into different parts of a random split"
        )


def _depth(depth: int, coarse: int) -> Iterator[str]:
    if depth > 8:
        yield f"16-bit images are read as {depth} bits: levels from 0 to {2**depth - 1:,} become 0 to 255"
    if 0 < coarse < 64:
        yield (
            f"16-bit color images are read by the upper 8 bits of their levels, but use only {coarse + 1} of those "
            "256 levels: scale them to the full range first"
        )


def _split(split: Mapping[str, int] | None, outside: int) -> Iterator[str]:
    if split and len(split) > 1:
        yield f"the folders are the split: {', '.join(f'{n} {name}' for name, n in split.items())}"
        if "test" not in split:
            yield "there is no folder for test, so the validation images are the test images"
    if outside:
        yield f"left out {outside} images that are in none of the folders of the split"


def _no_image(folder: Path, skipped: Mapping[Picture, str]) -> InputError:
    first = next((f" ({escaped(picture.path.name)}: {escaped(why)})" for picture, why in skipped.items()), "")
    return InputError(
        f"{folder} has {len(skipped)} files but no readable image{first}: give a folder of images, such as PNG or JPEG"
    )


def _shape(
    headers: Mapping[Picture, Header], folder: Path, size: Size | None, channels: int | None
) -> tuple[int, int, int]:
    sizes = Counter(header.size for header in headers.values())
    smallest = min(64, *map(min, sizes))
    if size is None and len(sizes) > 1:
        common = ", ".join(f"{h}×{w}" for (h, w), _ in sizes.most_common(3))
        raise InputError(
            f"{folder} holds images of {len(sizes)} sizes ({common}, height×width): "
            f"give image_size (--image-size), such as {smallest}, to crop and resize them all"
        )
    height, width = size or next(iter(sizes))
    if set(sizes) != {(height, width)}:
        log.info("images of %s are cropped and resized to %d×%d", folder, height, width)
    elif height * width > LARGE:
        log.info(
            "images of %s are %d×%d, which takes much time and memory: image_size (--image-size) %d resizes them",
            folder, height, width, smallest,
        )  # fmt: skip
    gray = all(header.gray for header in headers.values())
    return channels or (1 if gray else 3), height, width


def _require_room(target: Path, size: int, folder: Path) -> None:
    free = shutil.disk_usage(target).free
    if free < size:
        raise RunError(
            f"{folder} takes {size / 1e9:.1f} GB when decoded, but the cache {cache_folder()} has {free / 1e9:.1f} GB "
            "left: make room, choose a smaller image_size (--image-size), or set VAEKIT_CACHE to another folder"
        )
