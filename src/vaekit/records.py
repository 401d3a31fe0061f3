"""A run's numbers: the rows of metrics.jsonl and the evaluations of results.json, checked when they are read.

Fields of later versions are kept as they are; what is known must be what it is known as.
"""

from collections.abc import Iterable, Mapping
from math import isfinite, sqrt
from typing import (
    Annotated,
    Any,
    NotRequired,
    Required,  # pydantic reads typing's from Python 3.12 on only
    TypeVar,
    cast,
)

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from vaekit.errors import shown
from vaekit.settings import fields

T = TypeVar("T")

LIMIT, LARGEST = 2**53, 1e100
"""counts and times, and other numbers, beyond which a file must be damaged"""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Time = Annotated[float, Field(ge=0, le=LIMIT)]
Count = Annotated[int, Field(ge=0, le=LIMIT)]
Text = Annotated[str, Field(max_length=10_000)]
Measured = Annotated[str, Field(pattern=r"^measured/[A-Za-z0-9][\w-]*\.safetensors$")]
"""a file of numbers of each image, inside the run"""
Terms = dict[Text, Number]

FORMER = "measured before the last training"
"""said of numbers of weights that a run no longer has"""

_OPEN = ConfigDict(extra="allow", allow_inf_nan=False)


class Row(TypedDict, total=False):
    """Row of metrics.jsonl: the terms of training and held-out images after some number of steps."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    epoch: Required[Time]
    step: Required[Count]
    samples: Required[Count]
    train: Required[Terms]
    validation: Terms
    test: Terms
    images_per_second: Time
    seconds: Required[Time]


class Estimate(TypedDict, total=False):
    """Value with its standard error, each None where it cannot be known, and the number of draws behind it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    value: Required[Number | None]
    standard_error: Required[Number | None]
    samples: Required[Count]
    images: Count


class Score(TypedDict, total=False):
    """An inception score, with its deviation over splits and the standard error of their mean."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    value: Required[Number]
    standard_error: Number
    standard_deviation: Required[Number]
    splits: Annotated[int, Field(ge=1)]


def _with_error(score: Score) -> Score:
    """Add the standard error that the first version did not write."""
    error = score["standard_deviation"] / sqrt(score.get("splits", 10))
    return cast("Score", {"value": score["value"], "standard_error": error, **score})


class Above(TypedDict):
    """On how many images one bound lies above another, and by how much at most."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    images: Count
    most: Number


class LeastLikely(Estimate):
    """What annealing finds on the least likely images beyond the importance bound."""

    above_importance: Required[Above]


class Checks(TypedDict, total=False):
    """On how many images annealed estimates contradict others, or their chains each other."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    images: Required[Count]
    began_at_prior: Required[Count]
    unsettled: Required[Count]
    above_importance: Required[Above]
    prior_above_encoder: Above
    encoder_above_prior: Above


class Settings(TypedDict):
    """Settings of annealing."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    temperatures: Count


class Kind(TypedDict, total=False):
    """What a classifier makes of images of one kind; the first version had fewer distances."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    inception_score: Required[Annotated[Score, AfterValidator(_with_error)]]
    legibility: Required[Estimate]
    class_counts: Required[list[Count]]
    frechet_distance: Required[Estimate | None]
    kernel_distance: Estimate | None
    clipped_density: Estimate | None
    clipped_coverage: Estimate | None
    agreement: Required[Estimate | None]


class Accuracy(TypedDict):
    """How often a classifier is right."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    value: Number
    standard_error: Number | None


class Judge(TypedDict):
    """The classifier."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    digest: Text
    accuracy: Accuracy


class Quality(TypedDict):
    """What samples look like to a classifier."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    classifier: Judge
    legible_above: Number
    table: dict[Text, Kind]
    confusion: list[list[Count]]
    nearest_training_image: dict[Text, Estimate]
    distance_ratio: Estimate
    nearer: NotRequired[Estimate]
    closest: Measured


class Latents(TypedDict):
    """How the latent units are used."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    kl_per_unit: list[Number]
    variance_of_means: list[Number]
    expected_variance: list[Number]
    active: list[Count]
    active_by_variance: list[Count]
    ceiling: Number
    verdict: Annotated[Text, Field(min_length=1)]
    chance: NotRequired[Number | None]


class Evaluation(TypedDict, total=False):
    """What ``evaluate`` found: numbers by name, and how they were measured."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    log_evidence: Estimate
    least_likely: LeastLikely
    elbo: Estimate
    reconstruction: Estimate
    kl: Estimate
    effective_samples: Estimate
    bits_per_dim: Estimate
    kth_marginal_likelihood: Estimate
    convergence: list[Estimate]
    per_image: Measured
    ais: Estimate
    ais_settings: Settings
    ais_checks: Checks
    ais_minus_importance: Estimate
    simulated_lower: Estimate
    simulated_upper: Estimate
    simulated_gap: Estimate
    harmonic: Estimate
    samples: Quality
    mutual_information: Estimate
    aggregate_kl: Estimate
    amortization_gap: Estimate
    nearest_neighbors: Estimate
    linear_probe: Estimate
    latents: Latents
    split: Required[Text]
    binarization: Required[Text]
    images: Required[Count]
    metrics: list[Text]
    command: Required[Text]
    note: Annotated[Text, Field(min_length=1)]
    weights: str | None
    findings: list[Annotated[Text, Field(min_length=1)]]
    words: dict[Text, Text]
    files: dict[Text, Measured]
    left_out: dict[Text, Text]


