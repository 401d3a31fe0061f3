"""Run folders: atomic, never overwritten by accident, never executed, and refused with a sentence when damaged."""

import errno
import json
import os
import pickle
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import finished, same, small

import vaekit
from vaekit import InputError, Run, RunError, load, runs, show, train
from vaekit.folders import latest, link_latest, new_path, newest
from vaekit.run import write
from vaekit.settings import fields

EVALUATION = {"split": "test", "binarization": "none", "images": 9, "metrics": ["evidence"], "command": "a"}
ESTIMATE = {"value": -3.5, "standard_error": 0.5, "samples": 7}
FILES = {"experiment.json", "data.json", "versions.json", "metrics.jsonl", "state.safetensors", "weights.safetensors"}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def altered(run: Run, name: str, path: str, value: Any) -> Run:
    """The run with one value of a JSON file replaced."""
    tree = json.loads((run.path / name).read_text())
    *parents, last = path.split(".")
    node = tree
    for parent in parents:
        node = node[parent]
    node[last] = value
    (run.path / name).write_text(json.dumps(tree))
    return Run(run.path)


def test_a_folder_holds_everything_as_json_and_tensors(run: Run) -> None:
    assert {path.name for path in run.path.iterdir()} == FILES
    assert json.loads((run.path / "experiment.json").read_text())["model"]["latent_dim"] == 3
    assert run.space.sizes == {"train": 1257, "validation": 180, "test": 360}
    for name in ("weights", "state"):
        assert load_file(run.path / f"{name}.safetensors")


def test_the_model_file_is_small(run: Run) -> None:
    parameters = sum(weight.numel() * 4 for weight in run.vae().parameters())
    assert (run.path / "weights.safetensors").stat().st_size <= parameters + 50_000


