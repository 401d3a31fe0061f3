"""A check tells what data are, counts what is odd about them, and says which likelihoods fit and why."""

import json

import numpy as np
from PIL import Image

from vaekit.data import check

LIKELIHOODS = {
    "bernoulli": ["binary", "byte", "unit"],
    "continuous_bernoulli": ["byte", "unit"],
    "gaussian": ["binary", "byte", "unit", "real"],
    "categorical": ["byte"],
}
RANDOM = np.random.default_rng(0)


def fits(found) -> set[str]:
    return {name for name, verdict in found["likelihoods"].items() if verdict["fits"]}


def test_mnist(real):
    found = check("mnist", real, likelihoods=LIKELIHOODS)
    assert (found["shape"], found["dtype"], found["range"]) == ([70_000, 1, 28, 28], "uint8", [0, 255])
    assert found["sizes"] == {"train": 60_000, "test": 10_000}
    assert found["classes"]["1"] == 6742 + 1135
    assert found["constant"] == 67
    assert found["duplicates"] == {"train": 0, "test": 0, "train & test": 0}
    assert found["binarization"] == "dynamic"
    assert fits(found) == set(LIKELIHOODS)
    assert "bounds the likelihood of their random bits" in found["likelihoods"]["bernoulli"]["why"]
    assert json.loads(json.dumps(found)) == found


def test_duplicates_within_and_across_splits(tmp_path):
    images = RANDOM.integers(0, 256, (20, 4, 4), dtype=np.uint8)
    train, validation, test = images[[0, 1, 2, 0, 0]], images[[3, 4, 1]], images[[5, 2, 4, 1]]
    np.savez(tmp_path / "x.npz", train=train, validation=validation, test=test)
    assert check(str(tmp_path / "x.npz"))["duplicates"] == {
        "train": 2,
        "validation": 0,
        "test": 0,
        "train & validation": 1,
        "train & test": 2,
        "validation & test": 2,
    }


def test_a_table(tmp_path):
    rows = (RANDOM.normal(size=(40, 2)) * [1, 100]).round(3)
    lines = ["small,large", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = check(str(tmp_path / "t.csv"), likelihoods=LIKELIHOODS)
    assert found["columns"] == ["small", "large"]
    assert found["range"] == [rows.min(), rows.max()]
    assert fits(found) == {"gaussian"}
    assert (
        found["likelihoods"]["categorical"]["why"]
        == "needs 8-bit levels, but these are standardized columns of a table"
    )
    assert found["missing"] == 0
    assert found["classes"] is None


def test_what_each_column_of_a_table_is(tmp_path):
    rows = [f"{i / 7:.3f},{'' if i % 4 == 0 else 'abc'[i % 3]},{'true' if i % 2 else 'false'},5" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["size,color,open,flat", *rows]))
    found = check(str(tmp_path / "t.csv"), label="", likelihoods={"columns": ["mixed"]})
    assert [list(row.values()) for row in found["kinds"]] == [
        ["size", "real", "from 0 to 5.571", 0, "any numbers"],
        ["color", "category", "3: 'a', 'b', 'c'", 10, "words"],
        ["open", "binary", "2: 'False', 'True'", 0, "true and false"],
        ["flat", "constant", "from 5 to 5", 0, ""],
    ]
    assert (found["missing"], found["constant_columns"], found["range"]) == (10, ["flat"], [0, 5.571])
    assert (found["support"], fits(found)) == ("mixed", {"columns"})


def test_a_folder(tmp_path):
    for i in range(20):
        Image.fromarray(RANDOM.integers(0, 256, (9, 7), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    found = check(str(tmp_path), image_size=(4, 5), split="10/10", likelihoods=LIKELIHOODS)
    assert found["shape"] == [20, 1, 4, 5]
    assert found["sizes"] == {"train": 10, "test": 10}
    assert fits(found) == set(LIKELIHOODS)


def test_gray_reals_and_bits():
    found = check("digits", likelihoods=LIKELIHOODS)
    assert fits(found) == {"bernoulli", "continuous_bernoulli", "gaussian"}
    assert found["range"] == [0, 1]
    only_bits = check("digits", likelihoods={"ising": ["binary"]})["likelihoods"]["ising"]
    assert only_bits == {
        "fits": False,
        "why": "needs bits (0 or 1), or binarize the data, but these are reals in [0, 1]",
    }