def _consistent(found: Evaluation) -> Evaluation:
    """Refuse measures of later versions that are not estimates, and tables that do not fit each other."""
    for name, value in found.items():
        if name not in Evaluation.__annotations__ and isinstance(value, dict) and "standard_error" in value:
            _ESTIMATE.validate_python(value)
    if usage := found.get("latents"):
        lengths = {len(usage[name]) for name in ("kl_per_unit", "variance_of_means", "expected_variance")}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError("latents have different numbers of units")
    if quality := found.get("samples"):
        classes = len(quality["confusion"])
        if not {found["split"], "samples"} <= quality["table"].keys():
            raise ValueError(f"samples.table has no row {found['split']!r} or 'samples'")
        counts = [*quality["confusion"], *(kind["class_counts"] for kind in quality["table"].values())]
        if not classes or any(len(row) != classes for row in counts):
            raise ValueError("samples.confusion and class_counts have different numbers of classes")
    return found


class Part(TypedDict):
    """A part of an experiment."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    kind: Text


class Parts(TypedDict):
    """The model of an experiment."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    latent_dim: Count
    network: Part
    prior: Part
    posterior: Part
    likelihood: Part


class Setup(TypedDict):
    """What a list of runs says of experiment.json."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    model: Parts
    objective: Part
    seed: Annotated[int, Field(ge=0)]


class DataFacts(TypedDict):
    """What a list of runs says of data.json."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    source: Text
    split: Text
    binarization: Text


class Versions(TypedDict):
    """versions.json: with what a run was trained last."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    vaekit: Text
    python: Text
    torch: Text


class Results(TypedDict):
    """results.json."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    evaluations: list[Annotated[Evaluation, AfterValidator(_consistent)]]


_ESTIMATE: TypeAdapter[Estimate] = TypeAdapter(Estimate)
_ROW: TypeAdapter[Row] = TypeAdapter(Row)
_RESULTS: TypeAdapter[Results] = TypeAdapter(Results)


def rows(content: bytes) -> list[dict[str, Any]]:
    """Read the rows of metrics.jsonl; a last line that a crash cut short is left out.

    Raises:
        ValueError: naming the line, the field, its value and what it should be.
    """
    lines = content.splitlines(keepends=True)
    return [_checked(_ROW, line, f"line {number}") for number, line in enumerate(lines, 1) if line.endswith(b"\n")]


def by_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Give rows of metrics by columns, such as "epoch" and "train.elbo", NaN where a row has no such number.

    Example:
        >>> by_columns([{"epoch": 0, "test": {"elbo": -1.5}}, {"epoch": 1}])["test.elbo"]
        array([-1.5,  nan])
    """
    flat = [dict(fields(row)) for row in rows]
    names = dict.fromkeys(name for row in flat for name in row)
    return {name: np.array([row.get(name, np.nan) for row in flat]) for name in names}


def results(content: bytes) -> dict[str, Any]:
    """Read results.json; fields are in the order of their declaration, whatever it was in the file.

    Raises:
        ValueError: naming the field, its value and what it should be.
    """
    return _checked(_RESULTS, content, "")


def _checked(adapter: TypeAdapter[T], content: bytes, where: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", plain(adapter.validate_json(content)))
    except ValidationError as error:
        raise ValueError(complaint(error, where)) from None


def complaint(error: ValidationError, where: str = "") -> str:
    """Return the first of pydantic's complaints in a few words: where, the value, what it should be."""
    first = error.errors(include_url=False)[0]
    path = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("json_invalid", "value_error", "missing") else f" is {shown(first['input'])}"
    return ": ".join(filter(None, (where, f"{path}{value}", f"{message[0].lower()}{message[1:]}")))


def plain(found: Any) -> Any:
    """Turn results into plain JSON values: named tuples become objects, NaN and infinity become null.

    Example:
        >>> plain({"value": -3.0, "standard_error": float("nan"), "shape": (1, 2)})
        {'value': -3.0, 'standard_error': None, 'shape': [1, 2]}
    """
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, Mapping):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return None if isinstance(found, float) and not isfinite(found) else found
