"""What the command line prints: trainings, results and messages, on a terminal, in a log file, or as JSON."""

import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cyclopts import Parameter
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, track
from rich.table import Table
from rich.text import Text

from vaekit.labels import BITS, NATS, SHARES, label
from vaekit.text import escaped

if TYPE_CHECKING:
    from vaekit.training import Progress as Report

T = TypeVar("T")

console = Console(stderr=True)


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


class _Messages(logging.Handler):
    """Prints each message once, on what is stderr at the time: a live display puts itself in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.printed:
            self.printed.add(message)
            print(escaped(message), file=sys.stderr)


@contextmanager
def messages(output: Output) -> Iterator[None]:
    """Show what the library has to say, one line each on stderr, unless asked to be silent."""
    logger, handler = logging.getLogger("vaekit"), _Messages()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if output.silent else logging.INFO)
    try:
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


def follow(reports: Iterable["Report"], quiet: bool = False) -> Iterator["Report"]:
    """Pass on the reports of a training and show them: a live display on a terminal, else a line an epoch at most."""
    if quiet:
        yield from reports
    elif console.is_terminal:
        yield from _live(reports)
    else:
        yield from _lines(reports)


def _lines(reports: Iterable["Report"]) -> Iterator["Report"]:
    printed = -1
    for report in reports:
        if report.row and (int(report.epoch) > printed or report.step == report.steps):
            printed = int(report.epoch)
            left = report.seconds / report.step * (report.steps - report.step) if report.step else None
            times = (
                f"  {_speed(report)}  {_clock(report.seconds)} spent, {_clock(left)} left" if left is not None else ""
            )
            print(f"{_epoch(report)}  {terms(report.terms, report.row)}{times}", file=console.file, flush=True)
        yield report


class _Live(Progress):
    """A bar, and below it the terms."""

    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn anew at each refresh."""
        return (*super().get_renderables(), Text(self.line, overflow="ellipsis", no_wrap=True))


def _live(reports: Iterable["Report"]) -> Iterator["Report"]:
    epoch, speed = TextColumn("{task.description}"), TextColumn("{task.fields[speed]}")
    with _Live(epoch, BarColumn(24), TaskProgressColumn(), speed, TimeRemainingColumn(), console=console) as bar:
        task, row = bar.add_task("preparing", total=None, speed=""), None
        for report in reports:
            row = report.row or row
            bar.line = terms(report.terms, row or {})
            bar.update(
                task, description=_epoch(report), completed=report.step, total=report.steps, speed=_speed(report)
            )
            if report.row:
                bar.console.print(f"{_epoch(report)}  {terms(report.terms, report.row)}", highlight=False)
            yield report


def _epoch(report: "Report") -> str:
    return f"epoch {min(whole(report.epoch, report.step), report.epochs):g}/{report.epochs:g}"


def whole(epoch: float, step: int) -> float:
    """Passes over the training images as they are shown: at the step that ends one, whole; otherwise with one digit.

    A batch may straddle two passes, so that a step seldom ends where they meet.

    Example:
        >>> whole(2.068, 26), whole(2.147, 27)
        (2, 2.1)
    """
    return int(epoch) if step and epoch - int(epoch) < epoch / step else round(epoch, 1)


def terms(train: Mapping[str, float], row: Mapping[str, Any]) -> str:
    """Write the terms of training images, and behind a stroke those of the held-out images of a row of metrics.

    Example:
        >>> terms({"elbo": -9.0, "kl": 2.0}, {"test": {"elbo": -9.5, "kl": 2.5}})
        'train/test: ELBO -9.00/-9.50 KL 2.00/2.50'
    """
    held_out = next((name for name in ("validation", "test") if name in row), "")
    sets = [train, row[held_out]] if held_out else [train]
    short = {"elbo": "ELBO", "reconstruction": "rec", "kl": "KL"}
    values = (
        f"{short[name]} {'/'.join(f'{found[name]:.2f}' for found in sets)}"
        for name in short
        if all(name in found for found in sets)
    )
    return f"train{'/' * bool(held_out)}{held_out}: {' '.join(values)}"


