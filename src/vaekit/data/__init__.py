"""Data: named sets, image folders, arrays and tables, split and binarized.

What needs torch is imported when it is first used, so that data sets are listed without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaekit.data.fetching import available, fetch

if TYPE_CHECKING:
    from vaekit.data.batch import Batch, Share
    from vaekit.data.checking import check
    from vaekit.data.data import Data, Split
    from vaekit.data.source import Source, defaults, read_examples, read_input
    from vaekit.data.space import Binarization, Space, Support

__all__ = [
    "Batch",
    "Binarization",
    "Data",
    "Share",
    "Source",
    "Space",
    "Split",
    "Support",
    "available",
    "check",
    "defaults",
    "fetch",
    "read_examples",
    "read_input",
]

_HOMES = {
    "Batch": "batch",
    "Share": "batch",
    "check": "checking",
    "Data": "data",
    "Split": "data",
    "Source": "source",
    "defaults": "source",
    "read_examples": "source",
    "read_input": "source",
    "Binarization": "space",
    "Space": "space",
    "Support": "space",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.data' has no attribute {name!r}")
    return getattr(import_module(f"vaekit.data.{_HOMES[name]}"), name)
