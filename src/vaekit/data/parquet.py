"""Tables written as Parquet files."""

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import polars as pl


def write_parquet(columns: Mapping[str, np.ndarray], file: BinaryIO) -> None:
    """Write columns by name, of one length; NaN is written as missing."""
    frame = pl.DataFrame({name: pl.Series(column) for name, column in columns.items()})
    frame.with_columns(pl.selectors.float().fill_nan(None)).write_parquet(file)
