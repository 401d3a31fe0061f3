"""The arrays that all runners read: MNIST as float32, its gray levels and one fixed draw of bits."""

from pathlib import Path

import numpy as np
import torch

from vaekit.data import Source


def write(folder: Path, root: Path | None) -> None:
    """Write (N, 1, 28, 28) arrays in [0, 1], named as ``protocol.Job.file`` expects."""
    for binarization in ("none", "static"):
        data = Source(name="mnist", split="60k/10k", binarization=binarization).load(root)
        for part, split in (("train", data.train), ("test", data.test)):
            np.save(folder / f"{binarization}-{part}.npy", split.batch(torch.arange(len(split))).x.numpy())
