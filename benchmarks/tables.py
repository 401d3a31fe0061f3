"""A table of results: one line per runner, with median, spread and ratios to plain torch and to pythae."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any

BASELINES = ("plain torch", "pythae")
Line = dict[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, smallest and largest of some values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(lines: Mapping[str, Line], larger_is_better: bool) -> None:
    """Add to each line how many times better it is than each baseline, round by round."""
    for line in lines.values():
        for name in BASELINES:
            baseline = lines.get(name, {}).get("values")
            if baseline and "values" in line:
                pairs = zip(line["values"], baseline, strict=False)
                line.setdefault("ratios", {})[name] = spread([a / b if larger_is_better else b / a for a, b in pairs])


def table(title: str, unit: str, values: Mapping[str, Sequence[float] | str], **facts: Any) -> dict[str, Any]:
    """Make a table as it is stored.

    Args:
        title, unit: of the values.
        values: each runner's rounds, or why it was not run.
        facts: ``larger_is_better``; ``gflop``, the arithmetic of one unit; ``extra``, further numbers by runner.
    """
    extra = facts.pop("extra", {})
    lines: dict[str, Line] = {
        name: {"not_run": found}
        if isinstance(found, str)
        else {"values": list(found), **spread(found), **extra.get(name, {})}
        for name, found in values.items()
    }
    ratios(lines, facts.get("larger_is_better", False))
    return {"title": title, "unit": unit, "lines": lines, **facts}


def exponents(sizes: Sequence[float], values: Sequence[float]) -> Iterator[float]:
    """Give the slope of a log–log curve between neighboring sizes.

    Example:
        >>> list(exponents([1, 2, 4], [3, 6, 24]))
        [1.0, 2.0]
    """
    for (n, a), (m, b) in pairwise(zip(sizes, values, strict=True)):
        yield log(b / a) / log(m / n)
