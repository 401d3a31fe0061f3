"""Tables of text as they come: encodings, separators, quotation marks, kinds of numbers, dates, and what is damaged."""

import csv
import gzip
import io
import random
import struct
import time

import numpy as np
import polars
import pytest

from vaekit.data import Source
from vaekit.data.delimited import Format, read_text
from vaekit.data.parsing import parsed
from vaekit.data.raw import Table
from vaekit.errors import InputError

NAN = float("nan")


@pytest.fixture
def read(tmp_path, caplog):
    caplog.set_level("INFO", logger="vaekit")

    def run(content: str | bytes, name: str = "t.csv", **asked) -> Table:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return read_text(tmp_path / name, **asked)

    return run


def cells(table: Table) -> dict[str, list]:
    return dict(zip(table.names, (column.tolist() for column in table.columns), strict=True))


PLAIN = {"a": [1.0, 3.0], "b": [2.5, -4.0]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2.5\n3,-4\n", ""),
        ("a,b\r\n1,2.5\r\n\r\n\r\n3,-4", ""),
        ("a,b\r1,2.5\r3,-4\r", ""),
        ("\n\na,b\n1,2.5\n3,-4\n\n\n", ""),
        ('"a","b"\n"1","2.5"\n"3","-4"', ""),
        ("'a','b'\n'1',2.5\n3,'-4'", ""),
        (" a , b\n 1, 2.5 \n3 ,-4 ", ""),
        ("\ufeffa,b\n1,2.5\n3,-4\n", ""),
        ("a;b\n1;2,5\n3;-4\n", "semicolons between cells; commas before decimals"),
        ("a|b\n1|2.5\n3|-4\n", "bars between cells"),
        ("a\tb\n1\t2,5\n3\t-4\n", "tabs between cells; commas before decimals"),
        ('a,b\n1,"2,5"\n3,-4\n', "commas before decimals"),
        ("a b\n1   2.5\n 3 -4 \n", "blanks between cells"),
        ("# made by NumPy\n#  a b\n1 2.5\n3 -4\n", "blanks between cells"),
        ("# made by someone, some day, somewhere\na,b\n1,2.5\n3,-4\n", ""),
        ("a,b\n1,2.5\n3,-4\n".encode("utf-16"), "encoding utf-16-le"),
        ("a,b\n1,2.5\n3,-4\n".encode("utf-16-be"), "encoding utf-16-be"),
        (b"\xff\xfe\0\0" + "a,b\n1,2.5\n3,-4\n".encode("utf-32-le"), "encoding utf-32-le"),
    ],
)
def test_a_table_is_read_however_it_is_written(read, caplog, content, said):
    assert cells(read(content)) == PLAIN
    assert said in caplog.text
    assert said or not caplog.records


def test_words_of_windows(read, caplog):
    assert cells(read("größe,b\nGrün,2\nweiß,3\n".encode("cp1252"))) == {"größe": ["Grün", "weiß"], "b": [2.0, 3.0]}
    assert "encoding cp1252" in caplog.text


def test_packed_tables(read, tmp_path):
    packed = gzip.compress(b"a\tb\n1\t2.5\n3\t-4\n")
    assert cells(read(packed, "t.tsv.gz")) == PLAIN
    with pytest.raises(InputError, match=r"t.csv.gz is truncated or not a .gz file"):
        read(packed[:-9], "t.csv.gz")
    with pytest.raises(InputError, match=r"t.csv.gz is truncated or not a .gz file"):
        read("a,b\n1,2\n", "t.csv.gz")


def test_a_packed_table_is_refused_before_it_fills_the_memory(read, monkeypatch):
    monkeypatch.setattr("vaekit.data.encodings.BLOCK", 2**16)
    monkeypatch.setattr("vaekit.data.arrays.psutil.virtual_memory", lambda: type("Memory", (), {"total": 2**20}))
    with pytest.raises(InputError, match=r"t.csv.gz takes \d+ GiB, but this machine has"):
        read(gzip.compress(b"1,2\n" * 2**20), "t.csv.gz")