def test_a_loaded_model_is_ready_and_leaves_the_generator_alone(run: Run) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    vae = run.vae()
    assert torch.equal(torch.rand(3), expected)
    assert not vae.training
    assert vae.latent_dim == 3


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_writing_leaves_the_old_file_or_the_new_one(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, b"old")

    def fail(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    match fails:
        case "write":
            monkeypatch.setattr(Path, "open", fail)
        case "fsync":
            monkeypatch.setattr(os, "fsync", fail)
        case "replace":
            monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        write(path, b"new")
    monkeypatch.undo()
    assert content(tmp_path) == {"file": b"old"}
    write(path, b"new")
    assert content(tmp_path) == {"file": b"new"}


def test_failures_to_write_are_sentences(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"cannot be written \(Read-only file system\): make it writable, or copy it"):
        run.write("results.json", b"{}")


class TestTaken:
    def test_a_run_is_not_overwritten_by_accident(self, run: Run) -> None:
        before = content(run.path)
        with pytest.raises(InputError, match=r"holds a run already: resume it \(--resume\), overwrite it"):
            next(train(small(), run.path))
        assert content(run.path) == before

    def test_overwriting_leaves_nothing_of_the_old_run(self, run: Run, tmp_path: Path) -> None:
        (run.path / "figures").mkdir()
        for stale in ("figures/losses.svg", "results.json", "report.html", "events.out.tfevents.1"):
            (run.path / stale).write_text("{}")
        (run.path / "notes.txt").write_text("mine")
        anew = finished(small(), run.path, overwrite=True)
        assert same(anew, finished(small(), tmp_path / "whole"))
        assert content(anew.path).keys() == FILES | {"notes.txt"}

    def test_overwriting_waits_until_the_data_are_known_to_fit(self, run: Run) -> None:
        before = content(run.path)
        with pytest.raises(InputError, match="categorical needs byte data"):
            next(train(small(model__likelihood="categorical"), run.path, overwrite=True))
        assert content(run.path) == before

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_other_folders_are_never_touched(self, overwrite: bool, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(InputError, match="exists and is not a run: name another folder"):
            next(train(small(), tmp_path, overwrite=overwrite))
        with pytest.raises(InputError, match="exists and is not a run"):
            next(train(small(), tmp_path / "thesis.tex", overwrite=overwrite))
        with pytest.raises(InputError, match=r"cannot be made \(Not a directory\): name another folder"):
            next(train(small(), tmp_path / "thesis.tex" / "run", overwrite=overwrite))
        assert content(tmp_path) == {"thesis.tex": b"precious"}

    def test_an_empty_folder_may_be_used(self, tmp_path: Path) -> None:
        assert finished(small(epochs=0.1), tmp_path).metrics()


class TestDamage:
    @pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
    @pytest.mark.parametrize("keep", [0, 5, 200, -1])
    def test_cut_tensors(self, name: str, keep: int, run: Run) -> None:
        whole = (run.path / name).read_bytes()
        (run.path / name).write_bytes(whole[:keep])
        with pytest.raises(InputError, match=rf"{name} is damaged \(.*\): restore it or train again"):
            _ = run.vae() if name.startswith("weights") else finished(run.experiment, run.path, resume=True)

    @pytest.mark.parametrize("name", ["experiment.json", "data.json", "metrics.jsonl", "results.json"])
    @pytest.mark.parametrize("text", ["{", "[]\n", '{"a": 1}\n', "\x00\n", "[" * 20_000 + "\n"])
    def test_altered_texts(self, name: str, text: str, run: Run) -> None:
        (run.path / name).write_text(text)
        if name == "metrics.jsonl" and text == "{":  # a last line that a crash cut short
            assert run.metrics() == []
            return
        with pytest.raises(InputError, match=rf"{name} cannot be read \(.+\): restore the file or train again"):
            _ = Run(run.path).experiment, run.space, run.metrics(), run.results()
        assert runs(run.path.parent) == []

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("model.latent_dim", 4),
            ("model.latent_dim", 10**9),
            ("model.latent_dim", 10**18),
            ("model.latent_dim", 2**63 - 1),
            ("model.network.hidden", [10**8] * 4),
            ("model.likelihood.scale", "pixel"),
        ],
    )
    def test_altered_sizes_are_found_before_memory_is_taken(self, path: str, value: Any, run: Run) -> None:
        changed = altered(run, "experiment.json", path, value)
        with pytest.raises(InputError, match=r"does not fit the experiment beside it|no memory holds"):
            changed.vae()
        with pytest.raises(InputError, match=r"does not fit the experiment|no memory holds|would take"):
            finished(changed.experiment, run.path, resume=True)

    @pytest.mark.parametrize("shape", [[1, 10**9, 10**9], [1, -8, 8], [10**30]])
    def test_altered_shapes(self, shape: list[int], run: Run) -> None:
        with pytest.raises(InputError, match=r"does not fit the experiment beside it|no memory holds|cannot be read"):
            altered(run, "data.json", "event_shape", shape).vae()

    @pytest.mark.parametrize(
        ("path", "value", "words"),
        [
            ("model.latent_dim", 10**30, f"model.latent_dim is {10**30}: give a number less than"),
            ("epochs", -3, "epochs is -3: give a number greater than 0"),
            ("optimizer.kind", "adm", "optimizer 'adm' is unknown; did you mean 'adam'"),
            ("model.network.hiden", [3], "model.network.hiden is not a field; did you mean 'hidden'"),
            ("model.likelihood", "x", "model.likelihood is 'x'"),
        ],
    )
    def test_altered_values_are_named(self, path: str, value: Any, words: str, run: Run) -> None:
        with pytest.raises(InputError, match=rf"experiment\.json cannot be read \({words}"):
            _ = altered(run, "experiment.json", path, value).experiment

    def test_state_whose_facts_are_not_whole(self, run: Run) -> None:
        tensors = load_file(run.path / "state.safetensors")
        tensors["optimizer.0.exp_avg"] = torch.zeros(2, 2)
        save_file(tensors, run.path / "state.safetensors", {"facts": '{"step": 1}'})
        with pytest.raises(InputError, match=r"state\.safetensors does not fit the run \(seconds is missing"):
            finished(run.experiment, run.path, resume=True)

    @pytest.mark.parametrize("facts", [{}, {"facts": "{}"}, {"facts": '{"step": "x"}'}, {"facts": "["}])
    def test_state_without_facts(self, facts: dict[str, str], run: Run) -> None:
        save_file(load_file(run.path / "state.safetensors"), run.path / "state.safetensors", facts)
        with pytest.raises(InputError, match=r"state\.safetensors (does not fit|is damaged)"):
            finished(run.experiment, run.path, resume=True)

    def test_weights_that_are_missing(self, run: Run) -> None:
        (run.path / "weights.safetensors").unlink()
        with pytest.raises(InputError, match="does not exist: the run has no weights yet, train it or resume it"):
            run.vae()

    @pytest.mark.parametrize("name", ["experiment.json", "data.json"])
    def test_texts_that_are_missing(self, name: str, run: Run) -> None:
        (run.path / name).unlink()
        with pytest.raises(InputError, match=r"is not a run|cannot be read"):
            _ = Run(run.path).space

    def test_folders_that_are_no_runs(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"is not a run: it has no experiment\.json; 'vaekit runs' lists"):
            load(tmp_path)


