"""Many image files at once: their headers, and their pixels decoded on all processors into one array."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from vaekit.data.images import Header, decode, highest, read_headers, reason

Progress = Callable[[Sequence[Path]], Iterable[Path]]

AHEAD = 256
"""images that are decoded ahead of the one being written: enough for many threads, little memory"""
TOGETHER = 64
"""frames of a file that are decoded in one go, because many formats reach a frame only through those before it"""


class Picture(NamedTuple):
    """One example: a frame of a file."""

    path: Path
    frame: int = 0


Job = tuple[Path, list[int]]
"""frames of one file"""


def survey(files: Iterable[Path]) -> tuple[dict[Picture, Header], dict[Picture, str]]:
    """Read all headers; give those of images, and for the other files the reason."""
    headers: dict[Picture, Header] = {}
    skipped = {}
    for path in files:
        try:
            headers |= {Picture(path, header.frame): header for header in read_headers(path)}
        except Exception as error:  # Pillow's decoders raise errors of many types for a broken file.
            skipped[Picture(path)] = reason(error)
    return headers, skipped


def highest_level(pictures: Iterable[Picture]) -> int:
    """Find the highest level of all pictures, before it is scaled; 0 if there are none."""
    with ThreadPoolExecutor() as pool:
        return max(pool.map(lambda job: highest(*job), _jobs(pictures)), default=0)


def _jobs(pictures: Iterable[Picture]) -> list[tuple[Path, list[int]]]:
    """Put together the frames of a file, a few at a time."""
    files = groupby(pictures, lambda picture: picture.path)
    return [(path, [picture.frame for picture in some]) for path, frames in files for some in _some(list(frames))]


def _some(frames: Sequence[Picture]) -> Iterator[Sequence[Picture]]:
    return (frames[i : i + TOGETHER] for i in range(0, len(frames), TOGETHER))


def write(
    target: Path, pictures: Sequence[Picture], shape: tuple[int, int, int], depth: int, progress: Progress
) -> tuple[list[Picture], dict[Picture, str]]:
    """Write images one after the other as they are decoded; a header of the same length then tells how many."""
    kept, failed = [], {}
    jobs = _jobs(pictures)
    with target.open("wb") as stream:
        _write_header(stream, len(pictures), shape)
        paths = progress([path for path, _ in jobs])
        for path, (_, frames), images in zip(paths, jobs, _decoded(jobs, shape, depth), strict=True):
            for frame, image in zip(frames, images, strict=True):
                if isinstance(image, str):
                    failed[Picture(path, frame)] = image
                else:
                    kept.append(Picture(path, frame))
                    stream.write(image.tobytes())
        stream.seek(0)
        _write_header(stream, len(kept), shape)
    return kept, failed


def _write_header(stream: IO[bytes], n: int, shape: tuple[int, int, int]) -> None:
    npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (n, *shape)})


def _decoded(
    jobs: Sequence[tuple[Path, list[int]]], shape: tuple[int, int, int], depth: int
) -> Iterator[list[np.ndarray | str]]:
    """Decode on all processors (Pillow frees the interpreter's lock); a file that breaks gives the reason."""
    channels, *size = shape

    def attempt(job: tuple[Path, list[int]]) -> list[np.ndarray | str]:
        return list(decode(*job, (size[0], size[1]), channels, depth))

    with ThreadPoolExecutor() as pool:
        coming: deque[Future[list[np.ndarray | str]]] = deque()
        ahead = 0
        for job in jobs:
            coming.append(pool.submit(attempt, job))
            ahead += len(job[1])
            while ahead >= AHEAD:
                done = coming.popleft().result()
                ahead -= len(done)
                yield done
        yield from (job.result() for job in coming)
