"""What a kill, a link, a lack of permission or a hostile archive may leave in a run's folder, and what is done then."""

import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import begun, finished, same, small

from vaekit import InputError, Run, RunError, load, report, runs, train
from vaekit.files import append, replacing, write
from vaekit.run import alone

PRIVATE = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything is open to this user")
LINKS = pytest.mark.skipif(os.name != "posix", reason="links need a privilege")


class Killed(BaseException):
    """Stands for the end of the process: nothing is tidied up."""


def killed_at(monkeypatch: pytest.MonkeyPatch, event: int) -> None:
    """End the process, so to say, at the n-th file that is written, renamed or removed."""
    events = [0]

    def dying(name: str) -> None:
        whole = getattr(Path, name)

        def act(*arguments: Any, **options: Any) -> Any:
            events[0] += 1
            if events[0] >= event:
                raise Killed
            return whole(*arguments, **options)

        monkeypatch.setattr(Path, name, act)

    for name in ("open", "replace", "unlink", "mkdir"):
        dying(name)


class TestBirth:
    @pytest.mark.parametrize("event", range(1, 14))
    def test_a_kill_while_a_folder_is_begun_leaves_one_that_can_be_begun_or_resumed(
        self, event: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            killed_at(patch, event)
            with suppress(Killed):
                begun(small(), tmp_path / "run")
        again = (tmp_path / "run" / "experiment.json").exists()
        assert same(finished(small(), tmp_path / "run", resume=again), finished(small(), tmp_path / "whole"))

    @pytest.mark.parametrize(
        "left", ["data.json", ".data.json.123", ".experiment.json.0123456789abcdef.tmp", ".training.lock"]
    )
    def test_what_a_killed_birth_leaves_is_as_good_as_nothing(self, left: str, run: Run, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        shutil.copy(run.path / "data.json", tmp_path / "new" / left)
        assert finished(small(epochs=0.1), tmp_path / "new").metrics()

    @pytest.mark.parametrize("name", ["data.json", "results.json", "figures/mine.png", "report.html"])
    def test_files_that_no_run_left_are_not_taken_for_its_remains(self, name: str, tmp_path: Path) -> None:
        write(tmp_path / "mine" / name, b"{}")
        with pytest.raises(InputError, match="exists and is not a run: name another folder"):
            next(train(small(), tmp_path / "mine"))
        assert (tmp_path / "mine" / name).read_bytes() == b"{}"

    def test_who_came_second_is_refused_even_if_the_folder_was_free_when_it_looked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reports = train(small(), tmp_path / "run")
        with monkeypatch.context() as patch:
            patch.setattr("vaekit.training.loop.refuse_taken", lambda *_: None)
            next(reports)
            with pytest.raises(InputError, match="is being trained already"):
                next(train(small(seed=1), tmp_path / "run"))
            for _ in reports:
                pass
            with pytest.raises(InputError, match="holds a run already"):
                next(train(small(seed=1), tmp_path / "run"))
        assert Run(tmp_path / "run").experiment == small()


class TestOverwriting:
    @pytest.mark.parametrize("event", range(1, 24))
    def test_a_kill_leaves_the_old_run_or_a_folder_for_the_new_one(
        self, event: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("figures/losses.svg", "results.json", "notes.txt"):
            write(run.path / name, b"{}")
        old = {path.name: path.read_bytes() for path in run.path.glob("*.safetensors")}
        with monkeypatch.context() as patch:
            killed_at(patch, event)
            with suppress(Killed):
                Run.create(run.path, small(), run.space, overwrite=True)
        if (run.path / "experiment.json").exists() and Run(run.path).experiment != small():
            assert {path.name: path.read_bytes() for path in run.path.glob("*.safetensors")} == old
        assert same(finished(small(), run.path, overwrite=True), finished(small(), tmp_path / "whole"))
        assert (run.path / "notes.txt").read_bytes() == b"{}"
        assert not list(run.path.glob(".*"))

    def test_folders_in_the_place_of_files_do_not_end_it_midway(self, run: Run) -> None:
        (run.path / "figures" / "old").mkdir(parents=True)
        assert finished(small(), run.path, overwrite=True).experiment == small()

    @LINKS
    def test_nothing_is_removed_through_links(self, run: Run, tmp_path: Path) -> None:
        write(tmp_path / "docs" / "a.svg", b"mine")
        write(tmp_path / "docs" / "b.safetensors", b"mine")
        for name in ("figures", "measured"):
            (run.path / name).symlink_to(tmp_path / "docs")
        finished(small(), run.path, overwrite=True)
        assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["a.svg", "b.safetensors"]


@LINKS
class TestWriting:
    def test_nothing_is_written_through_links(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "docs").mkdir()
        (run.path / "figures").symlink_to(tmp_path / "docs")
        with pytest.raises(InputError, match="figures is a link out of the run: remove it"):
            report(run)
        assert not list((tmp_path / "docs").iterdir())

    @pytest.mark.parametrize("name", [".file.{}", "file"])
    def test_a_link_with_the_name_of_the_file_or_of_its_temporary_one(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("mine")
        (tmp_path / name.format(os.getpid())).symlink_to(tmp_path / "precious")
        write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
        assert (tmp_path / "precious").read_text() == "mine"

    def test_rows_are_never_appended_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("mine")
        (tmp_path / "file").symlink_to(tmp_path / "precious")
        with pytest.raises(OSError, match="symbolic links"):
            append(tmp_path / "file", b"row")
        assert (tmp_path / "precious").read_text() == "mine"

    def test_files_have_the_permissions_of_the_user_s_mask(self, tmp_path: Path) -> None:
        mask = os.umask(0o027)
        try:
            write(tmp_path / "file", b"")
        finally:
            os.umask(mask)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640

    def test_what_fails_half_way_leaves_the_old_file(self, tmp_path: Path) -> None:
        write(tmp_path / "file", b"old")
        with suppress(ZeroDivisionError), replacing(tmp_path / "file") as file:
            file.write(b"new")
            raise ZeroDivisionError
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert (tmp_path / "file").read_bytes() == b"old"


class TestLeftovers:
    def test_a_training_removes_what_killed_trainings_left_and_leaves_evaluations_theirs(self, run: Run) -> None:
        for name in (".metrics.jsonl.77", ".state.safetensors.0123456789abcdef.tmp", ".results.json.78", ".mine.7"):
            (run.path / name).touch()
        with alone(run.path):
            pass
        assert sorted(path.name for path in run.path.glob(".*")) == [".mine.7", ".results.json.78"]

    def test_writing_results_removes_what_killed_evaluations_left(self, run: Run) -> None:
        for name in (".results.json.78", "figures/.losses.svg.79", "measured/.x.safetensors.80", ".metrics.jsonl.77"):
            write(run.path / name, b"")
        run.write("report.html", b"")
        assert [path.name for path in run.path.rglob(".*")] == [".metrics.jsonl.77"]


class TestReading:
    @LINKS
    @pytest.mark.parametrize("name", ["experiment.json", "data.json", "metrics.jsonl", "results.json"])
    @pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "loop"])
    def test_texts_that_are_not_files(self, name: str, kind: str, run: Run) -> None:
        path = run.path / name
        path.unlink(missing_ok=True)
        in_place_of(path, kind)
        with pytest.raises(InputError, match=r"is not a run|is not a regular file|cannot be read"):
            _ = Run(run.path).experiment, run.space, run.metrics(), run.results()
        assert runs(run.path.parent) == []

    @LINKS
    @pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
    @pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "loop"])
    def test_tensors_that_are_not_files(self, name: str, kind: str, run: Run) -> None:
        (run.path / name).unlink()
        in_place_of(run.path / name, kind)
        with pytest.raises(InputError, match=r"is damaged|cannot be read"):
            _ = run.vae() if name.startswith("weights") else finished(run.experiment, run.path, resume=True)

    def test_a_huge_text_is_not_read(self, run: Run) -> None:
        os.truncate(run.path / "metrics.jsonl", 10 * 2**30)
        with pytest.raises(InputError, match=r"metrics\.jsonl cannot be read \(it has 10,737,418,240 bytes, more than"):
            run.metrics()

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, value: float, run: Run) -> None:
        weights = load_file(run.path / "weights.safetensors")
        next(iter(weights.values())).view(-1)[0] = value
        save_file(weights, run.path / "weights.safetensors")
        with pytest.raises(InputError, match=r"weights\.safetensors: weight \S+ is NaN or infinite: restore the file"):
            run.vae()

    def test_weights_of_another_type(self, run: Run) -> None:
        weights = {
            name: tensor.to(torch.complex64) for name, tensor in load_file(run.path / "weights.safetensors").items()
        }
        save_file(weights, run.path / "weights.safetensors")
        with pytest.raises(InputError, match=r"weights\.safetensors: .* is of type torch.complex64: restore the file"):
            run.vae()

    def test_paths_that_cannot_be(self, tmp_path: Path) -> None:
        for path in (tmp_path / ("a" * 300), tmp_path / "a\0b"):
            with pytest.raises(InputError, match=r"cannot be used \(.*\): give another path"):
                load(path)
            with pytest.raises(InputError, match=r"cannot be used \(.*\): give another path"):
                next(train(small(), path))
        with pytest.raises(InputError, match=r"cannot be used \(.*\): give another path"):
            load("~nobody_of_that_name/x")

    def test_a_path_in_the_user_s_home(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(run.path.parent))
        assert load("~/small").path == run.path
        finished(small(epochs=0.1), Path("~/new"))
        assert Run(run.path.parent / "new").metrics()

    def test_the_last_row_is_read_alone(self, run: Run) -> None:
        rows = run.metrics()
        assert run.last_row() == rows[-1]
        with (run.path / "metrics.jsonl").open("a") as file:
            file.write('{"epoch"')
        assert run.last_row() == rows[-1]
        run.write_metrics([])
        assert run.last_row() is None
        long = rows[0] | {"note": "a" * 2**17}
        run.write_metrics([rows[0], long])
        assert run.last_row() == long


