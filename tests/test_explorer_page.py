"""The explorer's page in a real browser: by mouse, by keys, and as readers of screens find it."""

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import finished, small

from vaekit import Run, Source, selection

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the explorer's server is not installed")
from playwright.sync_api import Browser, Page, sync_playwright

from vaekit.explorer.room import Room
from vaekit.explorer.server import serve
from vaekit.run import alone

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
HOSTILE = "<img src=x onerror=hurt=1>"

Open = Callable[..., Page]


def served(*runs: Run) -> str:
    """Serve runs until the tests end; return the page's address."""
    addresses: Queue[str] = Queue()
    rooms = [Room(run, "test", 2000) for run in runs]
    Thread(target=serve, args=(rooms, 0, addresses.put), daemon=True).start()
    return addresses.get(timeout=20)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    changes = {"model__likelihood": "bernoulli", "epochs": 8, "model__network__hidden": (64,)}
    return [
        finished(small(**changes), folder / "plane"),
        finished(small(**changes, model__latent_dim=5), folder / "five"),
    ]


@pytest.fixture(scope="module")
def address(runs: list[Run]) -> str:
    return served(*runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Open]:
    """Open the page with a hash; every error on it fails the test."""
    errors: list[str] = []
    contexts = []

    def open_page(state: str = "", at: str = address, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(8000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(at + state)
        page.wait_for_selector("body[data-ready=true]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def decoded(run: Run, code: Any) -> np.ndarray:
    with torch.no_grad():
        return run.vae().decode(torch.tensor(code, dtype=torch.float32)[None]).flatten().numpy()


def values(page: Page, expression: str) -> Any:
    return page.evaluate(f"Array.from({expression})")


def until(page: Page, condition: str) -> None:
    """Wait until an expression holds; the page's policy forbids Playwright's own way, which evaluates text."""
    for _ in range(200):
        if page.evaluate(f"Boolean({condition})"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def hover(page: Page, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Put the pointer on the map; return the code there and what the page shows of it."""
    box = page.locator(".stage").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y)
    until(page, "explorer.map.lens.code === explorer.store.values.cursor?.code")
    return np.array(values(page, "explorer.map.lens.code")), np.array(values(page, "explorer.map.lens.view.values"))


def lasso(page: Page, corners: list[tuple[float, float]]) -> None:
    box = page.locator(".stage").first.bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + corners[0][0], box["y"] + corners[0][1])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    page.keyboard.up("Shift")


def test_the_picture_under_the_pointer_is_that_of_torch(opened: Open, runs: list[Run]) -> None:
    page = opened()
    for x, y in ((150, 200), (400, 320), (520, 90)):
        code, shown = hover(page, x, y)
        place = page.evaluate(f"explorer.map.toPlane({x}, {y})")
        np.testing.assert_allclose(code[page.evaluate("explorer.shown.atlas.units.order")], place, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(shown, decoded(runs[0], code), atol=1e-5)
    assert page.get_by_role("combobox", name="Color").locator("option", has_text="ELBO").count() == 1  # scores came
    page = opened("#run=1&view=pca")
    code, shown = hover(page, 300, 300)
    assert np.count_nonzero(code) == 5  # a place between the principal axes moves all units
    np.testing.assert_allclose(shown, decoded(runs[1], code), atol=1e-5)


def test_a_badge_says_where_no_codes_are(opened: Open) -> None:
    page = opened()
    page.evaluate("explorer.map.point(40, 40)")
    assert page.get_by_text("outside the aggregate posterior").is_visible()
    page.evaluate("explorer.map.point(...Array.from(explorer.map.plane.points.slice(0, 2)))")
    assert not page.get_by_text("outside the aggregate posterior").is_visible()


def test_a_lasso_selects_what_lies_in_it_and_its_file_says_so(opened: Open, runs: list[Run]) -> None:
    page = opened()
    lasso(page, [(250, 150), (600, 150), (600, 450), (250, 450)])
    left, top = page.evaluate("explorer.map.toPlane(250, 150)")
    right, bottom = page.evaluate("explorer.map.toPlane(600, 450)")
    points = np.array(values(page, "explorer.map.plane.points")).reshape(-1, 2)
    within = (points > [left, bottom]).all(1) & (points < [right, top]).all(1)
    expected = np.array(values(page, "explorer.shown.atlas.rows"))[within].tolist()
    assert 10 < len(expected) < len(points)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == expected
    labels = np.array(values(page, "explorer.shown.atlas.labels"))[within]
    assert [int(row["class"]) for row in rows] == labels.tolist()
    assert page.get_by_role("heading", name=f"{len(expected)} selected").is_visible()
    page.get_by_role("button", name="Keep for Python").click()
    page.get_by_text("vaekit.selection(run)").wait_for()
    kept = selection(runs[0])
    assert (kept.split, kept.rows.tolist()) == ("test", expected)


def test_the_mean_of_a_selection_is_that_of_its_pictures(opened: Open, runs: list[Run]) -> None:
    page = opened()
    page.get_by_role("button", name="3", exact=True).click()
    page.get_by_role("tab", name="Select").click()
    part = runs[0].data().test
    batch = part.batch(torch.arange(len(part)))
    assert batch.labels is not None
    expected = batch.x[batch.labels == 3].mean(0).flatten().numpy()
    shown = page.get_by_label("mean of the selection").evaluate(
        "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).filter((_, k) => k % 4 === 0)"
    )
    np.testing.assert_allclose(np.array(shown) / 255, expected, atol=1.01 / 255 + 0.5 / 255)


def test_paths_are_what_they_are_called(opened: Open, runs: list[Run], tmp_path: Path) -> None:
    a, b = np.array([-1.5, 0.5]), np.array([0.8, 1.7])
    page = opened("#panel=between&picks=-1.5,0.5;0.8,1.7")
    t = np.linspace(0, 1, 48)[:, None]
    straight = (1 - t) * a + t * b
    lengths = np.linalg.norm([a, b], axis=1)
    angle = np.arccos(a @ b / lengths.prod())
    turned = (np.sin((1 - t) * angle) * a / lengths[0] + np.sin(t * angle) * b / lengths[1]) / np.sin(angle)
    paths = {
        "linear": straight,
        "spherical": turned * ((1 - t) * lengths[0] + t * lengths[1]),
        "prior": straight / np.hypot(1 - t, t),
    }
    for name, expected in paths.items():
        page.get_by_role("combobox", name="Path").select_option(name)
        until(page, f"explorer.store.values.path === '{name}' && explorer.store.values.trail.length === 48")
        trail = page.evaluate("explorer.store.values.trail.map((code) => Array.from(code))")
        np.testing.assert_allclose(trail, expected, atol=1e-5)
    for kind in ("PNG", "GIF", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        download.value.save_as(tmp_path / f"path.{kind.lower()}")
    with Image.open(tmp_path / "path.gif") as gif, Image.open(tmp_path / "path.png") as png:
        assert gif.n_frames == 94  # there and back
        size = runs[0].space.event_shape[-1]
        assert png.size == (9 * gif.size[0], gif.size[1])
        gif.seek(47)
        last = np.asarray(gif.convert("L").resize((size, size), Image.Resampling.NEAREST)).flatten() / 255
    np.testing.assert_allclose(last, decoded(runs[0], b), atol=1 / 255)
    assert (tmp_path / "path.svg").read_text().count("<image") == 9


def test_a_drawn_digit_is_encoded_and_scored(opened: Open, runs: list[Run]) -> None:
    page = opened("#panel=draw")
    box = page.locator(".easel").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] - 20, steps=6)
    page.mouse.up()
    page.get_by_text("log p(x)", exact=True).wait_for()
    until(page, "explorer.store.values.drawn !== null")
    drawn = page.locator(".easel").evaluate(
        "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).filter((_, k) => k % 4 === 0)"
    )
    x = torch.tensor(drawn, dtype=torch.float32).view(1, *runs[0].space.event_shape) / 255
    assert 0.02 < float(x.mean()) < 0.5
    expected = runs[0].vae().encode(x)[0].detach().numpy()
    until(page, f"explorer.store.values.drawn.mean.every((m, k) => Math.abs(m - {expected.tolist()}[k]) < 0.05)")


def test_units_turn_one_number_of_the_code(opened: Open, runs: list[Run]) -> None:
    page = opened("#run=1&panel=units")
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    first = page.evaluate("explorer.shown.atlas.units.order[0]")
    code = page.evaluate("explorer.store.values.code")
    assert code[first] == pytest.approx(0.4)
    assert np.count_nonzero(code) == 1
    page.get_by_label("code as JSON").fill("[1, 0, 0]")
    page.get_by_label("code as JSON").blur()
    assert page.get_by_text("A code is a list of 5 numbers").is_visible()
    page.get_by_label("code as JSON").fill("[1, 2, 0, 0, -1]")
    page.get_by_label("code as JSON").blur()
    assert page.evaluate("explorer.store.values.code") == [1, 2, 0, 0, -1]


def test_keys_alone_suffice(opened: Open) -> None:
    page = opened()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('stage')"):
            break
    page.keyboard.press("ArrowRight")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("explorer.store.values.cursor !== null")
    page.keyboard.press("Enter")
    assert page.evaluate("explorer.store.values.point >= 0 || explorer.store.values.code.length === 2")
    page.keyboard.press("a")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("a")
    assert page.evaluate("explorer.store.values.picks.filter((code) => code.length).length") == 2
    page.keyboard.press("l")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
        for _ in range(8):
            page.keyboard.press(key)
        page.keyboard.press("Enter")
    page.keyboard.press("l")
    assert page.evaluate("explorer.store.values.selection.indices.length") > 0
    page.get_by_role("tab", name="Select").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", selected=True).inner_text() == "Compare"
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_what_is_shown_stands_in_the_address(opened: Open) -> None:
    page = opened("#run=1")
    page.get_by_role("combobox", name="Map of").select_option("pca")
    page.get_by_role("button", name="Pictures").click()
    page.get_by_role("tab", name="Sample").click()
    lasso(page, [(250, 150), (600, 150), (600, 450), (250, 450)])
    count = page.evaluate("explorer.store.values.selection.indices.length")
    until(page, "location.hash.includes('lasso')")
    again = opened("#" + page.evaluate("location.hash.slice(1)"))
    assert again.evaluate("explorer.store.values.selection.indices.length") == count > 0
    assert again.get_by_role("combobox", name="Map of").input_value() == "pca"
    assert again.get_by_role("button", name="Pictures").get_attribute("aria-pressed") == "true"
    assert again.get_by_role("tab", selected=True).inner_text() == "Select"


def test_a_selection_is_the_same_rows_in_two_runs(opened: Open) -> None:
    page = opened("#other=1")
    page.locator(".stage").nth(1).wait_for()
    lasso(page, [(100, 150), (300, 150), (300, 450), (100, 450)])
    rows = page.evaluate("explorer.store.values.selection.rows")
    assert rows
    chosen = np.array(values(page, "explorer.other.map.chosen()"), bool)
    assert np.array(values(page, "explorer.other.atlas.rows"))[chosen].tolist() == rows


def test_nothing_is_hidden_from_readers_of_screens(opened: Open) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = opened("#other=1&point=3", viewport={"width": 880, "height": 800})  # panels are as long as they need to be
    for tab in page.get_by_role("tab").all():
        tab.click()
    page.get_by_text("rows of metrics").wait_for()
    page.evaluate("document.querySelectorAll('[role=tabpanel]').forEach((panel) => { panel.hidden = false; })")
    for theme in ("light", "dark"):
        page.evaluate(f"explorer.store.set({{ theme: '{theme}' }})")
        page.wait_for_timeout(200)  # colors change by degrees
        found = axe.run(page, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, found.generate_report()


def test_a_phone_shows_all_of_it(opened: Open) -> None:
    page = opened("#run=1", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".stage").tap(position={"x": 120, "y": 120})
    assert page.locator(".lens").is_visible()


def test_new_rows_of_metrics_reach_the_curves(opened: Open, tmp_path: Path) -> None:
    run = finished(small(), tmp_path / "run")
    page = opened("#panel=training", at=served(run))
    before = len(run.metrics())
    row = run.metrics()[-1]
    assert page.get_by_text(f"{before} rows of metrics", exact=True).is_visible()
    with alone(run.path):  # as a training does
        page.reload()
        until(page, f"globalThis.explorer?.store.values.rows === {before}")
        run.append_metrics({**row, "epoch": row["epoch"] + 1, "train": {**row["train"], "loss": 7.25}})
        until(page, f"explorer.store.values.rows === {before + 1}")
        assert page.get_by_text("train.loss 7.25").is_visible()
        assert len(page.evaluate("explorer.shown.atlas.metrics['train.loss']")) == before + 1
        assert page.get_by_text("training goes on").is_visible()
    page.get_by_text("training has ended").wait_for()


def test_names_from_data_are_shown_as_text(opened: Open, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in (HOSTILE, "Geschwindigkeitsbegrenzungsschilder und andere"):
        for k in range(40):
            path = tmp_path / "data" / name / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 255, (8, 8), np.uint8)).save(path)

    experiment = small().replace_all({"data": Source(name=str(tmp_path / "data"))})
    page = opened("#point=0", at=served(finished(experiment, tmp_path / "run")))
    assert page.get_by_role("button", name=HOSTILE).is_visible()
    page.get_by_role("button", name=HOSTILE).click()
    page.get_by_role("tab", name="Select").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        files = [row["file"] for row in csv.DictReader(file)]
    assert files
    assert all((tmp_path / "data" / name).is_file() and name.startswith(HOSTILE + "/") for name in files)
    assert page.evaluate("typeof hurt") == "undefined"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_table_is_read_and_written_in_the_units_of_its_file(opened: Open, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    with open(tmp_path / "birds.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["wing", "weight", "island"])
        for _ in range(120):
            size = generator.normal()
            writer.writerow([round(190 + 10 * size, 1), round(4000 + 500 * size), "north" if size > 0 else "south"])

    changes = {"data": Source(name=str(tmp_path / "birds.csv"), label=""), "model.likelihood": "columns"}
    page = opened("#panel=row&point=0", at=served(finished(small().replace_all(changes), tmp_path / "run")))
    until(page, "explorer.store.values.drawn !== null")
    wing = page.get_by_label("wing", exact=True)
    assert 150 < float(wing.input_value()) < 230
    before = values(page, "explorer.store.values.drawn.mean")
    wing.fill("230")
    until(page, f"explorer.store.values.drawn.mean[0] !== {before[0]}")
    assert page.get_by_label("island", exact=True).input_value() in ("0", "1")


DROP = """([octets, name]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(octets)], name));
    const options = { bubbles: true, cancelable: true, dataTransfer: data };
    document.querySelector("#panel-draw .panel-body").dispatchEvent(new DragEvent("drop", options));
}"""


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_dropped_picture_is_read_as_the_data_are(opened: Open, tmp_path: Path, mode: str) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for k in range(30):
        size = (8, 8) if mode == "L" else (8, 8, 3)
        Image.fromarray(generator.integers(0, 255, size, np.uint8)).save(tmp_path / "data" / f"{k}.png")
    run = finished(small().replace_all({"data": Source(name=str(tmp_path / "data"))}), tmp_path / "run")
    page = opened("#panel=draw&point=0", at=served(run))
    color = Image.fromarray(generator.integers(0, 255, (8, 8, 3), np.uint8))
    color.save(tmp_path / "new.png")
    page.evaluate(DROP, [list((tmp_path / "new.png").read_bytes()), "new.png"])
    until(page, "explorer.store.values.drawn !== null")
    x = np.asarray(color.convert(mode), np.float32).reshape(8, 8, -1).transpose(2, 0, 1) / 255
    expected = run.vae().encode(torch.from_numpy(x.copy())[None])[0].detach().numpy()
    np.testing.assert_allclose(values(page, "explorer.store.values.drawn.mean"), expected, atol=0.01)
    page.evaluate(DROP, [[1, 2, 3], "words.txt"])
    page.get_by_text("words.txt is not a picture that this browser can read.").wait_for()
    page.get_by_role("tab", name="Point").click()
    page.get_by_text("original, row 0").wait_for()
    shown = values(page, "document.querySelector('.picture.large').getContext('2d').getImageData(0, 0, 8, 8).data")
    first = run.data().test.batch(torch.tensor([0])).x[0].expand(3, 8, 8) * 255
    np.testing.assert_allclose(np.reshape(shown, (8, 8, 4))[..., :3].transpose(2, 0, 1), first, atol=1)


@pytest.mark.slow
def test_sixty_thousand_points_pan_at_thirty_frames_a_second(opened: Open) -> None:
    page = opened()
    rate = page.evaluate(
        """async () => {
            const { map, shown: { atlas } } = explorer;
            const n = 60000;
            const spread = (k) => Math.sin(k * 12.9898) * 3 + Math.cos(k * 78.233);
            const codes = Float32Array.from({ length: 2 * n }, (_, k) => spread(k));
            Object.assign(atlas, {
                codes: Object.assign(codes, { shape: [n, 2] }), scales: null,
                labels: Int32Array.from({ length: n }, (_, i) => i % 10),
                rows: Int32Array.from({ length: n }, (_, i) => i),
            });
            explorer.store.set({ version: 1 });
            const frame = () => new Promise((done) => requestAnimationFrame(done));
            await frame();
            const gaps = [];
            let last = performance.now();
            for (let k = 0; k < 90; k++) {
                map.look({ cx: map.view.cx + 0.005 });
                await frame();
                gaps.push(performance.now() - last);
                last = performance.now();
            }
            return (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap);
        }"""
    )
    assert rate >= 30