COLUMNS = [
    (["1", "", "3"], [1, NAN, 3]),
    (["1", "NA", "n/a"], [1, NAN, NAN]),
    (["1", "?", "NULL"], [1, NAN, NAN]),
    (["?", "-NaN", "None"], [NAN, NAN, NAN]),
    (["-inf", "1e400", "1e-400"], [-np.inf, np.inf, 0]),
    (["1,234", "12,345,678", "9"], [1234, 12345678, 9]),
    (["1'234.5", "12", "x"], ["1'234.5", "12", "x"]),
    (["1,5", "1.5", "2"], ["1,5", "1.5", "2"]),
    (["true", "FALSE", "True"], [True, False, True]),
    (["true", "", "False"], [True, None, False]),
    (["yes", "no", ""], ["yes", "no", None]),
    (["2020-01-01", "", "1969-12-31"], [18262, NAN, -1]),
    (["2020/1/1", "2020/12/31", ""], [18262, 18627, NAN]),
    (["1/2/2020", "13/2/2020", "3/2/2020"], [18293, 18305, 18295]),
    (["1/2/2020", "2/13/2020", "2/3/2020"], [18263, 18305, 18295]),
    (["01.02.2020", "02.01.2020", "1.1.2020"], [18293, 18263, 18262]),
    (["2020-01-01 12:00", "2020-01-02 18:00", ""], [18262.5, 18263.75, NAN]),
    (["2020-01-01T12:00:00Z", "2020-01-01T12:00:00+06:00", ""], [18262.5, 18262.25, NAN]),
    (["2020-01-01", "soon", ""], ["2020-01-01", "soon", None]),
    (["2020-02-30", "2020-01-01", ""], ["2020-02-30", "2020-01-01", None]),
    (["9007199254740993", "1", ""], ["9007199254740993", "1", None]),
    (["9007199254740992", "1", ""], [9007199254740992, 1, NAN]),
    (["1" * 400, "1", ""], ["1" * 400, "1", None]),
    (["1_000", "٣", "0x10"], ["1_000", "٣", "0x10"]),
    (["1.2.3.4", "1-2-3", "a\x01"], ["1.2.3.4", "1-2-3", "a\x01"]),
]


@pytest.mark.parametrize(("column", "expected"), COLUMNS)
def test_cells_are_numbers_truths_dates_or_words(read, column, expected):
    table = read("x,y\n" + "".join(f'"{cell}",{i}\n' for i, cell in enumerate(column)))
    found = table.columns[0]
    kind = {str: "O", bool: "b"}.get(type(expected[0]), "f")
    assert found.dtype.kind == ("O" if kind == "b" and None in expected else kind)
    assert found.tolist() == pytest.approx(expected, nan_ok=True) if kind == "f" else found.tolist() == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["0,5", "1.234,5", "1.234"], [0.5, 1234.5, 1234]),
        (["0,5", "1 234,5", "2"], [0.5, 1234.5, 2]),
        (["1.234", "5.67", "8"], ["1.234", "5.67", "8"]),
    ],
)
def test_numbers_with_decimal_commas(read, column, expected):
    table = read("x;y\n" + "".join(f"{cell};{i},25\n" for i, cell in enumerate(column)))
    assert table.columns[0].tolist() == expected
    assert table.columns[1].tolist() == [0.25, 1.25, 2.25]


def test_what_was_decided_is_said_in_one_line(read, caplog):
    read("when;then;price;id\n2020-01-01;1999-01-01;0,5;9007199254740993\n2020-01-02;1999-01-01;1.234,5;2\n")
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "t.csv with semicolons between cells; commas before decimals; dates (year-month-day) as days since "
        "1970-01-01 in 'when', 'then'; digits grouped by '.' in 'price'; whole numbers beyond 2^53 as words in 'id'"
    )
    assert record.getMessage().startswith("chosen: reading ")


def test_what_is_decided_can_be_set(read):
    assert read("1,2\n3,4\n", written=Format(header=True)).names == ("1", "2")
    assert read("a,b\n3,4\n", written=Format(header=False)).columns[0].tolist() == ["a", "3"]
    assert cells(read("a,b;c\n1,2;3\n", written=Format(separator="comma"))) == {"a": [1.0], "b;c": ["2;3"]}
    assert read("a;b\n1,234;5\n", written=Format(decimal="point")).columns[0].tolist() == [1234.0]
    assert read("größe,b\n1,2\n".encode("cp850"), written=Format(encoding="cp850")).names == ("größe", "b")
    with pytest.raises(InputError, match=r"the encoding 'utf8x' \(data.format.encoding\) is not known"):
        read("a,b\n1,2\n", written=Format(encoding="utf8x"))


def test_sentinels_are_missing_values(read):
    table = read("a,b\n-999,x\n-999.0,none of these\n3,y\n", sentinels=("-999", "none of these"))
    assert np.isnan(table.columns[0][:2]).all()
    assert table.columns[1].tolist() == ["x", None, "y"]


def test_rows_know_their_lines(read):
    table = read('# comment\n\na,b\n1,"x\ny"\n\n\n2,z\n')
    assert [table.where(row) for row in range(2)] == ["line 5", "line 8"]


