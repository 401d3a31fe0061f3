"""A look at data before training: what they are, what is odd about them, which likelihoods fit."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.arguments import Place
from vaekit.data.arrays import side_of_images
from vaekit.data.columns import Column, Kind, listed
from vaekit.data.data import PARTS, Data, Split
from vaekit.data.decoding import Progress
from vaekit.data.inference import Inference, inferences
from vaekit.data.raw import Raw
from vaekit.data.source import Source, assemble, defaults, to_name
from vaekit.data.space import Space, Support

BLOCK = 2**20
"""bytes of stored examples that are looked at together"""
DARK_ON_LIGHT = 0.6
"""mean pixel above which images are called dark on light"""
FEW = 200
"""training examples below which a note says so"""
VALUES: Mapping[Support, str] = {
    "binary": "bits (0 or 1)",
    "byte": "8-bit levels",
    "unit": "reals in [0, 1]",
    "real": "reals of any size",
    "mixed": "columns of several kinds",
}

_GREY = "on gray levels its value bounds the likelihood of their random bits and is not a density of the levels"
_DISCRETE = "a density of discrete values grows without bound as its scale shrinks, so keep the scale bounded below"

CAVEATS: Mapping[tuple[str, Support], str] = {
    ("bernoulli", "byte"): _GREY,
    ("bernoulli", "unit"): _GREY,
    ("gaussian", "binary"): _DISCRETE,
    ("gaussian", "byte"): _DISCRETE,
}


def check(
    name: Place,
    root: Place | None = None,
    *,
    split: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    label: str | None = None,
    ignore: Sequence[str] = (),
    likelihoods: Mapping[str, Collection[Support]] | None = None,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Describe data as stored: shape, range, classes, missing values, constant pixels, duplicates, likelihoods.

    Args:
        name: A named set or the path of own data.
        root: A folder that is searched first for the files of a named set.
        split: How to split the data; None takes their own way.
        image_size: Height and width to which an image folder is cropped and resized.
        label: Column of a table that holds the labels; "" for none.
        ignore: Columns of a table that are left out.
        likelihoods: The supports that each likelihood accepts.
        progress: Wraps the list of files while an image folder is decoded.

    Raises:
        InputError: If the data are refused, missing values among the reasons.

    Example:
        >>> found = check("digits", likelihoods={"categorical": ["byte"]})
        >>> found["shape"], found["likelihoods"]["categorical"]["fits"]
        ([1797, 1, 8, 8], False)
    """
    source = Source(name=to_name(name), split=split, image_size=image_size, label=label, ignore=tuple(ignore))
    raw = source.read(root, progress)
    return facts(raw, assemble(source, raw), likelihoods or {})


def facts(raw: Raw, data: Data, likelihoods: Mapping[str, Collection[Support]]) -> dict[str, Any]:
    """Describe data that have been read, as `check` does."""
    space = data.space
    parts = {part: split for part in PARTS if (split := getattr(data, part)) is not None}
    found = {
        "source": space.source,
        "shape": [sum(space.sizes.values()), *((len(space.header),) if space.columns else space.event_shape)],
        "dtype": str(data.train.x.dtype).removeprefix("torch."),
        "range": _range_of_numbers(raw) if space.columns else _range(space, parts),
        "mean": space.mean,
        "support": space.support,
        "values": VALUES[space.support],
        "columns": space.header if space.columns else None,
        **(_of_table(raw, space) if raw.columns else {}),
        "binarization": defaults(space.source).binarization,
        "split": space.split,
        "sizes": space.sizes,
        "classes": _classes(space, parts),
        "missing": int(np.isnan(raw.x).sum()) if space.missing else 0,
        "constant": len(space.constant) if space.columns else int(_constant(data.train).sum()),
        "duplicates": _duplicates(parts),
        "digest": space.digest,
        "likelihoods": {key: _verdict(key, accepted, space) for key, accepted in likelihoods.items()},
    }
    return found | {"notes": list(_notes(raw, found))}


def _notes(raw: Raw, found: Mapping[str, Any]) -> Iterator[str]:
    """Say what is odd about data, and what to do about it."""
    if side := side_of_images(raw.x):
        yield f"the {side**2} columns look like images of {side}×{side}: --image-size {side} reads them as images"
    if (found["mean"] or 0) > DARK_ON_LIGHT:
        yield (
            f"the images are dark on light (mean pixel {found['mean']:.2f} of 1): a model trained on them expects that "
            "of later images too; the named sets are light on dark"
        )
    for parts, count in found["duplicates"].items():
        if count and "&" in parts:
            yield f"{count:,} examples are in both {parts.replace(' & ', ' and ')}: numbers on them flatter a model"
        elif count:
            yield f"{count:,} examples of the {parts} part repeat an earlier one"
    if found["constant"]:
        what = "columns" if raw.columns or len(raw.x.shape) == 2 else "pixels"
        names = f": {listed(found['constant_columns'])}" if found.get("constant_columns") else ""
        total = prod(found["shape"][1:])
        yield f"{found['constant']:,} of {total:,} {what} never vary over the training examples{names}"
    if raw.labels is None and any(column.kind == "category" for column in raw.columns or ()):
        yield "no column is read as labels; --label NAME names one, which is then not learned"
    if found["sizes"]["train"] < FEW:
        yield f"{found['sizes']['train']:,} training examples are few: the model will learn them by heart"


