"""What is shown of trainings, results and messages: on a terminal, in a log file, in a notebook, or as JSON."""

from vaekit.display.messages import (
    Output,
    any_encoding,
    discard,
    emit,
    listing,
    messages,
    options,
    print_written,
    say,
    table,
)
from vaekit.display.numbers import comparison, evaluation, quality, refit, run, seeds
from vaekit.display.progress import doing, follow, terms, tracked
from vaekit.display.runs import runs
from vaekit.display.sweeps import planned, swept, tabulated
from vaekit.reporting.summary import headline

__all__ = [
    "Output",
    "any_encoding",
    "comparison",
    "discard",
    "doing",
    "emit",
    "evaluation",
    "follow",
    "headline",
    "listing",
    "messages",
    "options",
    "planned",
    "print_written",
    "quality",
    "refit",
    "run",
    "runs",
    "say",
    "seeds",
    "swept",
    "table",
    "tabulated",
    "terms",
    "tracked",
]
