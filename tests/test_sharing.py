"""Runs on a hub: they load elsewhere, encode to the same bytes, and tell nobody where their data are."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small import finished, small

from vaekit import InputError, Run, RunError, cite, encode, evaluate, figures, load, push
from vaekit.cli import main
from vaekit.sharing import hub

ENCODE = "import vaekit, numpy as np; np.save('z.npy', vaekit.encode(vaekit.load('hub/model'), np.load('x.npy')))"


@pytest.fixture
def private(tmp_path: Path) -> Run:
    """A run on data in a folder whose name nobody should read."""
    (tmp_path / "clinic of dr who").mkdir()
    path = tmp_path / "clinic of dr who" / "scans.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (80, 6, 5), np.uint8))
    run = finished(small(data__name=str(path)), tmp_path / "clinic of dr who" / "runs" / "first")
    evaluate(run, samples=5)
    return run


def head(card: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(card.split("---\n")[1])
    return found


def test_a_shared_run_encodes_to_the_same_bytes_elsewhere_without_the_data(private: Run, tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(0, 256, (30, 6, 5), np.uint8)
    before = encode(private, x)
    (tmp_path / "hub").mkdir()
    assert main(["push", str(private.path), str(tmp_path / "hub" / "model"), "--quiet"]) == 0
    shutil.rmtree(tmp_path / "clinic of dr who")
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", ENCODE], check=True, cwd=tmp_path)
    assert np.load(tmp_path / "z.npy").tobytes() == before.tobytes()


def test_no_path_is_shared_and_nothing_that_executes(private: Run, tmp_path: Path) -> None:
    figures(private)
    push(private, tmp_path / "model")
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".md", ".safetensors", ".svg", ".png"}
    assert [path.name for path in files if b"clinic" in path.read_bytes() or b"dr who" in path.read_bytes()] == []
    shared = Run(tmp_path / "model")
    assert shared.experiment.data.name == shared.space.source == "scans.npy"
    assert shared.results()["evaluations"][0]["log_evidence"] == private.results()["evaluations"][0]["log_evidence"]
    push(private, tmp_path / "model", figures=False)
    assert list((tmp_path / "model").glob("figures/*")) == []


def test_numbers_of_the_card_say_how_they_were_measured(private: Run, tmp_path: Path) -> None:
    push(private, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    (evidence,) = [line for line in card.splitlines() if line.startswith("| log-evidence, importance bound")]
    cells = [cell.strip() for cell in evidence.strip("|").split("|")]
    found = private.results()["evaluations"][0]["log_evidence"]
    assert cells[1:7] == [f"{found['value']:.3f}", f"{found['standard_error']:.3f}", "test", "8", "none", "5"]
    assert cells[7] == "`vaekit evaluate first --split test --metrics evidence,latents --samples 5 --images 8`"
    for line in (line for line in card.splitlines() if line.startswith("| ") and "number" not in line):
        assert all(cell.strip() for cell in line.strip("|").split("|")), line
    results = head(card)["model-index"][0]["results"]
    assert results[0]["metrics"][0]["value"] == found["value"]
    assert head(card)["library_name"] == json.loads((tmp_path / "model" / "config.json").read_text())["library_name"]


def test_hugging_face_reads_the_card(private: Run, tmp_path: Path) -> None:
    cards = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    push(private, tmp_path / "model")
    data = cards.ModelCard.load(tmp_path / "model" / "README.md").data
    assert data.library_name == "vaekit"
    assert {result.metric_type for result in data.eval_results} >= {"log_evidence", "elbo"}


def test_trouble_with_the_card_keeps_nothing_from_being_shared(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hub, "card", lambda *_: 1 / 0)
    push(run, tmp_path / "model")
    assert not (tmp_path / "model" / "README.md").exists()
    assert "the card was not written (ZeroDivisionError" in caplog.text
    assert load(tmp_path / "model").vae().latent_dim == 3


def test_any_file_system_is_a_hub(run: Run, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((9, 1, 8, 8), np.float32)
    push(run, "memory://models/small")
    assert np.array_equal(encode(load("memory://models/small"), x), encode(run, x))
    push(run, f"file://{tmp_path / 'there'}")
    assert load(f"file://{tmp_path / 'there'}").path == tmp_path / "there"
    with pytest.raises(InputError, match=r"memory://models/none (holds no run|cannot be fetched)"):
        load("memory://models/none")
    with pytest.raises(InputError, match=r"nosuch://x cannot be opened .*"):
        load("nosuch://x")


class Api:
    """A stand-in for Hugging Face, which no test can reach: a folder for each repository and revision."""

    root: Path

    def __init__(self, **_: Any) -> None:
        self.private: bool | None = None

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        (self.root / name / "main").mkdir(parents=True, exist_ok=exist_ok)
        (self.root / name / "private").write_text(str(private))

    def create_branch(self, name: str, branch: str, exist_ok: bool) -> None:
        (self.root / name / branch).mkdir(exist_ok=exist_ok)

    def upload_folder(
        self, repo_id: str, folder_path: str, revision: str | None, delete_patterns: list[str], commit_message: str
    ) -> None:
        shutil.copytree(folder_path, self.root / repo_id / (revision or "main"), dirs_exist_ok=True)


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Api.root = tmp_path / "hugging face"

    def snapshot_download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        folder = Api.root / name / (revision or "main")
        if not folder.is_dir():
            raise OSError(f"no {name} at {revision}")
        assert "model.pkl" not in allow_patterns
        return str(folder)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=Api, snapshot_download=snapshot_download))
    return Api.root


def test_hugging_face(run: Run, hugging_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).random((9, 1, 8, 8), np.float32)
    push(run, "hf://me/digits@v1")
    assert (hugging_face / "me/digits/private").read_text() == "True"
    assert np.array_equal(encode(load("hf://me/digits@v1"), x), encode(run, x))
    assert main(["show", "hf://me/digits@v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"].endswith("me/digits/v1")
    push(run, "hf://me/open", public=True)
    assert (hugging_face / "me/open/private").read_text() == "False"
    with pytest.raises(InputError, match=r"hf://me/digits at v2 cannot be fetched .*check the name, the network"):
        load("hf://me/digits@v2")
    with pytest.raises(InputError, match=r"hf://digits is not the address of a model: write hf://user/name"):
        load("hf://digits")


def test_a_lost_network_is_a_sentence(run: Run, hugging_face: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network is unreachable\nand more")

    monkeypatch.setattr(Api, "upload_folder", fail)
    with pytest.raises(RunError, match=r"hf://me/digits cannot be written \(the network is unreachable\): check"):
        push(run, "hf://me/digits")


def test_what_is_there_is_not_replaced(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"library_name": "other"}')
    for place in ("mine", f"file://{tmp_path / 'mine'}", run.path):
        with pytest.raises(InputError, match=r"holds something else than a shared run: name another place"):
            push(run, place)
    with pytest.raises(InputError, match=r"me/digits: write hf://me/digits for Hugging Face, or make the folder me"):
        push(run, "me/digits")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'vaekit\[hub\]'"):
        push(run, "hf://me/digits")
    (run.path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="has no weights yet"):
        push(run, "fresh")
    assert not (tmp_path / "fresh").exists()


def test_citations_name_the_parts_and_the_run(tmp_path: Path) -> None:
    changes = {"model__prior": "vamp", "objective": "importance", "model__prior__pseudo_inputs": 3, "epochs": 0.2}
    run = finished(small(**changes), tmp_path / "run")
    text = cite(run)
    keys = re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)
    assert keys[0] == "vaekit"
    assert {"tomczak2018vae", "burda2016importance", "kingma2015adam"} <= {*keys}
    assert keys[1] == f"run{hub_digest(run)[:12]}"
    assert hub_digest(run) in text
    assert run.space.digest in text
    assert text.count("{") == text.count("}")
    assert "eprint = {1705.07120}" in text
    push(run, tmp_path / "model")
    assert cite(tmp_path / "model") == text


def hub_digest(run: Run) -> str:
    from hashlib import sha256

    return sha256((run.path / "weights.safetensors").read_bytes()).hexdigest()
