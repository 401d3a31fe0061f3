"""Tables of one's own: read with or without names, standardized, refused by line and column."""

import time

import numpy as np
import pytest
import torch

from vaekit.data import Source, read_input
from vaekit.errors import InputError

ROWS = np.random.default_rng(0).normal(size=(50, 3)) * [1, 20, 300] + [0, 5, -9]
HEADER = "height,weight,age"


def text(rows, separator=",") -> str:
    return "\n".join(separator.join(map(repr, map(float, row))) for row in rows)


@pytest.fixture
def table(tmp_path):
    def write(content: str, name: str = "t.csv") -> str:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_table_with_names(table, ending):
    path = table(f"\ufeff{HEADER}\n{text(ROWS)}\n\n".replace("\n", ending))
    data = Source(name=path).load()
    assert data.space.names == ("height", "weight", "age")
    assert (data.space.event_shape, data.space.support) == ((3,), "real")
    assert data.space.sizes == {"train": 40, "validation": 5, "test": 5}
    raw, labels = read_input(path)
    assert np.array_equal(raw, ROWS)
    assert labels is None
    assert np.allclose(data.space.restore(data.space.encode_input(raw)), ROWS, rtol=1e-5)
    assert torch.allclose(data.train.x.mean(0), torch.zeros(3), atol=1e-6)


def test_a_table_without_names_and_with_tabs(table):
    data = Source(name=table(text(ROWS, "\t"), "t.tsv")).load()
    assert data.space.names == ("column 1", "column 2", "column 3")
    assert data.space.sizes["train"] == 40


def test_only_training_rows_give_the_statistics(table):
    outlier = ROWS.copy()
    path = table(text(outlier))
    before = Source(name=path).load()
    held_out = before.space.restore(before.test.x)[0]
    row = np.argmin(np.abs(outlier - held_out).sum(1))
    outlier[row] *= 1000
    after = Source(name=table(text(outlier))).load()
    assert after.space.columns == before.space.columns


