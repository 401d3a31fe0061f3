"""Which files of a folder are its own, and what its sub-folders mean: classes, or parts of an official split."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from vaekit.errors import InputError

RUN = "experiment.json"
"""the file by which a folder is known as a run of vaekit"""
PARTS = {
    word: part
    for part, words in {
        "train": ("train", "training"),
        "validation": ("validation", "valid", "val"),
        "test": ("test", "testing"),
    }.items()
    for word in words
}

Folders = tuple[str, ...]


@dataclass
class Listing:
    """The files below a folder, sorted, and the sub-folders that were left out."""

    files: list[Path] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)


def listed(folder: Path) -> Listing:
    """List the files below a folder; links are followed, but every folder is read once.

    Hidden files and folders, and runs of vaekit, are left out.

    Raises:
        InputError: If a sub-folder cannot be read.
    """
    found = Listing()
    seen = set(map(str, Path(os.path.realpath(folder)).parents))  # a link back to one of them is a loop
    pending = [folder]
    while pending:
        # Links come after all folders proper, so that a folder is known by its own name if it has one here.
        links: list[Path] = []
        for start in sorted(pending):
            _walk(start, found, seen, links, top=folder)
        pending = links
    found.files.sort()
    return found


def _walk(start: Path, found: Listing, seen: set[str], links: list[Path], top: Path) -> None:
    stack = [start]
    while stack:
        place = stack.pop()
        real = os.path.realpath(place)
        if real in seen:
            found.repeated.append(place)
            continue
        seen.add(real)
        try:
            with os.scandir(place) as scan:
                entries = [entry for entry in scan if not entry.name.startswith(".")]
        except OSError as error:
            raise InputError(f"{place} cannot be read ({error.strerror}): make it readable, or move it away") from error
        if place != top and any(entry.name == RUN for entry in entries):
            found.runs.append(place)
            continue
        for entry in entries:
            link = entry.is_symlink()
            if os.path.isdir(entry.path) if link else entry.is_dir():
                (links if link else stack).append(place / entry.name)
            elif _is_file(entry.path) if link else entry.is_file():
                found.files.append(place / entry.name)


def _is_file(link: str) -> bool:
    """Tell whether a link leads to a file, or to nothing, of which the reader is to say so."""
    return os.path.isfile(link) or not os.path.exists(link)


def split_level(folders: Sequence[Folders]) -> int | None:
    """Find the level of folders that are named as the parts of an official split, or None.

    It is the first that differs, where files in other folders may lie beside the parts; or the one below classes.

    Example:
        >>> split_level([("train", "cat"), ("train", "dog"), ("val", "cat"), ("masks",)])
        0
        >>> split_level([("pets", "cat", "train"), ("pets", "dog", "train"), ("pets", "dog", "test")])
        2
        >>> split_level([("cat",), ("train",)])
    """
    first = shared(folders)
    for level in (first, first + 1):
        found = {part(names, level) for names in folders}
        if len(found - {None}) >= 2 and (level == first or None not in found):
            return level
    return None


def part(names: Folders, level: int) -> str | None:
    """Tell which part the folder at a level is by its name, such as Train or val2017, if any."""
    return next((PARTS.get(re.sub(r"[\W_]*\d*$", "", name.lower())) for name in names[level : level + 1]), None)


def classes(folders: Sequence[Folders]) -> list[str] | None:
    """Take the first folders that differ as classes, if every file is in one.

    Example:
        >>> classes([("pets", "cat"), ("pets", "dog", "more")]), classes([("pets",), ("pets", "dog")])
        (['cat', 'dog'], None)
    """
    level = shared(folders)
    return [names[level] for names in folders] if all(len(names) > level for names in folders) else None


def shared(folders: Sequence[Folders]) -> int:
    """Count the levels of folders that all files have in common."""
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False)))
