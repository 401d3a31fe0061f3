"""What a study is: a published report as a table of artifacts, each with experiments, measures and a verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from statistics import fmean, stdev
from typing import NamedTuple

from pydantic import TypeAdapter
from scipy.stats import t as student_t

from vaekit.errors import InputError
from vaekit.estimates import Estimate
from vaekit.experiment import Experiment
from vaekit.reporting.drawings import Drawing
from vaekit.studies.lab import Lab
from vaekit.studies.scale import Scale

Key = tuple[str, str]
"""which experiment, by its label, and which quantity of it"""
Numbers = Mapping[Key, Estimate]
"""what is measured on the runs of one seed"""

REPRODUCED = "reproduced"
CORRECTED = "reproduced with a correction"
BETTER = "better than published"
FAILED = "not reproduced"
UNTESTABLE = "cannot be tested"
NOT_RUN = "not run yet"
OUTDATED = "run again"


FEWEST_SEEDS = 3
"""with fewer, a verdict says on how many it rests"""
ONE_SEED = "one seed: spread unknown"


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
        values: one per seed; empty in results of older code.
    """

    label: str
    quantity: str
    value: float
    standard_error: float | None
    deviation: float | None
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run of an artifact found, as it is stored."""

    study: str
    artifact: str
    scale: str
    """smoke, laptop or full"""
    size: Scale
    """how much was run"""
    rows: list[Row]
    figures: dict[str, str]
    """captions by name of the file"""
    tables: list[str] = field(default_factory=list)
    """CSV files with the numbers of figures, each named like its figure"""
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
        raise InputError(f"the result of {self.artifact} has no {quantity!r} of {label!r}: run the artifact again")

    def value(self, label: str, quantity: str) -> float:
        """Return its value."""
        return self.row(label, quantity).value

    def paired(self, key: Key, other: Key) -> Estimate:
        """Return how much larger one number is than another, seed by seed.

        The standard error is that of the mean difference over the seeds: NaN for a single seed.
        """
        return over_seeds([a - b for a, b in zip(self._values(*key), self._values(*other), strict=True)])

    def beyond(self, key: Key, level: float) -> Estimate:
        """Return how much larger a number is than a fixed level, as ``paired`` does."""
        return over_seeds([value - level for value in self._values(*key)])

    def _values(self, label: str, quantity: str) -> list[float]:
        row = self.row(label, quantity)
        return row.values or [row.value]


def over_seeds(differences: Sequence[float]) -> Estimate:
    """Return the mean of differences, one per seed, with its standard error: NaN for a single seed."""
    error = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else nan
    return Estimate(fmean(differences), error, len(differences))


RESULT: TypeAdapter[Result] = TypeAdapter(Result)


class Findings(dict[tuple[str, str], Result]):
    """Stored results, by study and artifact, that prose quotes numbers from."""

    def __missing__(self, key: tuple[str, str]) -> Result:
        raise InputError(f"there is no result of {' '.join(key)}: run it")

    def quote(self, study: str, artifact: str, label: str, quantity: str) -> str:
        """Write a measured number.

        Raises:
            InputError: if it is not measured yet.
        """
        return number(self[study, artifact].value(label, quantity))


Prose = str | Callable[[Findings], str]
"""a text, or how it is made from the stored results it quotes"""


def written(prose: Prose, found: Findings) -> str | None:
    """Write a text with the numbers it quotes, or None while one of them is not measured."""
    if isinstance(prose, str):
        return prose
    try:
        return prose(found)
    except InputError:
        return None


def no_numbers(_: Scale) -> Mapping[Key, float]:
    """Return no published numbers."""
    return {}


def no_figures(_: Lab) -> Iterable[Drawing]:
    """Draw no figures."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A table, figure or claim of a report.

    Attributes:
        name: A1.
        place: where it is in the report.
        claim: what the report says, in one line.
        scales: smoke, laptop and full.
        experiments: what is trained at a scale, by label; each with as many seeds as the scale says.
        measure: numbers of the runs of one seed.
        verdict: drawn from the numbers of all seeds.
        judged_by: what decides: lower bounds, squared errors, our classifier, ...
        headline: the number that represents the artifact in the table of all.
        figures: those that correspond to the report's, from the first seed unless they show the range of all.
        published: the report's numbers at a scale.
        source: where those come from.
        tolerance: how close a number has to be, and why.
        at_any_length: whether numbers are compared with those of an equally short training; otherwise, a shorter one
            does not refute the claim.
        to_the_end: whether the claim is about the whole training, as that nothing overfits, or that a curve turns, so
            that a shorter one does not show it either.
        over_seeds: whether it is judged by differences over the seeds, of which a single one has none.
    """

    name: str
    place: str
    claim: str
    scales: Mapping[str, Scale]
    experiments: Callable[[Scale], Mapping[str, Experiment]]
    measure: Callable[[Lab], Numbers]
    verdict: Callable[[Result], Verdict]
    judged_by: str
    headline: Key
    figures: Callable[[Lab], Iterable[Drawing]] = no_figures
    published: Callable[[Scale], Mapping[Key, float]] = no_numbers
    source: str = ""
    tolerance: str = ""
    at_any_length: bool = False
    to_the_end: bool = False
    over_seeds: bool = False

    def judged(self, result: Result) -> Verdict:
        """Return the verdict on a result, with what few epochs and few seeds make of it."""
        word, sentence = self.verdict(result)
        epochs, full = result.size.epochs, self.scales["full"].epochs
        if word == UNTESTABLE:
            return Verdict(word, sentence)
        length = f"{number(epochs)} of {number(full)} epochs"
        seeds = f"{counted(result.size.seeds, 'seed')} only"
        limits = [length] * (epochs < full) + [seeds] * (result.size.seeds < FEWEST_SEEDS)
        if self.over_seeds and result.size.seeds == 1:
            return Verdict(UNTESTABLE, f"{ONE_SEED}, so that no difference can be judged: {sentence}")
        if limits:
            sentence = f"{sentence.removesuffix('.')} ({', '.join(limits)})."
        if epochs < full and word == FAILED and not self.at_any_length:
            return Verdict(UNTESTABLE, f"not shown, but too soon to say that it is wrong: {sentence}")
        if epochs < full and word != FAILED and self.to_the_end:
            return Verdict(UNTESTABLE, f"so far as claimed, but too soon to say that it is right: {sentence}")
        return Verdict(word, sentence)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A report and its artifacts.

    Attributes:
        name: aragam2024.
        title, citation: of the report, and which code it descends from.
        artifacts: in order of their names.
        errors: what is wrong or left open in the report, and how it affects the numbers; a text that quotes one of
            ours takes it from the stored results.
    """

    name: str
    title: str
    citation: str
    artifacts: tuple[Artifact, ...]
    errors: Mapping[str, Prose]


