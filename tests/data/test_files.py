"""Files of arrays and tables: whatever the ending, the same content is the same table or the same examples."""

import gzip
import random
from pathlib import Path

import numpy as np
import polars
import pytest
import scipy.io
import scipy.sparse
from PIL import Image
from returned import cells, examples

from vaekit.data.opening import ending, open_file
from vaekit.errors import InputError

FRAME = polars.DataFrame(
    {"n": [1, None, 3], "x": [0.5, float("nan"), -1e300], "w": ["red", "NA", "blue"], "b": [True, False, None]}
)
EXPECTED = {"n": [1, None, 3], "x": [0.5, None, -1e300], "w": ["red", None, "blue"], "b": [True, False, None]}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)


WRITE = {
    ".csv": lambda path: FRAME.write_csv(path),
    ".tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    ".txt": lambda path: FRAME.write_csv(path, separator=";"),
    ".csv.gz": lambda path: path.write_bytes(gzip.compress(FRAME.write_csv().encode())),
    ".CSV": lambda path: FRAME.write_csv(path),
    ".parquet": lambda path: FRAME.write_parquet(path),
    ".feather": lambda path: FRAME.write_ipc(path, compression="zstd"),
    ".jsonl": lambda path: FRAME.write_ndjson(path),
    ".jsonl.gz": lambda path: path.write_bytes(gzip.compress(FRAME.write_ndjson().encode())),
}