def test_names_are_completed_and_made_distinct(read):
    assert read("a,,a,a\n1,2,3,4\n").names == ("a", "column 2", "a.1", "a.2")
    assert read("x y\n1 0.5 2\n2 0.7 3\n").names == ("column 1", "x", "y")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "t.csv has no rows: give a line for every example"),
        ("\n\n", "has no rows"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells, but the first line has 2: give every line as many"),
        ("a,b\n1,2\n3,4,5\n6\n7,8\n", r"line 3 has 3 cells, but the first line has 2 \(and 1 more lines"),
        ('a,b\n1,"2\n3,4\n', r"is not a table of text \(unexpected end of data\)"),
        ('a,b\n1,"2"x\n', "with every quotation mark closed"),
        (b"a,b\n1,\x002\n", "line 2 holds a NUL byte"),
        ("größe,b\n".encode() + b"\xe9,2\n", r"line 2 holds the byte 0xe9, which is not utf-8 text.* such as cp1252"),
        (b"a,b\n\x81,2\n", "line 2 holds the byte 0x81, which is not cp1252 text"),
        (b"\xff\xfea", "is not utf-16-le text"),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_line(read, content, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        read(content)
    assert "t.csv" in str(refusal.value)


def test_cells_are_those_of_the_csv_module(read):
    """Whatever is quoted, and however: the cells are those of csv, or both refuse the table."""
    draw, seen = random.Random(0), 0
    for _ in range(500):
        rows = [",".join(_cell(draw) for _ in range(2)) for _ in range(draw.randint(1, 5))]
        text = "\n".join(["x,y", *rows])
        try:
            expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row][1:]
        except csv.Error:
            expected = []
        if not expected or any(len(row) != 2 for row in expected):
            with pytest.raises(InputError):
                read(text)
            continue
        seen += 1
        for column, strings in zip(read(text).columns, zip(*expected, strict=True), strict=True):
            np.testing.assert_array_equal(column, parsed(polars.Series(strings)).values)
    assert seen > 50


def _cell(draw: random.Random) -> str:
    if draw.random() < 0.6:
        return '"' + "".join(draw.choices(["a", "\n", ",", '""'], k=3)) + '"'
    return "".join(draw.choices(["a", "1", " ", '"', '""', "\n"], [5, 5, 1, 1, 0.5, 0.2], k=draw.randint(1, 4)))


def test_numbers_are_those_of_python():
    draw = random.Random(1)
    words = [repr(struct.unpack("d", draw.randbytes(8))[0]) for _ in range(2000)]
    words += [f"{draw.getrandbits(80)}.{draw.getrandbits(80)}e{draw.randint(-340, 320)}" for _ in range(2000)]
    words = [word for word in words if word != "nan"]
    assert parsed(polars.Series(words)).values.tolist() == [float(word) for word in words]


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_fifty_columns_are_read_in_five_seconds(read):
    row = ",".join(["0.123456789", "red", "true", "2020-01-01", '"a, b"', *(str(1.5 * i) for i in range(45))])
    content = ",".join(f"c{i}" for i in range(50)) + "\n" + f"{row}\n" * 100_000
    began = time.process_time()
    table = read(content)
    assert time.process_time() - began < 5
    assert [len(column) for column in table.columns] == [100_000] * 50


def test_a_source_says_how_its_table_is_written(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("größe;b\n".encode("cp850") + b"".join(b"%d,5;%d\n" % (i, -9 * (i % 3)) for i in range(30)))
    written = {"separator": "semicolon", "decimal": "comma", "header": True, "encoding": "cp850"}
    source = Source(name=path, format=written, sentinels=-9)
    raw = source.read()
    assert [column.name for column in raw.columns] == ["größe", "b"]
    assert raw.x[:3, 0].tolist() == [0.5, 1.5, 2.5]
    assert np.isnan(raw.x[:, 1]).tolist() == [i % 3 == 1 for i in range(30)]
    assert Source(name="digits", sentinels="-9,unknown", ignore="id").sentinels == ("-9", "unknown")
    assert Source(name="digits", ignore="id").ignore == ("id",)
    with pytest.raises(InputError, match=r"sentinels \(data.sentinels\) is for tables, which digits is not"):
        Source(name="digits", sentinels="-9").load()
    with pytest.raises(InputError, match=r"format.separator 'comme' is unknown; did you mean 'comma'"):
        Source(name="digits", format={"separator": "comme"})


def test_whole_numbers_with_leading_zeros_stay_words(read, caplog):
    table = read("zip,a,b\n02139,0,0.5\n10001,-0,00.5\n,10,1e05\n")
    assert table.columns[0].tolist() == ["02139", "10001", None]
    assert [column.tolist() for column in table.columns[1:]] == [[0, 0, 10], [0.5, 0.5, 1e5]]
    assert caplog.records[0].getMessage().endswith("whole numbers with leading zeros as words in 'zip'")


def test_words_of_digits_come_back_as_the_file_has_them(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{zip},{i % 7}.5\n" for i, zip in enumerate(["02139", "10001", "00501"] * 20))
    path.write_text("zip,a\n" + rows)
    space = Source(name=path).load().space
    x = space.encode_input({"zip": ["00501", "10001"], "a": [0.5, 1.5]})
    assert space.generated(x)["zip"].tolist() == ["00501", "10001"]
    numbers = Source(name=path, columns={"zip": "real"}).load().space
    assert numbers.generated(numbers.encode_input({"zip": ["00501"], "a": [0.5]})).round(2).tolist() == [[501, 0.5]]
