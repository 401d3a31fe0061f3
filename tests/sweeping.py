"""Sweeps whose units are worked on in this process, which saves the tests the start of others."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vaekit.engine.work import Work, carry_out


def engine(worked: list[str]) -> Callable[..., Iterator[Any]]:
    """An engine that works here, and writes down the names of the units that it was given."""

    def here(tasks: Sequence[Any], work: Work, jobs: int = 1) -> Iterator[Any]:
        for task in tasks:
            worked.extend(unit.label for unit in task)
            yield carry_out(task, work)

    return here
