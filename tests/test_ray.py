"""Units on a Ray cluster: each is done once, whatever dies, and is what a serial run makes of it."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaekit import Experiment, InputError, Run, RunError, choose, load, sweep, train
from vaekit.engine import ray as engine
from vaekit.engine import sweeps
from vaekit.engine.ray import cluster, on_ray
from vaekit.engine.units import Unit, listed
from vaekit.engine.work import Finished, Work, done
from vaekit.evaluations import current
from vaekit.run import alone

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vaekit[ray]'")
slow = pytest.mark.slow
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Ray's clusters for tests are not for Windows"),
    pytest.mark.xdist_group("ray"),
]
QUICK: dict[str, Any] = {"samples": 5, "images": 20}


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """A cluster of three nodes on this machine: a head without CPUs, and two with one each."""
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # which would write into the home folder
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            found.add_node(num_cpus=1)
        yield found
        found.shutdown()
        signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def experiment() -> Experiment:
    return choose("digits", hidden=[8], epochs=1, latent_dim=2)


def ended(units: list[tuple[Unit, ...]], nodes: Any, **options: Any) -> list[Finished]:
    with cluster(nodes.address):
        return [each for some in on_ray(units, Work(device="cpu"), **options) for each in some]


@slow
def test_a_node_dies_and_every_unit_is_done_once_as_a_serial_run_does(
    experiment: Experiment, nodes: Any, tmp_path: Path
) -> None:
    longer = experiment.replace("epochs", 40)
    grid = {"batch_size": [20, 25, 30, 35, 40, 45]}
    (unit, *_) = listed(longer, [{"batch_size": 20}], 1, tmp_path / "x")
    reports = train(unit.experiment, unit.path)
    next(reports)
    reports.close()  # begun here: a node goes on from the state
    sweeps.begin(sweeps.specified(longer, grid), tmp_path / "x")
    extra, finished = nodes.add_node(num_cpus=1), list[str]()
    signal.signal(signal.SIGTERM, ours := lambda *_: None)
    for progress in sweep(longer, grid, out=tmp_path / "x", engine="ray", address=nodes.address, **QUICK):
        assert signal.getsignal(signal.SIGTERM) is ours
        finished += [each.unit.label for each in progress.finished]
        if extra and any("begins" in log.read_text() for log in (tmp_path / "x/logs").glob("*")):
            nodes.remove_node(extra, allow_graceful=False)
            extra = None
    assert extra is None
    assert (progress.done, progress.failed, progress.total) == (6, 0, 6)
    assert len(finished) == len(set(finished)) == 6
    for path in (tmp_path / "x").glob("batch_size-*"):
        run = load(path)
        for _ in train(run.experiment, tmp_path / "alone" / path.name):
            pass
        serial = (tmp_path / "alone" / path.name / "weights.safetensors").read_bytes()
        assert serial == (path / "weights.safetensors").read_bytes()
        assert [each["images"] for each in current(Run(path))] == [20]
        assert "ends" in (tmp_path / f"x/logs/{path.name}.log").read_text()


@slow
def test_a_task_holds_a_stack(experiment: Experiment, nodes: Any, tmp_path: Path) -> None:
    units = tuple(listed(experiment, [{"model.latent_dim": d} for d in (2, 3)], 1, tmp_path / "x"))
    assert [(each.unit.label, each.error) for each in ended([units], nodes)] == [(unit.label, None) for unit in units]
    assert all(done(unit, Work()) for unit in units)


@slow
def test_closing_saves_and_cancels(experiment: Experiment, nodes: Any, tmp_path: Path) -> None:
    units = listed(experiment.replace("epochs", 100_000), [{"seed": k} for k in range(4)], 1, tmp_path / "x")
    state = units[0].path / "state.safetensors"
    with cluster(nodes.address):
        reports = on_ray([(unit,) for unit in units], Work(device="cpu"))
        for _ in reports:
            if state.exists():
                break
        before = state.stat().st_mtime_ns
        reports.close()
    assert state.stat().st_mtime_ns > before
    with alone(state.parent):
        pass
    assert not units[3].begun


@slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VERSION", "9.9", r"has vaekit .*, and what it is to work for is 9\.9: install"),
        ("LOGS", "other", "does not see .*: name a folder that all nodes share"),
    ],
)
def test_a_node_that_is_not_as_it_should_be_is_refused(
    experiment: Experiment,
    nodes: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.setattr(engine, name, value)
    with pytest.raises(InputError, match=words):
        ended([tuple(listed(experiment, [{}], 1, tmp_path / "x"))], nodes)
    assert not (tmp_path / "x" / "seed-0").exists()


KILLED = """
import os, pathlib, signal
from vaekit.objectives import Loss, Objective

class Killed(Objective):
    def __init__(self, *arguments):
        super().__init__()
        times = pathlib.Path({times!r})
        with times.open("a") as file:
            file.write("x")
        if len(times.read_text()) <= {deaths}:
            os.kill(os.getpid(), signal.{signal})

    def forward(self, vae, batch, *prepared):
        value = -vae.log_likelihood(batch.x, vae.draw(batch.x).z).mean()
        return Loss(value, -value, {{"reconstruction": value}})
"""


@slow
@pytest.mark.parametrize(("deaths", "number"), [(9, "SIGKILL"), (1, "SIGTERM")])
def test_a_process_that_dies_begins_again_and_then_has_failed(
    experiment: Experiment, nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, number: str
) -> None:
    code = KILLED.format(times=str(tmp_path / "times"), deaths=0, signal=number)
    (tmp_path / "killed.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(engine, "AGAIN", 1)
    units = listed(experiment, [{"objective": "killed:Killed"}], 1, tmp_path / "x")
    units += listed(experiment, [{"model.latent_dim": 3}], 1, tmp_path / "x")
    import killed  # noqa: F401

    code = KILLED.format(times=str(tmp_path / "times"), deaths=deaths, signal=number)
    (tmp_path / "killed.py").write_text(code, encoding="utf-8")
    (tmp_path / "times").unlink(missing_ok=True)
    try:
        errors = {each.unit.label: each.error for each in ended([(unit,) for unit in units], nodes)}
    finally:
        sys.modules.pop("killed", None)
    assert errors.pop(units[1].label) is None
    (error,) = errors.values()
    assert (tmp_path / f"x/logs/{units[0].label}.log").read_text().count("begins") == 2
    if number == "SIGKILL":
        assert isinstance(error, RunError)
        assert "died 2 times" in str(error)
    else:
        assert error is None


def test_a_cluster_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SECONDS_TO_CONNECT", 3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"cluster at {address} cannot be joined \(no answer in 3 seconds\)"):
            cluster(address).__enter__()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "ray", "address": "ray://head:10001"}, "give host:port of the cluster's head"),
        ({"engine": "local", "address": "head:6379"}, "address is 'head:6379', and engine local has none"),
        ({"per_gpu": 2}, "per_gpu is 2, and engine auto has none"),
        ({"engine": "ray", "per_gpu": 0}, "per_gpu is 0"),
    ],
)
def test_wrong_input_is_refused(experiment: Experiment, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(sweep(experiment, {"latent_dim": [2]}, out=tmp_path / "x", **options))
    assert not (tmp_path / "x").exists()


def test_without_ray_its_extra_is_named(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'vaekit\[ray\]'"):
        list(sweep(experiment, {"latent_dim": [2]}, out=tmp_path / "x", engine="ray"))
