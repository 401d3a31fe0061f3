"""What a spec is: a frozen value of plain fields that is written as JSON, compared, and built into a module."""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, dataclass_transform, get_args, get_origin

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from vaekit.errors import InputError, nearest, shown

T = TypeVar("T")

Count = Annotated[int, Field(gt=0, lt=2**63)]
"""a number of things, at least 1"""
Whole = Annotated[int, Field(ge=0, lt=2**63)]
"""a whole number, perhaps 0; both fit into 64 bits, which is all that arrays and generators take"""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def spec(cls: type[T]) -> type[T]:
    """Make a class a spec: frozen, keyword-only, checked on construction, refusing unknown fields.

    Raises:
        InputError: On construction, naming the first field that is wrong, its value and what would be right.

    Example:
        >>> @spec
        ... class Point:
        ...     x: float = 0.0
        >>> Point(x=1)
        Point(x=1.0)
        >>> Point(x="left")
        Traceback (most recent call last):
        vaekit.errors.InputError: x is 'left': give a number
    """
    config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
    made = dataclass(frozen=True, kw_only=True, config=config)(cls)
    construct = made.__init__

    @wraps(construct)
    def explained(self: Any, *arguments: Any, **fields: Any) -> None:
        try:
            construct(self, *arguments, **fields)
        except ValidationError as error:
            raise InputError(explain(error, made)) from None

    made.__init__ = explained  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


REMEDIES = {
    "int": "give a whole number",
    "float": "give a number",
    "finite_number": "give a finite number",
    "bool": "give true or false",
    "string": "give a word",
    "tuple": "give a list, such as 300,300",
    "missing": "give it",
    "dataclass": "give an object with its kind and fields",
    "model": "give an object with its kind and fields",
}
"""by the beginning of the type of pydantic's complaint"""


def explain(error: ValidationError, cls: Any) -> str:
    """Turn the first of pydantic's complaints about ``cls`` into one sentence: the field, its value and the remedy."""
    first = error.errors()[0]
    location = tuple(part for part in first["loc"] if isinstance(part, str))
    fields = {option.location: option for option in options(cls)}
    path = _dotted(first["loc"], fields)
    context, value = first.get("ctx", {}), first["input"]
    match first["type"]:
        case "value_error" if isinstance(context["error"], InputError):
            return str(context["error"])
        case "unexpected_positional_argument":
            return f"{cls.__name__} was given {shown(value)} without a name: write name=value"
        case "unexpected_keyword_argument" | "extra_forbidden":
            depth = len(location) - 1
            beside = {names[depth] for names in fields if names[:depth] == location[:depth]}
            if not beside:
                return f"{path} is no field of {location[-2]!r}, which has none: leave it out"
            return f"{path} is no field; {nearest(location[-1], beside)}"
        case "literal_error" if location[:-1] in fields:
            return f"{path} is {shown(value)}: give {fields[location[:-1]].type.replace(' | ', ' or ')}"
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            return f"{path} {context['tag']!r} is unknown; {nearest(context['tag'], tags)}"
        case "literal_error":
            words = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
            return f"{path} {shown(value)} is unknown; {nearest(str(value), words)}"
        case "json_invalid":
            return f"this is no JSON: {context['error']}"
    message = first["msg"].removeprefix("Value error, ")
    kind = next((kind for kind in REMEDIES if first["type"].startswith(kind)), "")
    remedy = REMEDIES.get(kind) or re.sub("^Input should be (?=greater|less)", "give a number ", message)
    given = "is missing" if kind == "missing" else f"is {shown(value)}"
    return f"{path} {given}: {remedy}" if path else remedy


def _dotted(location: Iterable[str | int], fields: Container[tuple[str, ...]]) -> str:
    """Write pydantic's location as a path: without the kinds' names that follow a part, with list positions in [ ]."""
    names, path = tuple[str, ...](), ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += "" if names in fields else f".{part}"
            names += (part,)
    return path.lstrip(".")


class Option(NamedTuple):
    """One field of an experiment.

    Attributes:
        location: its path, with the kind's name after each part that comes in kinds.
        path: the dotted path for ``Experiment.replace`` and --set.
        type, default, description: of the field.
    """

    location: tuple[str, ...]
    path: str
    type: str
    default: Any
    description: str


def options(cls: Any, location: tuple[str, ...] = (), path: str = "") -> Iterator[Option]:
    """Walk all fields of an experiment and of every kind of its parts, in order."""
    for name, field in cls.__pydantic_fields__.items():
        here, dotted = (*location, name), f"{path}.{name}".lstrip(".")
        kinds: list[Any] = [kind for kind in get_args(field.annotation) or [field.annotation] if is_dataclass(kind)]
        if name == "kind":
            continue
        if not kinds:
            default = None if field.is_required() else field.default
            yield Option(here, dotted, type_name(field.annotation), default, field.description or "")
        elif len(kinds) == 1:
            yield from options(kinds[0], here, dotted)
        else:
            words = " | ".join(kind.kind for kind in kinds)
            yield Option(here, dotted, words, field.default.kind, field.description or "")
            for kind in kinds:
                yield from options(kind, (*here, kind.kind), dotted)


def type_name(annotation: Any) -> str:
    """Write a field's type as a user would: 'int', 'list of float', 'fp32 | bf16', 'number or nothing'.

    Example:
        >>> type_name(tuple[int, ...]), type_name(Literal["a", "b"] | None)
        ('list of int', 'a | b | nothing')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if origin is Literal:
        return " | ".join(map(str, inner))
    if inner:
        return " | ".join(map(type_name, inner))
    return "nothing" if annotation is type(None) else annotation.__name__
