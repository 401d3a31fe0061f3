"""Elements that are removed at random, so that a model can be tried on data with holes whose values are known."""

from dataclasses import replace

import numpy as np

from vaekit.data.arrays import require_memory
from vaekit.data.raw import Raw
from vaekit.data.values import LEVELS

SEED = 4
"""beside the data's own seed; 1, 2 and 3 are those of the bits of the parts"""


def with_holes(raw: Raw, share: float, seed: int, source: str) -> Raw:
    """Remove a share of all elements at random, each by itself; what is removed is NaN, and the rest floats.

    Args:
        raw: Examples in the order of their file, which decides with the seed what is removed.
        share: How many of all elements, from 0 to 1; 0 leaves the examples as they are.
        seed: Of the data.
        source: What the data are called in errors.

    Raises:
        InputError: If the examples do not fit into memory as floats.
    """
    if not share:
        return raw
    kind = raw.x.dtype if raw.x.dtype.kind == "f" else np.dtype(np.float32)
    remedy = "give fewer, or leave missing (--set data.missing) at 0"
    require_memory(raw.x.size * kind.itemsize, f"{source} with holes, as {kind},", remedy)
    x = raw.x.astype(kind)
    if raw.support == "byte" and raw.x.dtype == np.uint8:  # else they have holes already, and are floats
        x /= LEVELS
    random = np.random.default_rng((seed, SEED))
    for row in x:
        row[random.random(row.shape, dtype=np.float32) < share] = np.nan
    return replace(raw, x=x, digest=None)
