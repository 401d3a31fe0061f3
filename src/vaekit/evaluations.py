"""The evaluations of a run, and which of them are of the weights that it has now."""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import torch

from vaekit.evaluation.verdict import verdict
from vaekit.model import VAE
from vaekit.run import WEIGHTS, Run

BATCH = 100
SEED = 0

FORMER = "measured before the last training"
UNKNOWN = "measured by a version that did not note of which weights"


def evaluations(run: Run) -> list[dict[str, Any]]:
    """Return the evaluations of results.json, oldest first, each with its findings.

    Those of other weights than the run has now have a sentence ``stale`` that says so: their numbers are not the run's.
    """
    kept = run.results().get("evaluations", [])
    weights = weights_digest(run) if kept else ""
    return [_marked(run, found, weights) for found in kept]


def current(run: Run) -> list[dict[str, Any]]:
    """Return the evaluations of the weights that the run has now, oldest first."""
    return [found for found in evaluations(run) if "stale" not in found]


def _marked(run: Run, found: dict[str, Any], weights: str) -> dict[str, Any]:
    marked = found if "findings" in found else {**found, "findings": verdict(found)}
    if found.get("weights") == weights:
        return marked
    if found.get("weights") is None:
        if "per_image" not in found:
            return {**marked, "stale": UNKNOWN}
        if found["per_image"] == _file_of(run, found, weights):
            return marked
    return {**marked, "stale": FORMER}


def _file_of(run: Run, found: Mapping[str, Any], weights: str) -> str:
    """Where the first version kept an evaluation's numbers, had it been of these weights."""
    precision = "bf16" if found["command"].endswith("--precision bf16") else "fp32"
    facts = facts_of(run, found["split"], precision) | {"samples": found.get("log_evidence", {}).get("samples")}
    return numbers_file("importance", facts, weights)


def facts_of(run: Run, split: str, precision: str) -> dict[str, Any]:
    """Return what numbers of each image depend on besides the weights and the settings of their measure."""
    facts = {"split": split, "seed": SEED, "batch": BATCH, "data": run.space.digest}
    return facts if precision == "fp32" else facts | {"precision": precision}


def numbers_file(name: str, facts: Mapping[str, Any], weights: str) -> str:
    """Name the file of the run that keeps numbers of each image, after all that they depend on."""
    key = sha256(json.dumps({**facts, "weights": weights}, sort_keys=True).encode()).hexdigest()
    return f"measured/{name}-{key[:16]}.safetensors"


def trained(run: Run, device: torch.device) -> tuple[VAE, str]:
    """Return the trained model and the digest of the very weights it has, though a training may replace the file."""
    while True:
        digest, vae = weights_digest(run), run.vae(device)
        if weights_digest(run) == digest:
            return vae, digest


def weights_digest(run: Run) -> str:
    """Return the SHA-256 of the weights file, or nothing if there is none; an unchanged file is read once."""
    path = run.path / WEIGHTS
    try:
        facts = path.stat()
        return _sha256(path.absolute(), facts.st_ino, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(1024)
def _sha256(path: Path, *_facts: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
