"""The fields of experiments and their digests, without the time that importing an experiment takes."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vaekit.errors import InputError, nearest, shown

F = TypeVar("F", bound=Callable[..., Any])

FILE = Path(__file__).with_name("options.json")
"""written from the specs by docs/generate.py"""

LATER: Mapping[str, Any] = {
    "data.label": None,
    "data.columns": {},
    "data.ignore": [],
    "data.missing": 0,
    "data.sentinels": [],
    "data.format": {"separator": None, "decimal": None, "header": None, "encoding": None},
    "model.corruption": None,
    "model.likelihood.head": "log_scale",
    "objective.free_bits_per": "unit",
    "objective.updates": 1,
    "optimizer.decayed": "all",
    "shuffle": True,
}
"""fields that were added when experiments already had digests, with their defaults as JSON writes them"""


SHORT: Mapping[str, str] = {
    "latent_dim": "model.latent_dim",
    "network": "model.network",
    "hidden": "model.network.hidden",
    "prior": "model.prior",
    "posterior": "model.posterior",
    "likelihood": "model.likelihood",
    "corrupt": "model.corruption",
    "objective": "objective",
    "beta": "objective.beta",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "optimizer": "optimizer",
    "learning_rate": "optimizer.learning_rate",
    "seed": "seed",
    "precision": "precision",
    "binarize": "data.binarization",
    "image_size": "data.image_size",
    "label": "data.label",
    "ignore": "data.ignore",
}
"""the fields that have a short name: arguments of ``choose`` and flags of ``vaekit train``"""


def with_short_names(annotations: Mapping[str, Any]) -> Callable[[F], F]:
    """Decorate a function that takes ``**short``: its signature lists the short names after the first two arguments.

    Args:
        annotations: of each short name.
    """

    def decorated(function: F) -> F:
        signature = inspect.signature(function)
        first, second, *others = (p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD)
        kind = inspect.Parameter.KEYWORD_ONLY
        short = (inspect.Parameter(name, kind, default=None, annotation=annotations[name]) for name in SHORT)
        listed = signature.replace(parameters=[first, second, *short, *others])
        function.__signature__ = listed  # type: ignore[attr-defined]
        return function

    return decorated


class Former(NamedTuple):
    """A kind of objective that became a class beside the core: where it is, and its settings' defaults."""

    path: str
    defaults: Mapping[str, Any]


FORMER: Mapping[str, Former] = {
    "printed_sampling": Former("vaekit.studies.printed:PrintedSampling", {"beta": 1.0}),
    "printed_kl": Former("vaekit.studies.printed:PrintedKL", {"beta": 1.0}),
}
"""by kind, as experiments of version 0.1.0 have it; digests are still those of the kinds"""


def modern(part: Any) -> Any:
    """Return a former kind of objective as the own part that it became; whatever else is returned as it is.

    Example:
        >>> modern({"kind": "printed_kl", "beta": 0.5})
        {'kind': 'own', 'path': 'vaekit.studies.printed:PrintedKL', 'settings': {'beta': 0.5}}
    """
    if not isinstance(part, Mapping) or not isinstance(part.get("kind"), str) or part["kind"] not in FORMER:
        return part
    former, settings = FORMER[part["kind"]], {name: value for name, value in part.items() if name != "kind"}
    return {"kind": "own", "path": former.path, "settings": {**former.defaults, **settings}}


def _as_it_was(part: Any) -> Any:
    """Return an own part that was a kind of objective as that."""
    for kind, former in FORMER.items():
        if isinstance(part, Mapping) and part.get("kind") == "own" and part.get("path") == former.path:
            return {"kind": kind, **former.defaults, **part["settings"]}
    return part


def digest(experiment: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an experiment's canonical JSON, without fields of ``LATER`` at their defaults."""
    former = {**experiment, "objective": _as_it_was(experiment["objective"])}
    canonical = json.dumps(_without_later(former), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def _without_later(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    kept = {}
    for name, value in tree.items():
        here = f"{path}{name}"
        if here not in LATER or value != LATER[here]:
            kept[name] = _without_later(value, f"{here}.") if isinstance(value, Mapping) else value
    return kept


def fields(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk through the plain values of nested dictionaries, with their dotted paths."""
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from fields(inner, f"{path}.{name}".lstrip("."))
    else:
        yield path, tree


def options(filter: str = "") -> list[dict[str, Any]]:
    """List the fields of an experiment, each with path, type, default and description.

    Args:
        filter: the beginning of a path, or a part of one; all fields if empty.

    Raises:
        InputError: if no path has it.

    Example:
        >>> [option["path"] for option in options("optimizer.learning")][0]
        'optimizer.learning_rate'
    """
    found: list[dict[str, Any]] = json.loads(FILE.read_bytes())
    if not isinstance(filter, str):
        raise InputError(f"filter is {shown(filter)}: give a part of a path, such as 'objective'")
    wanted = filter.lower().replace("-", "_")
    kept = [option for option in found if option["path"].startswith(wanted)]
    kept = kept or [option for option in found if wanted in option["path"]]
    if not kept:
        parts = {part for option in found for part in option["path"].split(".")}
        raise InputError(f"no option's path has {shown(filter)}; {nearest(wanted, parts)}")
    return kept