def test_a_column_of_labels_is_no_data(table, caplog):
    caplog.set_level("INFO", logger="vaekit")
    rows = np.column_stack([ROWS, np.arange(50) % 2 + 3])
    data = Source(name=table(f"{HEADER},Class\n{text(rows)}")).load()
    assert data.space.names == ("height", "weight", "age")
    assert data.space.classes == ("3", "4")
    assert len(data.test.labels) == 5
    assert "column 'Class' of" in caplog.text
    rows[:, 3] += 0.5
    assert len(Source(name=table(f"{HEADER},class\n{text(rows)}")).load().space.names) == 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"{HEADER}\n1,2,3\n4,tall,6\n", "line 3, column 'weight' holds 'tall', which is not a finite number"),
        (f"{HEADER}\n1,-inf,3\n4,5,6\n", "line 2, column 'weight' holds -inf, which is not a finite number"),
        ("1,2,3\n4,1e999,6\n", "line 2, column 'column 2' holds inf"),
        (f"{HEADER}\n1,2,3\n4,5\n", "line 3 has 2 cells, but the first line has 3"),
        ("5.1,x,2\n4.9,3.0,3\n", "line 1, column 'column 2' holds 'x'"),
        ("1_000,2\n3,4\n", "line 1, column 'column 1' holds '1_000', which is not a finite number"),
        ("a,b\n1,2\n٣,4\n", "line 3, column 'a' holds '٣'"),
        (
            "a,b\n1,1\n1,x\n2,\ny,3\nz,nan\n",
            "line 3, column 'b' holds 'x'.*; line 5, column 'a' holds 'y'.*; line 6, column 'a' holds 'z'",
        ),
        (
            "a,b\n" + "1,1\n" * 9 + "1,x\n" * 5,
            r"line 13, column 'b' holds 'x'.* \(and 2 more such cells, in columns 'b'\): correct it, .*"
            r"\(data.columns.NAME=category\), or leave it out \(ignore\)",
        ),
        ("a,b\n1,2\n3\n4\n", r"line 3 has 1 cells, but the first line has 2 \(and 1 more lines"),
        (
            "a,b\n1,9007199254740993\n2,5\n",
            "column 'b' has whole numbers beyond 2.53, such as '9007199254740993' in line 2",
        ),
        ("a,b\n" + "1,2\n" * 30, "has no column that varies over the training rows"),
        ("a,b\n1e200,1\n" + "2,4\n3,7\n" * 9, "has the value 1e.200 in column 'a': rescale the column"),
        ("a,b\n0,0\n1,1e20\n" + "".join(f"{i},{i}e-300\n" for i in range(1, 30)), "too far from the training rows"),
        (f"{HEADER}\n", "has no rows"),
        ("", "has no rows"),
        (f'{HEADER}\n1,2,"3\n', "is not a table of text"),
    ],
)
def test_unfit_tables_are_refused(table, content, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        Source(name=table(content)).load()
    assert "t.csv" in str(refusal.value)


def test_constant_columns_are_not_learned_and_are_given_back(table, caplog):
    caplog.set_level("INFO", logger="vaekit")
    path = table(f"{HEADER},place\n" + "".join(f"{i % 7},0.1,{i * i},here\n" for i in range(30)))
    data = Source(name=path, label="").load()
    assert "constant over the training rows are not learned: 'weight', 'place'" in caplog.text
    assert (data.space.names, data.space.header) == (("height", "age"), ["height", "weight", "age", "place"])
    rows = data.space.generated(data.train.x)
    assert (set(rows["weight"].tolist()), set(rows["place"].tolist())) == ({0.1}, {"here"})
    assert data.space.encode_input(rows).equal(data.train.x)
    again = Source(name=path, label="").load(columns=data.space.names)
    assert again.space.digest == data.space.digest
    assert again.space.columns == data.space.columns


def test_constant_columns_of_earlier_runs_are_kept(table):
    path = table(f"{HEADER}\n" + "".join(f"{i % 7},0.1,{i * i}\n" for i in range(30)))
    data = Source(name=path).load(columns=("height", "weight", "age"))
    assert (data.space.columns[1].shift, data.space.columns[1].scale) == (0.1, 0)
    assert not data.train.x[:, 1].any()
    assert np.array_equal(data.space.generated(data.train.x + 1)[:, 1], np.full(24, 0.1))


@pytest.mark.parametrize(
    ("separator", "suffix"), [(";", "csv"), ("\t", "csv"), ("|", "csv"), (",", "tsv"), (";", "tsv")]
)
def test_other_separators_are_recognized(table, separator, suffix, caplog):
    caplog.set_level("INFO", logger="vaekit")
    path = table(f"{HEADER}\n".replace(",", separator) + text(ROWS, separator), f"t.{suffix}")
    assert np.array_equal(read_input(path)[0], ROWS)
    assert "between cells" in caplog.text


def test_decimal_commas_between_semicolons(table):
    for header in ("", "height;weight;age\n"):
        path = table(header + text(ROWS, ";").replace(".", ","))
        assert np.array_equal(read_input(path)[0], ROWS)
    with pytest.raises(InputError, match=r"line 3, column 'a' holds '1\.5'"):
        Source(name=table("a;b\n0,5;1\n1.5;2")).load()


@pytest.mark.parametrize("digits", ["%.3f", "%.4g"])
def test_three_decimals_after_a_point_between_semicolons_group_nothing(table, digits):
    rows = [[digits % value for value in row] for row in ROWS]
    path = table("height;weight;age\n" + "\n".join(map(";".join, rows)))
    assert np.array_equal(read_input(path)[0], np.array(rows, np.float64))


def test_digits_grouped_by_commas_between_tabs(table):
    assert np.array_equal(read_input(table("a\tb\n1,234\t2\n3\t4"))[0], [[1234, 2], [3, 4]])


@pytest.mark.parametrize(
    "cell", ["1" * 10**5 + "x", " " * 10**5 + "x", "1_" * 50_000 + "x", "1," * 50_000, "0" * 10**5]
)
def test_long_cells_take_no_time(table, cell):
    began = time.process_time()
    read_input(table(f'a,b\n"{cell}",x\n'))
    assert time.process_time() - began < 5


def test_all_bad_lines_are_in_one_answer(table):
    with pytest.raises(InputError, match=r"line 3 has 1 cells, .* \(and 1 more lines"):
        Source(name=table("a,b\n1,2\n3\n4,\n5,x\n6,7,8\n")).load()


def test_missing_cells_are_data(table):
    rows = [",".join("" if (i + k) % 5 == 0 else repr(float(v)) for k, v in enumerate(r)) for i, r in enumerate(ROWS)]
    data = Source(name=table(f"{HEADER}\n" + "\n".join(rows))).load()
    assert data.space.missing
    holes = data.train.x.isnan()
    assert 0 < holes.sum() < holes.numel() / 2
    x = torch.cat([part.x for part in (data.train, data.validation, data.test)])
    assert torch.allclose(data.train.x.nanmean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(data.train.x.nan_to_num().square().sum(0) / (~holes).sum(0), torch.ones(3), atol=1e-5)
    known = data.space.restore(x)
    assert np.isnan(known).sum() == x.isnan().sum()
    assert data.space.encode_input(known).nan_to_num(9).allclose(x.nan_to_num(9), atol=1e-5)


@pytest.mark.parametrize("word", ["", "NA", "nan", "NaN", "null", "?", "n/a"])
def test_words_for_missing_cells(table, word):
    lines = [f"{i},{word if i == 3 else i * i % 7},{'xy'[i % 2] if i != 5 else word},{'pqr'[i % 3]}" for i in range(20)]
    raw = Source(name=table("a,b,c,d\n" + "\n".join(lines))).read()
    assert np.argwhere(np.isnan(raw.x)).tolist() == [[3, 1], [5, 2]]


def test_a_missing_label_is_unknown(table):
    rows = "".join(f"{i},{i % 3},{'' if i == 4 else 'xy'[i % 2]}\n" for i in range(20))
    raw = Source(name=table(f"a,b,label\n{rows}")).read()
    assert raw.labels[:6].tolist() == [0, 1, 0, 1, -1, 1]
