"""Shapes in annotations are checked in every test: the hook is set before any of these modules is imported.

No test reaches the network or the user's cache. ``run`` is a small trained run of the test's own.
"""

import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxtyping
import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from vaekit import Run

MATHEMATICS = (
    "vaekit.conditional",
    "vaekit.data.order",
    "vaekit.training.diagnosis",
    "vaekit.distributions",
    "vaekit.estimates",
    "vaekit.evaluation",
    "vaekit.likelihoods",
    "vaekit.model",
    "vaekit.networks",
    "vaekit.objectives",
    "vaekit.posteriors",
    "vaekit.priors",
)

LOOPBACK = ("127.0.0.1", "localhost", "::1")

jaxtyping.install_import_hook(MATHEMATICS, "typechecking.checked")
torch.set_num_threads(1)  # the tensors of tests are small: threads that wait for each other cost more than they save
settings.register_profile("vaekit", derandomize=True, deadline=None)
settings.load_profile("vaekit")


@pytest.fixture(scope="session", autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests from the network and the user's cache, and the processes they start from each other's cores."""
    cache = tmp_path_factory.mktemp("cache")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it

    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise OSError(f"a test reached for the network: {address}")
        connect(self, address)

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in LOOPBACK:
            raise OSError(f"a test reached for the network: {host}")
        return getaddrinfo(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", look_up_here)
        patch.setattr("pooch.os_cache", cache.joinpath)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run on digits, to be read only."""
    from vaekit import choose, train

    folder = tmp_path_factory.mktemp("trained") / "run"
    for _ in train(choose("digits", latent_dim=3, hidden=[24], epochs=3), folder):
        pass
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> "Run":
    """A small trained run of the test's own, in the folder runs/small of its temporary folder."""
    from vaekit import load

    return load(shutil.copytree(trained, tmp_path / "runs" / "small"))


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trainings report after every step."""
    monkeypatch.setattr("vaekit.training.loop.SECONDS_BETWEEN_REPORTS", -1.0)
