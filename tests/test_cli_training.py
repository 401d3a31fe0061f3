"""The command line's trainings: what is printed and written, terminals, signals, own data."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import finished, same, small
from torch import Tensor

from vaekit import Run
from vaekit.cli import main
from vaekit.training.loop import Training

TRAIN = ["train", "digits", "--latent-dim", "2", "--hidden", "12", "--no-report"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_are_numbered_and_the_last_line_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    for expected in ("runs/digits-mlp-1", "runs/digits-mlp-2"):
        assert main([*TRAIN, "--epochs", "0.1"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == expected
        assert Run(Path(expected)).metrics()
    assert main(["train", "digits", "--preset", "wei", "--epochs", "0.01", "--no-report"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "runs/digits-wei-1"


def test_everything_is_there_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--latent-dim", "2", "--hidden", "12", "--epochs", "0.2", "--run", "run"]) == 0
    assert {path.name for path in Path("run").iterdir()} >= {
        *("experiment.json", "data.json", "metrics.jsonl", "results.json", "report.html", "figures"),
        *("weights.safetensors", "state.safetensors"),
    }
    out = capsys.readouterr().out
    for name in ("log-evidence", "ELBO", "reconstruction", "KL", "360 test images, binarization none"):
        assert name in out


def test_log_files_get_a_line_an_epoch_and_nothing_that_moves(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--epochs", "5", "--set", "evaluate_every=0.25", "--run", "run"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "run\n"
    assert not re.search("[\r\b\x1b]", captured.err)
    lines = [line for line in captured.err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 6  # the untrained model, and five epochs
    pattern = (
        r"epoch [\d.]+/5  train/validation: ELBO -?[\d.]+/-?[\d.]+ rec -?[\d.]+/-?[\d.]+ KL [\d.]+/[\d.]+"
        r"  [\d,]+ images/s  \d:\d\d:\d\d spent, \d:\d\d:\d\d left"
    )
    assert all(re.fullmatch(pattern, line) for line in lines[1:])


def test_choices_are_printed_once_with_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--epochs", "0.1", "--run", "run", "--no-report"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("chosen: ")]
    assert [line.split()[1] for line in lines] == ["model.network", "model.likelihood", "precision", "device"]
    assert all(" because " in line for line in lines)


def test_quiet_prints_the_path_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--epochs", "0.1", "--run", "run", "--quiet"]) == 0
    assert capsys.readouterr() == ("run\n", "")


def test_resuming_names_what_it_ignores(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main([*TRAIN, "--epochs", "1", "--batch-size", "90", "--run", "run"]) == 0
    more = ["--epochs", "2", "--batch-size", "7", "--beta", "4", "--preset", "wei", "--set", "seed=3"]
    assert main(["train", "mnist", "--resume", "--no-report", "--run", "run", *more]) == 0
    err = capsys.readouterr().err
    assert "resume changes: epochs to 2.0" in err
    for ignored in ("data.name mnist", "batch_size 7", "objective.beta 4.0", "seed 3", "model.network {"):
        assert f"resume ignores: {ignored}" in err
    assert same(Run(folder / "run"), finished(small(), folder / "whole"))


def test_resuming_what_is_complete_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--epochs", "1"]) == 0
    assert main(["train", "--resume", "--no-report"]) == 0
    captured = capsys.readouterr()
    assert "runs/digits-mlp-1 is trained to its end already: more epochs extend it" in captured.err
    assert captured.out.splitlines()[-1] == "runs/digits-mlp-1"


def test_config_and_overwrite(run: Run, folder: Path) -> None:
    config = str(run.path / "experiment.json")
    assert main(["train", "--config", config, "--no-report", "--run", "again"]) == 0
    assert same(Run(folder / "again"), run)
    assert main(["train", "--config", config, "--no-report", "--run", "again", "--seed", "1", "--overwrite"]) == 0
    assert Run(folder / "again").experiment == run.experiment.replace("seed", 1)


def test_a_wrong_word_for_compile_leaves_every_folder_as_it_is(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run.path / "weights.safetensors").read_bytes()
    for path, more in ((folder / "new", ()), (run.path, ("--overwrite",))):
        assert main([*TRAIN, "--compile", "sometimes", "--run", str(path), *more]) == 2
        assert "compile 'sometimes' is unknown: choose auto, on or off" in capsys.readouterr().err
    assert not (folder / "new").exists()
    assert (run.path / "weights.safetensors").read_bytes() == before


def test_tensorboard(run: Run) -> None:
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert main([*TRAIN, "--epochs", "2", "--tensorboard", "--run", "tb"]) == 0
    events = event_files.EventAccumulator("tb").Reload()
    scalars = events.Scalars("validation/elbo")
    rows = Run(Path("tb")).metrics()
    assert [scalar.step for scalar in scalars] == [row["samples"] for row in rows]
    assert [scalar.value for scalar in scalars] == pytest.approx([row["validation"]["elbo"] for row in rows])


def test_tensorboard_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delitem(sys.modules, "vaekit.tracking.tensorboard", raising=False)
    assert main([*TRAIN, "--tensorboard", "--run", "tb"]) == 2
    assert "pip install 'vaekit[tensorboard]'" in capsys.readouterr().err
    assert not Path("tb").exists()


class Terminal:
    """A program on a terminal of 80 columns."""

    def __init__(self, *arguments: str) -> None:
        self.leader, follower = pty.openpty()
        code = "import sys; from vaekit.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=follower, stdout=follower, stderr=follower,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
        )  # fmt: skip
        os.close(follower)
        self.text = ""

    def read(self, until: str | None = None) -> str:
        """Read until a text appears, or the program ends."""
        while until is None or until not in self.text:
            try:
                self.text += os.read(self.leader, 4096).decode(errors="ignore")
            except OSError:  # the program has ended
                os.close(self.leader)
                break
        return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", self.text)


def test_a_terminal_shows_a_bar_and_ctrl_c_saves(folder: Path) -> None:
    experiment = small(epochs=400, evaluate_every=5)
    (folder / "e.json").write_text(experiment.to_json())
    terminal = Terminal("train", "--config", "e.json", "--no-report", "--run", "run")
    text = terminal.read(until="epoch 100/400")  # by then the bar was drawn several times
    assert re.search(r"epoch 5/400  train/validation: ELBO -?[\d.]+/-?[\d.]+ rec -?[\d.]+/-?[\d.]+ KL [\d./]+\r", text)
    assert re.search(r"epoch [\d.]+/400 ━+[╸╺]?━* +\d+% [\d,]+ images/s \d:\d\d:\d\d \+\d:\d\d:\d\d *\r", text)
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= 80
    terminal.process.send_signal(signal.SIGINT)
    text = terminal.read()
    assert terminal.process.wait() == 130
    assert text.rstrip().endswith("stopped; continue with: vaekit train --resume --run run")
    assert Run(folder / "run").metrics()[-1]["epoch"] >= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_go_on(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take_step, before = Training.take_step, signal.getsignal(number)

    def interrupted(self: Training, stored: Tensor) -> None:
        take_step(self, stored)
        if self.step == 9:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Training, "take_step", interrupted)
    experiment = small()
    (folder / "e.json").write_text(experiment.to_json())
    assert main(["train", "--config", "e.json", "--no-report", "--run", "run"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "stopped; continue with: vaekit train --resume --run run"
    assert signal.getsignal(number) == before
    assert len(Run(folder / "run").metrics()) < 3
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert main(["train", "--resume", "--no-report", "--run", "run"]) == 0
    assert same(Run(folder / "run"), finished(experiment, folder / "whole"))


def test_nohup_keeps_a_training_going(monkeypatch: pytest.MonkeyPatch) -> None:
    take_step = Training.take_step

    def hung_up(self: Training, stored: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        take_step(self, stored)

    monkeypatch.setattr(Training, "take_step", hung_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main([*TRAIN, "--epochs", "0.1", "--run", "run"]) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_whole_epochs_are_shown_where_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--epochs", "3", "--batch-size", "900", "--run", "run"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["0/3", "1/3", "2/3", "3/3"]


def test_a_second_ctrl_c_ends_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def hang(self: Training, stored: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Training, "take_step", hang)
    assert main([*TRAIN, "--run", "run"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "vaekit: interrupted"


@pytest.fixture
def own_data(folder: Path) -> None:
    """Pictures, arrays and tables of a user's own."""
    random = np.random.default_rng(0)
    for kind, shape in (("gray", (8, 6)), ("colors", (9, 7, 3))):
        for i in range(20):
            path = folder / kind / str(i % 2) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(path)
    np.save(folder / "images.npy", random.integers(0, 256, (20, 8, 8), np.uint8))
    np.save(folder / "rows.npy", random.normal(size=(20, 3)))
    np.savez(folder / "labeled.npz", x=random.random((20, 8, 8)), labels=np.arange(20) % 3)
    np.savez(folder / "parts.npz", train=random.random((16, 8, 8)), test=random.random((4, 8, 8)))
    for name, comma in (("table.csv", ","), ("table.tsv", "\t")):
        lines = [comma.join(f"{value:.4f}" for value in row) for row in random.normal(size=(20, 3))]
        (folder / name).write_text("\n".join([comma.join("abc"), *lines]))


@pytest.mark.usefixtures("own_data")
@pytest.mark.parametrize(
    "data", ["gray", "colors", "images.npy", "rows.npy", "labeled.npz", "parts.npz", "table.csv", "table.tsv"]
)
def test_own_data_need_one_command(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", data, "--epochs", "1", "--hidden", "9", "--no-report"]) == 0
    run = Run(Path(capsys.readouterr().out.strip()))
    assert run.metrics()[-1]["epoch"] >= 1
    assert main(["encode", str(run.path), data, "--out", "z.npy"]) == 0
    assert np.load("z.npy").shape == (20, 10)
