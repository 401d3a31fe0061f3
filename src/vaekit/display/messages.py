"""What is printed around results: messages, paths and values, tables, or all of it as JSON."""

import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vaekit import notebook
from vaekit.modules import blamed, bring_in
from vaekit.text import escaped


@contextmanager
def any_encoding() -> Iterator[None]:
    """Let everything be printed: what an output's encoding lacks in ASCII, and nothing where an output is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as we print)
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="plain")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            stream.reconfigure(errors=errors)


def discard() -> None:
    """Drop what is printed from now on, and what waits to be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(*lines: object) -> None:
    """Print lines, with names in them as they may be shown."""
    for line in lines:
        print(escaped(str(line)))


@Parameter(name="*", negative=())
@dataclass(frozen=True)
class Output:
    """How results are printed, and what is imported first."""

    json: bool = False
    """Print the result as JSON."""
    quiet: bool = False
    """Print nothing but the result's path or value."""
    debug: bool = False
    """Show the traceback of an error."""
    imports: Annotated[tuple[str, ...], Parameter(name="--import")] = ()
    """Import this module first, because the run or experiment has parts of its own from it; repeat it for more."""

    @property
    def silent(self) -> bool:
        """Whether stderr stays empty."""
        return self.json or self.quiet


class _Messages(logging.Handler):
    """Prints each message once: in a notebook as output, else on what is stderr then, as a live display replaces it."""

    def __init__(self) -> None:
        super().__init__()
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.printed:
            self.printed.add(message)
            print(escaped(message), file=sys.stdout if notebook.running() else sys.stderr)


@contextmanager
def messages(output: Output) -> Iterator[None]:
    """Show what the library has to say, one line each on stderr, unless asked to be silent; import what is named."""
    logger, handler = logging.getLogger("vaekit"), _Messages()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if output.silent else logging.INFO)
    try:
        bring_in(output.imports)
        with blamed(output.imports):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def emit(result: Any, output: Output, show: Callable[[], None], *values: object) -> None:
    """Print a result: as JSON, or as ``show`` does, or only its paths or values where there are any."""
    if output.json:
        print(json.dumps(result, indent=2, allow_nan=False))
    elif not output.quiet:
        show()
    else:
        say(*(value for value in values if value is not None))


def print_written(out: Path, shape: tuple[int, ...], output: Output) -> None:
    """Say which file was written, and the shape of what it holds."""
    values = f"{'×'.join(map(str, shape))} values:"
    emit({"path": str(out), "shape": shape}, output, lambda: say(values, out), out)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under columns, as wide as they need to be where there is no terminal."""
    cells = [[_cell(_text(row[column])) for column in columns] for row in rows]
    terminal = Console()
    if terminal.is_terminal:
        sheet = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in cells:
            sheet.add_row(*map(Text, row))
        terminal.print(sheet)
        return
    lines = [[_cell(column) for column in columns], *cells]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)))


def _cell(text: str) -> str:
    """A name as it is, in signs that the output knows, so that its width is right."""
    encoding = sys.stdout.encoding or "utf-8"
    return escaped(text).encode(encoding, "plain").decode(encoding)


def options(found: Iterable[Mapping[str, Any]]) -> None:
    """Print each field with its default, type and meaning."""
    for option in found:
        where = "" if option["location"] == option["path"] else f", in {option['location'].rpartition('.')[0]}"
        optional = option["type"].endswith("| none")  # else a field without a default has to be given
        default = "none" if option["default"] is None and optional else _text(option["default"])
        say(f"{option['path']}={default}  ({option['type']}{where})", f"    {option['description']}")


def listing(found: Mapping[str, Any]) -> None:
    """Print names and values, nested ones indented."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            say(f"{name}:")
            for key, inner in value.items():
                say(f"    {key}: {_text(inner)}")
        else:
            say(f"{name}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return (
        value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    )
