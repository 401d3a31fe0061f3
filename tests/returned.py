"""What a reader returned: a table's cells, or examples."""

import numpy as np

from vaekit.data.raw import Raw, Table


def cells(found: Table | Raw) -> dict[str, list]:
    """Return the cells of a table by column, None where they are missing."""
    assert isinstance(found, Table)
    return {
        name: [None if value is None or value != value else value for value in column.tolist()]
        for name, column in zip(found.names, found.columns, strict=True)
    }


def examples(found: Table | Raw) -> np.ndarray:
    """Return examples that are not a table's."""
    assert isinstance(found, Raw)
    return found.x
