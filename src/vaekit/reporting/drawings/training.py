"""The curves of a run's training."""

from typing import Any

import numpy as np

from vaekit.data import Space
from vaekit.labels import GROWING, in_order, term
from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, columns, example, named


def curves(rows: list[dict[str, Any]], space: Space) -> Drawing:
    """Draw all terms of the metrics by name; those that are the same throughout share a panel.

    What is better if it is higher is drawn as its negative, beside the loss.
    """
    epochs = np.array([row["epoch"] for row in rows], dtype=float)
    splits = [name for name in ("train", "validation", "test") if any(name in row for row in rows)]
    panels: list[tuple[str, dict[str, np.ndarray]]] = []
    for key in in_order(each for row in rows for split in splits for each in row.get(split, ())):
        sign, name = (-1, f"negative {term(key)}") if key in GROWING else (1, term(key))
        series = {s: np.array([sign * row.get(s, {}).get(key, np.nan) for row in rows]) for s in splits}
        same = [i for i, (_, other) in enumerate(panels) if all(_alike(series[s], other[s]) for s in splits)]
        if same:
            panels[same[0]] = (f"{panels[same[0]][0]} = {name}", series)
        elif any(np.isfinite(values).any() for values in series.values()):
            panels.append((name, series))
    titled = {name[0].upper() + name[1:]: series for name, series in panels}
    figure = plots.curves(
        epochs, titled, title="Loss and its terms", note=named(space), ylabel=f"nats per {example(space)}"
    )
    caption = _lowest(epochs, splits, panels[0][1], space) if panels else ""
    return Drawing("losses", figure, caption, columns("epoch", epochs, titled))


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-3, equal_nan=True)


def _lowest(epochs: np.ndarray, splits: list[str], loss: dict[str, np.ndarray], space: Space) -> str:
    """Where the loss of the last split, the held-out one if there is any, was lowest."""
    held_out = np.where(np.isfinite(loss[splits[-1]]), loss[splits[-1]], np.inf)
    best = int(held_out.argmin())
    lowest = f"{held_out[best]:.2f}".replace("-", "−")
    return (
        f"Averages per {example(space)}, lower is better. The {splits[-1]} loss was lowest, {lowest} nats, "
        f"at epoch {round(epochs[best], 1):g} of {round(epochs[-1], 1):g}."
    )
