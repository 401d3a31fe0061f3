"""What a sweep is: an experiment, the values that its fields take, and what is measured; written as JSON."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import exp, log
from random import Random
from typing import Any, Literal

from pydantic import TypeAdapter

from vaekit.choices import fields
from vaekit.engine.units import Point
from vaekit.errors import InputError, shown
from vaekit.experiment import Experiment
from vaekit.reporting.measurement import IMAGES, SAMPLES
from vaekit.settings import SHORT
from vaekit.specs import Count, Whole, spec

TRIES = 100
"""draws, for each combination that is wanted, after which there are no others"""


@spec
class Range:
    """Numbers from ``low`` to ``high``, whole ones if both are, evenly spread or evenly over their logarithms."""

    low: int | float
    """the smallest number"""
    high: int | float
    """the largest number"""
    log: bool = False
    """whether their logarithms are evenly spread"""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            above = ", both above 0" if self.log else ""
            raise InputError(f"range {self.low}:{self.high} is empty: give the smaller number first{above}")

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, source: Random) -> float:
        """Draw a number."""
        low, high = (log(self.low), log(self.high)) if self.log else (self.low, self.high)
        drawn = source.uniform(low, high)
        drawn = exp(drawn) if self.log else drawn
        return min(max(round(drawn), self.low), self.high) if self.whole else float(f"{drawn:.4g}")


@spec
class Measures:
    """What is measured of a unit after its training, as arguments of ``evaluate``."""

    metrics: tuple[str, ...] = ("evidence",)
    """groups of measures"""
    split: Literal["train", "validation", "test"] = "test"
    """part of the data to measure on"""
    samples: Count = SAMPLES
    """posterior samples per image used for the log-evidence"""
    images: Count = IMAGES
    """number of images, from the start of the split"""


@spec
class Sweep:
    """What a sweep varies: every combination of some values, or some of them, each with several seeds."""

    experiment: Experiment
    """the experiment whose fields are varied"""
    grid: dict[str, Range | list[Any]]
    """the values of each field, by dotted path"""
    seeds: Count = 1
    """trainings of each combination, which differ by their seed"""
    measures: Measures | None = Measures()
    """what is measured of each training"""
    random: Count | None = None
    """number of combinations to draw; all of them if none"""
    optimize: Literal["log_evidence", "elbo", "linear_probe", "nearest_neighbors"] | None = None
    """what a search makes as large as it can on validation examples"""
    trials: Count = 50
    """combinations that a search tries"""
    draw_seed: Whole = 0
    """seed of what is drawn or proposed"""

    def __post_init__(self) -> None:
        if "seed" in self.grid and self.seeds > 1:
            raise InputError(f"seeds is {self.seeds}, and the grid has values of seed: give one of them")
        if self.random and self.optimize:
            raise InputError("--random and --optimize exclude each other: leave one out")
        for path, values in self.grid.items():
            if not values:
                raise InputError(f"grid {path} has no values: give some, such as {path}=1,2,4")
            if isinstance(values, Range) and not (self.random or self.optimize):
                raise InputError(
                    f"grid {path} is a range: say how many combinations to draw (--random), or list its values"
                )

    @property
    def points(self) -> Iterator[Point]:
        """The combinations in order, or those that are drawn."""
        if self.random is None:
            values = [each for each in self.grid.values() if not isinstance(each, Range)]
            yield from (dict(zip(self.grid, combination, strict=True)) for combination in product(*values))
            return
        source, drawn = Random(self.draw_seed), set[str]()
        for _ in range(TRIES * self.random):
            point = {
                path: values.draw(source) if isinstance(values, Range) else source.choice(values)
                for path, values in self.grid.items()
            }
            if (key := json.dumps(point, sort_keys=True)) not in drawn:
                drawn.add(key)
                yield point
            if len(drawn) == self.random:
                return


SWEEP: TypeAdapter[Sweep] = TypeAdapter(Sweep)


RANGE = re.compile(r"(?P<low>[-+.\deE]+):(?P<high>[-+.\deE]+)(?P<log>:log)?")


def parsed(given: Sequence[str]) -> dict[str, Any]:
    """Parse path=values as the command line has them: values separated by commas, or a range low:high or low:high:log.

    Example:
        >>> parsed(["latent_dim=2,5", "hidden=[100],[300,100]", "prior=standard_normal,vamp"])
        {'latent_dim': [2, 5], 'hidden': [[100], [300, 100]], 'prior': ['standard_normal', 'vamp']}
        >>> parsed(["learning_rate=1e-4:0.01:log"])
        {'learning_rate': Range(low=0.0001, high=0.01, log=True)}
    """
    found = dict[str, Any]()
    for setting in given:
        path, equals, text = setting.partition("=")
        if not equals or not text.strip():
            raise InputError(f"grid {setting!r} has no values: write {path}=1,2,4")
        if path in found:
            raise InputError(f"grid {path} is given twice: give all of its values at once")
        if match := RANGE.fullmatch(text):
            low, high = (next(iter(fields([f"low={match[end]}"]).values())) for end in ("low", "high"))
            found[path] = Range(low=low, high=high, log=bool(match["log"]))
            continue
        try:
            found[path] = json.loads(f"[{text}]")
        except ValueError:
            found[path] = [fields([f"{path}={word.strip()}"])[path] for word in text.split(",")]
    return found


def by_path(values: Mapping[str, Any]) -> dict[str, Range | list[Any]]:
    """Put the values of a grid under the dotted paths that short names stand for."""
    if not isinstance(values, Mapping):
        raise InputError(f"grid is {shown(values)}: give a dictionary, such as {{'model.latent_dim': [2, 5]}}")
    found: dict[str, Range | list[Any]] = {}
    for name, each in values.items():
        if isinstance(each, str) or not (isinstance(each, Range) or hasattr(each, "__iter__")):
            raise InputError(f"grid {name} is {shown(each)}: give a list of values, or a Range")
        found[SHORT.get(name, name)] = each if isinstance(each, Range) else list(each)
    return found
