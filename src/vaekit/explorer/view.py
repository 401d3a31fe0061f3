"""A run as the explorer sees it: its model kept in memory, and examples and codes as plain arrays of numbers."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.compatibility import lacking
from vaekit.data import Data, Split
from vaekit.devices import seeded
from vaekit.distributions import center
from vaekit.evaluation.rows import Weighted, by_rows, shared_noise
from vaekit.evaluation.scores import scores_of
from vaekit.measures import DENSITY
from vaekit.model import VAE
from vaekit.run import Run

DRAWS = 64
"""of z for a score"""
BATCH = 1000
CPU = torch.device("cpu")


class Encoded(NamedTuple):
    """Posteriors of N examples: their centers (N, d), and their standard deviations (N, d) where they have them."""

    mean: np.ndarray
    scale: np.ndarray | None


class Scored(NamedTuple):
    """Scores of N examples in nats, (N,) each: the ELBO, the log-evidence, and its standard error over draws."""

    elbo: np.ndarray
    evidence: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class View:
    """A trained model and the part of its data that is shown.

    Examples are given and returned as people look at them, as float32: images in [0, 1], (N, C, H, W), and rows of a
    table as numbers in the file's units, (N, D), where the number of a category is its place among the categories.
    """

    run: Run
    vae: VAE
    data: Data
    split: str = "test"

    @classmethod
    def of(cls, run: Run, data: Data, split: str = "test") -> "View":
        """Open a run with its data.

        Raises:
            InputError: if the weights cannot be read, or there is no such split.
        """
        data.fixed(split, 1)
        return cls(run, run.vae(), data, split)

    @cached_property
    def part(self) -> Split:
        """The split that is shown, with its bits fixed."""
        return self.data.fixed(self.split)

    @cached_property
    def range(self) -> tuple[float, float]:
        """The values that are shown as 0 and 1: those of the first images where they are reals, else 0 and 1."""
        if self.is_table or self.run.space.support != "real":
            return 0.0, 1.0
        first = self.part.batch(torch.arange(min(100, len(self.part)))).x
        low, high = (float(end) for end in first[~first.isnan()].aminmax())
        return low, max(high, low + 1e-6)

    @property
    def is_table(self) -> bool:
        """Whether examples are rows of numbers, not images."""
        return len(self.run.space.event_shape) == 1

    def shown(self, x: Tensor) -> np.ndarray:
        """Turn what the model reads or emits, (N, *event), into what is looked at."""
        if self.is_table:
            return np.asarray(self.run.space.restore(x), np.float32)
        low, high = self.range
        return ((x.numpy() - low) / (high - low)).astype(np.float32)

    def read(self, values: np.ndarray) -> Tensor:
        """Turn what is looked at, (N, *event), into what the model reads.

        Raises:
            InputError: if values are missing that were not in training, or do not fit their columns.
        """
        space = self.run.space
        if self.is_table:
            return space.encode_input(space.worded(values.astype(float)) if space.columns else values)
        low, high = self.range
        x = torch.from_numpy(values.clip(0, 1).astype(np.float32)) * (high - low) + low
        return (x >= 0.5).float() if space.support == "binary" else x

    @torch.no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """Decode codes (N, d) to the means of p(x | z)."""
        return self.shown(self.vae.decode(torch.from_numpy(z)))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Encoded:
        """Encode what the model reads, (N, *event)."""
        posterior = self.vae.posterior(x)
        try:
            scale = posterior.stddev.numpy()
        except NotImplementedError:
            scale = None
        return Encoded(center(posterior).numpy(), scale)

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
        """Draw codes (n, d) from the prior; a temperature t moves each to m + t (z − m), where m is the draws' mean."""
        with seeded(seed, CPU):
            z = self.vae.prior().sample(torch.Size((max(n, DRAWS),)))
        middle = z.mean(0)
        return (middle + temperature * (z[:n] - middle) if temperature != 1 else z[:n]).numpy()

    def score(self, x: Tensor, draws: int = DRAWS) -> Scored | None:
        """Score what the model reads, (N, *event), the same in every batch; None if the posterior has no density."""
        if lacking(DENSITY, self.run.experiment):
            return None
        noise = shared_noise(draws, self.vae.latent_dim)

        def measured(x: Tensor) -> dict[str, Tensor]:
            drawn = Weighted(self.vae, x, noise)
            elbo, evidence = scores_of(drawn, x, "elbo"), scores_of(drawn, x, "evidence")
            return {"elbo": elbo["score"], "evidence": evidence["score"], "error": evidence["standard_error"]}

        return Scored(**{name: found.numpy() for name, found in by_rows(x.split(BATCH), CPU, measured).items()})
