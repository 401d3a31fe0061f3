"""What a spec is: a frozen value of plain fields that is written as JSON, compared, and built into a module."""

import ast
import inspect
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache, wraps
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, dataclass_transform, get_args, get_origin

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from vaekit.errors import InputError, nearest, shown

T = TypeVar("T")

Count = Annotated[int, Field(gt=0, lt=2**63)]
"""a number of things, at least 1"""
Whole = Annotated[int, Field(ge=0, lt=2**63)]
"""a whole number, 0 included; both fit into 64 bits, which is all that arrays and generators take"""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def spec(cls: type[T]) -> type[T]:
    """Make a class a spec: frozen, keyword-only, checked on construction, refusing unknown fields.

    It is shown as the call that makes it, without what is left at its default.

    Raises:
        InputError: on construction, naming each field that is wrong, its value and what would be right.

    Example:
        >>> @spec
        ... class Point:
        ...     x: float = 0.0
        >>> Point(x=1), Point()
        (Point(x=1.0), Point())
        >>> Point(x="left")
        Traceback (most recent call last):
        vaekit.errors.InputError: x is 'left': give a number
    """
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    made = dataclass(frozen=True, kw_only=True, repr=False, config=config)(cls)
    construct = made.__init__

    @wraps(construct)
    def explained(self: Any, *arguments: Any, **fields: Any) -> None:
        try:
            construct(self, *arguments, **fields)
        except ValidationError as error:
            raise InputError(explain(error, made)) from None

    made.__init__ = explained  # type: ignore[method-assign]
    made.__repr__ = _brief  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


REMEDIES = {
    "int": "give a whole number",
    "float": "give a number",
    "finite_number": "give a finite number",
    "bool": "give true or false",
    "string": "give a string",
    "tuple": "give a list, such as 300,300",
    "missing": "give it",
    "dataclass": "give an object with its kind and fields",
    "model": "give an object with its kind and fields",
}
"""by the beginning of the type of pydantic's complaint"""

MOST_SENTENCES = 10
"""fields that one error names, however many are wrong"""


def explain(error: ValidationError, cls: Any) -> str:
    """Turn pydantic's complaints about ``cls`` into a sentence for each field: its name, its value and the remedy."""
    fields = {option.location: option for option in options(cls)}
    sentences: dict[str, str] = {}
    for complaint in error.errors():
        path = _dotted(complaint["loc"], fields)
        name = path.partition("[")[0]
        if name not in sentences:  # a field of several types has a complaint for each
            sentences[name] = _sentence(complaint, path, fields, cls)
    return ". ".join(list(sentences.values())[:MOST_SENTENCES]).replace("?. ", "? ")


def _sentence(complaint: ErrorDetails, path: str, fields: Mapping[tuple[str, ...], "Option"], cls: Any) -> str:
    location = tuple(part for part in complaint["loc"] if isinstance(part, str))
    context, value = complaint.get("ctx", {}), complaint["input"]
    match complaint["type"]:
        case "value_error" if isinstance(context["error"], InputError):
            return str(context["error"])
        case "unexpected_positional_argument":
            return f"{cls.__name__} was given {shown(value)} without a name: write name=value"
        case "unexpected_keyword_argument" | "extra_forbidden":
            depth = len(location) - 1
            beside = {names[depth] for names in fields if names[:depth] == location[:depth]}
            if not beside:
                return f"{path} is not a field: {location[-2]!r} has none, so leave it out"
            return f"{path} is not a field; {nearest(location[-1], beside)}"
        case "literal_error" if location[:-1] in fields:
            *types, last = fields[location[:-1]].type.replace("float", "a number").split(" | ")
            return f"{path} is {shown(value)}: give {', '.join(types)} or {last}"
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            return f"{path} {context['tag']!r} is unknown; {nearest(context['tag'], tags)}"
        case "literal_error":
            words = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
            return f"{path} {shown(value)} is unknown; {nearest(str(value), words)}"
        case "missing" if location in fields and fields[location].description.lower().startswith(("a ", "the ")):
            meaning = fields[location].description
            return f"{path} is missing: give {meaning[0].lower()}{meaning[1:].rstrip('.')}"
        case "json_invalid":
            return f"this is not JSON: {context['error']}"
    message = complaint["msg"].removeprefix("Value error, ")
    kind = next((kind for kind in REMEDIES if complaint["type"].startswith(kind)), "")
    remedy = REMEDIES.get(kind) or re.sub("^Input should be (?=greater|less)", "give a number ", message)
    given = "is missing" if kind == "missing" else f"is {shown(value)}"
    return f"{path} {given}: {remedy}" if path else remedy


