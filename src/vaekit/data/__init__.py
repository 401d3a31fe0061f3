"""Data: named sets, image folders, arrays and tables, split and binarized."""

from vaekit.data.check import check
from vaekit.data.data import Data, Split
from vaekit.data.fetch import available, fetch
from vaekit.data.source import Source, defaults, read_examples, read_input
from vaekit.data.space import Binarization, Space, Support

__all__ = [
    "Binarization",
    "Data",
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
