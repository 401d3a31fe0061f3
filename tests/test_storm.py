"""Kills at random moments and damage at random places; ``make storm`` does it for minutes, the tests for seconds.

A round is decided by its number alone: STORM_FIRST=17 STORM_ROUNDS=1 repeats round 17.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import finished, same, small

from vaekit import InputError, Run, RunError, compare, encode, evaluate, runs, sample, show, train
from vaekit.training import loop

FIRST, COUNT = int(os.environ.get("STORM_FIRST", "0")), int(os.environ.get("STORM_ROUNDS", "3"))
ROUNDS = range(FIRST, FIRST + COUNT)
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")
X = np.linspace(0, 1, 128, dtype=np.float32).reshape(2, 1, 8, 8)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


def killed(action: Callable[[], Any], folder: Path, dice: random.Random) -> None:
    """Do something in a process of its own, which is killed at a random moment or file event in the folder."""
    event = dice.choice((0, dice.randint(1, 80)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the child of a process with threads does nothing but this, and ends
        child = os.fork()
    if not child:
        seen = [0]

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            if name in EVENTS and str(folder) in str(arguments[0]):
                seen[0] += 1
                if seen[0] == event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        with suppress(BaseException):
            loop.SECONDS_BETWEEN_CHECKPOINTS = dice.choice((0.0, 30.0))
            action()
        os._exit(0)
    end = time.monotonic() + (60 if event else dice.uniform(0, 0.5))
    while time.monotonic() < end and not os.waitpid(child, os.WNOHANG)[0]:
        time.sleep(0.002)
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(small(), tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("number", ROUNDS)
def test_a_training_that_is_killed_ends_as_if_it_had_not_been(number: int, whole: Run, tmp_path: Path) -> None:
    dice, path = random.Random(f"kill {number}"), tmp_path / "run"
    overwrite = dice.random() < 0.4
    if overwrite:
        shutil.copytree(whole.path, path)
    options = {"overwrite": overwrite}
    for _ in range(dice.choice((1, 1, 2, 3))):
        killed(partial(finished, small(), path, **options), path, dice)
        options = {"resume": True} if (path / "experiment.json").exists() else {"overwrite": overwrite}
    assert same(finished(small(), path, **options), whole)
    assert not list(path.glob(".*"))


@pytest.mark.parametrize("number", ROUNDS)
def test_evaluations_that_are_killed_end_as_if_they_had_not_been(number: int, run: Run, tmp_path: Path) -> None:
    dice, other = random.Random(f"evaluate {number}"), Run(shutil.copytree(run.path, tmp_path / "other"))

    def measure(run: Run) -> Any:
        return evaluate(run, metrics=["evidence"], samples=20, images=200) | {"command": ""}

    killed(lambda: measure(run), run.path, dice)
    assert measure(run) == measure(other)
    assert not list(run.path.rglob(".*"))


WORDS = ("null", "true", "-1", "0", "1e308", "1e999", "NaN", '""', '"../../x"', "[]", "{}", "[null]", '{"value": null}')
VALUES = (*WORDS, "1" + "0" * 5000, '"\\ud800"', '"a\\u001b[1m"', "[" * 9000 + "]" * 9000, '"' + "b" * 100_000 + '"')


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a tree of JSON."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def altered(text: str, dice: random.Random) -> str:
    """JSON with one value taken out or made another."""
    tree = {"": json.loads(text)}
    *parents, last = dice.choice(places(tree)[1:])
    node: Any = tree
    for parent in parents:
        node = node[parent]
    if dice.random() < 0.2 and parents:
        del node[last]
        return json.dumps(tree[""])
    node[last] = "@"
    return json.dumps(tree[""]).replace('"@"', dice.choice(VALUES))


def damaged(path: Path, dice: random.Random) -> None:
    """Alter a value of a text, or bytes of any file, or put something else in its place."""
    content, way = path.read_bytes(), dice.random()
    if way < 0.15:
        path.unlink()
        dice.choice((path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path), lambda: None))()
    elif way < 0.75 and path.suffix.startswith(".json"):
        lines = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
        lines[-1] = altered(lines[-1], dice)
        path.write_bytes("".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass"))
    else:
        start, end = sorted(dice.randrange(len(content) + 1) for _ in range(2))
        filling = dice.choice((b"", bytes(end - start), dice.randbytes(end - start), content))
        path.write_bytes(content[:start] + filling + content[end:])


def resumed(path: Path) -> None:
    """Take up a training, and stop it at once."""
    with closing(train(Run(path).experiment, path, resume=True)) as reports:
        next(reports)


@pytest.fixture(scope="module")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluated") / "run"
    evaluate(Run(shutil.copytree(trained, path)), samples=5, images=60)
    return path


@pytest.mark.parametrize("number", [10 * number + k for number in ROUNDS for k in range(10)])
def test_damage_is_a_sentence(number: int, evaluated: Path, tmp_path: Path) -> None:
    dice, path = random.Random(f"damage {number}"), tmp_path / "runs" / "run"
    shutil.copytree(evaluated, path)
    damaged(dice.choice(sorted(p for p in path.rglob("*") if p.is_file())), dice)
    for use in (
        lambda: show(path),
        lambda: runs(path.parent),
        lambda: encode(path, X, units="active"),
        lambda: sample(path, 2),
        lambda: compare([path, evaluated]),
        lambda: evaluate(path, metrics=["evidence"], samples=5, images=60),
        lambda: resumed(path),
    ):
        with suppress(InputError, RunError):
            use()  # type: ignore[no-untyped-call]
    assert [p.name for p in path.parent.iterdir() if not p.is_symlink()] == ["run"]
