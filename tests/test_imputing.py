"""The verb impute: what was observed stays as it was, in files and in memory; what was missing is filled in."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from small import finished, small

from vaekit import InputError, Run, choose, encode, impute, train
from vaekit.cli import main

N = 300


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of numbers and words with holes, written with semicolons and decimal commas."""
    folder, random = tmp_path_factory.mktemp("holes"), np.random.default_rng(0)
    z = random.normal(size=N)
    columns = [
        [f"{v:.2f}".replace(".", ",") for v in 170 + 10 * z],
        np.where(z + 0.2 * random.normal(size=N) > 0, "tall", "short"),
        [f"{v:.1f}".replace(".", ",") for v in 5 - 3 * z + 0.1 * random.normal(size=N)],
    ]
    hidden = random.random((N, 3)) < 0.15
    lines = ["" if hidden[k, 0] else columns[0][k] for k in range(N)]
    lines = [
        f"p{k};{line};{'NA' if hidden[k, 1] else columns[1][k]};{'' if hidden[k, 2] else columns[2][k]};7"
        for k, line in enumerate(lines)
    ]
    (folder / "t.csv").write_text("id;height;size;depth;same\n" + "\n".join(lines) + "\n")
    experiment = choose(
        folder / "t.csv", latent_dim=2, hidden=[20], epochs=60, label="", ignore=["id"], learning_rate=0.01,
        set={"evaluate_every": 60},
    )  # fmt: skip
    for _ in train(experiment, folder / "run"):
        pass
    return folder


@pytest.fixture
def run(kept: Path) -> Run:
    return Run(kept / "run")


def cells(path: Path) -> list[list[str]]:
    return [line.split(";") for line in path.read_text().splitlines()]


def test_observed_cells_of_a_text_stay_to_the_character(run: Run, kept: Path, tmp_path: Path) -> None:
    found = impute(run, kept / "t.csv", out=tmp_path / "f.csv")
    before, after = cells(kept / "t.csv"), cells(tmp_path / "f.csv")
    assert before[0] == after[0]
    assert len(before) == len(after) == N + 1
    for old, new, values in zip(before[1:], after[1:], found.values, strict=True):
        for name, was, now in zip(before[0], old, new, strict=True):
            if was not in ("", "NA"):
                assert now == was
            elif name == "size":
                assert now == values["size"] in ("tall", "short")
            else:
                assert float(now.replace(",", ".")) == pytest.approx(values[name], rel=1e-8)


def test_what_is_filled_in_follows_from_the_rest(run: Run) -> None:
    rows = {
        "height": [185.0, 155.0, np.nan, np.nan],
        "size": [None, None, "tall", "short"],
        "depth": [0.5, 9.5, np.nan, 9.5],
    }
    found = impute(run, pd.DataFrame(rows))
    assert found.values["size"].tolist() == ["tall", "short", "tall", "short"]
    assert found.values["height"].tolist()[:2] == [185, 155]
    assert found.values["height"][2] > 172
    assert found.values["height"][3] == pytest.approx(155, abs=5)
    assert (found.values["same"] == 7).all()
    assert np.isnan(found.scale[0, 0])
    assert found.scale[0, 1] < 0.2  # of another word
    assert found.scale[2, 0] > found.scale[3, 0]  # the less is known, the wider


