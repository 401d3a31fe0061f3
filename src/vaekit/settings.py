"""Every field of an experiment, as --set takes it, without the time that importing an experiment takes."""

import json
from pathlib import Path
from typing import Any

from vaekit.errors import InputError, nearest, shown

FILE = Path(__file__).with_name("options.json")
"""written from the specs by docs/generate.py"""


def options(filter: str = "") -> list[dict[str, Any]]:
    """List the fields of an experiment, each with path, type, default and description.

    Args:
        filter: the beginning of a path, or a part of one; all fields if empty.

    Raises:
        InputError: if no path has it.

    Example:
        >>> [option["path"] for option in options("optimizer.learning")][0]
        'optimizer.learning_rate'
    """
    found: list[dict[str, Any]] = json.loads(FILE.read_bytes())
    if not isinstance(filter, str):
        raise InputError(f"filter is {shown(filter)}: give a part of a path, such as 'objective'")
    wanted = filter.lower().replace("-", "_")
    kept = [option for option in found if option["path"].startswith(wanted)]
    kept = kept or [option for option in found if wanted in option["path"]]
    if not kept:
        parts = {part for option in found for part in option["path"].split(".")}
        raise InputError(f"no option's path has {shown(filter)}; {nearest(wanted, parts)}")
    return kept
