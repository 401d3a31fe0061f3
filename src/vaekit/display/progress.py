"""How work in progress is shown: on a terminal a bar, in a notebook a bar and a curve, in a log file lines."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from vaekit import notebook
from vaekit.labels import in_order, term

if TYPE_CHECKING:
    from vaekit.progress import Progress as Report

T = TypeVar("T")
Track = Callable[[Iterable[Any]], Iterable[Any]]

SHORT = {"reconstruction": "rec", "adversary": "second player"}
"""terms whose names are long for one line"""
SECONDS_BETWEEN_PICTURES = 0.5
"""in a notebook, which keeps every one until it is shown"""

console = Console(stderr=True)


def follow(reports: Iterable["Report"], quiet: bool = False) -> Iterator["Report"]:
    """Pass on the reports of a training and show them: live in a terminal or notebook, else a line per epoch at most.

    At the end one sentence says how the training went.
    """
    if quiet:
        yield from reports
    elif notebook.running():
        yield from _pictured(reports)
    else:
        rows: list[Mapping[str, Any]] = []
        for report in _live(reports) if console.is_terminal else _lines(reports):
            rows += [report.row] if report.row else []
            yield report
        if sentence := _course(rows):
            print(sentence, file=console.file, flush=True)


def _course(rows: Sequence[Mapping[str, Any]]) -> str | None:
    from vaekit.evaluation.verdict import course  # takes torch along, as the training did already

    return course(rows)


def _lines(reports: Iterable["Report"]) -> Iterator["Report"]:
    printed = -1
    for report in reports:
        if report.row and (int(report.epoch) > printed or report.step == report.steps):
            printed = int(report.epoch)
            behind = f"  {_speed(report)}  {_times(report)}" if report.step else ""
            print(f"{_line(report)}{behind}", file=console.file, flush=True)
        yield report


class _Live(Progress):
    """A bar, and below it the terms."""

    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn anew at each refresh."""
        return (*super().get_renderables(), Text(self.line, overflow="ellipsis", no_wrap=True))


def _live(reports: Iterable["Report"]) -> Iterator["Report"]:
    columns = (TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn(), TextColumn("{task.fields[more]}"))
    with _Live(*columns, console=console) as bar:
        task, row = bar.add_task("preparing", total=None, more=""), None
        for report in reports:
            row = report.row or row
            bar.line = terms(report.terms, row or {})
            more = f"{_speed(report)} {_times(report, short=True)}"
            bar.update(task, description=_epoch(report), completed=report.step, total=report.steps, more=more)
            if report.row:
                bar.console.print(_line(report), highlight=False)
            yield report


def _pictured(reports: Iterable["Report"]) -> Iterator["Report"]:
    place, rows, shown = notebook.Place(), list[Mapping[str, Any]](), 0.0
    last = None
    for last in reports:
        rows += [last.row] if last.row else []
        now = time.monotonic()
        if now - shown > SECONDS_BETWEEN_PICTURES:
            place.show(_picture(last, rows), _line(last))
            shown = now
        yield last
    if last:
        sentence = _course(rows) or ""
        place.show(_picture(last, rows) + notebook.sentence(sentence), f"{_line(last)}\n{sentence}".rstrip())


