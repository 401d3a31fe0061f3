"""Training in memory: the loop of every training, on rows at hand, into no folder."""

import logging
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch
import torch

from vaekit import devices
from vaekit.choices import Choice, completed, further, understood
from vaekit.data import Data, Source, Split
from vaekit.data.objects import PREFIX
from vaekit.data.raw import Table, content_digest
from vaekit.data.source import assemble
from vaekit.data.splits import ORDERED
from vaekit.errors import InputError
from vaekit.experiment import Experiment
from vaekit.folders import STATE, WEIGHTS
from vaekit.progress import Progress
from vaekit.settings import SHORT
from vaekit.sklearn.kept import Kept
from vaekit.sklearn.reading import Rows, as_pixels, as_table
from vaekit.training.checks import check, refuse_begun
from vaekit.training.loop import Training
from vaekit.training.state import Facts, State, parts_of

log = logging.getLogger("vaekit")

FEW = 10
"""rows from which some are held out"""
PATHS = {**SHORT, "split": "data.split", "columns": "data.columns", "early_stopping": "early_stopping"}
"""the fields of an experiment that are parameters of an estimator"""
COUNTS = ("epoch", "step", "samples", "seconds")
"""what goes on in the metrics of trainings one after the other"""


def begun(rows: Rows, named: Mapping[str, Any], hold_out: bool = True) -> tuple[Experiment, Data]:
    """Make the experiment that suits rows, and their data.

    Args:
        rows: what to learn.
        named: what is not left open: fields by parameter, and by dotted path in ``set``.
        hold_out: whether some rows are held out, if there are enough.
    """
    fields = {PATHS[name]: value for name, value in named.items() if name in PATHS}
    fields = understood({**fields, "data.seed": named["seed"], **further(named.get("set"))})
    experiment = Experiment(data=Source(name=PREFIX)).replace_all(fields)
    refuse_begun(experiment)
    of_pixels = "likelihood" in named and not {"real", "mixed"} & {*experiment.model.likelihood.supports}
    if of_pixels or experiment.data.image_size:
        raw = as_pixels(rows, experiment.data)
    else:
        raw = as_table(rows, experiment.data)
        experiment = experiment.replace("data.label", "" if isinstance(rows, Table) else None)
    digest = content_digest(raw.x)
    experiment = experiment.replace("data.name", f"{PREFIX}{digest[:16]}")
    if not hold_out or len(raw.x) < FEW:  # the rows that are trained on are watched
        experiment = experiment.replace("data.split", f"{ORDERED}{len(raw.x)}/{len(raw.x)}")
        raw = replace(raw, x=np.concatenate([raw.x, raw.x]), digest=digest)
    data = assemble(experiment.data, raw)
    if data.space.columns and data.space.support == "real" and "model.likelihood" not in fields:
        choice = Choice("model.likelihood", "columns", "each column is known as exactly as it can be")
        log.info("chosen: %s", choice)
        experiment, fields = experiment.replace(*choice[:2]), {**fields, choice.path: choice.value}
    return completed(experiment, data.space, fields), data


def continued(before: Kept, rows: Rows) -> tuple[Experiment, Data]:
    """Return the experiment of a run, and rows as its model reads them, all of which are trained on and watched."""
    if before.space.binarization in ("dynamic", "static"):
        raise InputError(f"partial_fit draws no bits (binarize {before.space.binarization}): use fit, or give bits")
    part = Split(before.space.encode_input(rows))
    return before.experiment, Data(before.space, part, None, part)


class Fitting:
    """A training whose run is in memory.

    Args:
        experiment: what to train.
        data: what on.
        device: where.
        before: the run that it goes on from; None begins with fresh weights.
    """

    def __init__(self, experiment: Experiment, data: Data, device: torch.device, before: Kept | None = None) -> None:
        self.experiment, self.data, self.device, self.before = experiment, data, device, before
        self.run = Kept(experiment, data.space)
        self.training: Training | None = None

    def reports(self, each_step: bool = False) -> Generator[Progress]:
        """Train to the end, in turns with whoever reads the reports."""
        if self.before is None:
            check(self.experiment, self.data.space, self.device)
        return devices.in_turns(self._reports(each_step), self.device)

    def _reports(self, each_step: bool) -> Generator[Progress]:
        self.training = Training(self.experiment, self.run, self.data.to(self.device), self.device)  # type: ignore[arg-type]
        if self.before:
            _go_on(self.training, self.before)
        yield from self.training.reports(each_step)

    def now(self) -> Kept:
        """Return the run as if it had ended now."""
        assert self.training
        run = Kept(self.experiment, self.data.space)
        run.rows = self.rows
        run.save(WEIGHTS, self.training.model.state_dict())
        return run

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics, after those of the run before."""
        if not (self.before and self.before.rows):
            return self.run.rows
        last = self.before.rows[-1]
        return self.before.rows + [row | {name: last[name] + row[name] for name in COUNTS} for row in self.run.rows[1:]]


def _go_on(training: Training, before: Kept) -> None:
    """Begin a training with the weights of another, and with its optimizer's moments and noise if they were kept."""
    if STATE in before.files:
        facts = Facts(step=0, seconds=0, counted=0, busy=0, stale=0, best_bound=-float("inf"))
        parts = parts_of(safetensors.torch.load(before.files[STATE]))
        training.restore(State(facts, parts | {"total": {}, "best": {}}))
    else:
        training.vae.load_state_dict(safetensors.torch.load(before.files[WEIGHTS]))
