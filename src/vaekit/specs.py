"""What a spec is: a frozen value of plain fields that is written as JSON, compared, and built into a module."""

from typing import TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def spec(cls: type[T]) -> type[T]:
    """Make a class a spec: frozen, keyword-only, checked on construction, refusing unknown fields.

    Example:
        >>> @spec
        ... class Point:
        ...     x: float = 0.0
        >>> Point(x=1)
        Point(x=1.0)
    """
    config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
    return dataclass(frozen=True, kw_only=True, config=config)(cls)  # type: ignore[return-value]
