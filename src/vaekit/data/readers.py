"""Readers of the named sets' files; each file's checksum is verified before it is read.

scikit-learn and scipy.io are imported where they are needed, because that takes a second.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaekit.data.raw import Raw

Files = Sequence[Path]


def read_digits(files: Files) -> Raw:
    """Read the 8×8 digits that come with scikit-learn, 0..16 scaled to [0, 1]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images[:, None] / 16).astype(np.float32)
    return Raw(x, "unit", labels=digits.target.astype(np.int64))


def read_digits28(files: Files) -> Raw:
    """Enlarge scikit-learn's digits to 28×28 bytes: a Gaussian of 1.5 pixels around each old pixel, then more contrast.

    The digits fill 22 rows, in the middle; 28×28 is the size of MNIST, so that what fits one fits the other.
    """
    small = read_digits(files)
    place = (np.arange(28) + 0.5 - 14) * 8 / 22 + 3.5  # of each new row among the old ones
    spread = np.exp(-(((place[:, None] - np.arange(8)) / 0.55) ** 2) / 2) / (0.55 * np.sqrt(2 * np.pi))
    ink = spread @ small.x.astype(np.float64) @ spread.T
    x = np.rint(255 / (1 + np.exp(14 * (0.45 - ink)))).astype(np.uint8)
    return Raw(x, "byte", labels=small.labels)


def read_idx(files: Files) -> Raw:
    """Read MNIST's layout: train images, train labels, test images, test labels."""
    train, train_labels, test, test_labels = (gzip.decompress(path.read_bytes()) for path in files)
    x = np.concatenate([np.frombuffer(part, np.uint8, offset=16) for part in (train, test)])
    labels = [np.frombuffer(part, np.uint8, offset=8) for part in (train_labels, test_labels)]
    return Raw(
        x.reshape(-1, 1, 28, 28),
        "byte",
        labels=np.concatenate(labels).astype(np.int64),
        test=len(labels[1]),
        shuffle=False,
    )


def read_frey_face(files: Files) -> Raw:
    """Read the 28×20 frames, one per column; they are a video, so they are shuffled before they are split."""
    return Raw(np.ascontiguousarray(_loadmat(files[0])["ff"].T).reshape(-1, 1, 28, 20), "byte")


def read_packed_bits(files: Files) -> Raw:
    """Read Larochelle's binarized MNIST as packed bits."""
    with np.load(files[0], allow_pickle=False) as arrays:
        bits = [np.unpackbits(arrays[key], axis=1, count=784) for key in ("train", "valid", "test")]
    return _binary(bits)


def read_amat(files: Files) -> Raw:
    """Read Larochelle's text files: a line per example, 784 digits parted by single spaces."""
    texts = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files]
    return _binary([np.frombuffer(text, np.uint8).reshape(-1, 1568)[:, ::2] - ord("0") for text in texts])


def read_caltech(files: Files) -> Raw:
    """Read the silhouettes upright (they are stored column by column) with 1 − x, so that the object is 1."""
    mat = _loadmat(files[0])
    raw = _binary([1 - mat[f"{part}_data"] for part in ("train", "val", "test")], transposed=True)
    labels = np.concatenate([mat[f"{part}_labels"][:, 0] for part in ("train", "val", "test")])
    classes = tuple(str(name.item()) for name in mat["classnames"][0])
    return Raw(raw.x, "binary", labels=labels.astype(np.int64) - 1, classes=classes, test=raw.test, shuffle=False)


def read_omniglot(files: Files) -> Raw:
    """Read the 28×28 characters in the layout of the IWAE paper's file; labels are the fifty alphabets.

    The file goes character by character, so the training images are shuffled before a validation part is cut.
    """
    mat = _loadmat(files[0])
    x = np.concatenate([mat["data"].T, mat["testdata"].T]).astype(np.float32)
    labels = np.concatenate([mat["target"].argmax(0), mat["testtarget"].argmax(0)])
    upright = np.ascontiguousarray(x.reshape(-1, 28, 28).transpose(0, 2, 1))[:, None]
    return Raw(upright, "unit", labels=labels.astype(np.int64), test=mat["testdata"].shape[1])


def _binary(parts: Sequence[np.ndarray], transposed: bool = False) -> Raw:
    x = np.concatenate(parts).reshape(-1, 28, 28)
    x = np.ascontiguousarray(x.transpose(0, 2, 1) if transposed else x)
    return Raw(x[:, None], "binary", test=len(parts[-1]), shuffle=False)


def _loadmat(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    return loadmat(path)
