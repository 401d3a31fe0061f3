"""The arrays that all runners read: MNIST as float32, its gray levels and one fixed draw of bits."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.protocol import Job
from vaekit.data import Source

TESTED, AT_ONCE = 100, 10_000


def write(folder: Path, root: Path | None) -> None:
    """Write (N, 1, 28, 28) arrays in [0, 1], named as ``protocol.Job.file`` expects."""
    for binarization in ("none", "static"):
        data = Source(name="mnist", split="60k/10k", binarization=binarization).load(root)
        for part, split in (("train", data.train), ("test", data.test)):
            np.save(folder / f"{binarization}-{part}.npy", split.batch(torch.arange(len(split))).x.numpy())


def noise(job: Job) -> Path:
    """Write bytes of noise, a job's images and ``TESTED`` more, (N, side, side), piece by piece; return their file."""
    path, total = Path(job.folder) / f"noise-{job.side}-{job.images}.npy", job.images + TESTED
    if not path.exists():
        random = np.random.default_rng(0)
        written = np.lib.format.open_memmap(path, "w+", np.uint8, (total, job.side, job.side))
        for start in range(0, total, AT_ONCE):
            some = written[start : start + AT_ONCE]
            some[:] = random.integers(0, 256, some.shape, np.uint8)
        written.flush()
    return path
