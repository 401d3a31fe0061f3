"""Columns of a table: which line names them, which are labels or row numbers, and how a model finds its own."""

import numpy as np
import pytest
from pandas import DataFrame

from vaekit.data import Source, check, read_input
from vaekit.data.columns import distinct
from vaekit.errors import InputError

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(40, 4)).round(3)
WHOLE = RANDOM.integers(0, 256, (40, 6))


@pytest.fixture
def table(tmp_path, caplog):
    caplog.set_level("INFO", logger="vaekit")

    def write(header, rows, name: str = "t.csv") -> str:
        lines = [header, *rows] if header is not None else rows
        (tmp_path / name).write_text("\n".join(",".join(map(str, row)) for row in lines))
        return str(tmp_path / name)

    return write


def beside(rows, *columns, first=False):
    """Rows with further columns behind, or before."""
    more = list(zip(*columns, strict=True))
    return [[*b, *a] if first else [*a, *b] for a, b in zip(rows.tolist(), more, strict=True)]


@pytest.mark.parametrize(
    "header", [range(4), range(1, 5), range(2019, 2023), range(2000, 2020, 5), ["station", 2019, 2020, 2021]]
)
def test_numbers_that_name_the_columns(table, caplog, header):
    data = Source(name=table(header, ROWS)).load()
    assert sum(data.space.sizes.values()) == 40
    assert data.space.names == tuple(map(str, header))
    assert "as names of the columns" in caplog.text


def test_a_count_over_whole_numbers_names_the_columns_if_it_is_long(table):
    assert check(table(range(6), WHOLE))["shape"] == [40, 6]


def test_an_index_and_a_header_of_numbers(table):
    found = check(table(["", *range(4)], beside(ROWS, range(40), first=True)))
    assert (found["shape"], found["columns"]) == ([40, 4], ["0", "1", "2", "3"])
    assert found["left_out"] == {"column 1": "it only numbers the rows"}


@pytest.mark.parametrize(
    "rows", [[[1, 2], [4, 5], [7, 9]] * 10, [[0, 1], [1, 0], [1, 1]] * 10, [[7, 8], [0.5, 1], [2, 3]] * 5]
)
def test_numbers_that_are_an_example(table, caplog, rows):
    assert check(table(None, rows))["shape"] == [len(rows), 2]
    assert ("as an example" in caplog.text) == (rows[0] != [7, 8])


@pytest.mark.parametrize(
    ("name", "labels", "classes"),
    [
        ("Label", ["red", "green", "blue"], ("blue", "green", "red")),
        ("class", [10, 2, 9], ("2", "9", "10")),
        ("target", [0, 1, 2], ("0", "1", "2")),
        ("labels", [1.0, 0, 2**70], ("0", "1", str(2**70))),
        ("species", ["x", "y", "z"], ("x", "y", "z")),
        ("label", ["7", "7b", "10"], ("10", "7", "7b")),
    ],
)
def test_labels(table, caplog, name, labels, classes):
    data = Source(name=table([*"abcd", name], beside(ROWS, [labels[i % 3] for i in range(40)]))).load()
    assert (data.space.names, data.space.classes) == (tuple("abcd"), classes)
    assert f"column {name!r} of" in caplog.text
    _, codes = read_input(data.space.source)
    assert [classes[code] for code in codes[:3]] == [str(int(x)) if isinstance(x, float) else str(x) for x in labels]


@pytest.mark.parametrize("values", [range(40), ROWS[:, 0].tolist()])
def test_a_target_of_quantities_is_data(table, values):
    path = table(["a", "target", *"bcd"], [[a, v, *b] for (a, *b), v in zip(ROWS.tolist(), values, strict=True)])
    assert check(path)["columns"] == ["a", "target", *"bcd"]
    assert np.array_equal(read_input(path)[0][:, 1], list(values))


def test_labels_and_columns_to_ignore_are_asked_for(table):
    words = [f"w{i}" for i in range(40)]
    path = table(
        [*"abcd", "kind", "name", "label"], beside(ROWS, [i % 2 for i in range(40)], words, [i % 5 for i in range(40)])
    )
    assert check(path)["left_out"] == {"name": "its words name the rows; data.columns.name=category reads them as data"}
    found = check(path, label="kind", ignore=["name", "a"])
    assert (found["columns"], found["classes"]) == (["b", "c", "d", "label"], {"0": 20, "1": 20})
    assert found["label_column"] == "kind"
    assert found["left_out"] == {"name": "named by ignore", "a": "named by ignore"}
    assert check(path, label="", ignore=["name"])["columns"] == [*"abcd", "kind", "label"]
    for wrong in ({"label": "knid"}, {"ignore": ["knid"]}):
        with pytest.raises(InputError, match="has no column 'knid': did you mean 'kind'"):
            check(path, **wrong)
    with pytest.raises(InputError, match="labels are whole numbers or words"):
        check(path, label="a", ignore=["name"])
    with pytest.raises(InputError, match=r"label .* is for tables"):
        check("digits", label="a")


