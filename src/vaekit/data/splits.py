"""Splits: how a string such as 50k/10k/10k or 0.8/0.1/0.1 cuts examples into train, validation and test."""

import re

import numpy as np

from vaekit.data.raw import Raw
from vaekit.errors import InputError

ORDERED = "ordered:"
"""the beginning of a split that cuts a sequence into blocks, such as the frames of a film"""


def partition(raw: Raw, split: str, seed: int, source: str) -> dict[str, np.ndarray]:
    """Give the rows of each part, in file order within a part; two parts are train/test.

    An official test part stays what it is: only the examples before it are cut, shuffled by the seed where their
    order means something, unless the split begins with ``ordered:``.

    Raises:
        InputError: If the split does not fit the examples.
    """
    sizes = _sizes(split.removeprefix(ORDERED), raw, source)
    rows = np.arange(len(raw.x))
    if raw.shuffle and not split.startswith(ORDERED):
        head = len(rows) - raw.test
        rows[:head] = np.random.default_rng(seed).permutation(head)
    names = ("train", "test") if len(sizes) == 2 else ("train", "validation", "test")
    cuts = np.cumsum(sizes)[:-1]
    return {name: np.sort(part) for name, part in zip(names, np.split(rows, cuts), strict=True)}


def _sizes(split: str, raw: Raw, source: str) -> list[int]:
    n, parts = len(raw.x), split.lower().split("/")
    if n == 1:
        raise InputError(f"{source} holds a single example, which cannot be split into train and test: add examples")
    if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"\d+k?|0?\.\d+", part) for part in parts):
        raise InputError(f"data.split {split!r} is not of the form train/test or train/validation/test: {_known(raw)}")
    if all("." in part for part in parts) and not raw.test:
        shares = [float(part) for part in parts]
        if abs(sum(shares) - 1) > 1e-9:
            raise InputError(f"the shares of data.split {split!r} add up to {sum(shares):g}, not to 1: {_known(raw)}")
        tail = [round(share * n) for share in shares[1:]]
        sizes = [n - sum(tail), *tail]
    elif any("." in part for part in parts):
        raise InputError(f"data.split {split!r} is not a split of {source}: {_known(raw)}")
    else:
        sizes = [int(part.removesuffix("k")) * (1000 if part.endswith("k") else 1) for part in parts]
    if sum(sizes) != n or (raw.test and sizes[-1] != raw.test):
        raise InputError(f"data.split {split!r} does not fit the {n} examples of {source}: {_known(raw)}")
    if min(sizes) == 0:
        raise InputError(f"data.split {split!r} leaves a part of the {n} examples of {source} empty: add examples")
    return sizes


def _known(raw: Raw) -> str:
    official = f" and end in the official test part of {raw.test}" if raw.test else ""
    return f"choose from {', '.join(raw.splits)}, or sizes that add up to {len(raw.x)}{official}"
