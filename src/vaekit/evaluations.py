"""The evaluations of a run, which of them are of the weights that it has now, and the numbers of each image."""

import json
from collections.abc import Mapping
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.arguments import Place
from vaekit.data.data import PARTS
from vaekit.errors import InputError, command, nearest
from vaekit.estimates import exact
from vaekit.evaluation.bits import bits_per_dim, cell
from vaekit.evaluation.verdict import verdict
from vaekit.evaluation.words import words
from vaekit.files import digest
from vaekit.labels import LABELS
from vaekit.model import VAE
from vaekit.records import FORMER
from vaekit.run import WEIGHTS, Run

BATCH = 100
SEED = 0

UNKNOWN = "measured by a version that did not record which weights"


def evaluations(run: Run) -> list[dict[str, Any]]:
    """Return the evaluations of results.json, oldest first, each with its findings and words.

    Those of other weights than the run has now have a sentence ``stale`` that says so: their numbers are not the run's.
    """
    kept = run.results().get("evaluations", [])
    weights = weights_digest(run) if kept else ""
    return [_marked(run, found, weights) for found in kept]


def current(run: Run) -> list[dict[str, Any]]:
    """Return the evaluations of the weights that the run has now, oldest first."""
    return [found for found in evaluations(run) if "stale" not in found]


def per_image(run: Run | Place, name: str = "log_evidence", *, split: str = "test") -> np.ndarray:
    """Return a number of each image that ``evaluate`` measured, (images,), in the order of the split's rows.

    It is that of the last evaluation that has the number, of the weights that the run has now.

    Args:
        run: the run, or the path of its folder.
        name: log_evidence, elbo, reconstruction, kl, effective_samples, bits_per_dim, ais, harmonic or
            amortization_gap, each in the unit of its mean.
        split: train, validation or test.

    Raises:
        InputError: if there is no such number, or it was not measured, or its file was not copied with the run.
    """
    run = Run.of(run)
    if split not in PARTS:
        raise InputError(f"there is no split {split!r}: {nearest(str(split), PARTS)}")
    if name not in EACH:
        raise InputError(f"there is no number {name!r} of each image: {nearest(str(name), EACH)}")
    values = next(
        (kept for found in reversed(current(run)) if (kept := numbers(run, found, name, split)) is not None), None
    )
    if values is None:
        again = command("evaluate", run.path, "--metrics", EACH[name], "--split", split)
        raise InputError(f"the {LABELS[name].name} of each {split} image of {run.path} is not measured: run {again}")
    return values.numpy()


EACH = {
    **dict.fromkeys(("log_evidence", "elbo", "reconstruction", "kl", "effective_samples", "bits_per_dim"), "evidence"),
    **dict.fromkeys(("ais", "harmonic"), "ais"),
    "amortization_gap": "latents",
}
"""numbers that are kept of each image, with the group in which they are measured"""


def numbers(run: Run, found: Mapping[str, Any], name: str, split: str) -> Tensor | None:
    """Return a number of each image behind an evaluation, (images,), or None if it has none, or not all of them."""
    if found["split"] != split or name not in found:
        return None
    images = found[name].get("images", found["images"])
    for file in dict.fromkeys((*found.get("files", {}).values(), found.get("per_image"))):
        kept = run.measured(file) if file else {}
        values = (kept | bits(run, kept)).get(name)
        if values is not None and len(values) >= images:
            return values[:images]
    return None


def bits(run: Run, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the bits per dimension of images by their log-evidence, where it is the length of a code of all pixels."""
    shape, width = run.space.event_shape, cell(run.experiment.model.likelihood, run.space.support)
    if len(shape) != 3 or width is None or run.space.missing or "log_evidence" not in values:
        return {}
    return {"bits_per_dim": bits_per_dim(exact(values["log_evidence"]), prod(shape), width)}


def _marked(run: Run, found: dict[str, Any], weights: str) -> dict[str, Any]:
    marked = {"findings": verdict(found), "words": words(found), **found}
    if found.get("weights") == weights:
        return marked
    if found.get("weights") is None:
        if "per_image" not in found:
            return {**marked, "stale": UNKNOWN}
        if found["per_image"] == _file_of(run, found, weights):
            return marked
    return {**marked, "stale": FORMER}


def _file_of(run: Run, found: Mapping[str, Any], weights: str) -> str:
    """Name the file in which the first version kept an evaluation's numbers, had it been of these weights."""
    precision = "bf16" if found["command"].endswith("--precision bf16") else "fp32"
    facts = facts_of(run, found["split"], precision) | {"samples": found.get("log_evidence", {}).get("samples")}
    return numbers_file("importance", facts, weights)


def facts_of(run: Run, split: str, precision: str) -> dict[str, Any]:
    """Return what the numbers of each image depend on besides the weights and the settings of their measure."""
    facts = {"split": split, "seed": SEED, "batch": BATCH, "data": run.space.digest}
    return facts if precision == "fp32" else facts | {"precision": precision}


def numbers_file(name: str, facts: Mapping[str, Any], weights: str) -> str:
    """Name the file of the run that keeps numbers of each image, after all that they depend on."""
    key = sha256(json.dumps({**facts, "weights": weights}, sort_keys=True).encode()).hexdigest()
    return f"measured/{name}-{key[:16]}.safetensors"


def trained(run: Run, device: torch.device) -> tuple[VAE, str]:
    """Return the trained model and the digest of the very weights it has, though a training may replace the file."""
    while True:
        weights, vae = weights_digest(run), run.vae(device)
        if weights_digest(run) == weights:
            return vae, weights


def weights_digest(run: Run) -> str:
    """Return the SHA-256 of the weights file, or nothing if there is none; an unchanged file is read once."""
    return digest(run.path / WEIGHTS)
