"""How runs are listed: what they share once, and in columns what differs between them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vaekit.display.messages import say, table
from vaekit.display.progress import whole
from vaekit.reporting.summary import number

SHARED = (
    *("data", "split", "binarization", "model.network", "model.latent_dim", "model.likelihood", "objective"),
    *("objective.beta", "seed"),
)
"""what is said of all runs where it is the same"""
SEPARATE = ("epochs", "data.split", "data.binarization")
"""fields of an experiment that are shown otherwise"""


def runs(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of runs."""
    if not found:
        say("no runs here yet")
        return
    settings = [_settings(facts) for facts in found]
    differing = varying(settings)
    shared = [f"{_short(path)} {settings[0][path]}" for path in SHARED if path in settings[0] and path not in differing]
    if shared:
        say(", ".join(shared), "")
    rows = []
    for facts, own in zip(found, settings, strict=True):
        last = facts["last"] or {}
        held_out = last.get("validation") or last.get("test") or {}
        rows.append(
            {
                "run": facts["run"],
                **{name: own.get(path, "") for path, name in differing.items()},
                "epochs": f"{whole(last['epoch'], last['step']) if last else 0:g}",
                "held-out ELBO": f"{held_out['elbo']:.2f}" if "elbo" in held_out else "",
                "log-evidence": _evidence(facts["evaluations"]),
            }
        )
    table(rows, tuple(rows[0]))


def varying(settings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the settings that have unlike values in some runs, by path, with the shortest names that tell them apart.

    Example:
        >>> varying([{"seed": "0", "model.latent_dim": "2"}, {"seed": "0", "model.latent_dim": "5"}])
        {'model.latent_dim': 'latent_dim'}
    """
    paths = dict.fromkeys(path for own in settings for path in own)
    kept = [path for path in paths if len({own[path] for own in settings if path in own}) > 1]
    short = [_short(path) for path in kept]
    return {path: name if short.count(name) == 1 else path for path, name in zip(kept, short, strict=True)}


def _short(path: str) -> str:
    return path.rpartition(".")[2]


def _settings(facts: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a run as they are printed, by their paths; that of a part is its kind."""
    own = {name: facts[name] for name in ("data", "split", "binarization")}
    for path, value in facts["settings"].items():
        if path not in SEPARATE:
            own[path.removesuffix(".kind")] = value
    return {path: _printed(value) for path, value in own.items()}


def _printed(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def _evidence(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The last log-evidence that was measured of the weights there are, or else an older one, marked."""
    measured = [found for found in reversed(evaluations) if "log_evidence" in found]
    measured.sort(key=lambda found: "stale" in found)
    if not measured:
        return ""
    estimate = measured[0]["log_evidence"]
    value = f"{number(estimate['value'], 2)} ± {number(estimate['standard_error'], 2)}"
    return f"{value}, {measured[0]['stale']}" if "stale" in measured[0] else value
