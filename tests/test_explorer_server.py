"""The explorer's server: who may ask, what is refused, and that answers are those of torch."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from small import finished, small

from vaekit import InputError, Run, selection

pytest.importorskip("starlette", reason="needs vaekit[explore]")
pytest.importorskip("httpx", reason="starlette's test client needs httpx")

from starlette.testclient import TestClient

from vaekit.explorer.atlas import GLANCE
from vaekit.explorer.room import MOST, Room
from vaekit.explorer.server import application, listen, page_files, serve
from vaekit.run import TRAINING_LOCK, alone

TOKEN, PORT = "secret", 8123
BASE = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(small(model__latent_dim=3), tmp_path_factory.mktemp("explorer") / "run")


@pytest.fixture(scope="module")
def client(run: Run) -> TestClient:
    return TestClient(application([Room(run, "test", 50)], TOKEN, PORT), base_url=BASE)


def floats(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()


def test_answers_are_those_of_torch(client: TestClient, run: Run) -> None:
    z = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    decoded = np.frombuffer(client.post(f"/{TOKEN}/api/0/decode", content=floats(z)).content, "<f4")
    expected = run.vae().decode(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(decoded.reshape(expected.shape), expected, atol=1e-6)
    x = run.data().test.batch(torch.arange(4)).x
    answer = np.frombuffer(client.post(f"/{TOKEN}/api/0/encode", content=floats(x.numpy())).content, "<f4")
    np.testing.assert_allclose(answer[:12].reshape(4, 3), run.vae().encode(x).numpy(), atol=1e-5)
    score = np.frombuffer(client.post(f"/{TOKEN}/api/0/score", content=floats(x.numpy())).content, "<f4").reshape(4, 3)
    from vaekit import score as scored

    np.testing.assert_allclose(score[:, 1], scored(run, x.numpy()).score, rtol=1e-5)
    assert (score[:, 0] <= score[:, 1] + 3 * score[:, 2]).all()


def test_only_who_has_the_address_may_ask(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/").status_code == 200
    for path, headers in [
        ("/", {}),
        ("/wrong/", {}),
        ("/wrong/api/0/atlas", {}),
        (f"/{TOKEN}/", {"host": "evil.example"}),
        (f"/{TOKEN}/", {"host": f"evil.example:{PORT}"}),
        (f"/{TOKEN}/", {"host": "127.0.0.1"}),
        (f"/{TOKEN}/", {"origin": "http://evil.example"}),
        (f"/{TOKEN}/", {"origin": "null"}),
    ]:
        assert client.get(path, headers=headers).status_code == 403, (path, headers)


@pytest.mark.parametrize(
    "name",
    ["../server.py", "..%2fserver.py", "%2e%2e/server.py", "....//", "/etc/passwd", "%00", "main.js%00", "..\\x"],
)
def test_no_path_reaches_the_disk(client: TestClient, name: str) -> None:
    assert client.get(f"/{TOKEN}/page/{name}").status_code in (403, 404)


def test_a_page_may_only_do_what_it_is_made_of(client: TestClient) -> None:
    headers = client.get(f"/{TOKEN}/").headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["referrer-policy"] == "no-referrer"
    for name in page_files():
        assert client.get(f"/{TOKEN}/page/{name}").status_code == 200


@pytest.mark.parametrize("verb", ["decode", "encode", "score"])
@pytest.mark.parametrize(
    "body",
    [b"", b"abc", floats(np.full((1, 3), np.nan)), floats(np.full((1, 3), np.inf)), b"\0" * 4 * 784 * (MOST + 1)],
    ids=["empty", "odd", "NaN", "infinite", "too many"],
)
def test_a_malformed_body_is_refused_and_the_server_lives(client: TestClient, verb: str, body: bytes) -> None:
    answer = client.post(f"/{TOKEN}/api/0/{verb}", content=body)
    assert answer.status_code == 400
    assert answer.text
    assert client.get(f"/{TOKEN}/api/runs").json() == [{"name": "run", "live": False}]


def test_a_body_without_end_is_cut_off(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.explorer.server.LONGEST", 1000)
    assert client.post(f"/{TOKEN}/api/0/decode", content=b"\0" * 1200).status_code == 413


@pytest.mark.parametrize(
    "query", ["", "count=0", "count=x", "count=99999", "count=5&temperature=nan", "count=5&seed=-1"]
)
def test_a_wrong_number_is_refused(client: TestClient, query: str) -> None:
    assert client.post(f"/{TOKEN}/api/0/sample?{query}").status_code == 400


def test_unknown_runs_and_verbs_are_refused(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/api/7/atlas").status_code == 404
    assert client.get(f"/{TOKEN}/api/0/nothing").status_code == 404
    assert client.get(f"/{TOKEN}/api/0/decode").status_code == 405
    for number in ("-1", "9" * 5000, "%D9%A0", "x"):
        assert client.get(f"/{TOKEN}/api/{number}/atlas").status_code == 404


def test_samples_are_drawn_by_seed_and_temperature(client: TestClient) -> None:
    def sample(query: str) -> np.ndarray:
        return np.frombuffer(client.post(f"/{TOKEN}/api/0/sample?{query}").content, "<f4").reshape(-1, 3)

    one = sample("count=2000&seed=1")
    np.testing.assert_array_equal(one, sample("count=2000&seed=1"))
    np.testing.assert_allclose(one.std(0), 1, atol=0.1)
    np.testing.assert_allclose(sample("count=2000&seed=1&temperature=0.5").std(0), one.std(0) / 2, rtol=1e-4)


def test_a_selection_is_kept_in_the_run(client: TestClient, run: Run) -> None:
    with pytest.raises(InputError, match="nothing is selected"):
        selection(run)
    assert client.post(f"/{TOKEN}/api/0/selection", content=b'{"rows": [5, 2, 5]}').status_code == 200
    found = selection(run.path)
    assert found.split == "test"
    assert found.rows.tolist() == [2, 5]
    wrong = (b"{}", b"[]", b'{"rows": 3}', b'{"rows": [-1]}', b'{"rows": [1.5]}', b'{"rows": [10000000]}', b"\xff")
    for body in (*wrong, b"[" * 200_000):
        assert client.post(f"/{TOKEN}/api/0/selection", content=body).status_code == 400
    assert selection(run).rows.tolist() == [2, 5]


def test_new_weights_are_seen(tmp_path: Path) -> None:
    run = finished(small(model__latent_dim=3), tmp_path / "run")
    room = Room(run, "test", 20)
    before = room.atlas()
    assert room.atlas() is before
    finished(small(model__latent_dim=3, seed=1), tmp_path / "run", overwrite=True)
    assert room.atlas() != before


class Served:
    """A server in a thread, as a user starts it."""

    def __init__(self, run: Run) -> None:
        self.address = ""
        answered = threading.Event()

        def ready(address: str) -> None:
            self.address = address
            answered.set()

        threading.Thread(target=serve, args=([Room(run, "test", 50)], 0, ready), daemon=True).start()
        assert answered.wait(20)


@pytest.fixture(scope="module")
def served(run: Run) -> str:
    return Served(run).address


def test_many_ask_at_once_and_memory_does_not_grow(run: Run) -> None:
    import httpx

    address = Served(run).address
    z = floats(np.random.default_rng(0).normal(size=(1, 3)))
    with httpx.Client(base_url=address, timeout=60, limits=httpx.Limits(max_connections=50)) as http:

        def ask(_: Any) -> bytes:
            answer = http.post("api/0/decode", content=z)
            assert answer.status_code == 200
            return answer.content

        first = ask(0)
        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(ask, range(200))) == {first}
        before = psutil.Process().memory_info().rss
        for _ in range(300):
            ask(0)
        assert psutil.Process().memory_info().rss - before < 50e6


@pytest.mark.slow
def test_ten_thousand_decodes_do_not_grow_memory(run: Run) -> None:
    import httpx

    with httpx.Client(base_url=Served(run).address, timeout=60) as http:
        z = floats(np.zeros((1, 3)))
        http.post("api/0/decode", content=z)
        before = psutil.Process().memory_info().rss
        for _ in range(10_000):
            assert http.post("api/0/decode", content=z).status_code == 200
        assert psutil.Process().memory_info().rss - before < 50e6


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("OPTIONS * HTTP/1.1", "", 403),
        ("GET http://evil.example/ HTTP/1.1", "", 403),
        ("GET /%ff%ed%a0%80/ HTTP/1.1", "", 403),
        ("GET /{token}/ HTTP/1.1", "Host: evil.example\r\n", 400),
        ("GET /{token}/api/0/decode HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 405),
        ("\0\1", "", 400),
        ("POST /{token}/api/0/decode HTTP/1.1", "Content-Length: 1000\r\n", None),
    ],
    ids=["no path", "a proxy's", "not UTF-8", "two hosts", "a socket", "noise", "ended early"],
)
def test_what_no_browser_sends_is_refused(
    served: str, capfd: pytest.CaptureFixture[str], request_line: str, headers: str, status: int | None
) -> None:
    import httpx

    url = httpx.URL(served)
    line = request_line.format(token=url.path.strip("/"))
    with socket.create_connection((url.host, url.port), timeout=10) as asking:
        asking.sendall(f"{line}\r\nHost: {url.netloc.decode()}\r\n{headers}\r\n".encode())
        if status is not None:
            assert asking.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())
    assert httpx.get(f"{served}api/runs").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_rows_of_numbers_that_broke_are_read_by_a_browser(tmp_path: Path) -> None:
    run = finished(small(epochs=1), tmp_path / "run")
    run.append_metrics(run.metrics()[-1] | {"loss": float("nan"), "bound": float("-inf")})
    _, (last,) = Room(run, "test", 20).news(len(run.metrics()) - 1)
    assert last["loss"] is last["bound"] is None
    assert last["train.loss"] == run.history()["train.loss"][-1]
    assert json.dumps(last, allow_nan=False)


def test_a_training_is_followed(run: Run) -> None:
    import httpx

    with httpx.stream("GET", f"{Served(run).address}api/0/live", timeout=20) as stream:
        seen: list[str] = []
        end = time.monotonic() + 20
        for line in stream.iter_lines():
            seen.append(line)
            if line.startswith("data:") or time.monotonic() > end:
                break
        assert "event: metrics" in seen
        assert json.loads(seen[-1].removeprefix("data: "))["step"] == 0


def test_the_stream_of_a_training_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    run = finished(small(), tmp_path / "run")
    address, read, parsed = Served(run).address, [], Run.metrics
    monkeypatch.setattr(Run, "metrics", lambda run: read.append(run) or parsed(run))

    def asked() -> list[str]:
        with httpx.stream("GET", f"{address}api/0/live", timeout=20) as stream:
            return [line for line in stream.iter_lines() if line.startswith("event")]

    rows = len(parsed(run))
    assert asked() == ["event: metrics"] * rows + ["event: end"]
    with ThreadPoolExecutor(1) as pool, alone(run.path):
        read.clear()
        found = pool.submit(asked)
        assert httpx.get(f"{address}api/runs").json() == [{"name": "run", "live": True}]
        time.sleep(1.2)
        assert not found.done()
        assert len(read) == 1  # rows are read when there are new ones
        run.append_metrics(run.metrics()[-1])
        time.sleep(0.1)
        (run.path / TRAINING_LOCK).unlink()
        assert found.result(20) == ["event: metrics"] * (rows + 1) + ["event: end"]
    assert httpx.get(f"{address}api/runs").json() == [{"name": "run", "live": False}]


def test_scores_color_the_map_after_the_rest(client: TestClient, run: Run) -> None:
    from vaekit import score

    assert not {"ELBO (nats)", "log p(x) (nats)"} & set(client.get(f"/{TOKEN}/api/0/atlas").json()["colorings"])
    found = client.get(f"/{TOKEN}/api/0/scores").json()
    rows = torch.linspace(0, len(run.data().test) - 1, 50).round().long()
    expected = score(run, run.data().test.batch(rows).x.numpy(), draws=GLANCE).score
    packed = found["log p(x) (nats)"]
    assert packed["shape"] == [50]
    np.testing.assert_allclose(np.frombuffer(b64decode(packed["data"]), "<f4"), expected, rtol=1e-5)


def test_a_taken_port_is_refused() -> None:
    with listen(0) as taken, pytest.raises(InputError, match="choose another"):
        listen(taken.getsockname()[1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_a_training_shows_itself_until_it_is_interrupted(tmp_path: Path) -> None:
    import httpx

    words = [
        "train",
        "digits",
        "--epochs",
        "1",
        "--hidden",
        "8",
        "--run",
        str(tmp_path / "run"),
        "--explore",
        "--quiet",
    ]
    environment = os.environ | {"BROWSER": "true"}
    with subprocess.Popen([sys.executable, "-m", "vaekit", *words], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        printed = ""
        while f"{tmp_path / 'run'}\n" not in printed or "http" not in printed:
            printed += process.stdout.readline().decode()
        address = re.search(r"http\S+", printed)[0]
        assert httpx.get(address, timeout=20).status_code == 200
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not psutil.wait_procs(children, 10)[1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, timeout=5)
