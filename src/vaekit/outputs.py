"""Files that verbs write: codes, rows and images as arrays, tables or pictures, by the ending of the file's name."""

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from math import ceil, sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from vaekit.arguments import Place, to_path
from vaekit.data import Space
from vaekit.data.columns import distinct
from vaekit.data.delimited import Cells
from vaekit.data.parquet import write_parquet
from vaekit.errors import InputError, either
from vaekit.files import replacing, write

log = logging.getLogger("vaekit")

Kind = Literal["array", "table", "parquet", "picture"]
ENDINGS: dict[str, dict[Kind, str]] = {
    "codes": {"array": ".npy", "table": ".csv", "parquet": ".parquet"},
    "scores": {"table": ".csv", "parquet": ".parquet"},
    "rows of a table": {"table": ".csv", "parquet": ".parquet", "array": ".npy"},
    "parts of columns": {"table": ".csv", "parquet": ".parquet", "array": ".npy"},
    "parts of pixels": {"array": ".npy"},
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


def kind_of(out: Place | None, what: str, flag: str = "--out") -> Kind | None:
    """Tell by its ending how a file is to be written, before anything is computed; None if there is none.

    Raises:
        InputError: if ``what`` cannot be written to such a file; the sentence names what it can be written to.
    """
    if out is None:
        return None
    path, kinds = to_path(out, "out"), ENDINGS[what]
    ending = path.suffix.lower()
    found: Kind | None = {".npy": "array", ".csv": "table", ".parquet": "parquet"}.get(ending)  # type: ignore[assignment]
    if found is None and Image.registered_extensions().get(ending) in Image.SAVE:
        found = "picture"
    if found not in kinds:
        raise InputError(f"{path} cannot hold {what}: give it a name that ends in {either([*kinds.values()])} ({flag})")
    return found


def what_of(space: Space) -> str:
    """Return what examples of a space are called where they are written."""
    return "images" if len(space.event_shape) == 3 else "rows of a table" if space.columns else "arrays"


def write_codes(
    codes: np.ndarray, units: Sequence[int], out: Place | None, origin: Origin, scale: bool = False
) -> None:
    """Write codes: an array, with the files of its rows beside it, or a table.

    Args:
        codes: (N, d); (N, 2, d), means and scales; or (N, draws, d), which become a row each.
        units: numbers of the latents.
        out: the file, if there is one.
        origin: where the rows are from.
        scale: whether these are means and scales.
    """
    if kind_of(out, "codes") == "array":
        _write_array(codes, out)
        _name_rows(to_path(out).with_suffix(".names.csv"), origin.names)
    elif out is not None:
        names = [f"{word}{k}" for word in ("z", "scale")[: 1 + scale] for k in units]
        each = 1 if scale or codes.ndim == 2 else codes.shape[1]
        columns = dict(zip(names, codes.reshape(-1, len(names)).T, strict=True))
        if codes.ndim == 3 and not scale:
            columns = {"draw": np.tile(np.arange(1, each + 1), len(codes))} | columns
        write_rows(columns, out, origin, each)


def write_rows(columns: Mapping[str, np.ndarray], out: Place, origin: Origin, each: int = 1) -> None:
    """Write what was computed of each row as a table that begins with its file or number and ends with its label.

    Args:
        columns: by name.
        out: the file.
        origin: where the rows are from.
        each: lines of the table for each row.
    """
    count = len(next(iter(columns.values()))) // each
    first = np.arange(count) if origin.names is None else np.array(origin.names)
    last = [] if origin.labels is None else [np.array(origin.labels).repeat(each)]
    names = distinct([NAMES[origin.names is not None], *columns, *(["label"] if last else [])])
    write_columns(dict(zip(names, [first.repeat(each), *columns.values(), *last], strict=True)), out)


def parts_of(space: Space) -> str:
    """Return what parts of scores are called where they are written."""
    return "parts of columns" if space.columns else "parts of pixels"


def write_parts(parts: np.ndarray, rest: np.ndarray, space: Space, out: Place, origin: Origin) -> None:
    """Write what each element contributes to scores, (N, *event): an array, or a table with the rest as a column."""
    if kind_of(out, parts_of(space)) == "array":
        _write_array(parts, out)
        _name_rows(to_path(out).with_suffix(".names.csv"), origin.names)
    else:
        columns = dict(zip(distinct([*(space.names or ()), "rest"]), [*parts.T, rest], strict=True))
        write_rows(columns, out, origin)


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
    elif kind == "picture":
        _write_picture(picture(values) if sheet is None else picture(sheet), out)
    elif out is not None:
        write_columns(columns_of(values, space), out)


def columns_of(values: np.ndarray, space: Space) -> dict[str, np.ndarray]:
    """Return examples of a table, an array of numbers or one with a field for each column, by columns."""
    each = [values[name] for name in values.dtype.names] if values.dtype.names else values.T
    return dict(zip(space.header, each, strict=True))


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


def _cells(column: np.ndarray) -> list[str]:
    """Write numbers with the nine digits that tell all of single precision apart, words as they are, NaN as nothing."""
    if column.dtype.kind == "f":
        return ["" if v != v else f"{v:.9g}" for v in column.tolist()]
    return [str(v).lower() if column.dtype.kind == "b" else str(v) for v in column.tolist()]


def _write_array(values: np.ndarray, out: Place | None) -> None:
    with _writing(to_path(out, "out")) as path, replacing(path) as file:
        np.save(file, values, allow_pickle=False)


def write_columns(columns: Mapping[str, np.ndarray], out: Place) -> None:
    """Write columns by name, as .parquet or .csv."""
    with _writing(to_path(out, "out")) as path, replacing(path) as file:
        if path.suffix.lower() == ".parquet":
            write_parquet(columns, file)
        else:
            file.write(_csv([list(columns), *zip(*map(_cells, columns.values()), strict=True)]))


def write_text(cells: Cells, out: Place) -> None:
    """Write cells as they are, separated as they were."""
    with _writing(to_path(out, "out")) as path:
        text = StringIO(newline="")
        style = {"delimiter": cells.style.separator, "quotechar": cells.style.quote, "lineterminator": "\n"}
        csv.writer(text, **style).writerows([*([cells.header] if cells.header else []), *cells.rows])  # type: ignore[arg-type]
        write(path, text.getvalue().encode())


def write_scales(scales: np.ndarray, space: Space, out: Place | None) -> None:
    """Write standard deviations of elements, NaN where there are none: an array, or a table of columns."""
    if kind_of(out, parts_of(space), "--scales") == "array":
        _write_array(scales, out)
    elif out is not None:
        write_rows(dict(zip(space.names or (), scales.T, strict=True)), out, Origin())


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
