"""Tables of one's own: read with or without names, standardised, refused by line and column."""

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
    assert data.space.columns == ("height", "weight", "age")
    assert (data.space.event_shape, data.space.support) == ((3,), "real")
    assert data.space.sizes == {"train": 40, "validation": 5, "test": 5}
    raw, labels = read_input(path)
    assert np.array_equal(raw, ROWS)
    assert labels is None
    assert np.allclose(data.space.restore(data.space.encode_input(raw)), ROWS, rtol=1e-5)
    assert torch.allclose(data.train.x.mean(0), torch.zeros(3), atol=1e-6)


def test_a_table_without_names_and_with_tabs(table):
    data = Source(name=table(text(ROWS, "\t"), "t.tsv")).load()
    assert data.space.columns == ("column 1", "column 2", "column 3")
    assert data.space.sizes["train"] == 40


def test_only_training_rows_give_the_statistics(table):
    outlier = ROWS.copy()
    path = table(text(outlier))
    before = Source(name=path).load()
    held_out = before.space.restore(before.test.x)[0]
    row = np.argmin(np.abs(outlier - held_out).sum(1))
    outlier[row] *= 1000
    after = Source(name=table(text(outlier))).load()
    assert (after.space.shift, after.space.scale) == (before.space.shift, before.space.scale)


def test_a_column_of_labels_is_no_data(table, caplog):
    caplog.set_level("INFO", logger="vaekit")
    rows = np.column_stack([ROWS, np.arange(50) % 2 + 3])
    data = Source(name=table(f"{HEADER},Class\n{text(rows)}")).load()
    assert data.space.columns == ("height", "weight", "age")
    assert data.space.classes == ("3", "4")
    assert len(data.test.labels) == 5
    assert "column 'Class' of" in caplog.text
    rows[:, 3] += 0.5
    assert len(Source(name=table(f"{HEADER},class\n{text(rows)}")).load().space.columns) == 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"{HEADER}\n1,2,3\n4,tall,6\n", "line 3, column 'weight' holds 'tall', which is no finite number"),
        (f"{HEADER}\n1,2,3\n4,,6\n", "line 3, column 'weight' is empty: fill it"),
        (f"{HEADER}\n1,2,3\n4,NaN,6\n", "line 3, column 'weight' holds 'NaN'"),
        (f"{HEADER}\n1,-inf,3\n4,5,6\n", "line 2, column 'weight' holds '-inf'"),
        ("1,2,3\n4,1e999,6\n", "line 2, column 'column 2' holds '1e999'"),
        (f"{HEADER}\n1,2,3\n4,5\n", "line 3 has 2 cells, but the first line has 3"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "line 1 mixes words such as 'setosa' and numbers such as '5.1'"),
        (",2,3\n4,5,6\n", "line 1, column 'column 1' is empty"),
        (f"{HEADER}\n", "has no rows of numbers"),
        ("", "has no rows of numbers"),
        (f'{HEADER}\n1,2,"3\n', "is no UTF-8 text table"),
        (
            f"{HEADER}\n" + "".join(f"{i},7,{i * i}\n" for i in range(30)),
            r"constant over the training rows \('weight'\)",
        ),
    ],
)
def test_unfit_tables_are_refused(table, content, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        Source(name=table(content)).load()
    assert "t.csv" in str(refusal.value)


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="is no UTF-8 text table"):
        Source(name=str(tmp_path / "t.csv")).load()
