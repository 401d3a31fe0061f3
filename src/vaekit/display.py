"""What the command line prints: trainings, results and messages, on a terminal, in a log file, or as JSON."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, track
from rich.table import Table

if TYPE_CHECKING:
    from vaekit.training import Progress as Report

T = TypeVar("T")

console = Console(stderr=True)


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How results are printed."""

    json: bool = False
    """Print the result as JSON."""
    quiet: bool = False
    """Print nothing but the result's path or value."""
    debug: bool = False
    """Show the traceback of an error."""

    @property
    def silent(self) -> bool:
        """Whether stderr stays empty."""
        return self.json or self.quiet


@contextmanager
def messages(output: Output) -> Iterator[None]:
    """Show what the library has to say, one line each on stderr, unless asked to be silent."""
    logger, handler = logging.getLogger("vaekit"), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if output.silent else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def emit(result: Any, output: Output, show: Callable[[], None]) -> None:
    if output.json:
        print(json.dumps(result, indent=2))
    elif not output.quiet:
        show()


def print_path(path: Path, output: Output) -> None:
    print(json.dumps({"path": str(path)}) if output.json else path)


def print_written(out: Path, shape: tuple[int, ...], output: Output) -> None:
    emit({"path": str(out), "shape": shape}, output, lambda: print(f"{'×'.join(map(str, shape))} values:"))
    if not output.json:
        print(out)


def follow(reports: Iterable["Report"], quiet: bool = False) -> Iterator["Report"]:
    """Pass on the reports of a training and show them: a live line on a terminal, else a line an epoch at most."""
    if quiet:
        yield from reports
    elif console.is_terminal:
        yield from _live(reports)
    else:
        yield from _lines(reports)


def _lines(reports: Iterable["Report"]) -> Iterator["Report"]:
    printed = -1.0
    for report in reports:
        if report.row and (report.epoch - printed >= 1 or report.step == report.steps):
            printed = report.epoch
            print(summary(report), file=console.file, flush=True)
        yield report


def _live(reports: Iterable["Report"]) -> Iterator["Report"]:
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[terms]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None, epoch="", terms="", speed="")
        for report in reports:
            if report.row:
                bar.console.print(summary(report), highlight=False)
            bar.update(
                task,
                completed=report.step,
                total=report.steps,
                epoch=f"{report.epoch:.1f}/{report.epochs:g}",
                terms=_terms(report.terms),
                speed=f"{report.images_per_second:,.0f} images/s",
            )
            yield report


def summary(report: "Report") -> str:
    """One line: epoch, terms of train and held-out images, speed, time spent and left."""
    row = report.row or {}
    held_out = next((name for name in ("validation", "test") if name in row), "")
    left = report.seconds / report.step * (report.steps - report.step) if report.step else 0.0
    return (
        f"epoch {report.epoch:.4g}/{report.epochs:g}  train {_terms(report.terms)}  "
        f"{held_out} {_terms(row.get(held_out, {}))}  {report.images_per_second:,.0f} images/s  "
        f"{_clock(report.seconds)} spent, {_clock(left)} left"
    )


def _terms(terms: Mapping[str, float]) -> str:
    short = {"elbo": "ELBO", "reconstruction": "rec", "kl": "KL"}
    return " ".join(f"{short[name]} {terms[name]:.2f}" for name in short if name in terms)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def tracked(items: Iterable[T], silent: bool, description: str) -> Iterable[T]:
    """Show a bar over the items on a terminal, and nothing elsewhere."""
    if silent or not console.is_terminal:
        return items
    return track(list(items), description, console=console, transient=True)


def evaluation(found: Mapping[str, Any]) -> None:
    """Print an evaluation: each number with its standard error, and what it was measured on."""
    names = {"log_evidence": "log-evidence", "elbo": "ELBO", "reconstruction": "reconstruction", "kl": "KL"}
    rows = [
        {
            "nats per image": name,
            "value": f"{found[key]['value']:.3f}",
            "±": f"{found[key]['standard_error']:.3f}",
            "samples an image": str(found[key]["samples"]),
        }
        for key, name in names.items()
        if key in found
    ]
    table(rows, tuple(rows[0]))
    print(f"{found['images']} {found['split']} images, binarization {found['binarization']}")
    if "latents" in found:
        latents = found["latents"]
        print(f"{len(latents['active'])} of {len(latents['kl_per_unit'])} latent units active (KL > 0.01 nats)")


def run(facts: Mapping[str, Any]) -> None:
    """Print what a run is."""
    shown = {name: value for name, value in facts.items() if name not in ("last", "evaluations")}
    last = facts["last"]
    if last:
        shown["trained"] = f"{last['epoch']:.4g} epochs, {last['step']} steps, {last['seconds']:.1f} s"
        shown |= {f"last {part}": _terms(last[part]) for part in ("train", "validation", "test") if part in last}
    listing(shown)
    for found in facts["evaluations"]:
        print()
        evaluation(found)


def runs(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of runs."""
    rows = []
    for facts in found:
        last = facts["last"] or {}
        held_out = last.get("validation") or last.get("test") or {}
        evidence = next((e["log_evidence"] for e in reversed(facts["evaluations"]) if "log_evidence" in e), None)
        rows.append(
            {
                "run": facts["run"],
                "data": f"{facts['data']} ({facts['binarization']}, {facts['split']})",
                "model": f"{facts['network']} d={facts['latent_dim']} {facts['likelihood']}",
                "epochs": f"{last.get('epoch', 0):.4g}",
                "held-out ELBO": f"{held_out['elbo']:.2f}" if "elbo" in held_out else "",
                "log-evidence": f"{evidence['value']:.2f} ± {evidence['standard_error']:.2f}" if evidence else "",
            }
        )
    if rows:
        table(rows, tuple(rows[0]))
    else:
        print("no runs here yet")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under columns, as wide as they need to be where there is no terminal."""
    sheet = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        sheet.add_row(*(_text(row[column]) for column in columns))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=sheet_width(sheet))).print(sheet, highlight=False)


def sheet_width(sheet: Table) -> int:
    """Columns that a table takes if nothing is wrapped."""
    return Console(width=10_000).measure(sheet).maximum


def options(found: Iterable[Mapping[str, Any]]) -> None:
    """Print each field with its default, type and meaning."""
    for option in found:
        where = "" if option["where"] == option["path"] else f" in {option['where']}"
        print(f"{option['path']}={_text(option['default'])}  ({option['type']}{where})\n    {option['meaning']}")


def listing(found: Mapping[str, Any]) -> None:
    """Print names and values, nested ones indented."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            print(f"{name}:")
            for key, inner in value.items():
                print(f"    {key}: {_text(inner)}")
        else:
            print(f"{name}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)