def _times(report: "Report") -> str:
    if not report.step:
        return ""
    left = report.seconds / report.step * (report.steps - report.step)
    return f"  {_speed(report)}  {_clock(report.seconds)} spent, {_clock(left)} left"


def _speed(report: "Report") -> str:
    return f"{report.images_per_second:,.0f} images/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def tracked(items: Iterable[T], silent: bool, description: str) -> Iterable[T]:
    """Show a bar over the items on a terminal, and nothing elsewhere."""
    if silent or not console.is_terminal:
        return items
    return track(list(items), description, console=console, transient=True)


def headline(found: Mapping[str, Any]) -> float | None:
    """The one number of an evaluation that is printed when quiet."""
    return next((found[key]["value"] for key in (*NATS, *SHARES) if key in found), None)


def evaluation(found: Mapping[str, Any]) -> None:
    """Print an evaluation: each number with its standard error, what it was measured on, and what it means."""
    if "stale" in found:
        say(f"{found['stale']}, not numbers of this model as it is now; to measure it: {found['command']}")
    for heading, names in (("nats per image", NATS), ("bits", BITS), ("accuracy of codes", SHARES)):
        rows = [
            {
                heading: title,
                "value": _number(found[key]["value"], 3),
                "±": _number(found[key]["standard_error"], 3),
                "draws": str(found[key]["samples"]),
                "images": str(found[key].get("images", found["images"])),
            }
            for key, (title, _) in names.items()
            if key in found
        ]
        if rows:
            table(rows, tuple(rows[0]))
    if "samples" in found:
        quality(found["samples"])
    say(f"{found['images']} {found['split']} images, binarization {found['binarization']}")
    if "effective_samples" in found:
        effective = found["effective_samples"]
        say(f"{_number(effective['value'], 1)} of {effective['samples']} draws are effective")
    if "note" in found:
        say(f"note: {found['note']}")
    for sentence in found.get("findings", ()):
        say(sentence)
    for reason, measures in left_out(found).items():
        say(f"left out: {measures} ({reason})")


def left_out(found: Mapping[str, Any]) -> dict[str, str]:
    """What an evaluation does not have: by reason, the names of the measures."""
    grouped: dict[str, list[str]] = {}
    for name, reason in found.get("left_out", {}).items():
        grouped.setdefault(reason, []).append(label(name))
    return {reason: ", ".join(names) for reason, names in grouped.items()}


def quality(found: Mapping[str, Any]) -> None:
    """Print what a classifier makes of samples, beside what they are to be compared with."""
    accuracy = found["classifier"]["accuracy"]
    rows = [
        {
            f"by a classifier of {100 * accuracy['value']:.2f} % accuracy": name,
            "inception score": "{value:.2f} ± {standard_deviation:.2f}".format_map(row["inception_score"]),
            "Fréchet distance": _pair(row["frechet_distance"], 2),
            f"legible (p > {found['legible_above']})": _pair(row["legibility"], 3),
            "of the right class": _pair(row["agreement"], 3),
        }
        for name, row in found["table"].items()
    ]
    table(rows, tuple(rows[0]))
    ratio = found["distance_ratio"]
    say(f"samples lie {_pair(ratio, 3)} times as far from their nearest training image as held-out images")


def comparison(found: Mapping[str, Any]) -> None:
    """Print runs side by side."""
    rows = []
    for row in found["rows"]:
        difference = row.get("difference")
        rows.append(
            {
                "run": row["run"],
                "d": str(row["latent_dim"]),
                "seed": str(row["seed"]),
                "log-evidence": _pair(row["log_evidence"], 2),
                "ELBO": _pair(row["elbo"], 2),
                "reconstruction": _pair(row["reconstruction"], 2),
                "KL": _pair(row["kl"], 2),
                "difference to the first": f"{_pair(difference, 3)}: {difference['verdict']}" if difference else "",
            }
        )
    table(rows, tuple(rows[0]))
    say(f"{found['split']} images, binarization {found['binarization']}; differences are paired, image by image")
    if any(len(each["seeds"]) > 1 for each in found["configurations"]):
        print()
        seeds(found["configurations"])
    if "seeds" in found:
        say(found["seeds"])
    for row in found["rows"]:
        if "note" in row:
            say(f"note on {row['run']}: {row['note']}")


