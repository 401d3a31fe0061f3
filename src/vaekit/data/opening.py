"""Files of arrays and tables, opened by their endings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaekit.data.arrays import dense, open_array, open_arrays
from vaekit.data.delimited import Format, read_text
from vaekit.data.frames import from_array, from_arrays, read_frame_file
from vaekit.data.matlab import read_mat
from vaekit.data.raw import Raw, Table
from vaekit.errors import InputError

TEXT = (".csv", ".tsv", ".txt")
FRAMES = (".parquet", ".feather", ".jsonl")
ARRAYS = (".npy", ".npz", ".mat")
REMEDIES = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zip", ".tar", ".tgz", ".7z"), "unpack it, and name what was in it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".sav", ".dta"), "save the table as .csv"),
    ".json": "write a line for every example (.jsonl), or save the table as .csv",
    **dict.fromkeys((".pt", ".pth", ".pkl", ".pickle", ".h5", ".hdf5"), "save the array with numpy.save"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"), "name the folder it is in"),
    **dict.fromkeys((".heic", ".heif"), "convert it to PNG or JPEG, and name the folder it is in"),
}
"""what to do with files that people have, by their endings"""


def ending(path: Path) -> str:
    """Return the ending that tells how a file is read: the one before .gz of text that is packed.

    Example:
        >>> ending(Path("T.CSV")), ending(Path("t.csv.gz")), ending(Path("x.npy.gz"))
        ('.csv', '.csv', '.gz')
    """
    last, inner = path.suffix.lower(), path.with_suffix("").suffix.lower()
    return inner if last == ".gz" and inner in (*TEXT, ".jsonl") else last


def can_open(path: Path) -> bool:
    """Whether a file holds arrays or a table, by its ending."""
    return ending(path) in (*TEXT, *FRAMES, *ARRAYS)


def open_file(path: Path, written: Format = Format(), sentinels: Sequence[str] = ()) -> Table | Raw:  # noqa: B008 (frozen)
    """Read a file of arrays or a table.

    Args:
        path: A .csv, .tsv, .txt, .jsonl (or one of these packed as .gz), .parquet, .feather, .npy, .npz or .mat file.
        written: What is known of how a table of text is written.
        sentinels: Cells of a table that stand for missing values, besides blanks, NA and the like.

    Raises:
        InputError: If the file is of another kind, damaged, or cannot be read.
    """
    kind = ending(path)
    if not can_open(path):
        some = "use a folder of images, an array (.npy, .npz, .mat) or a table (.csv, .tsv, .parquet, .feather, .jsonl)"
        raise InputError(f"{path} is not a supported format: {REMEDIES.get(kind, some)}")
    try:
        if kind in TEXT:
            return read_text(path, written, sentinels)
        return read_frame_file(path, sentinels) if kind in FRAMES else _open_arrays(path, kind, sentinels)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): make it readable") from error


def _open_arrays(path: Path, kind: str, sentinels: Sequence[str]) -> Table | Raw:
    if kind == ".mat":
        return read_mat(path)
    if kind == ".npz":
        arrays = open_arrays(path)
        return Raw(_sparse(path), None) if "format" in arrays else from_arrays(arrays, str(path), sentinels)
    array = open_array(path)
    return from_array(array, str(path), sentinels) or Raw(array, None)


def _sparse(path: Path) -> np.ndarray:
    """Read a sparse matrix, as `scipy.sparse.save_npz` writes it."""
    from scipy.sparse import load_npz

    try:
        matrix = load_npz(path)
        if hasattr(matrix, "check_format"):  # a place outside it would be written to all the same
            matrix.check_format(full_check=True)
        return dense(matrix, str(path))
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} is not a sparse matrix ({error}): save it again with scipy.sparse") from error
