"""Arguments of functions: paths and whole numbers, checked once where they come in."""

import operator
import os
from pathlib import Path
from typing import Any

from vaekit.errors import InputError, shown

Place = str | os.PathLike
"""what names a file or folder"""

LARGEST = 2**63 - 1


def to_path(value: Any, name: str = "path") -> Path:
    """Turn the argument called ``name`` into a path, which need not exist; ~ is expanded.

    Raises:
        InputError: If it is not a path, or no file or folder could be there.

    Example:
        >>> to_path("x.npy").name
        'x.npy'
        >>> to_path(3, "run")
        Traceback (most recent call last):
        vaekit.errors.InputError: run is 3: give a path
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise InputError(f"{name} is {shown(value)}: give a path")
    try:
        path = Path(value).expanduser()
        str(path).encode()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except UnicodeEncodeError:  # safetensors and JSON take no such names
        raise InputError(f"{name} {shown(os.fspath(value))} is not UTF-8: rename it, or give another path") from None
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # ~nobody is a RuntimeError, NUL a ValueError
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(f"{name} {shown(os.fspath(value))} cannot be used ({reason}): give another path") from None
    return path


def to_whole(value: Any, name: str, least: int = 1) -> int:
    """Turn the argument called ``name`` into a whole number of at least ``least``.

    Raises:
        InputError: If it is not one: 2.0 and True are refused, NumPy's integers are taken.

    Example:
        >>> to_whole(2.0, "n")
        Traceback (most recent call last):
        vaekit.errors.InputError: n is 2.0: give a whole number of at least 1
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(f"{name} is {shown(value)}: give a whole number of at least {least}")
    if number > LARGEST:
        raise InputError(f"{name} is {shown(value)}: give a whole number of at most {LARGEST:,}")
    return number
