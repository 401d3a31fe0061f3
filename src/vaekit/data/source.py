"""A source of data: the value that an experiment stores, and its way to splits."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BeforeValidator, Field

from vaekit.arguments import Place, to_path
from vaekit.data.arrays import arranged, as_images, side_of_images
from vaekit.data.columns import Columns, Kinds, words_of
from vaekit.data.data import Data, Split, drawing_seed
from vaekit.data.decoding import Progress
from vaekit.data.delimited import Format
from vaekit.data.fetching import read_named
from vaekit.data.folders import read_folder
from vaekit.data.holes import with_holes
from vaekit.data.images import Size, read_image
from vaekit.data.named import NAMED
from vaekit.data.objects import KINDS, PREFIX, is_held, name_of, read_object
from vaekit.data.opening import can_open, open_file
from vaekit.data.raw import RESIDENT, Raw, Table, content_digest
from vaekit.data.roles import typed, untyped
from vaekit.data.space import Binarization, Space
from vaekit.data.splits import partition
from vaekit.data.standardizing import standardized
from vaekit.data.values import LEVELS, has_holes
from vaekit.errors import InputError, nearest, shown
from vaekit.specs import Count, Whole, spec

log = logging.getLogger("vaekit")


def to_name(value: Any) -> str:
    """Turn what names data, a word or a path, into the word that is stored; Path("mnist") is a folder of that name.

    Data in memory are named after their content.

    Raises:
        InputError: If it is neither, or does not fit into JSON.
    """
    if is_held(value):
        return name_of(value)
    name = os.fspath(value) if isinstance(value, Place) else value
    if isinstance(value, os.PathLike) and name in NAMED:
        return f"./{name}"
    if not isinstance(name, str) or not name:
        raise InputError(
            f"data is {shown(value)}: give the name of a data set, the path of a file or folder, or what is in memory: "
            f"{KINDS}"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"the name of the data {name!r} is not UTF-8: rename the file or folder") from None
    return name


def _words(value: Any) -> Any:
    """Turn one word, several with commas between them, or a number into words."""
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else [value]
    return [str(word) if isinstance(word, int | float) else word for word in words]


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


@spec
class Source:
    """Where data come from and how they are split and binarized: all that is needed to load the same data again.

    Example:
        >>> data = Source(name="digits", binarization="dynamic").load()
        >>> data.space.sizes
        {'train': 1257, 'validation': 180, 'test': 360}
    """

    name: Annotated[str, BeforeValidator(to_name)]
    """a named set, or the path of an image folder, an array or a table; data in memory give their digest"""
    split: str | None = None
    """such as 50k/10k/10k or 0.8/0.1/0.1; ordered:1565/400 cuts a film into blocks; None takes the set's own"""
    binarization: Binarization = "none"
    """none keeps gray levels; dynamic draws bits anew for every batch; static draws them once; threshold cuts at ½"""
    seed: Whole = 0
    """seeds the split, what is removed and the bits that are drawn once; the seed of training is another"""
    missing: Annotated[float, Field(ge=0, lt=1)] = 0
    """share of all pixels or cells that is removed at random, to try a model on data with holes"""
    image_size: Count | tuple[Count, Count] | None = None
    """height and width (one number for both) to which an image folder is resized, or of the images held by rows"""
    label: str | None = None
    """column of a table that holds the labels; if none is given, it is found by its name; "" takes none"""
    ignore: Words = ()
    """columns of a table that are left out"""
    columns: Kinds = ()
    """kinds of a table's columns by name: real, positive, count, binary, category or ordinal; others are told"""
    sentinels: Words = ()
    """cells of a table that stand for missing values, such as -999, besides blank ones, NA, NaN, null and ?"""
    format: Format = Format()
    """how a table of text is written, where what is told from it is wrong"""

    def load(
        self,
        root: Place | None = None,
        progress: Progress = iter,
        place: Any = None,
        columns: Sequence[str] | None = None,
        learned: Sequence[str] | None = None,
    ) -> Data:
        """Read, split and binarize the data.

        Args:
            root: A folder that is searched first for the files of a named set.
            progress: Wraps the list of files while an image folder is decoded.
            place: Where the data are, if not where their name leads; or the data, if they are in memory.
            columns: The columns that are taken from a table, in their order; None takes all that are data.
            learned: Those of them that a model knows; None takes `columns`, or those that vary in training.

        Raises:
            InputError: If the data cannot be had, or do not fit what is asked of them.
        """
        return assemble(self, self.read(root, progress, place, columns), learned or columns)

    def read(
        self,
        root: Place | None = None,
        progress: Progress = iter,
        place: Any = None,
        columns: Sequence[str] | None = None,
    ) -> Raw:
        """Read the examples in file order, as the files hold them. Arguments and errors as for `load`."""
        held = is_held(place)
        name = self.name if place is None or held else to_name(place)
        if name.startswith(PREFIX) and not held:
            raise InputError(f"the data {name} are in memory, and an experiment has their digest only: give data=")
        if self.image_size and name in NAMED:
            raise InputError(f"image_size (--image-size) is for own data, not for the set {name}: leave it out")
        size = (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size
        asked = Columns(self.label, self.ignore, columns, dict(self.columns))
        found = read_object(place, self.sentinels) if held else _read(name, self, root, size, progress=progress)
        named = {"columns": self.columns, "ignore": self.ignore, "sentinels": self.sentinels, "label": self.label}
        if not isinstance(found, Table) and (field := next((f for f, v in named.items() if v not in ((), None)), None)):
            raise InputError(f"{field} (data.{field}) is for tables, which {name} is not: leave it out")
        raw = typed(found, asked) if isinstance(found, Table) else found
        if size and not to_path(name, "data").is_dir():
            raw = as_images(raw, size, self.name)
        elif side := side_of_images(raw.x):
            log.info(
                "the %d columns of %s look like images of %d×%d: image_size (--image-size) %d reads them as images",
                side**2, self.name, side, side, side,
            )  # fmt: skip
        return raw if raw.support else arranged(raw, self.name)


def defaults(name: str) -> Source:
    """Give the source of a named set with its default binarization; own data keep their values.

    Example:
        >>> defaults("mnist").binarization
        'dynamic'
    """
    return Source(name=name, binarization=NAMED[name].binarization if name in NAMED else "none")


def read_input(
    name: Place,
    root: Place | None = None,
    event_shape: tuple[int, ...] | None = None,
    columns: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read examples with their labels if they have any, as `Space.encode_input` takes them.

    Args:
        name: A named set, or the path of an image, an image folder, an array or a table.
        root: A folder that is searched first for the files of a named set.
        event_shape: Images are cropped, resized and made gray or RGB as this (C, H, W) needs.
        columns: The columns that are taken from a table, in their order; None takes all that are data.

    Raises:
        InputError: If there is no such input, or it cannot be read.
    """
    raw = read_examples(name, root, event_shape, columns=columns)
    return raw.x, raw.labels


def read_examples(
    name: Any,
    root: Place | None = None,
    event_shape: tuple[int, ...] | None = None,
    depth: int | None = None,
    columns: Sequence[str] | None = None,
    header: Sequence[str] | None = None,
    source: Source | None = None,
) -> Raw:
    """Read examples to encode, with the names of their files.

    Args:
        name: As for `read_input`, or data in memory.
        root: As for `read_input`.
        event_shape: As for `read_input`.
        depth: Bits of the levels in 16-bit images; None tells by the highest.
        columns: As for `read_input`.
        header: All columns of the data that a model knows, constant ones included.
        source: Of the data that a model knows: a table is read with the same label, sentinels and format.
    """
    channels, size = (event_shape[0], event_shape[1:]) if event_shape and len(event_shape) == 3 else (None, None)
    if is_held(name):
        raw = read_object(name, source.sentinels if source else ())
    else:
        word = to_name(name)
        if word not in NAMED and (path := readable(word)).is_file() and not can_open(path):
            x = read_image(path, size, channels, depth)
            several = (f"{path.name}#{frame}" for frame in range(len(x)))
            return Raw(x, "byte", names=(path.name,) if len(x) == 1 else tuple(several))
        raw = _read(word, source or Source(name=word), root, size, channels, depth=depth)
    if isinstance(raw, Table):
        label = source.label if source and source.label in ("", *raw.names) else None
        return untyped(raw, Columns(label=label, wanted=columns, header=header))
    # Bytes would be taken as levels, whatever the model's data are.
    return replace(raw, x=raw.x.view(np.bool_)) if raw.support == "binary" else raw


def _read(
    name: str,
    source: Source,
    root: Place | None,
    size: Size | None = None,
    channels: int | None = None,
    progress: Progress = iter,
    depth: int | None = None,
) -> Raw | Table:
    """Read a named set or a path; a folder that is called like a named set is given as ./name."""
    if name in NAMED:
        return read_named(name, root)
    path = readable(name)
    if path.is_dir():
        return read_folder(path, size, channels, progress, depth)
    return open_file(path, source.format, source.sentinels)


def readable(name: str) -> Path:
    """Return the path of a file or folder that is there and can be read.

    Raises:
        InputError: If there is none; a word that could be a data set's is answered by the names of those.
    """
    path = to_path(name, "data")
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        elif path.is_file():
            path.open("rb").close()
        elif path.exists():
            raise InputError(f"data {name!r} is neither a file nor a folder: give one of them")
        elif is_word(name):
            raise InputError(f"data {name!r} is neither a file or folder nor a data set: {nearest(name, NAMED)}")
        else:
            raise InputError(f"data {name!r} does not exist: check the path")
    except OSError as error:
        raise InputError(f"data {name!r} cannot be read ({error.strerror}): make it readable") from None
    return path


def is_word(name: str) -> bool:
    """Whether a name could be meant as that of a data set: it has no folder and no ending.

    Example:
        >>> is_word("mnits"), is_word("t.csv"), is_word("faces/cat")
        (True, False, False)
    """
    return not {"/", os.sep, ".", "~"} & {*name}


def assemble(source: Source, raw: Raw, learned: Sequence[str] | None = None) -> Data:
    """Split, standardize and binarize what a source has read, and of a table the columns that are learned."""
    assert raw.support  # as `arranged` gives
    raw = with_holes(raw, source.missing, source.seed, source.name)
    _refuse_binarization(source, raw)
    split = source.split or raw.splits[0]
    rows = partition(raw, split, source.seed, source.name)
    raw, constant, stored = standardized(raw, rows["train"], source.name, learned)
    assert raw.support
    missing = source.missing > 0 or has_holes(raw.x)
    parts = {name: _part(source, raw, name, own, missing) for name, own in rows.items()}
    space = Space(
        source=source.name,
        event_shape=raw.x.shape[1:],
        support=raw.support if source.binarization == "none" else "binary",
        binarization=source.binarization,
        split=split,
        sizes={name: len(part) for name, part in parts.items()},
        digest=raw.digest or content_digest(stored, raw.labels, *words_of(raw.columns)),
        columns=raw.columns,
        constant=constant,
        missing=missing,
        classes=raw.classes,
        depth=raw.depth,
        mean=_mean(raw, rows["train"]),
    )
    return Data(space, parts["train"], parts.get("validation"), parts["test"], source.seed)


def _mean(raw: Raw, train: np.ndarray) -> float | None:
    """Give the mean pixel, from 0 to 1, of a thousand training images spread over all; None if it has no such range."""
    if raw.x.ndim != 4 or raw.support == "real":
        return None
    levels = np.nanmean(raw.x[train[:: -(-len(train) // 1000)]], dtype=np.float64)
    return round(float(levels) / (LEVELS if raw.x.dtype == np.uint8 and raw.support == "byte" else 1), 6)


def _part(source: Source, raw: Raw, name: str, rows: np.ndarray, missing: bool) -> Split:
    """Build one part: in memory of its own, or as rows of a large array that all parts share."""
    shared = raw.x.nbytes > RESIDENT
    part = Split(
        torch.from_numpy(raw.x if shared else raw.x[rows]),
        labels=None if raw.labels is None else torch.from_numpy(raw.labels[rows]),
        levels=255 if raw.x.dtype == np.uint8 and raw.support == "byte" else 1,
        missing=missing,
        dynamic=source.binarization in ("dynamic", "static"),
        index=torch.from_numpy(rows) if shared else None,
        threshold=source.binarization == "threshold",
        names=None if raw.names is None else tuple(raw.names[row] for row in rows),
    )
    drawn = source.binarization == "static" or name != "train"
    return part.fixed(drawing_seed(source.seed, name)) if drawn else part


def _refuse_binarization(source: Source, raw: Raw) -> None:
    if source.binarization == "none":
        return
    if raw.support in ("byte", "unit"):
        return
    what = "is binary already" if raw.support == "binary" else "holds real numbers, which have no gray levels"
    raise InputError(f"{source.name} {what}, so binarization {source.binarization!r} makes no sense: use none")
