"""Trackers get what the run's files say, once, offline, and are imported only if they are asked for."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small import same

from vaekit import InputError, Run, RunError, evaluate, sample, track
from vaekit.cli import main
from vaekit.outputs import picture


@pytest.fixture
def evaluated(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    evaluate(run, samples=3)
    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own packages
def test_mlflow_twice_writes_one_run(evaluated: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'm.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'm.db'}")
    for _ in range(2):
        track(evaluated, to="mlflow")
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("vaekit").experiment_id])
    history = client.get_metric_history(found.info.run_id, "validation/elbo")
    assert [(m.step, m.value) for m in history] == [
        (r["samples"], r["validation"]["elbo"]) for r in evaluated.metrics()
    ]
    evidence = evaluated.results()["evaluations"][0]["log_evidence"]
    assert found.data.metrics["results/test/log_evidence"] == evidence["value"]
    assert found.data.metrics["results/test/log_evidence.standard_error"] == evidence["standard_error"]
    assert found.data.params["model.latent_dim"] == "3"


def test_tensorboard_twice_writes_each_number_once(evaluated: Run) -> None:
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):
        assert main(["track", str(evaluated.path), "--to", "tensorboard", "--quiet"]) == 0
    events = event_files.EventAccumulator(str(evaluated.path)).Reload()
    assert [s.step for s in events.Scalars("validation/elbo")] == [row["samples"] for row in evaluated.metrics()]


class Fake(ModuleType):
    """A stand-in for a tracker with the interface of wandb, which needs a service of its own."""

    def __init__(self, name: str, forgotten: list[str] | None = None) -> None:
        super().__init__(name)
        self.name, self.forgotten = name, [] if forgotten is None else forgotten
        self.opened: list[dict[str, Any]] = []
        self.logged: list[tuple[dict[str, Any], int]] = []
        self.finished = 0

    def init(self, **options: Any) -> "Fake":
        self.opened.append(options)
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((values, step))

    def finish(self) -> None:
        self.finished += 1

    def Api(self) -> "Fake":  # noqa: N802
        return self

    def runs(self, project: str) -> list["Fake"]:
        return [Fake(each["name"], self.forgotten) for each in self.opened[-1:]]

    def delete(self) -> None:
        self.forgotten.append(self.name)

    def Image(self, path: str) -> str:  # noqa: N802
        return path

    def Table(self, columns: list[str], data: list[list[str]]) -> tuple[list[str], list[list[str]]]:  # noqa: N802
        return columns, data


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_trackers_like_wandb(name: str, evaluated: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(name)
    monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.delitem(sys.modules, f"vaekit.tracking.{name}", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for _ in range(2):
        track(evaluated, to=name)
    monkeypatch.delitem(sys.modules, f"vaekit.tracking.{name}")
    first, second = fake.opened
    assert first == second
    assert fake.forgotten == ([first["name"]] if name == "trackio" else [])
    assert first["resume"] == "allow"
    assert first.get("mode", "offline") == "offline"
    rows = evaluated.metrics()
    assert [step for _, step in fake.logged[: len(rows)]] == [row["samples"] for row in rows]
    assert fake.logged[0][0]["train/elbo"] == rows[0]["train"]["elbo"]
    assert fake.finished == 2


@pytest.mark.slow
def test_trackio_has_each_number_once(evaluated: Run, tmp_path: Path) -> None:
    trackio = pytest.importorskip("trackio", reason="the extra trackio is not installed", exc_type=ImportError)
    if not hasattr(trackio, "Api"):
        pytest.skip("trackio is older than the extra asks for")
    command = [sys.executable, "-m", "vaekit", "track", str(evaluated.path), "--to", "trackio"]
    for _ in range(2):
        done = subprocess.run(
            command, env=os.environ | {"TRACKIO_DIR": str(tmp_path)}, check=True, capture_output=True, text=True
        )
        assert done.stdout.splitlines() == ["tracked in trackio:", str(evaluated.path)]
    with closing(sqlite3.connect(tmp_path / "vaekit.db")) as database:
        rows = [(step, json.loads(found)) for step, found in database.execute("SELECT step, metrics FROM metrics")]
    assert [(step, found["validation/elbo"]) for step, found in rows[:-1]] == [
        (row["samples"], row["validation"]["elbo"]) for row in evaluated.metrics()
    ]
    evidence = evaluated.results()["evaluations"][0]["log_evidence"]
    assert rows[-1][1]["results/test/log_evidence"] == evidence["value"]


def test_while_training_and_what_fails_afterwards(
    evaluated: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake("trackio")
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.delitem(sys.modules, "vaekit.tracking.trackio", raising=False)
    words = ["train", "digits", "--hidden", "12", "--epochs", "2", "--no-report", "--quiet", "--run", "new"]
    assert main([*words, "--track", "trackio"]) == 0
    monkeypatch.delitem(sys.modules, "vaekit.tracking.trackio")
    rows = Run(Path("new")).metrics()
    assert [step for _, step in fake.logged[: len(rows)]] == [row["samples"] for row in rows]
    assert len({options["name"] for options in fake.opened}) == 1

    def fail(**_: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(fake, "init", fail)
    with pytest.raises(RunError, match=r"trackio did not take .*small \(no network\): nothing of the run is lost"):
        track(evaluated, to="trackio")
    monkeypatch.delitem(sys.modules, "vaekit.tracking.trackio")
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(InputError, match=r"pip install 'vaekit\[trackio\]'"):
        track(evaluated, to="trackio")
    with pytest.raises(InputError, match=r"the tracker 'mlfow' is unknown: did you mean 'mlflow'"):
        track(evaluated, to="mlfow")


def tracked(monkeypatch: pytest.MonkeyPatch, name: str, fake: Fake, data: str = "digits", to: str = "new") -> Run:
    """Train with a stand-in for a tracker."""
    monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.delitem(sys.modules, f"vaekit.tracking.{name}", raising=False)
    words = ["train", data, "--hidden", "12", "--epochs", "2", "--no-report", "--run", to, "--track", name]
    assert main(words) == 0
    monkeypatch.delitem(sys.modules, f"vaekit.tracking.{name}")
    return Run(Path(to))


@pytest.mark.parametrize("data", ["digits", "rows.csv"])
def test_samples_of_each_evaluation_are_kept_and_change_no_byte_of_the_training(
    data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (f"{'yes' if k % 3 else 'no'},{k * k % 71 / 7},{k % 2}" for k in range(300))
    Path("rows.csv").write_text("\n".join(["word,number,label", *lines]))
    fake = Fake("wandb")
    run = tracked(monkeypatch, "wandb", fake, data)
    assert main(["train", data, "--hidden", "12", "--epochs", "2", "--no-report", "--quiet", "--run", "plain"]) == 0
    assert same(run, Run(Path("plain")))

    rows = run.metrics()
    kind = "png" if data == "digits" else "csv"
    files = sorted(run.path.glob(f"samples/*.{kind}"))
    assert [int(path.stem) for path in files] == [row["step"] for row in rows]
    assert len({path.read_bytes() for path in files}) == len(files)
    shown = [values["samples"] for values, _ in fake.logged if "samples" in values]
    assert len(shown) == 2 * len(rows)  # as it was trained, and as it was copied at the end
    if data == "rows.csv":
        columns, cells = shown[-1]
        assert columns == run.space.header
        assert len(cells) == 10
        assert {row[0] for row in cells} <= {"yes", "no"}
    else:
        assert shown[-1] == str(files[-1])
        assert np.array_equal(np.asarray(Image.open(files[-1])), np.asarray(picture(sample(run, 64))))


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_tracker_that_fails_does_not_end_the_training(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    fake, calls = Fake("trackio"), list[str]()

    def fail(*_: Any, **__: Any) -> None:
        calls.append(call)
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(fake, call, fail)
    run = tracked(monkeypatch, "trackio", fake)
    assert run.metrics()[-1]["epoch"] >= 2
    warning = "trackio did not take new (no network): nothing of the run is lost; copy it later with "
    assert capsys.readouterr().err.count(f"{warning}vaekit track new --to trackio") == 1
    assert len(calls) <= 4  # it is not asked again until the end

    works = Fake("trackio")
    monkeypatch.setitem(sys.modules, "trackio", works)
    track(run, to="trackio")
    assert len(works.logged) == len(run.metrics()) == len(list(run.path.glob("samples/*.png")))


def test_a_full_disk_of_samples_does_not_end_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("vaekit.tracking.samples.write_examples", fail)
    assert tracked(monkeypatch, "trackio", Fake("trackio")).metrics()[-1]["epoch"] >= 2
    told = "samples of new are not kept any more (new cannot be written (the disk is full)"
    assert capsys.readouterr().err.count(told) == 1


def test_nothing_is_imported_unless_it_is_asked_for() -> None:
    names = "mlflow", "wandb", "trackio", "tensorboard", "huggingface_hub", "onnxruntime"
    code = (
        f"import sys, vaekit; vaekit.track, vaekit.push, vaekit.export; print([n for n in {names} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
