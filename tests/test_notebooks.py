"""What notebooks show: the notebook of the documentation as it runs, and each representation in HTML."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small import finished, small

import vaekit
from vaekit import Experiment, Run, Source, notebook
from vaekit.display import doing, follow
from vaekit.estimates import Estimate
from vaekit.evaluation.verdict import course
from vaekit.specs import described

NOTEBOOK = Path(__file__).parent.parent / "docs" / "first-evening.ipynb"
EVIL = "<script>alert(1)</script>"


class Checked(HTMLParser):
    """Whether every element is closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("br", "img", "polyline"):
            assert self.open.pop() == tag


def good(html: str) -> str:
    """Check that a piece of HTML is whole, loads nothing and runs nothing."""
    Checked(re.sub(r"<polyline[^>]*/>", "", html))
    assert not re.search(r"<script|<style|https?://|javascript:", html)
    return html


def words(html: str) -> str:
    return re.sub(r"<[^>]*>", " ", html)


def test_the_notebook_runs_and_shows(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.read(NOTEBOOK, 4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)  # none that could be out of date
    lines = [line for cell in cells for line in cell.source.splitlines() if line]
    assert len(lines) <= 10
    for cell in cells:  # the words are those of the page, the length is not
        cell.source = cell.source.replace("epochs=150", "epochs=1").replace("samples=100", "samples=2, images=20")
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = ["".join(o.get("data", {}).get("text/html", "") for o in cell.outputs) for cell in cells]
    assert "model.latent_dim" in words(good(shown[0]))
    assert re.search(r"epoch 1/1 .* ELBO .* the loss fell from", words(good(shown[1])), re.DOTALL)
    assert shown[2].count("data:image/png;base64") >= 5
    assert "log-evidence" in words(good(shown[3]))
    assert "data:image/png;base64" in shown[4]
    assert "log-evidence" in words(shown[4])


def test_an_experiment_shows_what_differs_and_folds_the_rest() -> None:
    experiment = Experiment(data=Source(name=EVIL)).replace_all({"model.latent_dim": 7, "model.likelihood": "gaussian"})
    html = good(experiment._repr_html_())
    changed, rest = html.split("<details>")
    assert {field.path for field in described(experiment) if field.path in words(changed).split()} == {
        *("data.name", "model.latent_dim", "model.likelihood")
    }
    assert "model.network.hidden" in rest
    assert "&lt;script&gt;" in changed


def test_reprs_are_short_and_true() -> None:
    experiment = Experiment(data=Source(name="digits")).replace_all({"model.latent_dim": 7, "epochs": 3})
    assert repr(experiment) == "Experiment(data=Source(name='digits'), model=Model(latent_dim=7), epochs=3.0)"
    assert eval(
        repr(experiment), vars(vaekit) | {n: getattr(vaekit, n) for n in ("Experiment", "Source", "Model")}
    ) == (experiment)
    assert repr(experiment.data.load()) == "<Data digits: 1,257 train, 180 validation, 360 test images of 1×8×8>"
    assert Estimate(1.0, 0.5, 3)._repr_html_().count("1.000 ± 0.500") == 1


def test_a_report_of_a_training_is_a_line(tmp_path: Path) -> None:
    report = list(vaekit.train(small(), tmp_path / "a"))[-1]
    assert re.fullmatch(r"<Progress: epoch 2.* of 2, step 28 of 28(, \w+ -?[\d.]+)+>", repr(report))


def test_a_run_shows_pictures_and_numbers_of_its_present_weights_only(run: Run) -> None:
    assert "validation" in words(good(run._repr_html_()))
    found = vaekit.evaluate(run, metrics="evidence", samples=2, images=20)
    assert json.loads(json.dumps(found)) == found
    assert found == dict(found)
    value = f"{found['log_evidence']['value']:.3f}"
    assert value in repr(found)
    assert value in words(good(found._repr_html_()))
    assert value in words(good(run._repr_html_()))
    assert "<img" not in run._repr_html_()
    good(vaekit.figures(run)._repr_html_())
    assert run._repr_html_().count("<img") == 2
    other = finished(small(), run.path.parent / "other")
    (run.path / "weights.safetensors").write_bytes((other.path / "weights.safetensors").read_bytes())
    assert value not in words(run._repr_html_())
    (run.path / "results.json").write_text("{")
    assert "cannot be read" in words(good(run._repr_html_()))


def test_history_is_metrics_by_columns(run: Run) -> None:
    history, rows = run.history(), run.metrics()
    assert history["validation.elbo"].tolist() == [row["validation"]["elbo"] for row in rows]
    assert {len(column) for column in history.values()} == {len(rows)}
    run.append_metrics({"epoch": 4, "step": 99, "samples": 1, "train": {"elbo": 1.0}, "seconds": 1})
    assert np.isnan(run.history()["validation.elbo"][-1])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a notebook is given to show, were this one."""
    found: list[dict[str, Any]] = []

    def display(bundle: dict[str, str], raw: bool, display_id: str, update: bool) -> None:
        assert raw
        assert update == any(each["id"] == display_id for each in found)
        found.append({"id": display_id, **bundle})

    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", shell)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))  # type: ignore[arg-type]
    return found


def test_a_training_is_one_picture_that_changes(
    shown: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_step: None
) -> None:
    monkeypatch.setattr("vaekit.display.progress.SECONDS_BETWEEN_PICTURES", -1.0)
    run = vaekit.fit(small(epochs=6), tmp_path / "a")
    assert run.path == tmp_path / "a"
    assert len(shown) > 10
    assert len({each["id"] for each in shown}) == 1
    last = good(shown[-1]["text/html"])
    assert last.count("<polyline") == 2
    assert "epoch 6/6" in last
    assert course(run.metrics()) in words(last)
    assert len(last) < 5000
    shown.clear()
    vaekit.fit(small(), tmp_path / "b", quiet=True)
    assert shown == []


def test_work_is_named_and_counted(shown: list[dict[str, Any]]) -> None:
    with doing("drawing <figures>") as track:
        assert list(track([1, 2, 3, 4])) == [1, 2, 3, 4]
    assert [re.findall(r"width: ([\d.]+)%; h", each["text/html"]) for each in shown][1:5] == [
        ["0.0"], ["25.0"], ["50.0"], ["75.0"]
    ]  # fmt: skip
    assert all("drawing &lt;figures&gt;" in good(each["text/html"]) for each in shown)


def test_outside_of_notebooks_ipython_is_not_imported() -> None:
    assert not notebook.running()
    assert list(follow([], quiet=True)) == []


def rows(losses: list[float], held_out: list[float]) -> list[dict[str, Any]]:
    pairs = enumerate(zip(losses, held_out, strict=True))
    return [{"epoch": float(e), "train": {"loss": a}, "validation": {"elbo": -b}} for e, (a, b) in pairs]


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ([60, 50, 40, 30, 20, 10], "validation is still improving: train longer"),
        ([60, 20, 30, 40, 50, 60], "validation has become worse since epoch 1: "),
        ([60, 20, 20, 20, 20, 20], "validation follows and has settled"),
    ],
)
def test_one_sentence_says_how_a_training_went(held_out: list[float], words: str) -> None:
    sentence = course(rows([60, 50, 40, 30, 20, 10], held_out))
    assert sentence is not None
    assert sentence.startswith("the loss fell from 60.0 to 10.0, and ")
    assert words in sentence
    assert course([]) is None


def test_a_curve_leaves_out_what_is_not_finite() -> None:
    drawn = notebook.curve({"a": [(0, 1), (1, float("nan")), (2, 3)], "b": [(0, 1)]})
    assert drawn.count("<polyline") == 1
    assert "nan" not in drawn
    assert notebook.curve({"a": [(0, float("inf"))]}) == ""


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ([2.812, 2.814], "the loss rose from 2.812 to 2.814"),
        ([2.8149, 2.8141], "the loss fell from 2.815 to 2.814, and "),
        ([2.8, 3.0, 2.8], "the loss is 2.8, as it was at first"),
    ],
)
def test_losses_that_differ_are_told_apart(losses: list[float], sentence: str) -> None:
    found = course(rows(losses, [-loss for loss in losses]))
    assert found is not None
    assert found.startswith(sentence)
