"""The explorer as one file in Firefox, which is asked by the protocol that it speaks of its own accord."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import finished, small

import vaekit

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
pytestmark = pytest.mark.skipif(FIREFOX is None, reason="there is no firefox")


class Firefox:
    """A browser without a window: messages are [0, number, command, arguments] behind their length and a colon."""

    def __init__(self, profile: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (profile / "user.js").write_text(f'user_pref("marionette.port", {self.port});\n')
        command = [str(FIREFOX), "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stream = self._connected()
        self._read()
        self("WebDriver:NewSession")

    def _connected(self) -> Any:
        end = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                    return connection.makefile("rwb")  # which keeps it open
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self.stream.read(1)
        return json.loads(self.stream.read(int(length[:-1])))

    def __call__(self, command: str, **given: Any) -> Any:
        message = json.dumps([0, 1, command, given]).encode()
        self.stream.write(b"%d:%s" % (len(message), message))
        self.stream.flush()
        _, _, error, answer = self._read()
        assert error is None, error
        return answer

    def evaluate(self, expression: str) -> Any:
        return self("WebDriver:ExecuteScript", script=f"return {expression}", args=[], sandbox=None)["value"]

    def until(self, condition: str) -> None:
        for _ in range(200):
            if self.evaluate(f"Boolean({condition})"):
                return
            time.sleep(0.05)
        raise AssertionError(f"never: {condition}")


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    profile = tmp_path / "profile"
    profile.mkdir()
    browser = Firefox(profile)
    yield browser
    browser.stream.close()
    browser.process.terminate()
    browser.process.wait(20)


def test_the_exported_page_works_from_the_disk(firefox: Firefox, tmp_path: Path) -> None:
    run = finished(small(), tmp_path / "run")
    vaekit.export(run, tmp_path / "page.html", to="html")
    firefox("WebDriver:Navigate", url=(tmp_path / "page.html").as_uri())
    firefox.until("document.body.dataset.ready === 'true'")
    assert "verified against torch" in firefox.evaluate("document.querySelector('#facts').textContent")
    inked = "document.querySelector('.stage canvas:nth-child(2)').getContext('2d').getImageData(0, 0, 400, 400).data"
    firefox.until(f"Array.from({inked}).some((octet) => octet)")  # the map is drawn
    left, top, width, height = firefox.evaluate(
        "(({ x, y, width, height }) => [x, y, width, height])(document.querySelector('.stage').getBoundingClientRect())"
    )
    move = [{"type": "pointerMove", "x": int(left + width / 2), "y": int(top + height / 3), "duration": 20}]
    pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": move}
    firefox("WebDriver:PerformActions", actions=[pointer])
    firefox.until("explorer.map.lens.code")
    code = firefox.evaluate("Array.from(explorer.map.lens.code)")
    shown = firefox.evaluate("Array.from(explorer.map.lens.view.values)")
    np.testing.assert_allclose(shown, run.vae().decode(torch.tensor([code])).flatten(), atol=1e-5)