def test_objects_and_files_give_the_same(run: Run, kept: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(kept / "t.csv", separator=";", decimal_comma=True, null_values=["NA"])
    frame.write_parquet(tmp_path / "t.parquet")
    expected = impute(run, kept / "t.csv")
    for given in (frame, frame.to_pandas(), frame.select(reversed(frame.columns)), tmp_path / "t.parquet"):
        found = impute(run, given)
        assert np.array_equal(found.values, expected.values)
        assert np.array_equal(found.scale, expected.scale, equal_nan=True)


def test_a_row_is_filled_alike_in_any_company(run: Run, kept: Path) -> None:
    frame = pl.read_csv(kept / "t.csv", separator=";", decimal_comma=True, null_values=["NA"])
    whole = impute(run, frame)
    order = np.random.default_rng(0).permutation(N)
    found = impute(run, frame[order])
    assert np.array_equal(found.values, whole.values[order])
    assert np.array_equal(found.scale, whole.scale[order], equal_nan=True)


def test_copies_differ_where_values_were_missing_and_nowhere_else(run: Run, kept: Path, tmp_path: Path) -> None:
    found = impute(run, kept / "t.csv", draws=4, out=tmp_path / "f.csv", scales=tmp_path / "s.csv")
    assert found.draws is not None
    assert found.draws.shape == (4, N)
    holes = ~np.isnan(found.scale)
    for k, name in enumerate(("height", "size", "depth")):
        same = (found.draws[name] == found.values[name]).all(0)
        assert same[~holes[:, k]].all()
        if name != "size":
            assert not same[holes[:, k]].any()
    heights = found.draws["height"][:, holes[:, 0]]
    assert abs(((heights - found.values["height"][holes[:, 0]]) / found.scale[holes[:, 0], 0]).std() - 1) < 0.2
    text = cells(tmp_path / "f.csv")
    assert text[0] == ["draw", "id", "height", "size", "depth", "same"]
    assert [row[0] for row in text[1:]] == [str(k + 1) for k in range(4) for _ in range(N)]
    again = impute(run, kept / "t.csv", draws=4, out=tmp_path / "f.parquet")
    assert np.array_equal(again.draws, found.draws)
    assert not np.array_equal(impute(run, kept / "t.csv", draws=4, seed=1).draws, found.draws)
    read = pl.read_parquet(tmp_path / "f.parquet")
    assert read.columns == text[0]
    assert read["size"].to_list() == found.draws["size"].ravel().tolist()
    assert (tmp_path / "s.csv").read_text().splitlines()[0] == "row,height,size,depth"


def test_pixels_under_a_mask_are_filled_and_others_stay(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
    np.save(tmp_path / "x.npy", x)
    run = finished(small(data__name=str(tmp_path / "x.npy")), tmp_path / "gray")
    mask = np.zeros((6, 5), bool)
    mask[2:4] = True
    found = impute(run, x, mask=mask)
    assert found.values.dtype == np.uint8
    assert found.values.shape == (40, 1, 6, 5)
    assert np.array_equal(found.values[:, 0, ~mask], x[:, ~mask])
    assert np.isfinite(found.scale[:, 0, mask]).all()
    assert np.isnan(found.scale[:, 0, ~mask]).all()
    assert 40 < found.scale[:, 0, mask].mean() < 110  # of levels that are uniform: 74
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "m.png")
    again = impute(run, tmp_path / "x.npy", mask=tmp_path / "m.png", out=tmp_path / "f.npy")
    assert np.array_equal(np.load(tmp_path / "f.npy"), again.values)
    assert np.array_equal(again.values, found.values)
    holes = np.where(mask, np.nan, x.astype(np.float64))
    assert np.array_equal(impute(run, holes).values, found.values)
    drawn = impute(run, x, mask=mask, draws=3).draws
    assert drawn is not None
    assert drawn.shape == (3, 40, 1, 6, 5)
    assert np.array_equal(drawn[:, :, 0, ~mask], np.stack([x[:, ~mask]] * 3))
    impute(run, x, mask=mask, out=tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as sheet:
        assert sheet.size[0] > 30


def test_images_of_bits_are_filled_by_a_model_that_knows_no_holes(tmp_path: Path) -> None:
    for _ in train(choose("digits28", latent_dim=5, hidden=[100], epochs=30), tmp_path / "run"):
        pass
    run = Run(tmp_path / "run")
    x = run.data().test.batch(torch.arange(20)).x.numpy()
    mask = np.zeros((28, 28), bool)
    mask[11:17] = True
    found = impute(run, x, mask=mask)
    assert np.array_equal(found.values[..., ~mask], x[..., ~mask])
    mean = run.data().train.batch(torch.arange(500)).x.mean(0).numpy()
    error, usual = (((values - x)[..., mask] ** 2).mean() for values in (found.values, mean))
    assert error < 0.85 * usual  # reconstructions of whole digits have 0.64 of it


def test_a_table_without_holes_stays(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    rows = {"height": [185.0], "size": ["tall"], "depth": [0.5]}
    with caplog.at_level("INFO", "vaekit"):
        assert impute(run, rows).values.tolist() == [(185.0, "tall", 0.5, 7.0)]
    assert "no value of the input is missing" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"mask": np.zeros((2, 2), bool)}, "mask is for images"),
        ({"out": "x.png"}, r"x\.png cannot hold rows of a table"),
        ({"scales": "x.png"}, r"x\.png cannot hold parts of columns: .*\(--scales\)"),
        ({"input": {"height": [1.0], "size": ["huge"], "depth": [None]}}, "size.*'huge'"),
        ({"input": {"height": [1.0], "size": ["tall"]}}, "lacks 1 of the 3 columns .*'depth'"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], words: str, run: Run, kept: Path) -> None:
    with pytest.raises(InputError, match=words):
        impute(run, **{"input": kept / "t.csv", **wrong})


def test_a_wrong_cell_is_named_by_its_file_and_line(run: Run, kept: Path, tmp_path: Path) -> None:
    lines = (kept / "t.csv").read_text().splitlines()
    lines[2] = lines[2].replace("tall", "huge").replace("short", "huge").replace("NA", "huge")
    (tmp_path / "wrong.csv").write_text("\n".join(lines) + "\n")
    for verb in (encode, impute):
        with pytest.raises(InputError, match=r"wrong\.csv line 3, column 'size' holds 'huge', which is not one of"):
            verb(run, tmp_path / "wrong.csv")


def test_models_without_a_density_cannot_impute(tmp_path: Path) -> None:
    run = finished(small(model__posterior="delta", objective="reconstruction"), tmp_path / "run")
    with pytest.raises(InputError, match="cannot impute: it needs a posterior that has a density"):
        impute(run, "digits")


def test_the_command_counts_what_it_filled(
    run: Run, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "f.csv"
    assert main(["impute", str(run.path), str(kept / "t.csv"), "--out", str(out)]) == 0
    missing = sum(cell in ("", "NA") for row in cells(kept / "t.csv") for cell in row)
    assert capsys.readouterr().out == f"{missing} missing values of {N} rows are filled in:\n{out}\n"


def test_what_is_filled_in_has_the_decimals_of_the_file_and_what_was_observed_keeps_its_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-50, 50, (80, 3))
    train, more = tmp_path / "t.csv", tmp_path / "more.csv"
    train.write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in x))
    more.write_text("a,b,c\n7.25,,3\n1.5,4,5\n")
    run = finished(choose(str(train), epochs=1, set={"data.missing": 0.1}), tmp_path / "run")
    found = impute(run, str(more)).values
    assert found[:, 0].tolist() == [7.25, 1.5]
    assert found[0, 1] % 1 == 0
