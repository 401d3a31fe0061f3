"""Columns of a table: what each is, what is asked of them, and how those that a model knows are found elsewhere."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from vaekit.errors import InputError, nearest
from vaekit.specs import Whole, spec

log = logging.getLogger("vaekit")

LABELS = ("label", "labels", "class", "classes", "target", "targets")
"""names of columns that hold labels, in the order in which they are looked for"""
NUMBERS = re.compile(r"|id|index|unnamed: \d+")
"""names of columns that only number the rows; pandas writes its index without a name"""

Kind = Literal["real", "positive", "count", "binary", "category", "ordinal"]
"""what the values of a column are"""
CODED = ("binary", "category", "ordinal")
"""kinds of column whose values may be words, which a model reads as their numbers"""


@spec
class Column:
    """A column that a model learns: what its values are, and how the model reads them, NaN where they are missing.

    The model reads (v − shift) / scale of a real v, the same of log v of a positive one, a count as it is, 0 or 1 of a
    binary value, and the number of a category among `categories`.
    """

    name: str
    """The name in the file."""
    kind: Kind = "real"
    """What its values are."""
    categories: tuple[str, ...] = ()
    """The words that the numbers 0, 1, ... stand for; none if the values are numbers."""
    shift: float = 0.0
    """Mean over the training rows: of log v of a positive column, of log(1 + v) of a count."""
    scale: Annotated[float, Field(ge=0)] = 1.0
    """Standard deviation of the same; 0 of a column that does not vary, which is not divided."""

    def __post_init__(self) -> None:
        least = {"category": 1, "ordinal": 1}.get(self.kind, 0)
        most = {"category": len(self.categories), "ordinal": len(self.categories), "binary": 2}.get(self.kind, 0)
        if not least <= len(self.categories) <= most or len(set(self.categories)) < len(self.categories):
            raise InputError(
                f"column {self.name!r} is {self.kind} and has {len(self.categories)} categories: restore the file"
            )

    @property
    def standardized(self) -> bool:
        """Whether the model reads its values shifted and scaled."""
        return self.kind in ("real", "positive")

    @property
    def divisor(self) -> float:
        """By what a standardized value is divided."""
        return self.scale or 1.0


@spec
class Constant:
    """A column that has one value in all training rows: the model knows nothing of it, and outputs have it again."""

    name: str
    """The name in the file."""
    value: float | str
    """Its value."""
    place: Whole
    """Its place among all columns of the output, counted from 0."""


def former_columns(space: Mapping[str, Any]) -> dict[str, Any]:
    """Give a space with columns as they are now; version 0.1.0 had their names, and shift and scale apart from them.

    Raises:
        InputError: If these do not have one number per column.
    """
    facts = dict(space)
    shift, scale, names = facts.pop("shift", None), facts.pop("scale", None), facts.get("columns")
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if shift is None and scale is None and not named:
        return facts
    shape = tuple(facts.get("event_shape") or ())
    width = shape[0] if len(shape) == 1 else 0
    names = names if named and names else [generic(i) for i in range(width)]
    if shift is None and scale is None:
        shift, scale = [0.0] * width, [1.0] * width
    if not shift or not scale or not len(names) == len(shift) == len(scale) == width:
        raise InputError(f"shift and scale do not have one number per column of {shape}: restore them")
    columns = zip(names, shift, scale, strict=True)
    return facts | {"columns": [{"name": name, "shift": mean, "scale": std} for name, mean, std in columns]}


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
