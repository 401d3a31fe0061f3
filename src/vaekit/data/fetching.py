"""Where a named set's files are: found in a data root or the cache, else downloaded; always verified."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.request import Request, urlopen

import pooch

from vaekit.arguments import Place, to_path
from vaekit.data.cache import cache_folder, draft, publish
from vaekit.data.named import NAMED, File, Version
from vaekit.data.raw import Raw
from vaekit.errors import InputError, nearest

log = logging.getLogger("vaekit")

LARGEST = 2**28
"""bytes of a download at most; the largest file of a named set has 79 MB"""
SILENCE, LONGEST = 30.0, 3600.0
"""seconds that a server may be silent, and that a download may take"""


def data_roots(root: Place | None = None) -> list[Path]:
    """List the folders that are searched: the given root, $VAEKIT_DATA, the user's cache."""
    variable = os.environ.get("VAEKIT_DATA")
    named = (("data_root", root), ("VAEKIT_DATA", variable))
    return [*(to_path(folder, name) for name, folder in named if folder), cache_folder()]


def locate(name: str, root: Place | None = None) -> tuple[Version, list[Path]] | None:
    """Find the first version of a named set whose files are all there, without reading them."""
    for folder in data_roots(root):
        for version in NAMED[name].versions:
            paths = [folder / file.path for file in version.files]
            if all(path.is_file() for path in paths):
                return version, paths
    return None


def fetch(name: str, root: Place | None = None) -> list[Path]:
    """Make sure that the files of a named set are on this machine, downloading them if need be.

    Args:
        name: A named set.
        root: A folder to search first.

    Raises:
        InputError: If there is no such set, or a file can neither be found nor downloaded, or has been altered.
    """
    return _fetch(name, root)[1]


def read_named(name: str, root: Place | None = None) -> Raw:
    """Read a named set, fetching it if need be."""
    version, paths = _fetch(name, root)
    if version.notice:
        log.info(version.notice)
    raw = version.read(paths)
    return replace(raw, splits=version.splits, classes=raw.classes or NAMED[name].classes)


def _fetch(name: str, root: Place | None) -> tuple[Version, list[Path]]:
    if name not in NAMED:
        raise InputError(f"there is no data set named {name!r}: {nearest(name, NAMED)}")
    if root is not None and not to_path(root, "data_root").is_dir():
        raise InputError(f"the data root {root} is not a folder: create it, or leave data_root (--data-root) out")
    version, paths = locate(name, root) or _download(name, root)
    for file, path in zip(version.files, paths, strict=True):
        _verify(file, path, name)
    return version, paths


def _verify(file: File, path: Path, name: str) -> None:
    kind, expected = file.checksum.split(":")
    found = pooch.file_hash(str(path), alg=kind)
    if found != expected:
        raise InputError(
            f"{path} is truncated or altered ({kind} {found[:12]}… instead of {expected[:12]}…): "
            f"delete it and run `vaekit data fetch {name}`"
        )


def _download(name: str, root: Place | None) -> tuple[Version, list[Path]]:
    version = next(version for version in NAMED[name].versions if all(file.urls for file in version.files))
    return version, [_download_file(file, name, root) for file in version.files]


def _download_file(file: File, name: str, root: Place | None) -> Path:
    target = cache_folder() / file.path
    if target.is_file():
        return target
    pooch.get_logger().setLevel("WARNING")
    with draft(target) as scratch:
        if target.is_file():  # another process was faster
            return target
        for url in file.urls:
            log.info("downloading %s", url)
            try:
                pooch.retrieve(url, file.checksum, target.name, scratch, downloader=_transfer)
            except (OSError, ValueError, HTTPException) as error:
                log.info("%s could not be downloaded: %s", url, str(error).partition("\n")[0])
            else:
                publish(scratch / target.name, target)
                return target
    searched = ", ".join(str(folder) for folder in data_roots(root))
    raise InputError(
        f"the file {file.path} of {name} is neither in {searched} nor could it be downloaded: "
        f"fetch {file.urls[0]} by hand and put it at {target}"
    )


def _transfer(url: str, target: str, caller: pooch.Pooch) -> None:
    """Download a file as pooch asks for it, but no more than a file of a named set can hold, and not forever."""
    began, done, shown = time.monotonic(), 0, sys.stderr.isatty()
    request = Request(url, headers={"User-Agent": "vaekit"})
    with urlopen(request, timeout=SILENCE) as response, Path(target).open("wb") as file:
        total = f" of {response.length / 1e6:.1f}" if response.length else ""
        while chunk := response.read1(2**16):
            done += len(chunk)
            if done > LARGEST:
                raise ValueError(f"it is larger than {LARGEST / 1e6:.0f} MB, which no file of a named set is")
            if time.monotonic() - began > LONGEST:
                raise ValueError(f"it took more than {LONGEST / 60:.0f} minutes")
            file.write(chunk)
            if shown:
                print(f"\r{PurePosixPath(url).name} {done / 1e6:.1f}{total} MB", end="", file=sys.stderr)
    if shown:
        print(file=sys.stderr)


def available(root: Place | None = None) -> Iterator[dict[str, str | None]]:
    """List the named sets: what they are, how they are split and binarized by default, and where they were found."""
    for name, named in NAMED.items():
        found = locate(name, root)
        version, paths = found or (named.versions[0], [])
        yield {
            "name": name,
            "title": named.title,
            "examples": named.examples,
            "split": version.splits[0],
            "binarization": named.binarization,
            "reference": named.reference,
            "origin": next((file.urls[0] for each in named.versions for file in each.files if file.urls), None),
            "found": str(paths[0].parent) if paths else "built in" if found else None,
        }
