"""Sweeps: units are trained once each, whatever interrupts them, and a failure stops no other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sweeping import engine

from vaekit import Experiment, InputError, Range, RunError, Source, choose, load, runs, sweep, train
from vaekit.cli import main
from vaekit.engine import sweeps
from vaekit.engine.grids import by_path, parsed
from vaekit.engine.local import local
from vaekit.engine.units import Unit, listed, named, part
from vaekit.engine.work import SweepProgress, Work, done
from vaekit.footprint import training_bytes
from vaekit.run import alone

slow = pytest.mark.slow
QUICK: Mapping[str, Any] = {"samples": 5, "images": 20, "jobs": 1}


@pytest.fixture
def experiment() -> Experiment:
    return choose("digits", hidden=[8], epochs=1, latent_dim=2)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let units be worked on in this process; returns the names of those that were."""
    worked = list[str]()

    monkeypatch.setattr(sweeps, "local", engine(worked))
    return worked


def drained(*arguments: Any, **options: Any) -> SweepProgress:
    *_, last = sweep(*arguments, **{**QUICK, **options})
    return last


def test_stacks_on_a_gpu_fill_half_of_its_memory(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    units = [Unit(str(i), experiment.replace("seed", i), tmp_path / str(i)) for i in range(300)]
    each = 2 * sum(training_bytes(experiment, experiment.data.load(None).space))  # its own, and that in the stack
    monkeypatch.setattr(sweeps.devices, "choose", torch.device)
    for room, sizes in ((1000, [256, 44]), (20, [20] * 15), (1, [1] * 300)):
        monkeypatch.setattr(sweeps.devices, "memory", lambda device, room=room: int(2 * each * (room + 0.5)))
        assert [len(task) for task in sweeps.grouped(units, "auto", 1, Work("cuda"))] == sizes


class TestGrid:
    def test_every_combination_with_every_seed_is_a_unit_once(self, experiment: Experiment, tmp_path: Path) -> None:
        asked = sweeps.specified(experiment, {"latent_dim": [2, 5, 2], "beta": [1, 4]}, seeds=3)
        units = listed(asked.experiment, asked.points, asked.seeds, tmp_path)
        assert len({unit.experiment.digest for unit in units}) == len(units) == 2 * 2 * 3
        assert units[0].path == tmp_path / "latent_dim-2_beta-1_seed-0"
        assert {unit.experiment.model.latent_dim for unit in units} == {2, 5}

    def test_names_are_fit_for_folders_and_apart(self, experiment: Experiment) -> None:
        assert named({"model.network.hidden": [300, 100], "seed": 1}, experiment) == "hidden-300x100_seed-1"
        assert named({"objective": "mine:Loss"}, experiment) == f"objective-mine-Loss-{experiment.digest[:8]}"
        assert len(named({"data.name": "x" * 300}, experiment)) < 100
        assert named({"model.prior": "vamp", "seed": 1}, experiment) == "prior-vamp_seed-1"

    def test_drawn_combinations_differ_lie_in_their_range_and_extend(self, experiment: Experiment) -> None:
        grid = {
            "optimizer.learning_rate": Range(low=1e-4, high=1e-2, log=True),
            "model.latent_dim": Range(low=2, high=9),
        }
        few, many = (list(sweeps.specified(experiment, grid, random=count).points) for count in (5, 20))
        assert many[:5] == few
        assert len({json.dumps(point) for point in many}) == 20
        assert all(1e-4 <= point["optimizer.learning_rate"] <= 1e-2 for point in many)
        assert all(isinstance(point["model.latent_dim"], int) for point in many)
        below = sum(point["optimizer.learning_rate"] < 1e-3 for point in many)
        assert 3 < below < 17  # half of the logarithms, a tenth of the numbers

    def test_a_small_grid_gives_what_it_has(self, experiment: Experiment) -> None:
        asked = sweeps.specified(experiment, {"latent_dim": [2, 3]}, random=5)
        assert sorted(point["model.latent_dim"] for point in asked.points) == [2, 3]

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["latent_dim"], "has no values: write latent_dim=1,2,4"),
            (["latent_dim="], "has no values"),
            (["beta=1", "beta=2"], "given twice"),
            (["beta=4:1"], "smaller number first"),
            (["beta=0:1:log"], "both above 0"),
        ],
    )
    def test_grids_that_are_none(self, words: list[str], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            parsed(words)

    @pytest.mark.parametrize(
        ("grid", "options", "sentence"),
        [
            ({"latent_dims": [2]}, {}, "latent_dims"),
            ({"latent_dim": ["two"]}, {}, "model.latent_dim is 'two'.*in the grid at model.latent_dim two"),
            ({"latent_dim": []}, {}, "has no values"),
            ({"latent_dim": 3}, {}, "is 3: give a list"),
            ({"beta": Range(low=1, high=4)}, {}, "is a range: say how many"),
            ({"seed": [1, 2]}, {"seeds": 2}, "give one of them"),
            ({"beta": [1]}, {"evaluate": "evidenc"}, "did you mean 'evidence'"),
            ({"beta": [1]}, {"only": "3/2"}, "give a part such as 1/4"),
            ({"beta": [1]}, {"engine": "lokal"}, "did you mean 'local'"),
            ({"beta": [1]}, {"jobs": 0}, "jobs is 0"),
            ({"prior": ["vamp"], "objective": ["elbo"], "posterior": ["delta"]}, {}, "in the grid at"),
        ],
    )
    def test_what_does_not_fit_is_refused_before_anything_is_written(
        self, experiment: Experiment, tmp_path: Path, grid: Any, options: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(InputError, match=sentence):
            drained(experiment, grid, out=tmp_path / "x", **options)
        assert not (tmp_path / "x").exists()

    def test_parts_are_all_units_once(self) -> None:
        units: Any = list(range(10))
        assert sorted(unit for i in (1, 2, 3) for unit in part(units, f"{i}/3")) == units

    def test_short_names_and_dotted_paths_are_the_same(self) -> None:
        assert by_path({"beta": (1, 4)}) == by_path({"objective.beta": [1, 4]}) == {"objective.beta": [1, 4]}


class TestSweep:
    def test_what_is_finished_is_left_and_what_is_missing_runs(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        last = drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x")
        assert (last.done, last.failed, last.total) == (2, 0, 2)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "x").glob("*/*")}
        here.clear()
        last = drained(experiment, {"latent_dim": [2, 3, 4]}, out=tmp_path / "x", seeds=2)
        assert (last.done, last.total) == (6, 6)
        assert here == ["latent_dim-2_seed-1", "latent_dim-3_seed-1", "latent_dim-4_seed-0", "latent_dim-4_seed-1"]
        assert before == {path: path.stat().st_mtime_ns for path in before}
        assert drained(out=tmp_path / "x").done == 6
        assert len(here) == 4
        found = runs(tmp_path / "x")
        assert len(found) == 6
        assert all(each["evaluations"][0]["images"] == 20 for each in found)

    def test_a_unit_keeps_its_folder_where_a_field_joins_the_grid(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        drained(experiment, {"latent_dim": [2]}, out=tmp_path / "x")
        here.clear()
        last = drained(experiment, {"latent_dim": [2], "beta": [1, 4]}, out=tmp_path / "x")
        assert (last.done, here) == (2, ["latent_dim-2_beta-4_seed-0"])
        drained(experiment, {"latent_dim": [2]}, out=tmp_path / "x")
        assert sweeps.opened(tmp_path / "x").grid.keys() == {"model.latent_dim", "objective.beta"}

    def test_more_images_are_measured_without_another_training(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        drained(experiment, {"latent_dim": [2]}, out=tmp_path / "x", evaluate=None)
        weights = (tmp_path / "x/latent_dim-2_seed-0/weights.safetensors").stat().st_mtime_ns
        assert runs(tmp_path / "x")[0]["evaluations"] == []
        drained(experiment, {"latent_dim": [2]}, out=tmp_path / "x", images=30)
        assert runs(tmp_path / "x")[0]["evaluations"][0]["images"] == 30
        assert (tmp_path / "x/latent_dim-2_seed-0/weights.safetensors").stat().st_mtime_ns == weights

    def test_a_failure_is_written_down_and_stops_no_other(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        grid = {"learning_rate": [1e-3, 1e30, 1e-2]}
        last = drained(experiment, grid, out=tmp_path / "x", engine="local")
        assert (last.done, last.failed, last.total) == (2, 1, 3)
        ((name, sentence),) = sweeps.failures(tmp_path / "x").items()
        assert name.startswith("learning_rate-1e+30")
        assert "is NaN or infinite" in sentence
        here.clear()
        drained(experiment, grid, out=tmp_path / "x", engine="local")
        assert here == [name]

    def test_a_damaged_folder_fails_alone_and_recovers(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x")
        file = tmp_path / "x/latent_dim-2_seed-0/experiment.json"
        whole = file.read_bytes()
        file.write_bytes(b"{")
        last = drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x")
        assert (last.done, last.failed) == (1, 1)
        assert "experiment.json cannot be read" in sweeps.failures(tmp_path / "x")["latent_dim-2_seed-0"]
        file.write_bytes(whole)
        assert drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x").done == 2
        assert sweeps.failures(tmp_path / "x") == {}

    def test_a_full_disk_in_one_unit(
        self, experiment: Experiment, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vaekit import files

        replacing = files.replacing

        def full(path: Path) -> Any:
            if "latent_dim-2" in str(path) and path.name == "weights.safetensors":
                raise OSError(28, "No space left on device")
            return replacing(path)

        with monkeypatch.context() as patch:
            patch.setattr("vaekit.run.replacing", full)
            last = drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x", engine="local")
        assert (last.done, last.failed) == (1, 1)
        assert "the disk is full" in sweeps.failures(tmp_path / "x")["latent_dim-2_seed-0"]
        assert drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x").done == 2

    def test_another_sweep_in_the_folder_is_refused(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        drained(experiment, {"latent_dim": [2]}, out=tmp_path / "x", evaluate=None)
        with pytest.raises(InputError, match=r"holds another sweep \(epochs is 1.0 there and 2.0 here\)"):
            drained(experiment.replace("epochs", 2), {"latent_dim": [2]}, out=tmp_path / "x")
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/notes").touch()
        with pytest.raises(InputError, match="is not a sweep"):
            drained(experiment, {"latent_dim": [2]}, out=tmp_path / "mine")
        with pytest.raises(InputError, match="holds no sweep"):
            drained(out=tmp_path / "nothing")

    def test_two_at_once_leave_a_unit_to_the_first(
        self, experiment: Experiment, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vaekit.engine.work.SECONDS_TO_WAIT", 0.1)
        lock = tmp_path / "x/.latent_dim-2_seed-0.lock"
        lock.parent.mkdir()
        code = f"import filelock; lock = filelock.FileLock({str(lock)!r}); lock.acquire(); print(flush=True); input()"
        other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert other.stdout
        other.stdout.readline()
        try:
            sweeps.begin(sweeps.specified(experiment, {"latent_dim": [2]}), tmp_path / "x")
            last = drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x", evaluate=None)
            assert (last.done, last.failed) == (1, 1)
            (failure,) = sweeps.failures(tmp_path / "x").values()
            assert f"latent_dim-2_seed-0 is being worked on by process {other.pid} (python" in failure
            assert "): run the sweep again when that is done" in failure
        finally:
            other.communicate(b"\n")
        last = drained(experiment, {"latent_dim": [2, 3]}, out=tmp_path / "x", evaluate=None)
        assert (last.done, last.failed) == (2, 0)
        assert not sweeps.failures(tmp_path / "x")

    def test_parts_share_a_folder(self, experiment: Experiment, tmp_path: Path, here: list[str]) -> None:
        for i in (1, 2):
            drained(experiment, {"latent_dim": [2, 3, 4]}, out=tmp_path / "x", only=f"{i}/2", evaluate=None)
        assert here == ["latent_dim-2_seed-0", "latent_dim-4_seed-0", "latent_dim-3_seed-0"]

    def test_early_stopping_counts_as_the_end(self, tmp_path: Path, here: list[str]) -> None:
        quick = choose("digits", hidden=[8], latent_dim=2, epochs=50, set={"early_stopping": 1, "evaluate_every": 0.2})
        drained(quick, {"learning_rate": [1.0]}, out=tmp_path / "x", evaluate=None, engine="local")
        run = load(tmp_path / "x/learning_rate-1.0_seed-0")
        assert run.metrics()[-1]["epoch"] < 40
        here.clear()
        drained(quick, {"learning_rate": [1.0]}, out=tmp_path / "x", evaluate=None, engine="local")
        assert here == []


class TestStacks:
    def test_what_differs_in_what_stacks_allow_is_stacked(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        asked = sweeps.specified(experiment, {"latent_dim": [2, 3], "batch_size": [50, 100]}, seeds=3)
        units = listed(asked.experiment, asked.points, asked.seeds, tmp_path)
        tasks = sweeps.grouped(units, "auto", 1, Work())
        assert [len(task) for task in tasks] == [6, 6]
        assert all(len({unit.experiment.batch_size for unit in task}) == 1 for task in tasks)
        assert [len(task) for task in sweeps.grouped(units, "auto", 2, Work())] == [3, 3, 3, 3]
        assert [len(task) for task in sweeps.grouped(units, "local", 1, Work())] == [1] * 12
        large = [listed(experiment.replace("model.network.hidden", [500]), asked.points, 3, tmp_path)][0]
        assert {len(task) for task in sweeps.grouped(large, "auto", 1, Work())} == {1}
        assert {len(task) for task in sweeps.grouped(large, "stack", 1, Work())} == {6}

    def test_a_stack_whose_unit_fails_finishes_the_others(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        last = drained(experiment, {"learning_rate": [1e-3, 1e30, 1e-2]}, out=tmp_path / "x", evaluate=None)
        assert (last.done, last.failed) == (2, 1)
        assert len(here) == 3


class TestProcesses:
    @slow
    def test_killed_and_begun_again_only_what_is_missing_runs(self, tmp_path: Path) -> None:
        words = ["digits", "--hidden", "8", "--epochs", "1", "--grid", "latent_dim=2,3,4,5,6,7", "--engine", "local"]
        words += ["--jobs", "2", "--samples", "5", "--images", "20", "--out", str(tmp_path / "x")]
        process = subprocess.Popen([sys.executable, "-m", "vaekit", "sweep", *words], stderr=subprocess.DEVNULL)
        results = partial((tmp_path / "x").glob, "*/results.json")
        until(lambda: len(list(results())) >= 2)
        process.kill()
        process.wait()
        until(lambda: not list((tmp_path / "x").glob(".*.lock")) and not list((tmp_path / "x").glob("*/.*.lock")))
        finished = {path: path.stat().st_mtime_ns for path in results()}
        assert 2 <= len(finished) < 6
        assert main(["sweep", *words, "--quiet"]) == 0
        assert len(list(results())) == 6
        assert finished == {path: path.stat().st_mtime_ns for path in finished}
        alone_path = tmp_path / "alone"
        once = load(tmp_path / "x/latent_dim-7_seed-0")
        for _ in train(once.experiment, alone_path):
            pass
        assert (alone_path / "weights.safetensors").read_bytes() == (once.path / "weights.safetensors").read_bytes()

    @slow
    def test_closing_saves_what_is_being_trained(self, experiment: Experiment, tmp_path: Path) -> None:
        long = experiment.replace("epochs", 100_000)
        reports = sweep(long, {"latent_dim": [2]}, out=tmp_path / "x", **QUICK)
        state = tmp_path / "x/latent_dim-2_seed-0/state.safetensors"
        for _ in reports:
            if state.exists():
                break
        before = state.stat().st_mtime_ns
        reports.close()
        assert state.stat().st_mtime_ns > before
        with alone(state.parent):
            pass

    @slow
    @pytest.mark.skipif(os.name != "posix", reason="kills a process by a signal")
    def test_a_process_that_is_killed_takes_down_no_other_unit(self, experiment: Experiment, tmp_path: Path) -> None:
        (tmp_path / "lethal.py").write_text(LETHAL, encoding="utf-8")
        sys.path.insert(0, str(tmp_path))
        try:
            import lethal  # noqa: F401

            units = listed(experiment, [{"model.latent_dim": d} for d in (2, 3)], 1, tmp_path / "x")
            units += listed(experiment, [{"objective": "lethal:Lethal"}], 1, tmp_path / "x")
            finished = [each for some in local([(unit,) for unit in units], Work(), 2) for each in some]
        finally:
            sys.path.remove(str(tmp_path))
            sys.modules.pop("lethal", None)
        assert len(finished) == 3
        errors = {each.unit.label: each.error for each in finished}
        assert isinstance(errors.pop(units[2].label), RunError)
        assert list(errors.values()) == [None, None]
        assert all(done(unit, Work()) for unit in units[:2])


LETHAL = """
import os, signal
from vaekit.objectives import Objective

class Lethal(Objective):
    def __init__(self, *arguments):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def until(what: Any, seconds: float = 240) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


class TestCommand:
    WORDS = ("sweep", "digits", "--hidden", "8", "--epochs", "1", "--grid", "latent_dim=2,3", "--samples", "5")

    def test_dry_run_writes_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*self.WORDS, "--seeds", "2", "--out", str(tmp_path / "x"), "--dry-run", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert [row["unit"] for row in rows][:2] == ["latent_dim-2_seed-0", "latent_dim-2_seed-1"]
        assert all(row["seconds"] > 0 and not row["finished"] for row in rows)
        assert not (tmp_path / "x").exists()

    def test_failures_are_named_and_the_status_says_so(
        self, tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = [
            *self.WORDS,
            "--images",
            "10",
            "--grid",
            "learning_rate=0.001,1e30",
            "--jobs",
            "1",
            "--evaluate",
            "none",
        ]
        assert main([*words, "--out", str(tmp_path / "x")]) == 1
        printed = capsys.readouterr()
        assert printed.out.count("NaN or infinite") == 2
        assert "2 of 4 units failed" in printed.err
        assert "expected: about" in printed.err

    def test_a_sweep_goes_on_by_its_folder(
        self, tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = str(tmp_path / "x")
        assert main([*self.WORDS, "--images", "10", "--jobs", "1", "--out", out, "--only", "1/2"]) == 0
        assert main(["sweep", "--out", out, "--jobs", "1", "--quiet"]) == 0
        assert len(here) == 2
        assert main(["sweep", "--out", out, "--grid", "beta=1"]) == 2
        assert "keeps its settings" in capsys.readouterr().err

    def test_a_field_is_given_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*self.WORDS, "--latent-dim", "3", "--out", str(tmp_path / "x")]) == 2
        assert "--latent-dim 3 is also in the grid" in capsys.readouterr().err


class TestSearch:
    def test_validation_judges_and_test_is_touched_once(
        self, experiment: Experiment, tmp_path: Path, here: list[str]
    ) -> None:
        pytest.importorskip("optuna")
        grid = {"learning_rate": Range(low=1e-4, high=1e-1, log=True), "latent_dim": [2, 3]}
        drained(experiment, grid, out=tmp_path / "x", optimize="elbo", trials=4)
        found = runs(tmp_path / "x")
        assert len(found) == 4
        judged = {each["run"]: each["evaluations"][0]["elbo"]["value"] for each in found}
        assert all(each["evaluations"][0]["split"] == "validation" for each in found)
        tested = [each["run"] for each in found if len(each["evaluations"]) == 2]
        assert tested == [max(judged, key=judged.__getitem__)]
        here.clear()
        drained(out=tmp_path / "x")
        assert here == []
        drained(experiment, grid, out=tmp_path / "x", optimize="elbo", trials=6)
        assert len(runs(tmp_path / "x")) == 6

    def test_without_validation_examples(self, tmp_path: Path) -> None:
        pytest.importorskip("optuna")
        two_parts = choose("digits", hidden=[8], epochs=1, set={"data.split": "0.8/0.2"})
        with pytest.raises(InputError, match="validation"):
            drained(two_parts, {"latent_dim": [2]}, out=tmp_path / "x", optimize="elbo", trials=2)


def test_a_damaged_sweep_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/sweep.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"sweep\.json cannot be read"):
        drained(out=tmp_path / "x")


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"vaekit\[search\]"):
        drained(Experiment(data=Source(name="digits")), {"latent_dim": [2]}, out=tmp_path / "x", optimize="elbo")
