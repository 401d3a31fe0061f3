"""Files that verbs write: codes, rows and images as arrays, tables or pictures, by the ending of the file's name."""

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from math import ceil, sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from vaekit.arguments import Place, to_path
from vaekit.data import Space
from vaekit.errors import InputError
from vaekit.files import replacing, write

log = logging.getLogger("vaekit")

Kind = Literal["array", "table", "picture"]
ENDINGS: dict[str, dict[Kind, str]] = {
    "codes": {"array": ".npy", "table": ".csv"},
    "rows of a table": {"table": ".csv", "array": ".npy"},
    "images": {"array": ".npy", "picture": "a picture such as .png"},
    "arrays": {"array": ".npy"},
}
"""what is written, and the kinds of files it can be written to"""
NAMES = ("row", "file")
PAIRS = 100
"""how many originals and reconstructions a sheet shows unless asked for more"""
LONGER, SHORTER = 600, 100
"""pixels of a sheet's sides up to which each pixel is enlarged to a square"""


class Origin(NamedTuple):
    """Where the rows of an output are from: names of files, and names of classes, one per row, where known."""

    names: Sequence[str] | None = None
    labels: Sequence[str] | None = None


def kind_of(out: Place | None, what: str) -> Kind | None:
    """Tell by its ending how a file is to be written, before anything is computed; None if there is none.

    Raises:
        InputError: if ``what`` cannot be written to such a file; the sentence names what it can be written to.
    """
    if out is None:
        return None
    path, kinds = to_path(out, "out"), ENDINGS[what]
    ending = path.suffix.lower()
    found: Kind | None = {".npy": "array", ".csv": "table"}.get(ending)  # type: ignore[assignment]
    if found is None and Image.registered_extensions().get(ending) in Image.SAVE:
        found = "picture"
    if found not in kinds:
        raise InputError(
            f"{path} cannot hold {what}: give it a name that ends in {' or '.join(kinds.values())} (--out)"
        )
    return found


def what_of(space: Space) -> str:
    """Return what examples of a space are called where they are written."""
    return "images" if len(space.event_shape) == 3 else "rows of a table" if space.columns else "arrays"


def write_codes(codes: np.ndarray, units: Sequence[int], out: Place | None, origin: Origin) -> None:
    """Write codes (N, d): an array, with the files of its rows beside it, or a table that begins with them."""
    kind = kind_of(out, "codes")
    if kind == "array":
        _write_array(codes, out)
        _name_rows(to_path(out).with_suffix(".names.csv"), origin.names)
    elif kind == "table":
        first = origin.names if origin.names is not None else range(len(codes))
        last = [] if origin.labels is None else [origin.labels]
        header = [NAMES[origin.names is not None], *(f"z{k}" for k in units), *(["label"] if last else [])]
        _write_table(zip(first, *_cells(codes), *last, strict=True), header, out)


def write_examples(
    values: np.ndarray, space: Space, out: Place | None, sheet: np.ndarray | None = None, names: Sequence[str] = ()
) -> None:
    """Write examples in the data's own units: an array, a table under the file's columns, or a sheet of pictures.

    Args:
        values: (N, *event).
        space: what they are examples of.
        out: the file, if there is one.
        sheet: images to draw in place of all of them, (n, C, H, W).
        names: of the files that the rows of an array are from.
    """
    kind = kind_of(out, what_of(space))
    if kind == "array":
        _write_array(values, out)
        _name_rows(to_path(out).with_suffix(".names.csv"), names or None)
    elif kind == "table":
        _write_table(zip(*_cells(values), strict=True), space.header, out)
    elif kind == "picture":
        _write_picture(picture(values) if sheet is None else picture(sheet), out)


def write_strip(values: np.ndarray, ends: np.ndarray, space: Space, out: Place | None) -> None:
    """Write a way from one example to another; as a picture, in one row between the originals."""
    if kind_of(out, what_of(space)) == "picture":
        images = [ends[0], *values, ends[1]]
        _write_picture(picture(np.stack([_levels(image) for image in images]), columns=len(images)), out)
    else:
        write_examples(values, space, out)


def pairs(originals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Put each image beside its reconstruction, and a thin white line after both: (n, C, H, 2 W + 1)."""
    gap = np.full((*originals.shape[:-1], 1), 255, np.uint8)
    return np.concatenate([_levels(originals), _levels(reconstructions), gap], axis=-1)


def picture(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """Lay images (N, C, H, W), 8-bit or in [0, 1], on one sheet that is about square, in reading order.

    Small sheets are enlarged by a whole factor, so that each pixel can be seen.
    """
    levels = _levels(images)
    n, channels, height, width = levels.shape
    columns = columns or ceil(sqrt(n * height / width))
    sheet = np.zeros((ceil(n / columns) * columns, channels, height, width), np.uint8)
    sheet[:n] = levels
    rows = sheet.reshape(-1, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = rows.reshape(rows.shape[0] * height, columns * width, channels)
    factor = max(1, LONGER // max(pixels.shape[:2]), SHORTER // min(pixels.shape[:2]))
    pixels = pixels.repeat(factor, 0).repeat(factor, 1)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def _levels(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else np.rint(images.clip(0, 1) * 255).astype(np.uint8)


def _cells(values: np.ndarray) -> Iterator[list[str]]:
    """Write values column by column, numbers with the nine digits that tell all of single precision apart."""
    columns = [values[name] for name in values.dtype.names] if values.dtype.names else values.T
    return ([f"{v:.9g}" if isinstance(v, float) else str(v) for v in column.tolist()] for column in columns)


def _write_array(values: np.ndarray, out: Place | None) -> None:
    with _writing(to_path(out, "out")) as path, replacing(path) as file:
        np.save(file, values, allow_pickle=False)


def _write_table(rows: Iterator[tuple[object, ...]], header: Sequence[str], out: Place | None) -> None:
    with _writing(to_path(out, "out")) as path:
        write(path, _csv([header, *rows]))


def _write_picture(image: Image.Image, out: Place | None) -> None:
    kind = Image.registered_extensions()[to_path(out).suffix.lower()]
    with _writing(to_path(out, "out")) as path, replacing(path) as file:
        image.save(file, kind)


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        yield path.resolve()
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): choose another place (--out)"
        ) from None


def _name_rows(path: Path, names: Sequence[str] | None) -> None:
    """Write which file each row is from; without names, remove what an earlier output of the same name left."""
    with _writing(path) as resolved:
        if names is not None:
            write(resolved, _csv([NAMES, *enumerate(names)]))
            log.info("%s says which file each row is from", path)
        elif path.is_file() and path.read_bytes().startswith(",".join(NAMES).encode()):
            path.unlink()


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
