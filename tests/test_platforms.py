"""Other systems: nothing that only POSIX has is needed, text is UTF-8, and the network is reached from one place."""

import ast
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("src", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if ".venv" not in path.parts
)
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "curses", "readline"}
ATTRIBUTES = {
    "os": "fork forkpty getuid geteuid getgid killpg mkfifo nice O_NOFOLLOW O_DIRECTORY setsid sysconf uname",
    "signal": "alarm pthread_kill setitimer SIGALRM SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGUSR2",
    "mmap": "MADV_DONTNEED MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE",
}
names = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that are run when the module is imported: what is in functions is not."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from executed(child)


def posix(node: ast.AST) -> str | None:
    """What a node needs of POSIX."""
    match node:
        case ast.Import(names=aliases):
            return next((alias.name for alias in aliases if alias.name in MODULES), None)
        case ast.ImportFrom(module=str(module)) if module in MODULES:
            return module
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in ATTRIBUTES.get(module, "").split():
            return f"{module}.{name}"
        case ast.Call(func=ast.Attribute(attr="CDLL"), args=[ast.Constant(value=None), *_]):
            return "ctypes.CDLL(None)"
    return None


def platform_text(node: ast.AST) -> bool:
    """Whether a call reads or writes text in the encoding of the platform."""
    if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
        return False
    constants = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    mode = next((w.value.value for w in node.keywords if w.arg == "mode" and isinstance(w.value, ast.Constant)), None)
    match node.func:
        case ast.Attribute(attr="read_text"):
            return not node.args
        case ast.Attribute(attr="write_text"):
            return len(node.args) < 2
        case ast.Name(id="open"):
            return "b" not in str(mode or (["", *constants][-1] if len(node.args) > 1 else ""))
        case ast.Attribute(attr="open", value=value) if ast.unparse(value) not in (
            "os",
            "Image",
            "archive",
            "tracker",
            "webbrowser",
        ):
            return "b" not in str(mode or [*constants, ""][0])
        case ast.Attribute(attr="fdopen"):
            return "b" not in str(["", *constants][-1])
    return False


@names
def test_nothing_of_posix_is_needed_by_an_import(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [(node.lineno, need) for node in executed(tree) if (need := posix(node))] == []  # type: ignore[attr-defined]


@names
def test_text_is_utf8_on_every_platform(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if platform_text(node)] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code",
    [
        "import fcntl",
        "from resource import getrusage",
        "import os\nX = os.sysconf('SC_PAGE_SIZE')",
        "import ctypes\nctypes.CDLL(None)",
    ],
)
def test_what_is_searched_for_is_found(code: str) -> None:
    assert any(posix(node) for node in executed(ast.parse(code)))
    within = "def f():\n" + "".join(f"    {line}\n" for line in code.splitlines())
    assert not any(posix(node) for node in executed(ast.parse(within)))


@pytest.mark.parametrize(
    "code", ["open('x')", "open('x', 'w')", "p.open()", "p.open('a')", "p.read_text()", "p.write_text('x')"]
)
def test_text_of_the_platform_is_found(code: str) -> None:
    assert any(platform_text(node) for node in ast.walk(ast.parse(code)))
    named = code.replace(")", ", encoding='utf-8')").replace("(,", "(")
    assert not any(platform_text(node) for node in ast.walk(ast.parse(named)))


ELSEWHERE = f"""
import ctypes, importlib, mmap, os, pkgutil, signal, sys
import cyclopts, filelock, jinja2, matplotlib.figure, numpy, PIL.Image, pooch, psutil, pydantic, rich.progress
import safetensors.torch, scipy.stats, sklearn.datasets, sklearn.linear_model, sklearn.neighbors, torch, zuko
import narwhals, polars
import matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, mpl_toolkits.mplot3d

sys.modules |= dict.fromkeys({sorted(MODULES - {"posix"})!r})
for module, names in {ATTRIBUTES!r}.items():
    for name in names.split():
        sys.modules[module].__dict__.pop(name, None)
sys.platform = "win32"

class Library(ctypes.CDLL):
    def __init__(self, name, *rest, **options):
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        super().__init__(name, *rest, **options)

ctypes.CDLL = Library

import vaekit
extras = "explorer.server", "tracking.tensorboard", "tracking.mlflow", "tracking.wandb", "tracking.trackio"
for module in pkgutil.walk_packages(vaekit.__path__, "vaekit."):
    if module.name.removeprefix("vaekit.") in extras:
        continue  # which import other packages, each with ways of its own on each system
    importlib.import_module(module.name)
sys.path.insert(0, {str(ROOT)!r})
for name in ("machine", "memory_map", "page", "protocol", "startup", "tables"):
    importlib.import_module(f"benchmarks.{{name}}")

from vaekit.cli import main
run = ["--run", "r", "--no-report"]
assert main(["train", "digits", "--epochs", "1", "--hidden", "8", "--latent-dim", "2", *run]) == 0
assert main(["train", "--resume", "--epochs", "2", *run]) == 0
assert main(["evaluate", "r", "--images", "20", "--samples", "3"]) == 0
assert main(["sample", "r", "-n", "4", "--out", "x.png"]) == 0
assert main(["report", "r"]) == 0
numpy.save("x.npy", numpy.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype("u1"))
assert main(["data", "check", "x.npy"]) == 0
assert main(["encode", "r", "x.npy", "--out", "z.npy"]) == 0
assert main(["doctor"]) == 0
"""


def test_a_system_without_posix_trains_evaluates_and_reports(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "utf8", "-c", ELSEWHERE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "report.html").is_file()
    assert not [path.name for path in tmp_path.rglob("*") if set(path.name) & set('<>:"|?*\\')]


def test_the_network_is_out_of_reach_and_reached_from_one_place() -> None:
    with pytest.raises(OSError, match="a test reached for the network"):
        urllib.request.urlopen("http://192.0.2.1:9", timeout=1)  # an address for documentation
    package = ROOT / "src" / "vaekit"
    sources = (path for path in package.rglob("*") if path.suffix in (".py", ".j2"))
    texts = {path.relative_to(package).as_posix(): path.read_text("utf-8") for path in sources}

    def holding(pattern: str) -> set[str]:
        return {name for name, text in texts.items() if re.search(pattern, text)}

    # citation.py and card.py write addresses, and server.py answers at one of this computer
    assert holding(r"https?://") == {
        "data/named.py",
        "sharing/citation.py",
        "sharing/card.py",
        "explorer/server.py",
    }
    assert holding(r"urllib\.request|import socket|socket\.|import requests") == {
        "data/fetching.py",
        "explorer/server.py",
    }
