"""What runs are, by their files alone: no model is built, and torch is not imported."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from vaekit import files, records
from vaekit.arguments import Place, to_path
from vaekit.errors import InputError
from vaekit.files import status
from vaekit.folders import EXPERIMENT, METRICS, RESULTS, SPACE, VERSIONS, WEIGHTS, located, newest
from vaekit.settings import digest, fields
from vaekit.sharing.fetching import brought
from vaekit.text import title

log = logging.getLogger("vaekit")

T = TypeVar("T")

_SETUP: TypeAdapter[records.Setup] = TypeAdapter(records.Setup)
_DATA: TypeAdapter[records.DataFacts] = TypeAdapter(records.DataFacts)
_VERSIONS: TypeAdapter[records.Versions] = TypeAdapter(records.Versions)


def show(run: Place) -> dict[str, Any]:
    """Say what a run is: data, model, how far it is trained, its last metrics and evaluations.

    Raises:
        InputError: if the folder is not a run, or a file of it is damaged.
    """
    path = located(brought(run))
    experiment = parsed(path / EXPERIMENT, _SETUP.validate_json)
    data = parsed(path / SPACE, _DATA.validate_json)
    model = experiment["model"]
    return {
        "run": str(path),
        "data": title(data["source"]),
        "split": data["split"],
        "binarization": data["binarization"],
        "network": model["network"]["kind"],
        "latent_dim": model["latent_dim"],
        "prior": model["prior"]["kind"],
        "posterior": model["posterior"]["kind"],
        "likelihood": model["likelihood"]["kind"],
        "objective": experiment["objective"]["kind"],
        "seed": experiment["seed"],
        "digest": digest(experiment),
        "versions": parsed(path / VERSIONS, _VERSIONS.validate_json) if status(path / VERSIONS) else None,
        "settings": {path: value for path, value in fields(experiment) if path != "data.name"},
        "last": _last_row(path),
        "evaluations": _evaluations(path),
    }


def runs(folder: Place = "runs") -> list[dict[str, Any]]:
    """List the runs in a folder, newest first: what ``show`` says of each; damaged ones are logged and left out."""
    shown = []
    for path in newest(to_path(folder, "folder")):
        try:
            shown.append(show(path))
        except InputError as error:
            log.warning("left out: %s", error)
    return shown


def _last_row(path: Path) -> dict[str, Any] | None:
    """Return the last row of metrics.jsonl; a long training's others are not read unless it is damaged."""
    if status(path / METRICS) is None:
        return None
    try:
        if line := files.last_line(path / METRICS):
            return records.rows(line + b"\n")[0]
    except (OSError, ValueError):
        pass
    return next(iter(parsed(path / METRICS, records.rows)[-1:]), None)


def _evaluations(path: Path) -> list[dict[str, Any]]:
    kept = parsed(path / RESULTS, records.results)["evaluations"] if status(path / RESULTS) else []
    if any(not found.get("weights") or not {"findings", "words"} <= found.keys() for found in kept):
        from vaekit.evaluations import evaluations  # older versions wrote less, which the model completes
        from vaekit.run import Run

        return evaluations(Run(path))
    weights = files.digest(path / WEIGHTS) if kept else ""
    return [found if found["weights"] == weights else {**found, "stale": records.FORMER} for found in kept]


def parsed(path: Path, parse: Callable[[bytes], T]) -> T:
    """Parse a file of a run, and name it if it is missing, damaged or altered."""
    try:
        return parse(files.read_bytes(path))
    except OSError as error:
        reason = error.strerror
    except ValidationError as error:
        reason = records.complaint(error)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise InputError(f"{path} cannot be read ({reason}): restore the file or train again")
