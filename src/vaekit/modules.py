"""Modules of the user's: imported when the user names them, and looked into by everything else."""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from vaekit.errors import InputError, nearest


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