class Attack:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("attacked",)


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
@pytest.mark.parametrize("save", [pickle.dumps, torch.save], ids=["pickle", "torch"])
def test_pickles_are_refused_and_not_run(
    name: str, save: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if save is pickle.dumps:
        (run.path / name).write_bytes(pickle.dumps(Attack()))
    else:
        torch.save(Attack(), run.path / name)
    with pytest.raises(InputError, match="is damaged"):
        _ = run.vae() if name.startswith("weights") else finished(run.experiment, run.path, resume=True)
    assert not (tmp_path / "attacked").exists()


def test_a_last_line_cut_short_is_left_out(run: Run) -> None:
    path = run.path / "metrics.jsonl"
    rows = run.metrics()
    path.write_bytes(path.read_bytes()[:-9])
    assert run.metrics() == rows[:-1]


def test_evaluations_are_kept_by_command(run: Run) -> None:
    assert run.results() == {}
    for changes in ({}, {"command": "b"}, {"split": "train"}):
        run.add_evaluation(EVALUATION | changes)
    assert run.results() == {"evaluations": [EVALUATION | {"command": "b"}, EVALUATION | {"split": "train"}]}


def test_evaluations_at_once_are_all_kept(run: Run) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: Run(run.path).add_evaluation(EVALUATION | {"command": str(i)}), range(16)))
    assert {found["command"] for found in run.results()["evaluations"]} == set(map(str, range(16)))
    assert {path.name for path in run.path.iterdir()} == FILES | {"results.json"}


def test_an_evaluation_is_written_in_the_same_order_whatever_order_it_has(run: Run) -> None:
    run.add_evaluation(EVALUATION | {"elbo": ESTIMATE, "kl": ESTIMATE})
    first = (run.path / "results.json").read_bytes()
    run.add_evaluation({"kl": ESTIMATE, "elbo": dict(reversed(ESTIMATE.items())), **dict(reversed(EVALUATION.items()))})
    assert (run.path / "results.json").read_bytes() == first


def test_names_of_new_runs(tmp_path: Path) -> None:
    with new_path(tmp_path, "mnist-mlp") as path:
        assert path == tmp_path / "mnist-mlp-1"
    assert not path.exists()
    for name in ("mnist-mlp-1", "mnist-mlp-9", "mnist-mlp-x", "mnist-mlp-conv-3"):
        (tmp_path / name).mkdir()
    with new_path(tmp_path, "mnist-mlp") as path, new_path(tmp_path, "mnist-mlp") as other:
        assert (path, other) == (tmp_path / "mnist-mlp-10", tmp_path / "mnist-mlp-11")
        finished(small(epochs=0.1), path)
    assert Run(path).metrics()
    assert not other.exists()
    for name in ("../../etc/../..", ".."):
        with new_path(tmp_path, name) as path:
            assert path.parent == tmp_path