def _picture(report: "Report", rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar, the times, the terms, and how loss or ELBO went, for a notebook."""
    split = _held_out(rows[-1]) if rows else ""
    chosen = "elbo" if "elbo" in report.terms else "loss"
    # The first rows are far off: a curve from there would hide all that follows.
    later = rows[1 + len(rows) // 10 :] if len(rows) > 3 else rows
    series = {
        f"{term(chosen)}, {part}": [(row["epoch"], row[part][chosen]) for row in later if chosen in row.get(part, {})]
        for part in ("train", split)
        if part
    }
    return "".join(
        (
            notebook.heading(_epoch(report), f"{_speed(report)}, {_times(report)}" if report.step else ""),
            notebook.bar(report.step / report.steps),
            notebook.sentence(terms(report.terms, rows[-1] if rows else {})),
            notebook.curve(series),
        )
    )


def _line(report: "Report") -> str:
    return f"{_epoch(report)}  {terms(report.terms, report.row or {})}"


def _epoch(report: "Report") -> str:
    return f"epoch {min(whole(report.epoch, report.step), report.epochs):g}/{report.epochs:g}"


def whole(epoch: float, step: int) -> float:
    """Return the passes over the training images as they are shown: whole at the step that ends one, else to 0.1.

    A batch may straddle two passes, so that a step seldom ends where they meet.

    Example:
        >>> whole(2.068, 26), whole(2.147, 27)
        (2, 2.1)
    """
    return int(epoch) if step and epoch - int(epoch) < epoch / step else round(epoch, 1)


def _held_out(row: Mapping[str, Any]) -> str:
    return next((name for name in ("validation", "test") if name in row), "")


def terms(train: Mapping[str, float], row: Mapping[str, Any]) -> str:
    """Write the terms of training images, and behind a stroke those of the held-out images of a row of metrics.

    Example:
        >>> terms({"loss": 9.0, "elbo": -9.0, "kl": 2.0}, {"test": {"loss": 9.5, "elbo": -9.5, "kl": 2.5}})
        'train/test: ELBO -9.00/-9.50 KL 2.00/2.50'
    """
    held_out = _held_out(row)
    sets = [train, row[held_out]] if held_out else [train]
    values = (
        f"{SHORT.get(name, term(name))} {'/'.join(f'{found[name]:.2f}' for found in sets)}"
        for name in in_order(train)
        if name != "loss" and all(name in found for found in sets)
    )
    return f"train{'/' * bool(held_out)}{held_out}: {' '.join(values)}"


def _speed(report: "Report") -> str:
    return f"{report.images_per_second:,.0f} {report.noun}/s"


def _times(report: "Report", short: bool = False) -> str:
    """Time spent and left."""
    left = report.seconds / report.step * (report.steps - report.step) if report.step else None
    if short:
        return f"{clock(report.seconds)} +{'-:--' if left is None else clock(left)}"
    return f"{clock(report.seconds)} spent, {clock(left or 0)} left"


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def tracked(items: Iterable[T], silent: bool = False, description: str = "working") -> Iterator[T]:
    """Pass on items and show how many of them are done, in a terminal or notebook.

    Example:
        >>> list(tracked([1, 2]))
        [1, 2]
    """
    with doing(description, silent or not (console.is_terminal or notebook.running())) as track:
        yield from track(items)


@contextmanager
def doing(description: str, silent: bool = False) -> Iterator[Track]:
    """Say what is being done meanwhile: a bar and the time in a terminal or notebook, a line in a log file.

    Args:
        description: such as "evaluating 1,000 test images".
        silent: show nothing.

    Yields:
        a function that wraps an iterable, whose share of items done the bar then shows; again and again, if the work
        has several parts.
    """
    if silent:
        yield iter
    elif notebook.running():
        place, began = notebook.Place(), time.monotonic()

        def show(share: float | None) -> None:
            note = clock(time.monotonic() - began)
            bar = "" if share is None else notebook.bar(share)
            place.show(notebook.heading(description, note) + bar, f"{description}  {note}")

        show(None)
        yield lambda items: _counted(items, show)
        show(1.0)
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[more]}"))
        with Progress(*columns, console=console, transient=True) as bar:
            began, task = time.monotonic(), bar.add_task(description, total=None, more="")

            def move(share: float | None) -> None:
                more = clock(time.monotonic() - began)
                bar.update(task, completed=share or 0.0, total=None if share is None else 1.0, more=more)

            yield lambda items: _counted(items, move)
    else:
        print(description, file=console.file, flush=True)
        yield iter


def _counted(items: Iterable[T], show: Callable[[float | None], object]) -> Iterator[T]:
    """Pass on items and show what share of them is done, where their number is known; afterwards it is not."""
    count = len(items) if isinstance(items, Sized) else None
    for done, item in enumerate(items):
        show(done / count if count else None)
        yield item
    show(None)
