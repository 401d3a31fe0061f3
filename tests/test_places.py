"""Data are found again: from another folder, moved with the run, where they were, or where one says they are."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import finished, same, small

import vaekit
from vaekit import InputError, Run
from vaekit.cli import main
from vaekit.data.places import Places

LESS: dict[str, Any] = {"metrics": ["evidence"], "samples": 2, "images": 3}


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(60, 3))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data in desk/x.npy and a run trained on them by the relative path, desk/runs/a."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    np.save("x.npy", rows())
    finished(small(data__name="x.npy", batch_size=12, epochs=1), Path("runs/a"))
    return folder


def other_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return elsewhere


def test_a_run_is_used_and_resumed_from_another_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finished(small(data__name="x.npy", batch_size=12, epochs=2), home / "runs" / "whole")
    other_folder(home, monkeypatch)
    assert vaekit.evaluate("../desk/runs/a", **LESS)["images"] == 3
    assert len(vaekit.figures("../desk/runs/a")) > 3
    resumed = finished(small(data__name="x.npy", batch_size=12, epochs=2), Path("../desk/runs/a"), resume=True)
    assert same(resumed, whole)
    assert resumed.experiment == whole.experiment


def test_data_that_moved_with_their_run_are_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other_folder(home, monkeypatch)
    shutil.move(home, home.parent / "moved")
    caplog.set_level("INFO", "vaekit")
    run = Run("../moved/runs/a")
    assert run.data().space == run.space
    assert caplog.messages[-1] == f"the data x.npy were found at {home.parent / 'moved' / 'x.npy'}"


def test_a_run_that_moved_alone_finds_its_data_where_they_were(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = other_folder(home, monkeypatch)
    shutil.move(home / "runs" / "a", elsewhere / "deep" / "b")
    assert Run("deep/b").data().space.digest == Run("deep/b").space.digest


def test_a_linked_run_folder_finds_its_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = other_folder(home, monkeypatch)
    (elsewhere / "link").symlink_to(home / "runs")
    shutil.move(home / "x.npy", home / "y.npy")
    (home / "x.npy").symlink_to(home / "y.npy")
    assert Run("link/a").data().space == Run("link/a").space


def test_other_data_of_the_same_name_are_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = other_folder(home, monkeypatch)
    np.save(elsewhere / "x.npy", rows(1))
    run = Run(home / "runs" / "a")
    assert run.data().space == run.space
    (elsewhere / "x.npy").write_bytes(b"no array")
    assert run.data().space == run.space


def test_every_place_that_was_tried_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = other_folder(home, monkeypatch)
    np.save(elsewhere / "x.npy", rows(1))
    shutil.move(home / "runs" / "a", elsewhere / "a")
    shutil.move(home / "x.npy", elsewhere / "y.npy")
    beside_the_run, first = home.parent / "x.npy", home / "x.npy"
    tried = rf"x\.npy holds other data \(digest \w+\), {beside_the_run} does not exist, {first} does not exist; restore"
    with pytest.raises(InputError, match=tried + r" them, or name their place with --data PATH$"):
        vaekit.evaluate("a", **LESS)
    assert vaekit.evaluate("a", **LESS, data="y.npy")["images"] == 3
    with pytest.raises(InputError, match=r"not found: x\.npy holds other data \(digest \w+\); restore"):
        vaekit.evaluate("a", **LESS, data=Path("x.npy"))
    with pytest.raises(InputError, match=r"not found: nope\.npy does not exist; restore"):
        vaekit.report("a", data="nope.npy")


def test_every_verb_takes_another_place(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move("x.npy", home.parent / "y.npy")
    less = ["--images", "3", "--samples", "2"]
    resume = ["train", "--resume", "--run", "runs/a", "--epochs", "2"]
    for words in (["evaluate", "runs/a", *less], resume):
        assert main(words) == 2
        assert "--data PATH" in capsys.readouterr().err
    for words in (["evaluate", "runs/a", *less], ["report", "runs/a"], ["figures", "runs/a"], resume):
        assert main([*words, "--data", "../y.npy"]) == 0
    assert Run("runs/a").metrics()[-1]["epoch"] == 2
    assert Run("runs/a").experiment.data.name == "x.npy"
    resumed = vaekit.train_stack(
        [small(data__name="x.npy", batch_size=12, epochs=3)] * 2, ["runs/a", shutil.copytree("runs/a", "runs/b")],
        resume=True, data="../y.npy",
    )  # fmt: skip
    assert [progress.epoch for progress in list(resumed)[-1]] == [3, 3]


def test_a_place_in_place_of_the_experiments_names_the_data_of_a_new_run(home: Path) -> None:
    run = finished(small(epochs=1), Path("new"), data="x.npy")
    assert run.experiment == small(epochs=1, data__name="x.npy")
    with pytest.raises(InputError, match=r"data is 'x\.npy', which is for resuming"):
        next(vaekit.train_stack([small(), small(seed=1)], [Path("stacked"), Path("other")], data="x.npy"))
    assert not Path("stacked").exists()


def test_samples_are_judged_by_the_data_of_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("x.npz", x=random.integers(0, 256, (80, 8, 8)).astype(np.uint8), labels=np.arange(80) % 2)
    run = finished(
        small(data__name="x.npz", data__binarization="dynamic", model__likelihood="bernoulli", batch_size=8),
        tmp_path / "r",
    )
    before = run.data(stored=True)
    shutil.move("x.npz", "y.npz")
    after = run.data(place="y.npz", stored=True)
    assert after.space == before.space
    assert after.space.binarization == "none"
    assert after.train.x.max() > 1


def test_a_run_without_places_needs_the_name_or_a_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs/a/places.json").unlink()
    assert Run("runs/a").data().space.sizes["train"] == 48
    other_folder(home, monkeypatch)
    with pytest.raises(InputError, match=r"x\.npy does not exist; restore them, or name their place with --data PATH"):
        Run(home / "runs" / "a").data()
    assert Run(home / "runs" / "a").data(place=home / "x.npy")


def test_a_damaged_file_of_places_is_named(home: Path) -> None:
    Path("runs/a/places.json").write_text('{"absolute": 3}')
    assert Run("runs/a").data()
    Path("x.npy").unlink()
    with pytest.raises(InputError, match=r"places\.json cannot be read"):
        Run("runs/a").data()


def test_a_report_keeps_its_figures_when_the_data_are_gone(home: Path) -> None:
    page = vaekit.report("runs/a")
    before = page.read_bytes()
    Path("x.npy").unlink()
    with pytest.raises(InputError, match="--data PATH"):
        vaekit.report("runs/a")
    assert page.read_bytes() == before
    page.unlink()
    assert "its weights or its data cannot be had" in vaekit.report("runs/a").read_text()


def test_no_folder_of_the_user_is_told(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(small(data__name=str(home / "x.npy"), batch_size=12, epochs=1), Path("runs/b"))
    vaekit.evaluate("runs/b", **LESS)
    Path("x.npy").rename("y.npy")
    for run in ("runs/a", "runs/b"):
        capsys.readouterr()
        assert main(["show", run, "--json"]) == 0
        shown = capsys.readouterr().out
        assert json.loads(shown)["data"] == "x.npy"
        page = vaekit.report(run).read_text()
        for text in (shown, page):
            assert str(tmp_path) not in text
    holding = [p.name for p in Path("runs/a").iterdir() if p.is_file() and str(tmp_path).encode() in p.read_bytes()]
    assert holding == ["places.json"]


def test_named_sets_have_no_place(tmp_path: Path) -> None:
    assert Places.of("digits", tmp_path) is None
    assert not (finished(small(epochs=0.1), tmp_path / "run").path / "places.json").exists()


def test_overwriting_replaces_the_places(home: Path) -> None:
    finished(small(epochs=0.1), Path("runs/a"), overwrite=True)
    assert not Path("runs/a/places.json").exists()


def test_an_error_of_a_long_path_is_one_line(home: Path) -> None:
    with pytest.raises(InputError) as raised:
        vaekit.evaluate("runs/a", data="x" * 300, **LESS)
    assert re.fullmatch(r".+", str(raised.value))
