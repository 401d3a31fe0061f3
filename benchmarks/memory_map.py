"""Train from a memory map larger than the allowed memory, as fast as from memory.

The numbers are printed; only --publish replaces the published ones.

Usage: python -m benchmarks.memory_map [--gigabytes 10] [--folder FOLDER] [--rounds 7] [--publish]
"""

import argparse
import json
import mmap
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from benchmarks import page
from vaekit.data import Batch, Source, Split
from vaekit.data.disk import madvise
from vaekit.data.raw import RESIDENT
from vaekit.model import VAE, Model

SHAPE = (1, 64, 64)
BATCH, STEPS = 100, 25
KEPT = 50_000  # images of the comparison in memory
ALLOWED = 512 * 2**20  # bytes that the process may use beyond what it has at the start and the map itself


def generate(path: Path, images: int) -> None:
    """Write a .npy file of noise, block by block."""
    block = np.random.default_rng(0).integers(0, 256, (2**14, *SHAPE), dtype=np.uint8)
    with path.open("wb") as stream:
        npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (images, *SHAPE)})
        for start in range(0, images, len(block)):
            stream.write(block[: images - start].data)
        os.fsync(stream.fileno())


def memory(field: str) -> int:
    """Read a size of this process, in bytes: VmSize, or RssAnon, which leaves out the pages of files."""
    line = next(
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith(field)
    )
    return int(line.split()[1]) * 1024


def forget(path: Path, split: Split) -> None:
    """Drop the file's pages from memory, so that they are read from disk again."""
    assert split.large  # otherwise its memory is not a map, and dropping it would destroy it
    advise, x = madvise(), split.x
    assert advise
    start = x.data_ptr() - x.data_ptr() % mmap.PAGESIZE
    advise(start, x.data_ptr() + x.nbytes - start, mmap.MADV_DONTNEED)
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def some_rows(images: int) -> Iterator[Tensor]:
    while True:
        yield torch.randint(images, (BATCH,))


class Trainer:
    """A VAE with one hidden layer, and its optimizer."""

    def __init__(self) -> None:
        self.vae: VAE = Model().build(SHAPE)
        self.optimizer = torch.optim.Adam(self.vae.parameters(), fused=True)

    def seconds(self, split: Split, batches: Iterator[Batch]) -> float:
        """Time a step, after three warm-up steps."""
        for step in range(3 + STEPS):
            if step == 3:
                began = time.perf_counter()
            loss = -self.vae.draw(split.seen(next(batches)).x).log_weight.mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return (time.perf_counter() - began) / STEPS


def measure(path: Path, rounds: int) -> dict[str, object]:
    """Load and train under a limit on the address space that leaves no room for a copy of the data."""
    trainer, noise = Trainer(), torch.ones(KEPT, *SHAPE, dtype=torch.uint8)
    trainer.seconds(Split(noise, levels=255, dynamic=True), Split(noise).stream(some_rows(KEPT)))
    before = memory("RssAnon")
    limit = memory("VmSize") + path.stat().st_size + ALLOWED
    import resource  # which only POSIX has

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    began = time.perf_counter()
    data = Source(name=str(path), split="0.99/0.005/0.005", binarization="dynamic").load()
    loading = time.perf_counter() - began
    mapped = data.train
    kept = replace(mapped, x=noise.copy_(mapped.x[:KEPT]), index=None)
    near = replace(mapped, index=None)

    found: dict[str, list[float]] = {name: [] for name in ("memory", "warm", "cold", "cold, not read ahead")}
    anonymous = []
    for _ in range(rounds):
        found["memory"].append(trainer.seconds(kept, kept.stream(some_rows(KEPT))))
        near.x[:KEPT].max()
        found["warm"].append(trainer.seconds(near, near.stream(some_rows(KEPT))))
        forget(path, mapped)
        found["cold"].append(trainer.seconds(mapped, mapped.stream(some_rows(len(mapped)))))
        anonymous.append(memory("RssAnon"))
        forget(path, mapped)
        plain = (mapped.x[rows] for rows in some_rows(len(mapped.x)))
        found["cold, not read ahead"].append(trainer.seconds(mapped, plain))
    return {
        "images": len(mapped.x),
        "file_bytes": path.stat().st_size,
        "bytes_allowed_beyond_the_map": ALLOWED,
        "anonymous_bytes_at_start": before,
        "anonymous_bytes_in_training": max(anonymous),
        "seconds_to_load": round(loading, 1),
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "images_per_second": {name: round(BATCH / statistics.median(seconds)) for name, seconds in found.items()},
        "speed_beside_memory": {
            name: round(statistics.median(a / b for a, b in zip(found["memory"], seconds, strict=True)), 3)
            for name, seconds in found.items()
        },
    }


def main() -> None:
    """Generate the map, measure, store, and remove the map."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_map", description="Time training from a large memory map."
    )
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--folder", type=Path, help="where the map is generated: on a disk, not in memory")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    images = int(chosen.gigabytes * 1e9) // int(np.prod(SHAPE))
    if images * int(np.prod(SHAPE)) <= RESIDENT:
        parser.error(
            f"--gigabytes {chosen.gigabytes}: arrays up to {RESIDENT / 1e9:.2f} are read, not mapped; ask for more"
        )
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "map.npy"
        generate(path, images)
        numbers = measure(path, chosen.rounds)
    command = " ".join(["python -m benchmarks.memory_map", *sys.argv[1:]])
    what = f"one-layer VAE, batch {BATCH}, bits drawn of {'×'.join(map(str, SHAPE))} images of noise"
    result = {"what": what, "command": command, "numbers": numbers}
    text = json.dumps(result, indent=2, ensure_ascii=False)
    print(text)
    if chosen.publish:
        (page.RESULTS / f"{page.MAP}.json").write_text(text + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