def test_runs_are_found_newest_first(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = run.path.parent
    older, damaged = (Path(shutil.copytree(run.path, folder / name)) for name in ("older", "damaged"))
    os.utime(older / "experiment.json", (1, 1))
    (damaged / "experiment.json").write_text("{")
    (folder / "notes").mkdir()
    (folder / "readme.txt").write_text("")
    os.utime(damaged / "experiment.json", (0, 0))
    assert newest(folder) == [run.path, older, damaged]
    assert latest(folder) == run.path
    assert load(folder / "latest").path == run.path
    assert [facts["run"] for facts in runs(folder)] == [str(run.path), str(older)]
    assert f"left out: {damaged / 'experiment.json'} cannot be read" in caplog.text


def test_what_a_list_says_is_what_the_run_is(run: Run) -> None:
    facts = show(run.path)
    experiment = run.experiment
    assert facts["digest"] == experiment.digest == experiment.replace("data.label", None).digest
    assert facts["settings"].keys() == dict(fields(json.loads(experiment.to_json()))).keys() - {"data.name"}
    assert (facts["settings"]["model.latent_dim"], facts["settings"]["objective.kind"]) == (3, "elbo")
    assert (facts["data"], facts["latent_dim"], facts["network"]) == (run.space.title, 3, experiment.model.network.kind)
    assert facts["versions"] == {
        "vaekit": vaekit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    (run.path / "versions.json").unlink()  # as in runs of version 0.1.0
    assert show(run)["versions"] is None
    altered(run, "experiment.json", "model.latent_dim", "three")
    with pytest.raises(InputError, match=r"experiment\.json cannot be read \(model\.latent_dim is 'three'"):
        show(run)


class TestLatest:
    """runs/latest, a link to the run that was begun or resumed last."""

    def test_it_leads_to_the_run_begun_or_resumed_last(self, tmp_path: Path) -> None:
        folder = tmp_path / "runs"
        for name in ("a", "b"):
            finished(small(), folder / name)
            assert os.readlink(folder / "latest") == name
            assert load(folder / "latest").path == folder / name
        for _ in train(small().replace("epochs", 4), folder / "a", resume=True):
            pass
        assert os.readlink(folder / "latest") == "a"
        assert [path.name for path in newest(folder)] == ["a", "b"]
        assert [Path(facts["run"]).name for facts in runs(folder)] == ["a", "b"]

    def test_it_is_never_followed_to_overwrite(self, tmp_path: Path) -> None:
        run = finished(small(), tmp_path / "runs" / "a")
        before = content(run.path)
        with pytest.raises(InputError, match="latest is a link to the run that was begun last: name that run"):
            finished(small(seed=1), tmp_path / "runs" / "latest", overwrite=True)
        assert content(run.path) == before

    def test_nothing_else_is_replaced_and_other_folders_have_none(self, tmp_path: Path) -> None:
        (tmp_path / "runs" / "latest").mkdir(parents=True)
        finished(small(), tmp_path / "runs" / "a")
        assert not (tmp_path / "runs" / "latest").is_symlink()
        finished(small(), tmp_path / "b")
        assert not os.path.lexists(tmp_path / "latest")

    def test_a_system_without_links_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError("symbolic link privilege not held")

        monkeypatch.setattr(Path, "symlink_to", refuse)
        (tmp_path / "runs" / "a").mkdir(parents=True)
        link_latest(tmp_path / "runs" / "a")
        assert os.listdir(tmp_path / "runs") == ["a"]


def test_no_runs(tmp_path: Path) -> None:
    assert runs(tmp_path) == []
    with pytest.raises(InputError, match="holds no run: name one, or train one first"):
        load(tmp_path / "latest")
    with pytest.raises(InputError, match="is not a folder: name the folder of your runs, or train one first"):
        runs(tmp_path / "nope")
