"""Values that Python hands over: paths of every kind and wrong values, each answered by one sentence."""

import os
import pathlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import finished, small

import vaekit
from vaekit import InputError, Model, Run, choose
from vaekit.arguments import to_path, to_whole
from vaekit.data import check, read_input
from vaekit.model import refuse_unlike

LONG = "x" * 300


class Elsewhere:
    """A path-like object that is not a Path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table in the folder that is the current and the home one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40, 3)) - 0.5)
    return tmp_path / "x.npy"


@pytest.mark.parametrize("make", [str, Path, Elsewhere, lambda path: "~/x.npy", lambda path: Path("~/x.npy")])
def test_data_are_named_by_anything_that_is_a_path(make: Any, rows: Path) -> None:
    experiment = choose(make(rows))
    assert isinstance(experiment.data.name, str)
    assert experiment.data.load().space.event_shape == (3,)
    assert check(make(rows))["shape"] == [40, 3]
    assert len(read_input(make(rows))[0]) == 40


@pytest.mark.parametrize("make", [str, Path, Elsewhere, Run, lambda path: "~/runs/small"])
def test_a_run_is_named_by_anything_that_is_its_path(
    make: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = make(run.path)
    assert vaekit.load(given) == run
    assert vaekit.show(given)["latent_dim"] == 3
    assert vaekit.sample(given, np.int64(2), seed=np.int64(1)).shape == (2, 1, 8, 8)
    assert vaekit.encode(given, np.zeros((2, 8, 8))).shape == (2, 3)
    assert vaekit.decode(given, np.zeros((2, 3))).shape == (2, 1, 8, 8)
    assert vaekit.reconstruct(given, np.zeros((2, 8, 8))).shape == (2, 1, 8, 8)
    assert vaekit.evaluate(given, metrics=["evidence"], samples=2, images=3)["images"] == 3
    assert len(vaekit.compare([given, given])["rows"]) == 2
    assert vaekit.report(given) == run.path / "report.html"


def test_the_home_folder_is_expanded_in_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "sets").mkdir(parents=True)
    run = finished(small(epochs=1), "~/runs/a", data_root="~/sets")
    assert run.path == tmp_path / "home" / "runs" / "a"
    vaekit.sample("~/runs/a", 2, out="~/x.npy")
    vaekit.decode("~/runs/a", np.zeros((2, 2)), out=Path("~/y.npy"))
    np.save(tmp_path / "home" / "z.npy", np.zeros((2, 2)))
    assert len(vaekit.decode("~/runs/a", "~/z.npy")) == 2
    assert choose(config="~/runs/a/experiment.json") == run.experiment
    assert len(vaekit.runs("~/runs")) == 1
    vaekit.evaluate("~/runs/a", metrics=["evidence"], samples=2, images=3)
    vaekit.compare(["~/runs/a", "~/runs/a"], out="~/drawn")
    monkeypatch.setenv("VAEKIT_DATA", "~/sets")
    vaekit.doctor(data_root="~/sets")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == [
        "drawn",
        "runs",
        "sets",
        "x.npy",
        "y.npy",
        "z.npy",
    ]


IMPOSSIBLE = [LONG, "a\0b", "~nobody-of-that-name/x", "", 3, None, b"bytes", ["a", "b"], np.zeros(3)]


@pytest.mark.parametrize("path", IMPOSSIBLE, ids=lambda path: str(path)[:12])
def test_a_path_that_cannot_be_is_a_sentence(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[Any] = [
        lambda: to_path(path),
        lambda: vaekit.load(path),
        lambda: vaekit.show(path),
        lambda: vaekit.report(path),
        lambda: vaekit.figures(path),
        lambda: vaekit.evaluate(path),
        lambda: vaekit.encode(path, np.zeros((2, 8, 8))),
        lambda: vaekit.sample(path),
        lambda: vaekit.runs(path),
        lambda: list(vaekit.train(choose("digits"), path)),
        lambda: list(vaekit.train(choose("digits"), path, resume=True)),
        lambda: choose(path).data.load(),
    ]
    if path is not None:
        calls.append(lambda: choose("digits", config=path))
    for call in calls:
        with pytest.raises(InputError) as raised:
            call()
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 250
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [2.0, True, "2", None, -1, 2**70, float("nan"), [2]], ids=str)
def test_a_count_is_a_whole_number(value: Any, run: Run) -> None:
    calls: list[Any] = [
        lambda: to_whole(value, "n"),
        lambda: vaekit.sample(run, value),
        lambda: vaekit.sample(run, 2, seed=value),
    ]
    if value is not None:
        calls += [lambda: vaekit.evaluate(run, images=value), lambda: vaekit.evaluate(run, samples=value)]
    for call in calls:
        with pytest.raises(InputError, match=r"^(n|seed|images|samples) is .*: give a whole number of at (least|most)"):
            call()


@pytest.mark.parametrize(
    "data",
    [torch.zeros(5), 3, {"a": [1]}, object(), [], {1, 2}],
    ids=lambda d: type(d).__name__,
)
def test_what_is_not_data_is_refused(data: Any) -> None:
    with pytest.raises(
        InputError, match=r"^data is .*: give the name of a data set|has shape .*: give \(N, D\)"
    ) as raised:
        choose(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: list(vaekit.train("digits", "r")), "experiment is 'digits': make one with vaekit.choose"),
        (lambda: list(vaekit.train_stack(["digits"], ["r"])), "experiment is 'digits': make one with vaekit.choose"),
        (lambda: vaekit.compare("runs/a"), "runs is 'runs/a': give a list of two or more"),
        (lambda: vaekit.compare(["a", "b"]), "a is not a run"),
        (lambda: vaekit.evaluate("runs/a"), "runs/a is not a run"),
        (lambda: choose("digits", set="beta=3"), "set is 'beta=3': give a dictionary"),
        (lambda: choose("digits", set={3: 3}), "3 is not a field: give its dotted path"),
        (lambda: choose("digits", preset=3), "preset 3 is unknown; choose from"),
        (lambda: choose("digits", preset=["wei"]), "preset ['wei'] is unknown; did you mean 'wei'?"),
        (lambda: choose("digits", latent_dim=2.5), "model.latent_dim is 2.5: give a whole number"),
        (lambda: choose("digits", hidden=300), "model.network.hidden is 300: give a list"),
        (lambda: choose("digits", network=3), "model.network is 3: give"),
        (lambda: choose("digits", seed=2**70), "seed is 1180591620717411303424: give"),
    ],
)
def test_a_wrong_value_from_python_is_a_sentence(
    call: Any, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t.csv", "data 't.csv' does not exist: check the path"),
        ("faces/cats", "data 'faces/cats' does not exist: check the path"),
        ("mnits", "did you mean 'mnist'?"),
        ("cats", "choose from"),
    ],
)
def test_named_sets_are_listed_for_words_only(name: str, words: str, rows: Path) -> None:
    with pytest.raises(InputError) as raised:
        choose(name)
    assert words in str(raised.value)
    assert ("binarized_mnist" in str(raised.value)) == (words == "choose from")


def test_a_name_that_is_not_utf_8_is_refused_before_a_run_begins(rows: Path) -> None:
    rows.rename(os.fsdecode(b"\xff.npy"))
    with pytest.raises(InputError, match=r"'\\udcff.npy' is not UTF-8: rename"):
        choose(os.fsdecode(b"\xff.npy"))


def test_what_may_not_be_read_is_a_sentence(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (rows.parent / "folder").mkdir()

    def forbidden(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    for method, name in (("open", "x.npy"), ("iterdir", "folder"), ("stat", "x.npy")):
        with monkeypatch.context() as patch:
            patch.setattr(pathlib.Path, method, forbidden)
            with pytest.raises(InputError, match=r"\(Permission denied\)"):
                choose(name)


def test_a_pipe_is_not_waited_for(rows: Path) -> None:
    os.mkfifo("pipe.npy")
    with pytest.raises(InputError, match=r"'pipe\.npy' is neither a file nor a folder"):
        choose("pipe.npy")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda vae: vae.encode(torch.zeros(2, 64)), "x has shape (2, 64): give a tensor of shape (batch, 1, 8, 8)"),
        (
            lambda vae: vae.encode(torch.zeros(1, 8, 8)),
            "x has shape (1, 8, 8): give a tensor of shape (batch, 1, 8, 8)",
        ),
        (lambda vae: vae.reconstruct(torch.zeros(2, 1, 8, 9)), "x has shape (2, 1, 8, 9): give"),
        (lambda vae: vae.decode(torch.zeros(2, 4)), "z has shape (2, 4): give a tensor of shape (..., 3)"),
    ],
)
def test_a_model_refuses_other_shapes(call: Any, sentence: str) -> None:
    # What is not a tensor is stopped by the shape checks of the tests before it reaches the method.
    with pytest.raises(InputError, match=r"^x is of type ndarray: give a tensor of shape \(batch, 8\)$"):
        refuse_unlike(np.zeros((2, 8)), "x", "batch", (8,))
    vae = Model(latent_dim=3).build((1, 8, 8))
    with pytest.raises(InputError) as raised:
        call(vae)
    assert str(raised.value).startswith(sentence)
    assert vae.decode(torch.zeros(2, 5, 3)).shape == (2, 5, 1, 8, 8)


def test_a_demo_is_not_told_of_options_that_it_lacks(run: Run) -> None:
    with pytest.raises(InputError, match=r"holds a run already: name a new folder \(--run\)$"):
        vaekit.demo(run.path)