@PRIVATE
class TestPermissions:
    def test_a_private_run_does_not_hide_the_others(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        private = Path(shutil.copytree(run.path, run.path.parent / "private"))
        private.chmod(0)
        try:
            assert [found["run"] for found in runs(run.path.parent)] == [str(run.path)]
            assert load(run.path.parent / "latest").path == run.path
            with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
                load(private)
        finally:
            private.chmod(0o700)
        assert "left out" in caplog.text

    def test_results_of_a_folder_that_is_read_only(self, run: Run) -> None:
        run.path.chmod(0o500)
        try:
            with pytest.raises(RunError, match=r"\(Permission denied\): make it writable, or copy it to a folder"):
                report(run)
        finally:
            run.path.chmod(0o700)


def in_place_of(path: Path, kind: str) -> None:
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)


ROW = {"epoch": 1.0, "step": 10, "samples": 900, "train": {"elbo": -1.0}, "images_per_second": 9.0, "seconds": 0.5}


class TestRecords:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"epoch": None}, r"epoch is None: input should be a valid number"),
            ({"step": -1}, r"step is -1: input should be greater than or equal to 0"),
            ({"train": {"elbo": "x"}}, r"train\.elbo is 'x': input should be a valid number"),
            ({"validation": 3}, r"validation is 3: input should be"),
            ({"seconds": 1e300}, r"seconds is 1e\+300: input should be less than"),
        ],
    )
    def test_rows_that_are_damaged(self, changes: dict[str, Any], words: str, run: Run) -> None:
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (ROW, ROW | changes)))
        with pytest.raises(InputError, match=rf"metrics\.jsonl cannot be read \(line 2: {words}"):
            run.metrics()

    def test_fields_of_later_versions_are_kept(self, run: Run) -> None:
        run.write_metrics([ROW | {"temperature": [1, 2]}])
        assert run.metrics() == [ROW | {"temperature": [1, 2]}]
