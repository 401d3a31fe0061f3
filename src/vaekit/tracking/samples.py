"""Samples that are drawn at each evaluation of a training, and kept in the folder of the run."""

import csv
from pathlib import Path

from vaekit.compatibility import lacking
from vaekit.measures import GENERATIVE
from vaekit.model import VAE
from vaekit.outputs import what_of, write_columns, write_examples
from vaekit.run import Run
from vaekit.verbs.sampling import drawn

IMAGES, ROWS = 64, 10


def keep(run: Run, vae: VAE, step: int) -> None:
    """Draw samples of a model in training, and write them: a sheet of images, or rows of a table.

    They are the same draws of z and of noise at each step. Generators and model are left as they were.
    """
    if lacking(GENERATIVE, run.experiment):
        return
    space, images = run.space, what_of(run.space) == "images"
    training = vae.training
    try:
        found = drawn(vae.eval(), space, IMAGES if images else ROWS)
    finally:
        vae.train(training)
    with run.writing(_name(step, "png" if images else "csv")) as path:
        if images or space.columns:
            write_examples(found, space, path)
        else:
            write_columns({f"column {k}": column for k, column in enumerate(found.T, 1)}, path)


def kept(run: Run, step: int) -> dict[str, float | Path]:
    """Return the samples that were drawn at a step, by the name under which trackers show them."""
    paths = (run.path / _name(step, kind) for kind in ("png", "csv"))
    found = next(filter(Path.is_file, paths), None)
    return {"samples": found} if found else {}


def cells(path: Path) -> list[list[str]]:
    """Return the cells of a table of samples, its header first."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _name(step: int, kind: str) -> str:
    return f"samples/{step:08}.{kind}"
