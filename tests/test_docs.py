"""The documentation is what the code does."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from vaekit import settings
from vaekit.cli import main
from vaekit.presets import PRESETS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


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
    assert {"demo", "test", "check"} <= named
    assert all(f"\n{target}:" in makefile for target in named)


def test_continuous_integration_calls_what_the_readme_names():
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "make test"


def test_options_page_is_what_the_specs_say():
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    assert (ROOT / "docs/options.md").read_text() == generate["options_page"]()
    assert settings.FILE.read_text() == generate["options_file"]()


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
    pattern = r'^version\s*[:=]\s*"?([\d.]+)"?$'
    found = {re.search(pattern, (ROOT / f).read_text(), re.M)[1] for f in ("CITATION.cff", "pyproject.toml")}
    assert len(found) == 1
