"""What the figures of a run are drawn from: its model, its test split, and the words that name them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.compatibility import lacking
from vaekit.data import Space, Split
from vaekit.data.columns import CODED
from vaekit.distributions import center, kl_parts
from vaekit.evaluation import verdict
from vaekit.evaluations import current
from vaekit.features import CATEGORIES
from vaekit.measures import FACTORIZED, GENERATIVE
from vaekit.model import VAE
from vaekit.reporting import plots
from vaekit.run import Run

CODES = 10_000
"""test examples at most that are encoded, evenly spaced over the split"""


class Drawing(NamedTuple):
    """A figure of a run.

    Attributes:
        name: of its files.
        figure, caption: what is drawn, and what to see in it.
        table: the numbers of curves, by column; all columns are equally long.
    """

    name: str
    figure: plots.Figure
    caption: str
    table: Mapping[str, np.ndarray] | None = None


def columns(name: str, x: np.ndarray, panels: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the numbers of curves in panels as columns, after those of the axis that they share.

    Example:
        >>> list(columns("epoch", np.arange(3), {"KL": {"train": np.ones(3), "test": np.ones(3)}}))
        ['epoch', 'KL: train', 'KL: test']
    """
    return {name: x} | {f"{panel}: {line}": y for panel, lines in panels.items() for line, y in lines.items()}


def of_images(space: Space) -> bool:
    """Say whether the data are images."""
    return len(space.event_shape) == 3


def example(space: Space) -> str:
    """Name one of the data: image or example."""
    return space.noun.removesuffix("s")


def named(space: Space) -> str:
    """Name data, split and binarization, which belong to every figure and number."""
    return f"{Path(space.source).name}, split {space.split}, {binarized(space)}"


def binarized(space: Space) -> str:
    """Say how gray levels became bits, or what the values are."""
    given = {"binary": "binary as given", "real": "real values", "mixed": "columns of several kinds"}.get(
        space.support, "no binarization"
    )
    return given if space.binarization == "none" else f"{space.binarization} binarization"


