"""The table of a sweep: means and errors over seeds, which row is surely the best, and how it is written."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeping import engine

from vaekit import InputError, Run, choose, evaluate, per_image, sweep, tabulate, train
from vaekit.cli import main
from vaekit.engine import sweeps
from vaekit.engine.tables import Row, _behind, _surely


@pytest.fixture(scope="module", autouse=True)
def _here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeps, "local", engine([]))
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "x"
    base = choose("digits", hidden=[8], epochs=1, latent_dim=2)
    grid = {"latent_dim": [5, 2], "beta": [1, 4]}
    for _ in sweep(base, grid, out=folder, seeds=2, samples=5, images=20, jobs=1, engine="local"):
        pass
    return folder


def by_seed(folder: Path, row: Row) -> np.ndarray:
    """The log-evidence of each image, (seeds, images), of a row's runs."""
    d, beta = row.values.values()
    return np.stack([per_image(folder / f"latent_dim-{d}_beta-{beta:g}_seed-{k}") for k in row.seeds])


def test_a_row_is_the_mean_over_its_seeds(swept: Path) -> None:
    table = tabulate(swept)
    assert [tuple(row.values.values()) for row in table.rows] == [(2, 1), (2, 4), (5, 1), (5, 4)]
    for row in table.rows:
        values = by_seed(swept, row)
        assert row.log_evidence == pytest.approx(values.mean(), abs=1e-5)
        assert row.over_seeds == pytest.approx(values.mean(1).std(ddof=1) / 2**0.5, abs=1e-5)
        assert row.over_images == pytest.approx(values.mean(0).std(ddof=1) / 20**0.5, abs=1e-5)


def test_differences_are_paired_by_seed(swept: Path) -> None:
    rows = tabulate(swept).rows
    best = max(rows, key=lambda row: row.log_evidence)
    assert best.behind is None
    for row in rows:
        if row is not best:
            each = (by_seed(swept, best) - by_seed(swept, row)).mean(1)
            assert row.behind == pytest.approx(np.mean(each), abs=1e-4)
            assert row.behind_error == pytest.approx(np.std(each, ddof=1) / 2**0.5, abs=1e-4)


def test_the_best_is_named_only_beyond_the_error_over_seeds() -> None:
    def row(means: dict[int, float]) -> tuple[Row, dict[int, np.ndarray]]:
        values = {seed: np.array([mean - 1, mean + 1]) for seed, mean in means.items()}
        spread = np.array([*means.values()])
        error = float(spread.std(ddof=1) / len(spread) ** 0.5) if len(spread) > 1 else None
        return Row({}, tuple(means), float(spread.mean()), error, 1.0, 0.0, 0.0), values

    best = row({0: 0.0, 1: 5.0, 2: 1.0})
    assert _surely(_behind(*row({0: -1.0, 1: 4.1, 2: 0.0}), *best))  # seeds differ far more than the two within a seed
    assert not _surely(_behind(*row({0: -1.0, 1: 6.0, 2: 0.0}), *best))
    assert not _surely(_behind(*row({5: -1.0, 6: 4.1, 7: 0.0}), *best))  # other seeds: not paired
    assert not _surely(_behind(*row({0: -90.0}), *row({0: 0.0})))  # one seed


def test_rows_are_averages_where_other_fields_vary(swept: Path) -> None:
    table, whole = tabulate(swept, by="latent_dim"), tabulate(swept)
    assert [row.values for row in table.rows] == [{"model.latent_dim": 2}, {"model.latent_dim": 5}]
    assert table.rows[0].log_evidence == pytest.approx(np.mean([row.log_evidence for row in whole.rows[:2]]))
    assert "averaged over beta" in table.note


def test_one_seed_has_no_best(swept: Path, tmp_path: Path) -> None:
    base = choose("digits", hidden=[8], epochs=1, latent_dim=2)
    for _ in sweep(base, {"latent_dim": [2, 5]}, out=tmp_path / "y", samples=5, images=20, jobs=1, engine="local"):
        pass
    table = tabulate(tmp_path / "y")
    assert table.best is None
    assert "the spread over seeds is unknown" in table.note
    assert all(row.over_seeds is None for row in table.rows)


def test_all_kinds_of_files_hold_the_table(swept: Path, tmp_path: Path) -> None:
    table = tabulate(swept, out=tmp_path / "all")
    kept = {path.name for path in (tmp_path / "all").iterdir()}
    assert {"table.csv", "table.json", "table.md", "table.tex", "over-beta.png", "over-latent_dim.svg"} <= kept
    lines = list(csv.DictReader((tmp_path / "all" / "table.csv").read_text().splitlines()))
    assert [float(line["log_evidence"]) for line in lines] == [row.log_evidence for row in table.rows]
    assert json.loads((tmp_path / "all" / "table.json").read_text())["columns"] == table.columns()
    assert (tmp_path / "all" / "table.md").read_text().startswith("| latent_dim | beta | seeds |")
    assert r"latent\_dim & beta" in (tmp_path / "all" / "table.tex").read_text()


def test_a_run_that_is_not_evaluated_is_left_out_with_a_line(
    swept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = choose("digits", hidden=[8], epochs=1, latent_dim=2)
    for _ in sweep(base, {"latent_dim": [2, 5]}, out=tmp_path / "y", evaluate=None, jobs=1, engine="local"):
        pass
    with pytest.raises(InputError, match=r"no run in .* was evaluated on test examples"):
        tabulate(tmp_path / "y")
    evaluate(tmp_path / "y" / "latent_dim-2_seed-0", samples=5, images=20)
    assert len(tabulate(tmp_path / "y").rows) == 1
    assert "latent_dim-5_seed-0" in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "nonsense"}, "does not vary 'nonsense'"),
        ({"by": ["latent_dim", "epochs"]}, "does not vary 'epochs'"),
        ({"out": "table.xlsx"}, "cannot hold a table"),
        ({"split": "validation"}, "evaluated on validation examples"),
    ],
)
def test_wrong_input_is_refused(swept: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tabulate(swept, **options)


def test_the_command_line_prints_it(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(swept)]) == 0
    printed = capsys.readouterr().out
    assert "± over seeds" in printed
    assert "latent_dim" in printed
    assert main(["compare", str(swept / "latent_dim-2_beta-1_seed-0"), "--by", "beta"]) == 2
    assert "is for the table of a sweep" in capsys.readouterr().err


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    base = choose("digits", hidden=[8], epochs=1, latent_dim=2)
    for _ in train(base, tmp_path / "run"):
        pass
    with pytest.raises(InputError, match="holds no sweep"):
        tabulate(Run(tmp_path / "run"))


def test_python_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "sweeps.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "sweeps.md", "exec"), {})
    assert "| latent_dim | seeds | log-evidence |" in capsys.readouterr().out
