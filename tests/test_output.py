"""What goes out: to terminals and pipes that know little, that are full or closed, and names that mean harm."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vaekit import Run, display
from vaekit.cli import main

EVIL = "two\nlines \x1b[31mred\x1b[0m [/bold] :smile: caf\udce9"
SHOWN = r"two\nlines \x1b[31mred\x1b[0m [/bold] :smile: caf\udce9"


def vaekit(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vaekit", *words], capture_output=True, text=True, **options)


def test_the_package_is_the_command_line() -> None:
    done = vaekit("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.1.0\n", "")


EACH = """
import sys
from vaekit.cli import main
run, runs = sys.argv[1:]
for line in (["show", run], ["runs", runs], ["compare", run, run], ["options"], ["data", "list"]):
    assert main(line) == 0
"""


def test_an_output_of_few_letters_gets_plain_ones(run: Run) -> None:
    from vaekit import evaluate

    evaluate(run, samples=3, images=20)

    def printed(encoding: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", EACH, str(run.path), str(run.path.parent)],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            encoding=encoding,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), encoding
        return done.stdout

    whole = printed("utf-8")
    assert "±" in whole
    plain = {encoding: printed(encoding) for encoding in ("ascii", "cp437")}
    assert {len(text.splitlines()) for text in plain.values()} == {len(whole.splitlines())}
    assert plain["ascii"].isascii()
    assert plain["ascii"].count("+/-") == whole.count("±")


def test_columns_stay_under_each_other_in_plain_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    display.table([{"a": "1 ± 2", "b": "x"}, {"a": "none", "b": "y"}, {"a": "猫", "b": "z"}], ("a", "b"))
    sys.stdout.flush()
    lines = sys.stdout.buffer.getvalue().decode().splitlines()
    assert [line.split() for line in lines[1:]] == [["1", "+/-", "2", "x"], ["none", "y"], [r"\u732b", "z"]]
    assert len({line.rstrip()[-1:] and len(line.rstrip()) for line in lines}) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "line", ["options", "options --json", "options --quiet", "--help", "train --help", "--version"]
)
def test_a_full_output_is_a_sentence(line: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "vaekit", *line.split()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "vaekit: the output: No space left on device: make room, or name another place\n"


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize(("line", "status"), [("options", 0), ("show nope", 2)])
def test_closed_streams_are_no_fault(closed: tuple[int, ...], line: str, status: int, tmp_path: Path) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed)
    command = f'"$0" -m vaekit {line} {redirections}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (line == "options" and 1 not in closed)
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import signal, sys
from vaekit.cli import main

class Interrupt:
    imports = 0
    def find_spec(self, *_):
        Interrupt.imports += 1
        if Interrupt.imports == int(sys.argv[1]):
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.exit(main(["doctor"]))
"""


@pytest.mark.parametrize("imports", [1, 2, 10, 100, 400, 1000])
def test_ctrl_c_during_imports_is_a_word(imports: int) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(imports)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "vaekit: interrupted\n")


class TestNames:
    def test_listings_and_tables_show_them_escaped_and_as_they_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        display.say(EVIL)
        display.listing({"columns": EVIL, "classes": {EVIL: 3}, "more": {"inner": [EVIL]}})
        display.table([{"name": EVIL}], ("name",))
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert out.count(SHOWN) == 4
        assert len(out.splitlines()) == 8

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="this system takes no such names")
    def test_runs_of_any_name_are_shown_listed_and_reported(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        path = run.path.with_name("two\nlines \x1b[31mred [bold] :smile: 猫")
        shutil.move(run.path, path)
        for line in (["show", str(path)], ["runs", str(path.parent)], ["evaluate", str(path), "--samples", "2"]):
            assert main(line) == 0
        assert main(["show", f"{path}x"]) == 2
        assert main(["report", str(path)]) == 0
        captured = capsys.readouterr()
        shown = r"two\nlines \x1b[31mred [bold] :smile: 猫"
        assert "\x1b" not in captured.out + captured.err
        assert r"lines \x1b[31mred [bold] :smile: 猫x is no" in captured.err
        assert captured.out.splitlines()[-1].endswith(f"{shown}/report.html")
        page = (path / "report.html").read_text("utf-8")
        assert r"lines \x1b[31mred [bold] :smile: 猫</h1>" in page
        assert "\x1b" not in page

    @pytest.mark.parametrize("line", ["train digits --run {}", "show {}", "runs {}"])
    def test_folders_that_are_not_utf8_are_refused(
        self, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(line.format("caf\udce9").split()) == 2
        assert r"caf\udce9' is not UTF-8: rename it" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
