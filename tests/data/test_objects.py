"""Objects of other libraries: data frames, sparse matrices, images, data sets, read as files with their content are."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
import torch
from palmerpenguins import load_penguins
from PIL import Image
from returned import cells, examples
from sklearn.datasets import load_iris

from vaekit.data.objects import is_held, name_of, read_object
from vaekit.data.raw import Table
from vaekit.errors import InputError

DAYS = [datetime.date(2020, 1, 1), None, datetime.date(1969, 12, 31)]
COLUMNS: dict[str, Sequence[Any]] = {
    "whole": [1, 2, 3],
    "holes": [1, None, 3],
    "real": [0.5, float("nan"), -2.25],
    "word": ["red", None, "NA"],
    "truth": [True, False, True],
    "perhaps": [True, None, False],
    "digits": ["1,000", "?", "3"],
    "day": DAYS,
}
EXPECTED = {
    "whole": [1, 2, 3],
    "holes": [1, None, 3],
    "real": [0.5, None, -2.25],
    "word": ["red", None, None],
    "truth": [True, False, True],
    "perhaps": [True, None, False],
    "digits": [1000, None, 3],
    "day": [18262, None, -1],
}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)


FRAMES = {
    "pandas": pandas.DataFrame(COLUMNS),
    "pandas, nullable": pandas.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, with an index": pandas.DataFrame(COLUMNS, index=[7, 8, 9]),
    "polars": polars.DataFrame(COLUMNS),
    "polars, lazy": polars.DataFrame(COLUMNS).lazy(),
    "pyarrow": pyarrow.table(COLUMNS),
    "dictionary": COLUMNS,
    "dictionaries": [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_is_the_same_in_every_library(name: str) -> None:
    assert is_held(FRAMES[name])
    assert cells(read_object(FRAMES[name])) == EXPECTED
    assert name_of(FRAMES[name]) == name_of(FRAMES["polars"])


def test_frames_of_other_content_have_other_names() -> None:
    frame = FRAMES["pandas"]
    others = [
        frame[::-1],
        frame.rename(columns={"word": "words"}),
        frame[frame.columns[::-1]],
        frame.fillna({"word": "x"}),
    ]
    assert len({name_of(each) for each in (frame, *others)}) == 5


def test_types_of_columns() -> None:
    frame = pandas.DataFrame(
        {
            "code": pandas.Categorical(["01", "02", None]),
            "class": pandas.Categorical([2, 1, 2]),
            "berlin": pandas.to_datetime(["2020-01-01 01:00"] * 3).tz_localize("Europe/Berlin"),
            "hours": pandas.to_timedelta([12, None, 24], unit="h"),
            "id": pandas.array([2**60 + 1, None, 3], dtype="Int64"),
            "large": np.array([2**63, 1, 2], np.uint64),
            "single": np.array([0.1, 2, 3], np.float32),
            "mixed": [1, "a", None],
            "rare": pandas.arrays.SparseArray([0, 0, 1.5]),
        }
    )
    assert cells(read_object(frame)) == {
        "code": ["01", "02", None],
        "class": ["2", "1", "2"],
        "berlin": [18262, 18262, 18262],
        "hours": [0.5, None, 1],
        "id": ["1152921504606846977", None, "3"],
        "large": [2**63, 1, 2],
        "single": [float(np.float32(0.1)), 2, 3],
        "mixed": ["1", "a", None],
        "rare": [0, 0, 1.5],
    }
    enum = polars.DataFrame({"e": polars.Series(["1", "2"], dtype=polars.Enum(["2", "1"])), "d": [1, None]})
    assert cells(read_object(enum)) == {"e": ["1", "2"], "d": [1, None]}
    decimals = pyarrow.table({"price": pyarrow.array([1, None], pyarrow.decimal128(9, 2))})
    assert cells(read_object(decimals)) == {"price": [1, None]}


def test_names_of_columns() -> None:
    found = read_object(pandas.DataFrame([[1, 2.5, 3]], columns=["a", "a", 7]))
    assert cells(found) == {"a": [1], "a.1": [2.5], "7": [3]}
    assert cells(read_object(pandas.DataFrame([[1, 2.5]]))) == {"column 1": [1], "column 2": [2.5]}


def test_sentinels_are_missing_values() -> None:
    frame = pandas.DataFrame({"a": [-999, 1], "b": [-999.0, 0.5], "c": ["unknown", "x"]})
    expected = {"a": [None, 1], "b": [None, 0.5], "c": [None, "x"]}
    assert cells(read_object(frame, ("-999", "unknown"))) == expected


def test_rows_of_words() -> None:
    expected = {"column 1": [1, 2.5], "column 2": ["a", None], "column 3": [True, None]}
    assert cells(read_object(np.array([[1, "a", True], [2.5, None, None]], object))) == expected
    assert cells(read_object([["1", "a", "true"], ["2.5", "", "NA"]])) == expected
    record = np.array([(0.5, "a")], [("x", "f4"), ("w", "U1")])
    assert cells(read_object(record)) == {"x": [0.5], "w": ["a"]}


def test_the_penguins() -> None:
    found = read_object(load_penguins())
    assert isinstance(found, Table)
    kinds = [column.dtype.kind for column in found.columns]
    assert kinds == ["O", "O", "f", "f", "f", "f", "O", "f"]
    assert sum(value is None for value in found.columns[6]) == 11


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
def test_sparse_rows(kind: str) -> None:
    rows = np.eye(4)[[0, 2, 2]]
    assert np.array_equal(examples(read_object(getattr(scipy.sparse, kind)(rows))), rows)


def test_sparse_rows_that_do_not_fit_into_memory() -> None:
    with pytest.raises(InputError, match=r"the data in memory, with its zeros, takes [\d]+ GiB, but this machine has"):
        read_object(scipy.sparse.csr_array((10**8, 10**6)))


def test_images() -> None:
    images = [Image.fromarray(image) for image in IMAGES]
    x = examples(read_object(images))
    assert np.array_equal(x, IMAGES.transpose(0, 3, 1, 2))
    assert examples(read_object([image.convert("L") for image in images])).shape == (6, 1, 5, 4)
    assert examples(read_object([images[0].convert("L"), images[1]])).shape == (2, 3, 5, 4)
    deep = [Image.fromarray(np.full((2, 2), level, np.uint16)) for level in (0, 4095)]
    assert examples(read_object(deep))[:, 0, 0, 0].tolist() == [0, 255]
    found = read_object({"x": images, "labels": list("abcabc")})
    assert np.array_equal(examples(found), x)
    assert found.classes == ("a", "b", "c")
    pairs = [(image, label) for image, label in zip(images, "aabbcc", strict=True)]

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(pairs)

        def __getitem__(self, i: int) -> Any:
            return pairs[i]

    found = read_object(Pictures())
    assert np.array_equal(examples(found), x)
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(InputError, match=r"examples of unlike shapes, \(3, 3, 3\) and \(3, 5, 4\)"):
        read_object([images[0], images[1].resize((3, 3))])


def test_a_bunch_of_scikit_learn() -> None:
    for as_frame in (False, True):
        found = read_object(load_iris(as_frame=as_frame))
        assert examples(found).shape == (150, 4)
        assert found.classes == ("0", "1", "2")


def test_arrays_of_other_libraries() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            return np.eye(3)

    assert is_held(Foreign())
    assert not is_held(np.array(["digits"])[0])
    assert np.array_equal(examples(read_object(Foreign())), np.eye(3))
    assert examples(read_object(torch.ones(2, 3, dtype=torch.bfloat16))).dtype == np.float32


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class HuggingFace:
    """What of a data set of Hugging Face is used."""

    def __init__(self, columns: dict[str, Any], features: dict[str, Any]) -> None:
        self.table, self._features = pyarrow.table(columns), features

    column_names = property(lambda self: self.table.column_names)
    features = property(lambda self: {name: self._features.get(name) for name in self.column_names})

    def __len__(self) -> int:
        return len(self.table)

    def with_format(self, kind: str) -> "HuggingFace":
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pyarrow.Table:
        return self.table


def test_data_sets_of_hugging_face(tmp_path: Any) -> None:
    names = {"label": ClassLabel(["dog", "cat"])}
    found = read_object(HuggingFace({"a": [1.0, None], "label": [1, -1]}, names))
    assert cells(found) == {"a": [1, None], "label": ["cat", None]}
    rows = []
    for image in IMAGES:
        Image.fromarray(image).save(tmp_path / "i.png")
        rows.append({"bytes": (tmp_path / "i.png").read_bytes(), "path": None})
    pictures = HuggingFace({"image": rows, "label": [0, 1] * 3}, names)
    found = read_object(pictures)
    assert np.array_equal(examples(found), IMAGES.transpose(0, 3, 1, 2))
    assert (found.labels.tolist(), found.classes) == ([1, 0] * 3, ("cat", "dog"))
    found = read_object({"train": pictures, "test": pictures})
    assert examples(found).shape == (12, 3, 5, 4)
    assert (found.splits, found.test, found.classes) == (("6/6",), 6, ("cat", "dog"))
    with pytest.raises(InputError, match="are tables, train and test: give one of them"):
        read_object({"train": HuggingFace({"a": [1.0]}, {}), "test": HuggingFace({"a": [1.0]}, {})})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pandas.DataFrame({"a": []}), "the data in memory has no rows"),
        (pandas.DataFrame({"a": [1j]}), "column 'a' of the data in memory holds .*1j.*: leave it out"),
        (pyarrow.table({"a": [b"x"]}), "column 'a' of the data in memory holds b'x'"),
        (np.array([object()] * 3), "hold values of type object"),
        (np.array([[b"x"]]), r"hold values of type \|S1"),
        ({"a": np.zeros((2, 3)), "b": np.zeros((2, 3))}, "holds the arrays a, b: name the examples x"),
        (polars.DataFrame({"v": [[1, 2], [3]]}), r"examples of unlike shapes, \(1,\) and \(2,\)"),
    ],
)
def test_what_is_neither_a_table_nor_examples_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_object(value)