@dataclass(frozen=True)
class Subject:
    """A trained model and its test split, with the codes that several figures share."""

    run: Run
    vae: VAE
    split: Split

    @cached_property
    def rows(self) -> Tensor:
        """Rows of the split that are encoded."""
        return torch.linspace(0, len(self.split) - 1, min(len(self.split), CODES)).round().long()

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Class numbers (rows,), or None."""
        return None if self.split.labels is None else self.split.labels[self.rows].numpy()

    @property
    def codes(self) -> np.ndarray:
        """Centers of the posteriors, their means where they have one, (rows, d)."""
        return self._encoded[0]

    @property
    def kl(self) -> np.ndarray | None:
        """Mean KL of each latent unit (d,), or None where there is none by unit."""
        return self._encoded[1]

    @property
    def noise(self) -> np.ndarray | None:
        """Mean variance of the posterior of each latent unit (d,), or None where there is no KL by unit."""
        return self._encoded[2]

    @cached_property
    def _encoded(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        codes, kl, noise = [], [], []
        factorized = lacking(FACTORIZED, self.run.experiment) is None
        with torch.no_grad(), devices.seeded(self.run.experiment.seed, torch.device("cpu")):
            for rows in self.rows.split(max(1, min(1000, 2**22 // math.prod(self.run.space.event_shape)))):
                posterior = self.vae.posterior(self.split.batch(rows).x)
                codes.append(center(posterior))
                if factorized:
                    kl.append(kl_parts(posterior, self.vae.prior(), posterior.sample(torch.Size((1,)))))
                    noise.append(posterior.variance)
        averages = [torch.cat(each).mean(0).numpy() if each else None for each in (kl, noise)]
        return torch.cat(codes).numpy(), averages[0], averages[1]

    @cached_property
    def order(self) -> np.ndarray:
        """Latent units by falling KL, or by the spread of their codes where there is no KL."""
        return np.argsort(-(self.codes.var(0) if self.kl is None else self.kl), kind="stable")

    @cached_property
    def usage(self) -> tuple[list[float], list[float], list[float]] | None:
        """KL, variance of the means and expected variance of each unit: as last evaluated, else of these codes."""
        if self.kl is None or self.noise is None:
            return None
        found = next((e["latents"] for e in reversed(current(self.run)) if "latents" in e), None)
        if found:
            return found["kl_per_unit"], found["variance_of_means"], found["expected_variance"]
        return self.kl.tolist(), self.codes.var(0).tolist(), self.noise.tolist()

    @cached_property
    def used(self) -> list[int]:
        """Latent units that are used, of largest KL first; all where there is no KL."""
        used = verdict.used_units(*self.usage) if self.usage else self.order
        return [unit for unit in self.order.tolist() if unit in used]

    @property
    def gaussian(self) -> bool:
        """Whether the codes have the prior N(0, I); else all that is known of their range are they themselves."""
        return lacking({"prior": {"standard"}, **GENERATIVE}, self.run.experiment) is None

    @property
    def note(self) -> str:
        """Where the test examples of a figure are from, and how many were looked at."""
        of = f" of {len(self.split):,}" if len(self.rows) < len(self.split) else ""
        return f"{named(self.run.space)}, {len(self.rows):,}{of} test {example(self.run.space)}s"

    def class_names(self, rows: np.ndarray) -> list[str]:
        """Name the classes of examples by their places (n,) among the encoded ones; none if there are no labels."""
        if self.labels is None:
            return []
        classes = self.run.space.classes
        return ["" if k < 0 else classes[k] if classes and k < len(classes) else str(k) for k in self.labels[rows]]

    def unit(self, k: int) -> str:
        """Name a latent unit as code indexes it."""
        return f"z[{k}]" if self.kl is None else f"z[{k}] (KL {self.kl[k]:.2f} nats)"

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Test images (..., C, H, W) in [0, 1], by their places (...) among the encoded ones."""
        x = self.split.batch(self.rows[torch.from_numpy(rows).flatten()]).x
        return self.shade(x).reshape(*rows.shape, *self.run.space.event_shape)

    def mean(self, z: np.ndarray) -> Tensor:
        """Means of p(x | z), (..., *event), for z (..., d)."""
        return self.vae.decode(torch.from_numpy(z.astype(np.float32)))

    def decoded(self, z: np.ndarray) -> np.ndarray:
        """Means of p(x | z), (..., C, H, W) in [0, 1], for z (..., d)."""
        return self.shade(self.mean(z))

    @property
    def columns(self) -> list[str]:
        """Names of a table's columns."""
        space = self.run.space
        return list(space.names or (f"column {k}" for k in range(space.event_shape[0])))

    @property
    def words(self) -> list[tuple[str, ...] | None]:
        """What the numbers of a table's column of categories stand for; None of a column of other numbers."""
        columns = self.run.space.columns or ()
        return [(column.categories or ("0", "1")) if column.kind in CODED else None for column in columns]

    @property
    def numbers(self) -> list[int]:
        """Places of a table's columns that are numbers: not categories, of which only the likeliest is decoded."""
        found = self.run.space.columns
        return [k for k in range(*self.run.space.event_shape[:1]) if not found or found[k].kind not in CATEGORIES]

    def sampled(self, n: int, noise: bool = False) -> Tensor:
        """Draw n examples from the model, the same every time."""
        with devices.seeded(self.run.experiment.seed, torch.device("cpu")):
            return self.vae.sample(n, noise=noise)

    def shade(self, x: Tensor) -> np.ndarray:
        """Bring images to [0, 1], those of real numbers by the range of the first test images."""
        if self.run.space.support != "real":
            return x.numpy()
        first = self.split.batch(self.rows[:100]).x
        low, high = (float(end) for end in first[~first.isnan()].aminmax())
        return (x.numpy() - low) / max(high - low, 1e-6)
