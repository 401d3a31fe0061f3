"""Modules of the user's: imported when the user names them, and looked into by everything else."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from traceback import walk_tb
from typing import Any, NamedTuple

from vaekit.errors import InputError, RunError, nearest


def bring_in(names: Iterable[str]) -> None:
    """Import modules that the user named, from the installed packages or the current folder.

    Raises:
        InputError: if there is no such module, or its import fails.
    """
    here = os.getcwd()
    for name in names:
        if here not in sys.path:
            sys.path.append(here)  # at the end, so that no file here hides a package
        try:
            import_module(name)
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
                reason = f"there is no such module among the installed packages or in {here}: check its name"
            else:
                reason = f"its import fails ({type(error).__name__}: {error}): mend the module"
            raise InputError(f"--import {name}: {reason}") from error


def find(path: str) -> Any:
    """Return what a path "package.module:Class" names if its module is imported, else None; nothing is imported.

    Raises:
        InputError: if the module is imported and has no such name.

    Example:
        >>> find("collections:OrderedDict.fromkeys")
        <method 'fromkeys' of 'collections.OrderedDict' objects>
        >>> find("a.module.that.nothing:Imports")
    """
    module, _, names = path.partition(":")
    found: Any = sys.modules.get(module)
    if found is None:
        return None
    for name in names.split("."):
        members = vars(found)  # to which the __getattr__ of a package, which may import, adds nothing
        if name not in members:
            known = nearest(name, (other for other, member in members.items() if isinstance(member, type)))
            remedy = "keep the class in a file of its own, and import that" if module == "__main__" else known
            raise InputError(f"{path}: {found.__name__} has no {name!r}: {remedy}")
        found = members[name]
    return found


class Fault(NamedTuple):
    """Where an error was raised: in which class, as package.module:Class, and in which line of which file."""

    path: str
    where: str


def fault(error: BaseException, modules: Collection[str]) -> Fault | None:
    """Find the innermost call of an error that is in one of some modules of the user's; None if there is none."""
    found = None
    for frame, line in walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if any(f"{module}.".startswith(f"{name}.") for name in modules):
            owner = frame.f_locals.get("self")
            name = frame.f_code.co_name if owner is None else type(owner).__qualname__
            found = Fault(f"{module}:{name}", f"{frame.f_code.co_filename}, line {line}")
    return found


@contextmanager
def blamed(modules: Collection[str]) -> Iterator[None]:
    """Say in one sentence which class of the user's an error is from, whatever it was doing.

    Raises:
        RunError: in place of an error that is raised in one of the modules; others pass.
    """
    try:
        yield
    except (InputError, RunError, OSError):
        raise
    except Exception as error:
        if (at := fault(error, modules)) is None:
            raise
        reason = f"{type(error).__name__}: {error}"
        raise RunError(f"{at.path} fails in {at.where} ({reason}): mend it; --debug shows the traceback") from error
