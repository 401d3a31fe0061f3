"""The verb score: values of the library's own estimator, compared with training rows, and written as tables."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small import finished, small

from vaekit import InputError, Run, choose, score, train
from vaekit.cli import main
from vaekit.evaluation.rows import shared_noise
from vaekit.evaluation.scores import scores

ROWS = np.random.default_rng(0).normal([5, -100], [2, 30], (200, 2))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of two columns, to be read only."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "t.csv").write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in ROWS))
    finished(small(data__name=str(folder / "t.csv"), epochs=5), folder / "run")
    return folder


@pytest.fixture
def table(kept: Path) -> Run:
    return Run(kept / "run")


def cells(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_scores_are_those_of_the_estimator(run: Run) -> None:
    x = np.random.default_rng(0).random((128, 1, 8, 8), np.float32)
    found = score(run, x, draws=5)
    with torch.no_grad():
        expected = scores(run.vae(), torch.from_numpy(x), shared_noise(5, 3), "evidence")
    np.testing.assert_allclose(found.score, expected["score"].numpy(), rtol=1e-6)
    np.testing.assert_allclose(found.standard_error, expected["standard_error"].numpy(), rtol=1e-3)


@pytest.mark.parametrize("by", ["evidence", "elbo", "reconstruction"])
def test_a_row_has_the_same_score_in_any_file(by: Any, table: Run) -> None:
    whole = score(table, ROWS, by=by)
    order = np.random.default_rng(1).permutation(200)
    for one, other in zip(score(table, ROWS[order], by=by)[:4], whole[:4], strict=True):
        assert np.array_equal(one, other[order])
    assert score(table, ROWS[7:8], by=by).score[0] == whole.score[7]


def test_what_is_far_from_the_training_rows_scores_low_and_is_flagged(table: Run) -> None:
    found = score(table, np.array([[5, -100], [50, -100], [5, 900]]))
    assert found.flag.tolist() == [False, True, True]
    assert found.share_lower[0] > 0.5
    assert (found.share_lower[1:] == 0).all()
    odd = score(table, np.array([[50, -100], [5, 900]]), parts=True)
    assert odd.parts is not None
    assert odd.parts.argmin(1).tolist() == [0, 1]
    assert odd.rest is not None
    np.testing.assert_allclose(odd.parts.sum(1) + odd.rest, odd.score, rtol=1e-5)


def test_a_share_1_minus_quantile_of_the_training_rows_is_flagged(table: Run) -> None:
    train = table.data().train
    rows = table.space.generated(train.batch(torch.arange(len(train))).x)
    found = score(table, rows, quantile=0.9)
    assert found.flag.sum() == pytest.approx(0.1 * len(rows), abs=1)
    ranks = found.score.argsort().argsort()
    assert np.abs(found.share_lower - ranks / len(rows)).max() < 0.02  # rows that were rounded may change places


def test_scores_of_training_rows_are_computed_once(table: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = score(table, ROWS[:3], draws=7)
    monkeypatch.setattr(Run, "data", None)
    for one, other in zip(score(table, ROWS[:3], draws=7)[:4], first[:4], strict=True):
        assert np.array_equal(one, other)


def test_without_the_training_data_no_row_is_flagged(
    kept: Path, tmp_path: Path, caplog: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (kept / "run").rename(tmp_path / "run")
    try:
        (kept / "t.csv").rename(kept / "gone.csv")
        with caplog.at_level("WARNING", "vaekit"):
            found = score(tmp_path / "run", ROWS, draws=9)
        assert np.isfinite(found.score).all()
        assert np.isnan(found.share_lower).all()
        assert not found.flag.any()
        assert "no row is compared with the training rows or flagged" in caplog.text
        assert main(["score", str(tmp_path / "run"), str(kept / "gone.csv"), "--draws", "9", "--out", "s.csv"]) == 0
        assert capsys.readouterr().out == "200 rows are scored:\ns.csv\n"
        assert np.isfinite(score(tmp_path / "run", ROWS, draws=9, data=kept / "gone.csv").share_lower).all()
    finally:
        (kept / "gone.csv").rename(kept / "t.csv")
        (tmp_path / "run").rename(kept / "run")


def test_densities_of_the_files_units_are_those_of_the_model_divided_by_the_scales(table: Run) -> None:
    model, file = (score(table, ROWS, units=units, parts=True) for units in ("model", "file"))  # type: ignore[arg-type]
    logs = np.log([column.scale for column in table.space.columns or ()])
    np.testing.assert_allclose(file.score, model.score - logs.sum(), rtol=1e-6)
    assert model.parts is not None
    np.testing.assert_allclose(file.parts, model.parts - logs, rtol=1e-5)
    np.testing.assert_allclose(file.rest, model.rest, rtol=1e-6)  # type: ignore[arg-type]
    assert np.array_equal(file.flag, model.flag)


def test_files_hold_the_numbers(table: Run, kept: Path, tmp_path: Path) -> None:
    found = score(table, kept / "t.csv", out=tmp_path / "s.csv", parts=tmp_path / "p.csv")
    header, rows = cells(tmp_path / "s.csv")
    assert header == ["row", "score", "standard_error", "share_lower", "flag"]
    assert [row[0] for row in rows] == [str(k) for k in range(200)]
    np.testing.assert_allclose(np.array([[float(v) for v in row[1:4]] for row in rows]).T, found[:3], rtol=1e-8)
    assert {row[4] for row in rows} == {"true", "false"}
    header, rows = cells(tmp_path / "p.csv")
    assert header == ["row", "a", "b", "rest"]
    np.testing.assert_allclose([sum(map(float, row[1:])) for row in rows], found.score, rtol=1e-5)
    score(table, kept / "t.csv", out=tmp_path / "s.parquet", parts=tmp_path / "p.parquet")
    read = pl.read_parquet(tmp_path / "s.parquet")
    assert read.columns == ["row", "score", "standard_error", "share_lower", "flag"]
    assert np.array_equal(read["score"].to_numpy(), found.score)
    assert read["flag"].dtype == pl.Boolean
    assert pl.read_parquet(tmp_path / "p.parquet").columns == ["row", "a", "b", "rest"]
    score(table, kept / "t.csv", parts=tmp_path / "p.npy")
    assert np.array_equal(np.load(tmp_path / "p.npy"), found.parts)  # type: ignore[arg-type]


def test_parts_of_images_are_those_of_pixels(run: Run, tmp_path: Path) -> None:
    found = score(run, "digits", draws=2, out=tmp_path / "s.csv", parts=tmp_path / "p.npy")
    assert np.load(tmp_path / "p.npy").shape == (1797, 1, 8, 8)
    header, rows = cells(tmp_path / "s.csv")
    assert header[-1] == "label"
    assert len(rows) == len(found.score) == 1797
    with pytest.raises(InputError, match=r"p\.csv cannot hold parts of pixels: .* ends in \.npy \(--parts\)"):
        score(run, "digits", parts=tmp_path / "p.csv")


def test_missing_values_are_left_out_of_the_density(tmp_path: Path) -> None:
    rows = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.2, np.nan, ROWS)
    run = finished(small(data__name=rows_file(tmp_path, rows), epochs=20), tmp_path / "run")
    holes = np.array([[4.0, np.nan], [np.nan, -80.0], [np.nan, np.nan], [4.0, -80.0]])
    found = score(run, holes, draws=2000, parts=True)
    assert found.parts is not None
    assert (found.parts[np.isnan(holes)] == 0).all()
    assert abs(found.score[2]) < 5 * found.standard_error[2] + 1e-3  # log p of nothing is 0
    assert found.score[:2].sum() == pytest.approx(found.score[3], abs=1)  # the columns are nearly independent


def rows_file(folder: Path, rows: np.ndarray) -> str:
    """Write a table, with blanks for NaN."""
    lines = (",".join("" if v != v else f"{v}" for v in row) for row in rows.tolist())
    (folder / "t.csv").write_text("a,b\n" + "\n".join(lines))
    return str(folder / "t.csv")


def test_bits_are_compared_with_bits_that_are_read_alike(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in train(choose("digits28", latent_dim=2, hidden=[20], epochs=3), run):
        pass
    x = Run(run).data(stored=True).train.batch(torch.arange(300)).x.numpy()
    share = score(run, x, draws=4).share_lower
    assert abs(share.mean() - 0.5) < 5 * 0.29 / 300**0.5  # training images are in the middle of training images


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"by": "evidnce"}, "there is no score by 'evidnce': did you mean 'evidence'"),
        ({"units": "files"}, "units 'files' are unknown: did you mean 'file'"),
        ({"quantile": 1.5}, "quantile is 1.5: give a share of the training rows between 0 and 1"),
        ({"quantile": "x"}, "quantile is 'x'"),
        ({"draws": 0}, "draws is 0: give a whole number of at least 1"),
        ({"out": "x.npy"}, r"x\.npy cannot hold scores: give it a name that ends in \.csv or \.parquet \(--out\)"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], words: str, table: Run) -> None:
    with pytest.raises(InputError, match=words):
        score(table, ROWS, **wrong)


def test_a_deterministic_model_scores_by_reconstruction(tmp_path: Path) -> None:
    run = finished(small(model__posterior="delta", objective="reconstruction"), tmp_path / "run")
    with pytest.raises(InputError, match=r"by evidence needs a posterior that has a density.*by reconstruction"):
        score(run, "digits")
    x = np.random.default_rng(0).random((5, 8, 8), np.float32)
    found = score(run, x, by="reconstruction", draws=3)
    with torch.no_grad():
        expected = run.vae().draw(torch.from_numpy(x[:, None])).log_likelihood[0]
    np.testing.assert_allclose(found.score, expected.numpy(), rtol=1e-5)
    assert found.standard_error.max() < 1e-6


def test_the_command_says_how_many_are_flagged(table: Run, kept: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "s.csv"
    assert main(["score", str(table.path), str(kept / "t.csv"), "--out", str(out)]) == 0
    flagged = sum(row[-1] == "true" for row in cells(out)[1])
    expected = f"{flagged} of 200 rows are less probable than 95 % of the training rows:\n{out}\n"
    assert capsys.readouterr().out == expected
