"""Columns of a table: what is asked of them, and how those that a model knows are found in another table."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vaekit.errors import InputError, nearest

log = logging.getLogger("vaekit")

LABELS = ("label", "labels", "class", "classes", "target", "targets")
"""names of columns that hold labels, in the order in which they are looked for"""
NUMBERS = re.compile(r"|id|index|unnamed: \d+")
"""names of columns that only number the rows; pandas writes its index without a name"""


@dataclass(frozen=True)
class Columns:
    """What is asked of a table's columns.

    Args:
        label: The column of labels; None looks for one by its name, "" takes none.
        ignore: Columns that are left out.
        wanted: The columns that a model knows, in its order; None takes all.
    """

    label: str | None = None
    ignore: tuple[str, ...] = ()
    wanted: Sequence[str] | None = None


def distinct(names: Iterable[str]) -> list[str]:
    """Make names distinct as pandas does.

    Example:
        >>> distinct(["a", "b", "a", "a"])
        ['a', 'b', 'a.1', 'a.2']
    """
    found: dict[str, int] = {}
    for name in names:
        new, k = name, 0
        while new in found:
            k += 1
            new = f"{name}.{k}"
        found[new] = k
    return list(found)


def generic(position: int) -> str:
    """Name a column without a name, counted from 0.

    Example:
        >>> generic(0)
        'column 1'
    """
    return f"column {position + 1}"


def place(name: str, names: Sequence[str], source: str) -> int:
    """Find a column by its name.

    Raises:
        InputError: If there is no such column.
    """
    if name not in names:
        raise InputError(f"{source} has no column {name!r}: {nearest(name, names)}")
    return names.index(name)


def places(wanted: Sequence[str], names: Sequence[str], source: str) -> list[int]:
    """Find the columns that a model knows: by name, or by position where either side has no names.

    Columns that the model does not know are ignored, and the log says so.

    Raises:
        InputError: If columns are missing.
    """
    wanted, names = distinct(wanted), distinct(names)
    missing = [name for name in wanted if name not in names]
    if missing and len(names) == len(wanted) and (nameless(names) or nameless(wanted)):
        log.info("the columns of %s are taken by position, because one side has no names", source)
        return list(range(len(names)))
    if missing:
        raise InputError(
            f"{source} lacks {len(missing)} of the {len(wanted)} columns that the model knows ({listed(missing)}) and "
            f"has {listed(names)}: name its columns as the model's"
        )
    if extra := [name for name in names if name not in wanted]:
        log.info("columns of %s that the model does not know are ignored: %s", source, listed(extra))
    position = {name: i for i, name in enumerate(names)}
    return [position[name] for name in wanted]


def listed(names: Sequence[str], most: int = 5) -> str:
    """List names, the first few of many.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def nameless(names: Iterable[str]) -> bool:
    """Whether all names only give the position."""
    return all(re.fullmatch(r"column \d+", name) for name in names)
