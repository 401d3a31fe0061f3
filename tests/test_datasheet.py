"""The data sheet: what is printed of data, what would be chosen, the command to type, and the page with pictures."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from vaekit.__main__ import main
from vaekit.choices import choose
from vaekit.reporting.datasheet import datasheet

RANDOM = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{x:.3f},{y:.3f},5,{'ab'[i % 2]}" for i, (x, y) in enumerate(RANDOM.normal(size=(60, 2)))]
    Path("my table.csv").write_text("\n".join(["id,x,y,flat,kind", *rows]))
    return "my table.csv"


def test_a_person_reads_a_page(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", table, "--label", "kind", "--ignore", "y"]) == 0
    out = capsys.readouterr().out
    assert "60 rows of 2 columns" in out
    assert re.search(r"classes +2: a \(30\), b \(30\)", out)
    assert re.search(r"left out +'y' \(named by ignore\); 'id' \(it only numbers the rows\)", out)
    assert "1 of 2 columns never vary over the training examples: 'flat'" in out
    assert not re.search(r"(?m)^.*: 0$", out)
    assert re.search(r"(?m)^gaussian +yes ", out)
    assert re.search(r"(?m)^model.network +mlp +the data are rows of 1 numbers", out)
    assert out.splitlines()[-1].strip() == "vaekit train 'my table.csv' --label kind --ignore y"


def test_data_are_checked_by_their_name_alone(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", table, "--label", "kind", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == "vaekit train 'my table.csv' --label kind"
    assert main(["data", "chek", table]) == 2
    assert 'Did you mean "check"' in capsys.readouterr().err


def test_the_command_trains_what_was_looked_at(table: str) -> None:
    found = datasheet(table, label="", split="40/20", ignore=("kind",))
    words = shlex.split(found["command"])[1:]
    assert main([*words, "--epochs", "1", "--hidden", "4", "--no-report", "--run", "run"]) == 0
    space = json.loads(Path("run/data.json").read_text())
    assert (space["digest"], space["split"]) == (found["digest"], "40/20")


def test_what_would_be_chosen_is_what_training_chooses() -> None:
    found = datasheet("digits")
    experiment = choose("digits")
    chosen = {choice["path"]: choice["value"] for choice in found["chosen"]}
    assert experiment.replace_all(chosen) == experiment
    assert chosen["epochs"] == experiment.epochs > 100


def test_json_keeps_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "digits", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"shape", "range", "sizes", "classes", "missing", "constant", "duplicates", "likelihoods"} <= set(found)
    assert {"notes", "chosen", "command"} <= set(found)


@pytest.mark.parametrize("out", ["page.html", "folder"])
@pytest.mark.parametrize("name", ["digits", "my table.csv"])
def test_a_page_with_pictures(out: str, name: str, table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", name, "--out", out]) == 0
    page = Path("page.html") if out == "page.html" else Path("folder/data.html")
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    html = page.read_text("utf-8")
    pictures = 2 if name == "digits" else 1
    assert html.count("data:image/svg+xml") == pictures
    assert "<script" not in html
    assert not re.search("https?:", re.sub(r"data:image[^\"]*", "", html))
    if out == "folder":
        assert len(list(page.parent.glob("*.svg"))) == len(list(page.parent.glob("*.png"))) == pictures
    assert ("The first 16 training rows" in html) == (name != "digits")


def test_a_page_does_not_tell_where_the_data_are(table: str, tmp_path: Path) -> None:
    assert str(tmp_path) in datasheet(tmp_path / table, out="page.html")["command"]
    page = Path("page.html").read_text("utf-8")
    assert str(tmp_path) not in page
    assert "vaekit train &#39;my table.csv&#39;" in page


def test_what_is_odd_is_said_with_its_remedy(tmp_path: Path) -> None:
    paper = np.full((40, 8, 8), 255, np.uint8)
    paper[:, 2:4] -= RANDOM.integers(0, 256, (40, 2, 8), dtype=np.uint8)
    paper[1] = paper[0]
    np.save(tmp_path / "paper.npy", paper)
    np.save(tmp_path / "rows.npy", paper.reshape(40, 64))
    notes = " | ".join(datasheet(tmp_path / "paper.npy", split="32/8")["notes"])
    assert "the images are dark on light (mean pixel 0.8" in notes
    assert "48 of 64 pixels never vary" in notes
    assert "32 training examples are few" in notes
    assert re.search("1 examples? ", notes)
    assert "images of 8×8: --image-size 8 reads" in datasheet(tmp_path / "rows.npy")["notes"][0]
    assert datasheet(tmp_path / "rows.npy", image_size=8)["command"].endswith("rows.npy --image-size 8")
