"""What a study is: a published report as a table of artifacts, each with experiments, measures and a verdict."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import TypeAdapter

from vaekit.drawings import Drawing
from vaekit.errors import InputError
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.studies.lab import Lab
from vaekit.studies.scale import Scale

Key = tuple[str, str]
"""which experiment, by its label, and which quantity of it"""
Numbers = Mapping[Key, Estimate]
"""what is measured on the runs of one seed"""

REPRODUCED = "reproduced"
CORRECTED = "reproduced with a correction"
FAILED = "not reproduced"
UNTESTABLE = "cannot be tested"
NOT_RUN = "not run yet"


class Verdict(NamedTuple):
    """One of the words above, and a sentence with the numbers that it is based on."""

    word: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """A measured number.

    Attributes:
        label, quantity: which experiment it belongs to, and what it is.
        value: mean over the seeds.
        standard_error: of the evaluation of one seed, from the images; None if it has none.
        deviation: standard deviation over the seeds; None for a single one.
    """

    label: str
    quantity: str
    value: float
    standard_error: float | None
    deviation: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run of an artifact found, as it is stored."""

    study: str
    artefact: str
    scale: str
    """smoke, laptop or full"""
    size: Scale
    """how much was run"""
    rows: list[Row]
    figures: dict[str, str]
    """captions by name of the file"""
    data: list[str]
    """sets, splits and binarizations"""
    epochs: dict[str, float]
    """by label"""
    digests: list[str]
    """those of all experiments"""
    command: str
    training_seconds: float
    """those of all experiments, whenever they were trained"""
    measuring_seconds: float
    machine: str
    versions: dict[str, str]

    def row(self, label: str, quantity: str) -> Row:
        """Return a measured number.

        Raises:
            InputError: if the result is from other code, which measured other things.
        """
        for row in self.rows:
            if (row.label, row.quantity) == (label, quantity):
                return row
        raise InputError(f"the result of {self.artefact} has no {quantity!r} of {label!r}: run the artifact again")

    def value(self, label: str, quantity: str) -> float:
        """Return its value."""
        return self.row(label, quantity).value


RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def no_numbers(_: Scale) -> Mapping[Key, float]:
    """Return no published numbers."""
    return {}


def no_figures(_: Lab) -> Iterable[Drawing]:
    """Draw no figures."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A table, figure or claim of a report.

    Attributes:
        name: A1.
        place: where it is in the report.
        claim: what the report says, in one line.
        scales: smoke, laptop and full.
        experiments: what is trained at a scale, by label; each with as many seeds as the scale says.
        measure: numbers of the runs of one seed.
        verdict: drawn from the numbers of all seeds.
        headline: the number that represents the artifact in the table of all.
        figures: those that correspond to the report's, from the first seed.
        published: the report's numbers at a scale.
        source: where those come from.
        tolerance: how close a number has to be, and why.
        at_any_length: whether numbers are compared with those of an equally short training; otherwise, a claim that
            fails after a shorter one is not refuted.
    """

    name: str
    place: str
    claim: str
    scales: Mapping[str, Scale]
    experiments: Callable[[Scale], Mapping[str, Experiment]]
    measure: Callable[[Lab], Numbers]
    verdict: Callable[[Result], Verdict]
    headline: Key
    figures: Callable[[Lab], Iterable[Drawing]] = no_figures
    published: Callable[[Scale], Mapping[Key, float]] = no_numbers
    source: str = ""
    tolerance: str = ""
    at_any_length: bool = False

    def judged(self, result: Result) -> Verdict:
        """Return the verdict on a result; a training shorter than the report's does not refute a claim."""
        verdict, epochs = self.verdict(result), self.scales["full"].epochs
        if verdict.word != FAILED or self.at_any_length or result.size.epochs >= epochs:
            return verdict
        few = f"not shown, but {result.size.epochs:.3g} of {epochs:.4g} epochs are too few to say that it is wrong"
        return Verdict(UNTESTABLE, f"{few}: {verdict.sentence}")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A report and its artifacts.

    Attributes:
        name: aragam2024.
        title, citation: of the report, and which code it descends from.
        artefacts: in order of their names.
        errors: what is wrong or left open in the report, and how it affects the numbers.
    """

    name: str
    title: str
    citation: str
    artefacts: tuple[Artefact, ...]
    errors: Mapping[str, str]


def number(value: float) -> str:
    """Write a number to four digits, and from a thousand on as a whole number.

    Example:
        >>> number(-0.00048312), number(176.2268), number(12345.6)
        ('-0.0004831', '176.2', '12,346')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