@pytest.mark.parametrize("name", ["", "id", "Unnamed: 0", "index"])
@pytest.mark.parametrize(
    "values",
    [range(40), range(1, 41), RANDOM.permutation(40), [f"A{i}" for i in range(40)], [2**60 + i for i in range(40)]],
)
def test_row_numbers_are_not_learnt(table, caplog, name, values):
    found = check(table([name, *"abcd"], beside(ROWS, values, first=True)))
    assert found["columns"] == list("abcd")
    assert list(found["left_out"]) == [name or "column 1"]
    assert "it only numbers the rows; --set " in caplog.text
    if np.asarray(values).dtype.kind == "i" and max(values) < 2**53:
        kept = Source(name=found["source"], columns={name or "column 1": "real"}).load()
        assert kept.space.names == (name or "column 1", *"abcd")


def test_what_may_be_row_numbers_is_said(table, caplog):
    assert check(table(["t", *"abcd"], beside(ROWS, range(40), first=True)))["columns"][0] == "t"
    assert "column 't' of" in caplog.text
    assert "counts the rows" in caplog.text
    assert check(table(["id", *"abcd"], beside(ROWS, [i // 2 for i in range(40)], first=True)))["columns"][0] == "id"
    assert "column 'id' of" in caplog.text


def test_a_check_names_what_is_constant_and_gives_exact_ranges(table):
    found = check(table([*"abcd", "border"], beside(RANDOM.integers(0, 2, (40, 4)), [0] * 40)))
    assert (found["constant"], found["constant_columns"]) == (1, ["border"])
    assert found["range"] == [0, 1]


def test_a_model_finds_its_columns_by_name(table, caplog):
    space = Source(name=table("abcd", ROWS)).load().space
    other = table(
        ["d", "name", "label", "c", "b", "a"], [[d, "x", "", c, b, a] for a, b, c, d in ROWS.tolist()], "u.csv"
    )
    x, _ = read_input(other, columns=space.names)
    assert np.array_equal(x, ROWS)
    assert "does not know are ignored: 'name'" in caplog.text
    with pytest.raises(
        InputError, match=r"lacks 1 of the 4 columns that the model knows \('d'\) and has 'a', 'b', 'c', 'e'"
    ):
        read_input(table("abce", ROWS, "v.csv"), columns=space.names)
    assert np.array_equal(read_input(table(None, ROWS, "w.csv"), columns=space.names)[0], ROWS)
    assert "by position" in caplog.text
    with pytest.raises(InputError, match="lacks 4 of the 4"):
        read_input(table(None, ROWS[:, :3], "w.csv"), columns=space.names)


def test_a_model_without_names_takes_columns_by_position(table):
    space = Source(name=table(None, ROWS)).load().space
    path = table(["id", *"abcd", "label"], beside(np.column_stack([range(40), ROWS]), [i % 2 for i in range(40)]))
    assert np.array_equal(read_input(path, columns=space.names)[0], ROWS)


def test_the_same_data_in_another_order_are_the_same_data(table):
    data = Source(name=table([*"abcd", "label"], beside(ROWS, [i % 2 for i in range(40)]))).load()
    turned = Source(name=table(["label", *"dcba"], beside(ROWS[:, ::-1], [i % 2 for i in range(40)], first=True))).load(
        columns=data.space.names
    )
    assert turned.space.digest == data.space.digest
    assert turned.space.classes == ("0", "1")


def test_names_are_made_distinct(table):
    assert distinct(["a", "a.1", "a", "a"]) == ["a", "a.1", "a.2", "a.3"]
    space = Source(name=table("abaa", ROWS)).load().space
    assert space.names == ("a", "b", "a.1", "a.2")


def test_data_frames_are_matched_by_name(table):
    space = Source(name=table("abcd", ROWS)).load().space
    expected = space.encode_input(ROWS)
    assert space.encode_input(DataFrame(ROWS[:, ::-1], columns=list("dcba"))).equal(expected)
    assert space.encode_input(DataFrame(ROWS)).equal(expected)
    extra = np.column_stack([np.full(40, "x", object), ROWS[:, ::-1]])
    assert space.encode_input(DataFrame(extra, columns=["name", *"dcba"])).equal(expected)
    with pytest.raises(InputError, match="lacks 2 of the 4"):
        space.encode_input(DataFrame(ROWS, columns=list("abef")))
    with pytest.raises(InputError, match="row 1, column 'a' holds 'x', which is not a finite number"):
        space.encode_input(DataFrame(np.full((3, 4), "x", object), columns=list("abcd")))