def _dotted(location: Iterable[str | int], fields: Container[tuple[str, ...]]) -> str:
    """Write pydantic's location as a path, without the names of kinds, and with positions in a list in [ ]."""
    names, path = tuple[str, ...](), ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += "" if names in fields else f".{part}"
            names += (part,)
    return path.lstrip(".")


def _brief(part: Any) -> str:
    fields = type(part).__pydantic_fields__.items()
    changed = (f"{n}={getattr(part, n)!r}" for n, f in fields if f.is_required() or getattr(part, n) != f.default)
    return f"{type(part).__qualname__}({', '.join(changed)})"


def meaning(cls: Any, name: str) -> str:
    """Return the line that documents a field of a spec: its description, or else the string below it in the source.

    Sources are read only when a line is wanted, because pydantic's reading of them takes longer than all other imports.
    """
    lines = (_lines(base.__module__).get((base.__name__, name)) for base in cls.__mro__)
    return cls.__pydantic_fields__[name].description or next(filter(None, lines), "")


@cache
def _lines(module: str) -> Mapping[tuple[str, str], str]:
    """Return the strings below fields in the classes of a module, by class and field."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError):  # a notebook, or an installation without sources
        return {}
    return {
        (node.name, field.target.id): inspect.cleandoc(line)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (line := _string(below))
    }


def _string(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(line))):
            return line
    return None


class Described(NamedTuple):
    """One field of a spec as it is set.

    Attributes:
        path: its dotted path.
        value, default: as JSON, or the kind of a part that comes in kinds; the default is None where there is none.
        meaning: the line that documents it.
        changed: whether the value is not the default.
    """

    path: str
    value: str
    default: str | None
    meaning: str
    changed: bool


def described(part: Any, path: str = "") -> Iterator[Described]:
    """Walk the fields of a spec and of its parts, in order, each with its value and meaning."""
    for name, field in part.__pydantic_fields__.items():
        value, default = getattr(part, name), None if field.is_required() else field.default
        here, told = f"{path}.{name}".lstrip("."), meaning(type(part), name)
        if is_dataclass(value):
            if hasattr(value, "kind"):
                usual = getattr(default, "kind", None)
                yield Described(here, value.kind, usual, told, value.kind != usual)
            yield from described(value, here)
        elif name != "kind":
            usual = None if field.is_required() else _written(default)
            yield Described(here, _written(value), usual, told, field.is_required() or value != default)


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{value:.15g}"
    return value if isinstance(value, str) else json.dumps(value)


class Option(NamedTuple):
    """One field of an experiment.

    Attributes:
        location: its path, with the name of the kind after each part that has several kinds.
        path: the dotted path for ``Experiment.replace`` and --set.
        type, default, description: of the field.
    """

    location: tuple[str, ...]
    path: str
    type: str
    default: Any
    description: str


def options(cls: Any, location: tuple[str, ...] = (), path: str = "") -> Iterator[Option]:
    """Walk through all fields of an experiment and of every kind of its parts, in order."""
    for name, field in cls.__pydantic_fields__.items():
        here, dotted = (*location, name), f"{path}.{name}".lstrip(".")
        kinds: list[Any] = [kind for kind in get_args(field.annotation) or [field.annotation] if is_dataclass(kind)]
        if name == "kind":
            continue
        if not kinds:
            default = None if field.is_required() else field.default
            yield Option(here, dotted, type_name(field.annotation), default, meaning(cls, name))
        elif len(kinds) == 1:
            yield from options(kinds[0], here, dotted)
        else:
            words = " | ".join(kind.kind for kind in kinds)
            yield Option(here, dotted, words, field.default.kind, meaning(cls, name))
            for kind in kinds:
                yield from options(kind, (*here, kind.kind), dotted)


def type_name(annotation: Any) -> str:
    """Write a field's type as a user would: 'int', 'list of float', 'fp32 | bf16', 'int | none'.

    Example:
        >>> type_name(tuple[int, ...]), type_name(Literal["a", "b"] | None)
        ('list of int', 'a | b | none')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is tuple and get_origin(inner[0]) is tuple:
        return "names and values"
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if origin is Literal:
        return " | ".join(map(str, inner))
    if inner:
        return " | ".join(map(type_name, inner))
    return "none" if annotation is type(None) else annotation.__name__
