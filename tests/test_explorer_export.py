"""The explorer as one file, opened from the disk with the network blocked."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import finished, small

import vaekit
from vaekit import InputError, Run, choose

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
HOSTILE = "<img src=x onerror=hurt=1>"
LOADS = re.compile(r"<(?:link|script|img|iframe)[^>]*(?:src|href)=\"(?!data:)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(small(model__latent_dim=3), tmp_path_factory.mktemp("exported") / "run")


@in_chromium
def test_a_page_from_the_disk_is_the_model(run: Run, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert vaekit.export(run, file, to="html")["bytes"] == file.stat().st_size
    context = browser.new_context(offline=True)
    page, errors, asked = context.new_page(), list[str](), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready=true]")
    facts = page.inner_text("#facts")
    assert "verified against torch: largest difference" in facts
    assert "over 16 codes" in facts
    z = [0.3, -1.2, 0.7]
    found = page.evaluate("async (z) => Array.from(await explorer.shown.model.decode(new Float32Array(z), 1))", z)
    np.testing.assert_allclose(found, run.vae().decode(torch.tensor([z])).flatten(), atol=1e-5)
    assert not errors
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("fetch('http://127.0.0.1:1/')")
    context.close()


@in_chromium
def test_a_hostile_class_name_is_text(browser: Browser, tmp_path: Path) -> None:
    for k, name in enumerate([HOSTILE, "b"]):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), 8 * i + k).save(tmp_path / "pictures" / name / f"{i}.png")
    experiment = choose(tmp_path / "pictures").replace_all({"epochs": 1, "model.latent_dim": 2, "batch_size": 5})
    run = finished(experiment, tmp_path / "run")
    vaekit.export(run, to="html")
    page = browser.new_page()
    page.goto((run.path / "explorer.html").as_uri())
    page.wait_for_selector("body[data-ready=true]")
    assert HOSTILE in page.inner_text("#legend")
    assert page.evaluate("globalThis.hurt") is None
    page.close()


def test_a_page_is_one_file_whose_policy_lets_nothing_in(run: Run) -> None:
    path = run.path / "explorer.html"
    assert vaekit.export(run, to="html")["path"] == str(path)
    text = path.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert "connect-src" not in policy[1]
    assert not LOADS.search(re.sub(r"(?s)<script[^>]*>.*?</script>", "", text))
    assert len(text) < 1e6
    assert 'href="explorer.html"' in vaekit.report(run).read_text("utf-8")


def test_a_notebook_shows_the_page_in_a_frame_that_cannot_reach_it(run: Run) -> None:
    html = run.explore(points=20)._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in html
    assert "<script" not in html


def test_a_notebook_keeps_the_page(run: Run, tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    lines = f"from pathlib import Path\nfrom vaekit import Run\nRun(Path({str(run.path)!r})).explore(points=20)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(lines)])
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kept = [output.data["text/html"] for output in book.cells[0].outputs if "data" in output]
    assert kept == [run.explore(points=20)._repr_html_()]


@in_chromium
def test_examples_that_the_page_cannot_score_have_the_scores_of_torch(browser: Browser, tmp_path: Path) -> None:
    run = finished(small(model__posterior="flow", epochs=1), tmp_path / "run")
    vaekit.export(run, to="html")
    page = browser.new_page()
    page.goto((run.path / "explorer.html").as_uri() + "#point=2")
    page.wait_for_selector("body[data-ready=true]")
    page.get_by_text("log p(x)", exact=True).wait_for()
    shown = page.evaluate("explorer.shown.atlas.colorings['ELBO (nats)'][2]")
    assert f"{shown:.1f} nats".replace("-", "−") in page.inner_text("#panel-point .facts")
    page.close()


@in_chromium
def test_the_frame_of_a_notebook_works(run: Run, browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(run.explore(points=20)._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready=true]").wait_for()
    assert "verified against torch" in frame.locator("#facts").inner_text()
    page.close()


def test_a_page_needs_a_name_of_one(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.html"):
        vaekit.export(run, tmp_path / "page.png", to="html")
    with pytest.raises(InputError, match="several files"):
        vaekit.export(run, to="torch")
