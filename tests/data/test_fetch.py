"""Files of named sets: searched in order, downloaded when missing, refused when altered, explained when offline."""

import gzip
import hashlib
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from vaekit.data import Source, available, fetch, fetching
from vaekit.data.named import NAMED, File
from vaekit.errors import InputError

RANDOM = np.random.default_rng(0)
NOWHERE = "http://127.0.0.1:9/"


def idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(gzip.compress(bytes(16 if array.ndim == 3 else 8) + array.tobytes()))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def origin(tmp_path, monkeypatch):
    """A small set in place of KMNIST, served at an address of this machine, with a dead mirror before it."""
    served = tmp_path / "served"
    served.mkdir()
    version = NAMED["kmnist"].versions[0]
    for file, n in zip(version.files, (20, 20, 5, 5), strict=True):
        shape = (n, 28, 28) if "images" in file.path else (n,)
        idx(served / Path(file.path).name, RANDOM.integers(0, 10, shape, dtype=np.uint8))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    publish(monkeypatch, served, (NOWHERE, f"http://127.0.0.1:{server.server_port}/"))
    yield served
    server.shutdown()
    server.server_close()


def publish(monkeypatch, served: Path, hosts: tuple[str, ...]) -> None:
    def published(file: File) -> File:
        path = served / Path(file.path).name
        checksum = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        return File(file.path, checksum, tuple(host + path.name for host in hosts))

    version = NAMED["kmnist"].versions[0]
    version = replace(version, files=tuple(map(published, version.files)), splits=("20/5", "15/5/5"))
    monkeypatch.setitem(NAMED, "kmnist", replace(NAMED["kmnist"], versions=(version,)))


def test_a_missing_set_is_downloaded_once(origin, cache, caplog):
    caplog.set_level("INFO", logger="vaekit")
    data = Source(name="kmnist").load()
    assert data.space.sizes == {"train": 20, "test": 5}
    assert f"{NOWHERE}train-images-idx3-ubyte.gz could not be downloaded" in caplog.text
    paths = fetch("kmnist")
    assert all(path.is_relative_to(cache / "KMNIST" / "raw") for path in paths)
    for path in origin.iterdir():
        path.unlink()
    assert Source(name="kmnist").load().space == data.space
    assert next(row for row in available() if row["name"] == "kmnist")["found"] == str(cache / "KMNIST" / "raw")


def test_roots_are_searched_in_order(origin, cache, tmp_path, monkeypatch):
    given, variable = tmp_path / "given", tmp_path / "variable"
    for root in (given, variable, cache):
        shutil.copytree(origin, root / "KMNIST" / "raw")
    monkeypatch.setenv("VAEKIT_DATA", str(variable))
    for root, found in ((given, given), (None, variable)):
        assert all(path.is_relative_to(found) for path in fetch("kmnist", root))
    monkeypatch.delenv("VAEKIT_DATA")
    assert all(path.is_relative_to(cache) for path in fetch("kmnist"))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: bytes([b[0] ^ 1]) + b[1:], lambda b: b""])
def test_altered_files_are_refused(origin, tmp_path, damage):
    shutil.copytree(origin, tmp_path / "root" / "KMNIST" / "raw")
    path = tmp_path / "root" / "KMNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"t10k-images.* is truncated or altered .* `vaekit data fetch kmnist`"):
        Source(name="kmnist").load(tmp_path / "root")


def test_an_altered_download_is_not_kept(origin, cache):
    (origin / "t10k-labels-idx1-ubyte.gz").write_bytes(b"another file")
    with pytest.raises(InputError, match="nor could it be downloaded"):
        fetch("kmnist")
    assert not (cache / "KMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").exists()


class Endless(BaseHTTPRequestHandler):
    """A server that never ends its answer."""

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(bytes(1000))
                time.sleep(0.001)


@pytest.mark.parametrize(
    ("limit", "value", "reason"), [("LARGEST", 9999, "larger than 0 MB"), ("LONGEST", 0.3, "took")]
)
def test_a_download_without_end_is_given_up(origin, cache, monkeypatch, caplog, limit, value, reason):
    caplog.set_level("INFO", logger="vaekit")
    monkeypatch.setattr(fetching, limit, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    publish(monkeypatch, origin, (f"http://127.0.0.1:{server.server_port}/",))
    with pytest.raises(InputError, match="nor could it be downloaded"):
        fetch("kmnist")
    server.shutdown()
    server.server_close()
    assert reason in caplog.text
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_leftovers_of_killed_downloads_are_removed(origin, cache):
    left = cache / "drafts" / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "tmpx").write_text("half a file")
    fetch("kmnist")
    assert not left.exists()


def test_offline_one_sentence_tells_what_where_and_whence(origin, cache, tmp_path, monkeypatch):
    publish(monkeypatch, origin, (NOWHERE,))
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "variable"))
    with pytest.raises(InputError) as refusal:
        Source(name="kmnist").load(tmp_path)
    sentence = str(refusal.value)
    name = "train-images-idx3-ubyte.gz"
    assert f"KMNIST/raw/{name} of kmnist" in sentence
    for folder in (tmp_path, tmp_path / "variable", cache):
        assert str(folder) in sentence
    assert f"fetch {NOWHERE}{name} by hand and put it at {cache / 'KMNIST' / 'raw' / name}" in sentence
    assert "\n" not in sentence


def test_download_progress_is_shown_on_a_terminal_only(origin, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fetch("kmnist")
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_every_set_can_be_had_from_somewhere():
    for name, named in NAMED.items():
        files = [file for version in named.versions for file in version.files]
        assert not files or any(file.urls for file in files), name
        for file in files:
            kind, digest = file.checksum.split(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]


def test_wrong_names_and_roots_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no data set named 'knist': did you mean 'kmnist'"):
        fetch("knist")
    with pytest.raises(InputError, match=r"is not a folder: create it, or leave data_root \(--data-root\) out"):
        fetch("mnist", tmp_path / "missing")