def counted(count: int, noun: str) -> str:
    """Write a count of things.

    Example:
        >>> counted(1, "seed"), counted(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def number(value: float) -> str:
    """Write a number to four digits, and from a thousand on as a whole number.

    Example:
        >>> number(-0.00048312), number(176.2268), number(12345.6)
        ('-0.0004831', '176.2', '12,346')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def spread(difference: Estimate, form: str = ".2f") -> str:
    """Write a difference over seeds, as ``paired`` returns it, with its standard error, if there is one.

    Example:
        >>> spread(Estimate(16.9, 0.5, 3)), spread(Estimate(16.9, nan, 1), "+.1f")
        ('16.90 ± 0.50', '+16.9 (one seed: spread unknown)')
    """
    value, error, seeds = difference
    return f"{value:{form}} " + (f"± {error:{form.removeprefix('+')}}" if seeds > 1 else f"({ONE_SEED})")


def clear(difference: Estimate) -> bool:
    """Say whether a difference over seeds, as ``paired`` returns it, is there at 95% by Student's t.

    Example:
        >>> clear(Estimate(5.0, 1.0, 3)), clear(Estimate(4.0, 1.0, 3)), clear(Estimate(4.0, nan, 1))
        (True, False, False)
    """
    value, error, seeds = difference
    return seeds > 1 and abs(value) > float(student_t.ppf(0.975, seeds - 1)) * error


def shown(*gains: Estimate) -> str:
    """Return the word for a claim that all of these differences over seeds are positive: untestable if unclear.

    Example:
        >>> shown(Estimate(5.0, 1.0, 3)), shown(Estimate(-5.0, 1.0, 3), Estimate(5.0, 1.0, 3))
        ('reproduced', 'not reproduced')
        >>> shown(Estimate(4.0, 1.0, 3))
        'cannot be tested'
    """
    if any(gain.value < 0 and clear(gain) for gain in gains):
        return FAILED
    return REPRODUCED if all(gain.value > 0 and clear(gain) for gain in gains) else UNTESTABLE


def by_seeds(result: Result, word: str, words: str) -> Verdict:
    """Return a verdict that rests on differences over seeds, which says so if they do not decide."""
    why = "one seed cannot tell" if result.size.seeds == 1 else "over the seeds, this is not clear"
    return Verdict(word, f"{words}{f'; {why}' * (word == UNTESTABLE)}.")


def compared(
    result: Result,
    published: Mapping[Key, float],
    tolerance: float | Mapping[Key, float],
    why: str = "why is unknown",
    *,
    higher_is_better: bool = True,
) -> Verdict:
    """Compare measured numbers with published ones on both sides.

    Args:
        result: has a number for each published one.
        published: what the report prints; without any, nothing can be tested.
        tolerance: largest difference of numbers that agree, one for all or one for each.
        why: what makes ours better, if they are.
        higher_is_better: which side is better.
    """
    if not published:
        return Verdict(UNTESTABLE, "the report has no numbers for these data and this length of training.")
    sign = 1 if higher_is_better else -1
    allowed = {key: tolerance if isinstance(tolerance, int | float) else tolerance[key] for key in published}
    gains = {key: sign * (result.value(*key) - value) for key, value in published.items()}
    better, worse = ([key for key in gains if side * gains[key] > allowed[key]] for side in (1, -1))
    agree = len(published) - len(better) - len(worse)
    words = [f"{agree} of {len(published)} published numbers agree with ours"]
    for name, keys, extreme in (("better", better, max), ("worse", worse, min)):
        if keys:
            most = extreme(keys, key=lambda key: gains[key] / allowed[key])
            ours, theirs = result.value(*most), published[most]
            words.append(
                f"{len(keys)} of ours are {name}, at most {', '.join(most)}: "
                f"{number(ours)} where {number(theirs)} is published ({ours - theirs:+.3g})"
            )
    if worse:
        return Verdict(FAILED, f"{'; '.join(words)}.")
    return Verdict(BETTER, f"{'; '.join(words)}; {why}.") if better else Verdict(REPRODUCED, f"{words[0]}.")