def _of_table(raw: Raw, space: Space) -> dict[str, Any]:
    """Say what each column of a table is, and name those that are not data or do not vary."""
    kinds, told = {column.name: column.kind for column in space.columns or ()}, inferences(raw)
    columns = [(column, raw.x[:, i], kinds.get(column.name)) for i, column in enumerate(raw.columns or ())]
    return {
        "kinds": [_of_column(column, values, kind, told.get(column.name)) for column, values, kind in columns],
        "label_column": raw.label_column,
        "left_out": dict(raw.left_out),
        "constant_columns": [column.name for column in space.constant],
    }


def _of_column(column: Column, values: np.ndarray, kind: Kind | None, told: Inference | None) -> dict[str, Any]:
    """Say what a column is, None if it is constant, and why."""
    known = values[~np.isnan(values)]
    numbers = f"from {known.min():.6g} to {known.max():.6g}" if len(known) else "none"
    return {
        "column": column.name,
        "kind": kind or "constant",
        "values": f"{len(column.categories)}: {listed(column.categories)}" if column.categories else numbers,
        "missing": len(values) - len(known),
        "why": told.reason.partition(":")[0] if told and told.kind == kind else "any numbers" if kind == "real" else "",
    }


def _range_of_numbers(raw: Raw) -> list[float] | None:
    """Give the least and the greatest number of a table; None if there are only words."""
    numbers = raw.x[:, [not column.categories for column in raw.columns]] if raw.columns else raw.x
    return [float(np.nanmin(numbers)), float(np.nanmax(numbers))] if numbers.size else None


def _blocks(split: Split) -> Iterator[Tensor]:
    rows = max(1, BLOCK // split.x[:1].nbytes)
    return (split.stored(some).x for some in torch.arange(len(split)).split(rows))


def _range(space: Space, parts: Mapping[str, Split]) -> list[float]:
    """Give the least and the greatest value in the file's units."""
    blocks = (space.restore(block / part.levels) for part in parts.values() for block in _blocks(part))
    lows, highs = zip(*((np.nanmin(block), np.nanmax(block)) for block in blocks), strict=True)
    return [float(min(lows)), float(max(highs))]


def _classes(space: Space, parts: Mapping[str, Split]) -> dict[str, int] | None:
    labels = [part.labels for part in parts.values() if part.labels is not None]
    if not labels:
        return None
    known = torch.cat(labels)
    counts = known[known >= 0].bincount().tolist()
    return {name: counts[i] for i, name in enumerate(space.classes or map(str, range(len(counts))))}


def _constant(train: Split) -> Tensor:
    """Mark the pixels or columns that have one value in all training examples that have any."""
    low, high = train.stored(torch.tensor([0, 0])).x
    for block in _blocks(train):  # nothing of a block is kept, so that its memory serves the next
        least, most = (block.nan_to_num(end) if train.missing else block for end in (torch.inf, -torch.inf))
        low, high = torch.fmin(low, least.amin(0)), torch.fmax(high, most.amax(0))
    return low == high


def _duplicates(parts: Mapping[str, Split]) -> dict[str, int]:
    """Count the examples that repeat an earlier one of their part, and those that are also in another part."""
    digests = {name: _digests(part) for name, part in parts.items()}
    different = {name: found[np.append(True, found[1:] != found[:-1])] for name, found in digests.items()}
    within = {name: len(found) - len(different[name]) for name, found in digests.items()}
    pairs = combinations(different.items(), 2)
    across = {f"{one} & {other}": _shared(*sorted((a, b), key=len)) for (one, a), (other, b) in pairs}
    return within | across


def _digests(part: Split) -> np.ndarray:
    """Give 8 bytes that stand for each example, in order: of 10⁸ different ones, two are equal once in 4,000 times."""
    found = np.empty(len(part), np.uint64)
    start = 0
    for block in _blocks(part):
        marks = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in block.numpy())
        found[start : start + len(block)] = np.frombuffer(marks, np.uint64)
        start += len(block)
    found.sort()
    return found


def _shared(few: np.ndarray, many: np.ndarray) -> int:
    """Count the values that are in both of two sorted arrays."""
    places = np.searchsorted(many, few).clip(max=len(many) - 1)
    return int((many[places] == few).sum())


def _verdict(likelihood: str, accepted: Collection[Support], space: Space) -> dict[str, Any]:
    support, values = space.support, VALUES[space.support]
    if support in accepted:
        return {"fits": True, "why": CAVEATS.get((likelihood, support), f"accepts {values}")}
    wanted = " or ".join(VALUES[each] for each in accepted)
    remedy = ", or binarize the data" if "binary" in accepted and support in ("byte", "unit") else ""
    these = "standardized columns of a table" if space.columns and support == "real" else values
    return {"fits": False, "why": f"needs {wanted}{remedy}, but these are {these}"}
