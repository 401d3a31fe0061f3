"""A cache of its own for every test, and the folder of real data sets where there is one."""

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("VAEKIT_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VAEKIT_DATA", "VAEKIT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "vaekit"


@pytest.fixture
def real() -> Path:
    if not (REAL / "MNIST").is_dir():
        pytest.skip("no data sets here: set VAEKIT_DATA to a folder that holds them")
    return REAL