@pytest.mark.parametrize("suffix", WRITE)
def test_a_table_is_the_same_in_every_kind_of_file(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    WRITE[suffix](path)
    assert cells(open_file(path)) == EXPECTED


def test_a_structured_array_is_a_table(tmp_path):
    array = np.array([(1.5, "red", True), (np.nan, "blue", False)], [("x", "f8"), ("w", "U9"), ("b", "?")])
    np.save(tmp_path / "t.npy", array)
    np.savez(tmp_path / "t.npz", **{name: array[name] for name in array.dtype.names})
    for name in ("t.npy", "t.npz"):
        assert cells(open_file(tmp_path / name)) == {"x": [1.5, None], "w": ["red", "blue"], "b": [True, False]}
    np.save(tmp_path / "words.npy", np.array([["1", "a"], ["NA", "b"]]))
    assert cells(open_file(tmp_path / "words.npy")) == {"column 1": [1, None], "column 2": ["a", "b"]}


def test_examples_in_columns(tmp_path, caplog):
    caplog.set_level("INFO", logger="vaekit")
    path = tmp_path / "t.parquet"
    polars.DataFrame({"code": [[1.5, 2], [3, 4]], "id": [7, 8], "Label": ["b", "a"]}).write_parquet(path)
    found = open_file(path)
    assert examples(found).tolist() == [[1.5, 2], [3, 4]]
    assert (found.labels.tolist(), found.classes) == ([1, 0], ("a", "b"))
    assert "column 'code' of" in caplog.text
    assert "holds the examples, and others are left out: 'id'" in caplog.text
    polars.DataFrame({"code": [[1, 2], [3]]}).write_parquet(path)
    with pytest.raises(InputError, match=r"t.parquet have examples of unlike shapes, \(1,\) and \(2,\)"):
        open_file(path)
    polars.DataFrame({"a": [[1, 2]], "b": [[1, 2]]}).write_parquet(path)
    with pytest.raises(InputError, match="has several columns of arrays or images \\('a', 'b'\\): keep one"):
        open_file(path)


def test_images_in_columns(tmp_path):
    rows = []
    for image in IMAGES:
        Image.fromarray(image).save(tmp_path / "i.png")
        rows.append({"bytes": (tmp_path / "i.png").read_bytes(), "path": None})
    path = tmp_path / "t.parquet"
    polars.DataFrame({"image": rows, "label": [0, 1] * 3}).write_parquet(path)
    found = open_file(path)
    assert np.array_equal(examples(found), IMAGES.transpose(0, 3, 1, 2))
    assert found.classes == ("0", "1")
    rows[1]["bytes"] = rows[1]["bytes"][:60]
    polars.DataFrame({"image": rows}).write_parquet(path)
    with pytest.raises(InputError, match=r"t.parquet row 2 is an image that cannot be read"):
        open_file(path)


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_of_matlab(tmp_path, packed):
    path, labels = tmp_path / "t.mat", np.array([3, 1, 3, 2, 1, 2])
    random_state = np.random.default_rng(0)
    others = {"text": "words", "number": 3, "cell": np.array([{"a": 1}], object), "complex": np.array([[1j, 2]])}
    scipy.io.savemat(path, {"X": IMAGES, "y": labels} | others, do_compression=packed)
    found = open_file(path)
    assert np.array_equal(examples(found), IMAGES)
    assert (found.labels.tolist(), found.classes) == ([2, 0, 2, 1, 0, 1], ("1", "2", "3"))
    scipy.io.savemat(path, {"X": np.moveaxis(IMAGES, 0, -1), "y": labels}, do_compression=packed)
    assert np.array_equal(examples(open_file(path)), IMAGES)
    for kind in ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"):
        array = random_state.integers(0, 2**31, (4, 3)).astype(kind)
        scipy.io.savemat(path, {"data": array}, do_compression=packed)
        assert examples(open_file(path)).dtype == kind
        assert np.array_equal(examples(open_file(path)), array)
    sparse = scipy.sparse.random(5, 4, 0.4, format="csc", random_state=0)
    scipy.io.savemat(path, {"rows": sparse}, do_compression=packed)
    assert np.array_equal(examples(open_file(path)), sparse.toarray())
    scipy.io.savemat(path, {"rows": sparse > 0.5}, do_compression=packed)
    assert np.array_equal(examples(open_file(path)), (sparse > 0.5).toarray())


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_rows(tmp_path, kind):
    matrix = scipy.sparse.random(6, 5, 0.3, format=kind, random_state=0)
    scipy.sparse.save_npz(tmp_path / "t.npz", matrix)
    assert np.array_equal(examples(open_file(tmp_path / "t.npz")), matrix.toarray())


def test_a_damaged_sparse_matrix_is_refused(tmp_path):
    matrix = scipy.sparse.csr_array(np.eye(3))
    matrix.indices[1] = 10**6
    scipy.sparse.save_npz(tmp_path / "t.npz", matrix)
    with pytest.raises(InputError, match="is not a sparse matrix"):
        open_file(tmp_path / "t.npz")


def write_mat(path: Path) -> None:
    scipy.io.savemat(path, {"X": IMAGES, "s": scipy.sparse.eye(4), "y": np.arange(6)}, do_compression=False)


BINARY = {suffix: WRITE[suffix] for suffix in (".parquet", ".feather", ".jsonl.gz")} | {".mat": write_mat}


@pytest.mark.parametrize("suffix", BINARY)
def test_damaged_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    BINARY[suffix](path)
    whole = path.read_bytes()
    for content in (b"", b"junk" * 100, whole[:-1], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"t{suffix} is truncated or not a"):
            open_file(path)


def test_no_byte_of_a_matlab_file_ends_the_process(tmp_path):
    path, draw = tmp_path / "t.mat", random.Random(0)
    write_mat(path)
    whole = path.read_bytes()
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(3):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        path.write_bytes(changed)
        try:
            open_file(path)
        except InputError as refusal:
            assert str(path) in str(refusal)  # noqa: PT017 (it may pass, too)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("t.xlsx", "save the table as .csv"),
        ("t.json", "write a line for every example"),
        ("t.pkl", "save the array with numpy.save"),
        ("t.zip", "unpack it"),
        ("t.parquet.gz", "unpack it"),
        ("t.foo", r"use a folder of images, an array \(.npy, .npz, .mat\) or a table"),
    ],
)
def test_other_files_have_a_remedy(tmp_path, name, remedy):
    with pytest.raises(InputError, match=rf"{name} is not a supported format: {remedy}"):
        open_file(tmp_path / name)


def test_files_of_matlab_that_are_not_read(tmp_path):
    (tmp_path / "t.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF")
    with pytest.raises(InputError, match=r"is a MATLAB 7.3 file, which is not read: save it with -v7"):
        open_file(tmp_path / "t.mat")
    scipy.io.savemat(tmp_path / "t.mat", {"X": IMAGES[0, 0]}, format="4")
    with pytest.raises(InputError, match="is truncated or not a MATLAB file"):
        open_file(tmp_path / "t.mat")


def test_endings():
    assert ending(Path("t.Parquet")) == ".parquet"
