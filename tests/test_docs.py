"""The documentation is what the code does."""

import json
import re
import runpy
import shlex
import time
from pathlib import Path

import pytest

import vaekit
from vaekit import load, settings
from vaekit.cli import main
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.specs import options

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def words(text: str) -> list[str]:
    """The lines of a text without their numbers and widths."""
    return [re.sub(r"-?\d[\d.,]*", "#", " ".join(line.split())) for line in text.splitlines()]


def test_the_demo_is_quick_complete_and_as_the_readme_prints_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    began = time.process_time()  # the machine may have other things to do
    assert main(["demo"]) == 0
    assert time.process_time() - began < 60
    printed = next(block for block in blocks(ROOT / "README.md", "text") if "log-evidence" in block)
    assert words(capsys.readouterr().out) == words(printed)
    run = load("runs/demo-1")
    assert len(list((run.path / "figures").glob("*.png"))) >= 3
    assert (run.path / "report.html").is_file()
    assert run.results()["evaluations"][0]["log_evidence"]["value"] > -150  # its two latents know all ten digits
    assert run.metrics()[-1]["epoch"] == pytest.approx(200, abs=0.2)


def test_names_in_the_readme_are_importable():
    text = (ROOT / "README.md").read_text()
    (code,) = blocks(ROOT / "README.md", "python")
    imported = re.findall(r"from vaekit import (.*)", code)[0].split(", ")
    called = re.findall(r"`(\w+)\(", text)
    assert {"choose", "evaluate", "train"} <= {*imported, *called}
    assert [name for name in (*imported, *called) if not hasattr(vaekit, name)] == []


def test_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "readme.py").write_text(code)
    runpy.run_path("readme.py")
    assert "standard_error" in capsys.readouterr().out
    assert (tmp_path / "runs/first/report.html").is_file()


def test_commands_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("vaekit ")]
    assert len(commands) >= 6
    assert [main(command) for command in commands] == [0] * len(commands)
    assert (tmp_path / "samples.png").is_file()


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test", "check", "storm"} <= named
    assert all(f"\n{target}:" in makefile for target in named)


def test_continuous_integration_calls_what_the_readme_names():
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "make test"


def test_options_page_is_what_the_specs_say():
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    assert (ROOT / "docs/options.md").read_text() == generate["options_page"]()
    assert settings.FILE.read_text() == generate["options_file"]()


@pytest.fixture
def parts():
    return runpy.run_path(str(ROOT / "docs/parts.py"))


def test_page_of_parts_is_what_the_stored_numbers_say(parts):
    assert parts["PAGE"].read_text() == parts["page"](json.loads(parts["RESULTS"].read_text()))


def test_each_part_gains_and_estimators_lower_the_variance(parts):
    found = json.loads(parts["RESULTS"].read_text())
    for name in set(parts["VARIANTS"]) - {parts["PLAIN"], parts["FULL"]}:  # of which the page says that it falls behind
        gains = [found[table][name]["difference"] for table in ("relu", "rising") if name in found[table]]
        assert max(gain["value"] - 2 * gain["standard_error"] for gain in gains) > 0
    for name in ("stl", "dreg"):
        each = found["gradient"]["estimators"][name]
        assert each["of_plain"] + 3 * each["of_plain_standard_error"] < 1


def test_help_of_a_field_is_one_line():
    assert [option.path for option in options(Experiment) if "\n" in option.description] == []


def test_presets_are_documented():
    guide = (ROOT / "docs/guides/training.md").read_text()
    assert all(f"`{name}`" in guide for name in PRESETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_no_file_is_long():
    files = [path for folder in ("src", "tests", "docs") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 30
    assert [path.name for path in files if len(path.read_text().splitlines()) > 500] == []


def test_version_of_the_citation_is_that_of_the_package():
    pattern = r'^ *version\s*[:=]\s*["{]?([\d.]+)["}]?,?$'
    files = ("CITATION.cff", "pyproject.toml", "README.md")
    found = {re.search(pattern, (ROOT / f).read_text(), re.M)[1] for f in files}
    assert len(found) == 1