def seeds(configurations: Sequence[Mapping[str, Any]]) -> None:
    """Print the log-evidence of configurations over their seeds."""
    rows = []
    for each in configurations:
        difference, deviation = each.get("difference"), each["standard_deviation"]
        spread = "" if deviation is None else f" ± {deviation:.2f}"
        verdict = difference and difference["verdict"]
        rows.append(
            {
                "configuration": f"{each['configuration']}: {', '.join(each['runs'])}",
                "seeds": str(len(each["seeds"])),
                "log-evidence ± s.d. over seeds": f"{each['mean']:.2f}{spread}",
                "difference to the first": f"{_pair(difference, 3)}: {verdict}" if verdict else "",
            }
        )
    table(rows, tuple(rows[0]))


def _pair(estimate: Mapping[str, Any] | None, digits: int) -> str:
    if estimate is None:
        return ""
    return f"{_number(estimate['value'], digits)} ± {_number(estimate['standard_error'], digits)}"


def _number(value: float | None, digits: int) -> str:
    """A number to so many digits; None is one that cannot be known, such as the error of a single image."""
    return "unknown" if value is None else f"{value:.{digits}f}"


def run(facts: Mapping[str, Any]) -> None:
    """Print what a run is."""
    shown = {name: value for name, value in facts.items() if name not in ("last", "evaluations")}
    last = facts["last"]
    if last:
        shown["trained"] = (
            f"{whole(last['epoch'], last['step']):g} epochs, {last['step']} steps, {last['seconds']:.1f} s"
        )
        shown["last"] = terms(last["train"], last)
    listing(shown)
    for found in facts["evaluations"]:
        say("")
        evaluation(found)


def runs(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of runs."""
    rows = []
    for facts in found:
        last = facts["last"] or {}
        held_out = last.get("validation") or last.get("test") or {}
        rows.append(
            {
                "run": facts["run"],
                "data": f"{facts['data']} ({facts['binarization']}, {facts['split']})",
                "model": f"{facts['network']} d={facts['latent_dim']} {facts['likelihood']}",
                "epochs": f"{whole(last['epoch'], last['step']) if last else 0:g}",
                "held-out ELBO": f"{held_out['elbo']:.2f}" if "elbo" in held_out else "",
                "log-evidence": _evidence(facts["evaluations"]),
            }
        )
    if rows:
        table(rows, tuple(rows[0]))
    else:
        say("no runs here yet")


def _evidence(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The last log-evidence that was measured of the weights there are, or else an older one, marked."""
    measured = [found for found in reversed(evaluations) if "log_evidence" in found]
    measured.sort(key=lambda found: "stale" in found)
    if not measured:
        return ""
    value = _pair(measured[0]["log_evidence"], 2)
    return f"{value}, {measured[0]['stale']}" if "stale" in measured[0] else value


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under columns, as wide as they need to be where there is no terminal."""
    sheet = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        sheet.add_row(*(_cell(_text(row[column])) for column in columns))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=sheet_width(sheet))).print(sheet)


def sheet_width(sheet: Table) -> int:
    """Columns that a table takes if nothing is wrapped."""
    return Console(width=10_000).measure(sheet).maximum


def _cell(text: str) -> Text:
    """A name as it is, without rich's markup, in signs that the output knows, so that its width is right."""
    encoding = sys.stdout.encoding or "utf-8"
    return Text(escaped(text).encode(encoding, "plain").decode(encoding))


def options(found: Iterable[Mapping[str, Any]]) -> None:
    """Print each field with its default, type and meaning."""
    for option in found:
        where = "" if option["location"] == option["path"] else f", in {option['location'].rpartition('.')[0]}"
        say(f"{option['path']}={_text(option['default'])}  ({option['type']}{where})", f"    {option['description']}")


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
