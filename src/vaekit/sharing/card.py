"""The card of a shared model: what it is, and its numbers, each with how it was measured."""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from vaekit.evaluations import current
from vaekit.labels import BITS, LABELS, NATS, Label
from vaekit.reporting.summary import number
from vaekit.run import Run
from vaekit.sharing.citation import cite
from vaekit.specs import described
from vaekit.text import pathless

COLUMNS = ("number", "value", "standard error", "split", "examples", "binarization", "K", "command")


def config(run: Run) -> dict[str, Any]:
    """Return config.json, by which a hub knows the library and counts downloads."""
    return {
        "library_name": "vaekit",
        "vaekit_version": version("vaekit"),
        "architectures": ["VAE"],
        "latent_dim": run.experiment.model.latent_dim,
        "event_shape": [*run.space.event_shape],
    }


def card(run: Run, address: str) -> str:
    """Return the card of a run whose names of data are already fit to be read by all.

    Args:
        run: the run.
        address: where it will be loaded from.
    """
    found = [row for evaluation in current(run) for row in rows(evaluation)]
    model, space = run.experiment.model, run.space
    kinds: list[str] = [model.prior.kind, model.posterior.kind, model.likelihood.kind, run.experiment.objective.kind]
    lines = [
        "---",
        json.dumps(front(run, address, kinds, found), indent=2, ensure_ascii=False),
        "---",
        "",
        f"# {address.rstrip('/').rpartition('/')[2]}",
        "",
        f"A variational auto-encoder of {space.title} with {model.latent_dim} latents: prior {kinds[0]}, posterior "
        f"{kinds[1]}, likelihood {kinds[2]}, objective {kinds[3]}; trained by [vaekit](https://github.com/vaekit/vaekit).",
        "",
        "```python",
        "import vaekit",
        "",
        f"run = vaekit.load({address!r})",
        "z = vaekit.encode(run, examples)  # posterior means",
        "```",
        "",
        "## Data",
        "",
        f"{space.title}: " + ", ".join(f"{n:,} {part}" for part, n in space.sizes.items()) + f" {space.noun} "
        f"(split {space.split}, seed {run.experiment.data.seed}), binarization {space.binarization}, SHA-256 "
        f"`{space.digest[:16]}…`.",
        "",
        "## Numbers",
        "",
        *(table(found) if found else ["Nothing was measured of these weights."]),
        "",
        "## Settings that differ from the defaults",
        "",
        *(f"- `{field.path}`: {field.value}" for field in described(run.experiment) if field.changed),
        "",
        "## Citation",
        "",
        "```bibtex",
        cite(run).rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def front(run: Run, address: str, kinds: list[str], found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the card's head; JSON is YAML."""
    space = run.space
    head: dict[str, Any] = {"library_name": "vaekit", "tags": ["vae", "variational-autoencoder", *dict.fromkeys(kinds)]}
    if not found:
        return head
    data: dict[str, Any] = {"name": space.title, "type": space.title, "args": {"binarization": space.binarization}}
    results = [
        {
            "task": {"type": "feature-extraction"},
            "dataset": data | {"split": row["split"]},
            "metrics": [
                {
                    "type": row["key"],
                    "name": f"{row['number']} ({row['unit']}; standard error {row['standard error']}, K = {row['K']}, "
                    f"{row['examples']} {space.noun}, binarization {row['binarization']})",
                    "value": row["raw"],
                    "args": {"command": row["command"]},
                }
            ],
        }
        for row in found
    ]
    head["model-index"] = [{"name": address.rstrip("/").rpartition("/")[2], "results": results}]
    return head


def rows(evaluation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the numbers of an evaluation, each with all that it depends on."""
    for key, named in LABELS.items():
        if key in evaluation and evaluation[key]["value"] is not None:
            found = evaluation[key]
            yield {
                "key": key,
                "raw": found["value"],
                "unit": unit(key, named, evaluation),
                "number": named.name,
                "value": number(found["value"], 3),
                "standard error": number(found["standard_error"], 3),
                "split": evaluation["split"],
                "examples": found.get("images", evaluation["images"]),
                "binarization": evaluation["binarization"],
                "K": found["samples"],
                "command": pathless(evaluation["command"], relative=True),
            }


def unit(key: str, named: Label, evaluation: Mapping[str, Any]) -> str:
    """Return the unit of a number."""
    noun = evaluation.get("noun", "images").removesuffix("s")
    return f"nats per {noun}" if key in NATS else "bits per dimension" if key in BITS else named.name


def table(found: list[dict[str, Any]]) -> list[str]:
    """Write numbers as a table of Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    lines += [
        (f"{row['number']} ({row['unit']})", *(str(row[name]) for name in COLUMNS[1:-1]), f"`{row['command']}`")
        for row in found
    ]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
