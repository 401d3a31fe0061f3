"""Columns of a table: what each is, what is asked of them, and how those that a model knows are found elsewhere."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from vaekit.errors import InputError, nearest, shown
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


def _pairs(kinds: Any) -> tuple[tuple[str, Any], ...]:
    """Turn a mapping or pairs into pairs of a column's name and its kind, by name."""
    try:
        pairs = {str(name): kind for name, kind in dict(kinds).items()}
    except (TypeError, ValueError):
        raise InputError(f"data.columns is {shown(kinds)}: give kinds by name, such as {{'age': 'count'}}") from None
    for name, kind in pairs.items():
        if kind not in get_args(Kind):
            raise InputError(f"data.columns.{name} is {shown(kind)}: {nearest(str(kind), get_args(Kind))}")
    return tuple(sorted(pairs.items()))


Kinds = Annotated[tuple[tuple[str, Kind], ...], BeforeValidator(_pairs), PlainSerializer(dict)]
"""kinds of columns by name, as JSON an object"""


@spec
class Column:
    """A column that a model learns: what its values are, and how the model reads them, NaN where they are missing.

    The model reads (v − shift) / scale of a real v, the same of log v of a positive one, a count as it is, 0 or 1 of a
    binary value, and the number of a category among `categories`.
    """

    name: str
    """the name in the file"""
    kind: Kind = "real"
    """what its values are"""
    categories: tuple[str, ...] = ()
    """the words that the numbers 0, 1, ... stand for; none if the values are numbers"""
    shift: float = 0.0
    """mean over the training rows: of log v of a positive column, of log(1 + v) of a count"""
    scale: Annotated[float, Field(ge=0)] = 1.0
    """standard deviation of the same; 0 of a column that does not vary, which is not divided"""
    decimals: Annotated[int, Field(ge=0)] | None = None
    """decimals that numbers have in the file and get in outputs; None leaves them as they are"""

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


def words_of(columns: Sequence[Column] | None) -> tuple[np.ndarray, ...]:
    """Give what, besides its numbers, tells a table from others: the words that they stand for, if there are any.

    Example:
        >>> words_of([Column(name="age"), Column(name="sex", kind="binary", categories=("f", "m"))])
        (array(['sex', 'f', 'm'], dtype='<U3'),)
    """
    return tuple(np.array([column.name, *column.categories]) for column in columns or () if column.categories)


class Scaling(NamedTuple):
    """How a model reads rows of numbers (..., D): some columns as logarithms, some shifted and divided.

    Attributes:
        positive: Which columns are read as logarithms.
        shift, divisor: What is subtracted from each column, and by what it is divided then.
    """

    positive: np.ndarray
    shift: np.ndarray
    divisor: np.ndarray

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Scaling":
        """Give the scaling of columns."""
        positive = np.array([column.kind == "positive" for column in columns], bool)
        shift = np.array([column.shift if column.standardized else 0.0 for column in columns])
        divisor = np.array([column.divisor if column.standardized else 1.0 for column in columns])
        return cls(positive, shift, divisor)

    def seen(self, values: np.ndarray) -> np.ndarray:
        """Turn values into what a model reads."""
        with np.errstate(all="ignore"):
            logs = np.where(self.positive, np.log(values), values) if self.positive.any() else values
            return (logs - self.shift) / self.divisor

    def values(self, seen: np.ndarray) -> np.ndarray:
        """Turn what a model reads into values."""
        logs = seen * self.divisor + self.shift
        with np.errstate(over="ignore"):
            return np.where(self.positive, np.exp(logs), logs) if self.positive.any() else logs


@spec
class Constant:
    """A column that has one value in all training rows: the model knows nothing of it, and outputs have it again."""

    name: str
    """the name in the file"""
    value: bool | float | str
    """its value"""
    place: Whole
    """its place among all columns of the output, counted from 0"""


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
        kinds: Kinds that are set, by name.
        header: All columns of the data that the model knows, constant ones included.
    """

    label: str | None = None
    ignore: tuple[str, ...] = ()
    wanted: Sequence[str] | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    header: Sequence[str] | None = None


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


def places(wanted: Sequence[str], names: Sequence[str], source: str, header: Sequence[str] | None = None) -> list[int]:
    """Find the columns that a model knows: by name, or by position where either side has no names.

    Columns that the model does not know are ignored, and the log says so.

    Args:
        wanted: The columns of the model, in its order.
        names: The columns that there are.
        source: What they are called in messages.
        header: All columns that the model's data had, constant ones included; those of the model if left out.

    Raises:
        InputError: If columns are missing.
    """
    wanted, names = distinct(wanted), distinct(names)
    header = header or wanted
    missing = [name for name in wanted if name not in names]
    if missing and len(names) == len(header) and (nameless(names) or nameless(header)):
        log.info("the columns of %s are taken by position, because one side has no names", source)
        return [i for i, name in enumerate(header) if name in wanted]
    if missing:
        raise InputError(
            f"{source} lacks {len(missing)} of the {len(wanted)} columns that the model knows ({listed(missing)}) and "
            f"has {listed(names)}: name its columns as the model's"
        )
    if extra := [name for name in names if name not in header]:
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
