"""The verb that draws from the model."""

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_whole
from vaekit.data import Space
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.outputs import kind_of, what_of, write_examples
from vaekit.run import Run
from vaekit.verbs.reading import BATCH, SEED

COPIES = 2
"""of samples: their batches, and all of them joined"""


def sample(
    run: Run | Place,
    n: int = 64,
    *,
    seed: int = SEED,
    noise: bool | None = None,
    out: Place | None = None,
    device: str = "auto",
) -> np.ndarray:
    """Sample from the model: z from the prior, then x from p(x | z) for a table, or the means of p(x | z) for images.

    Args:
        run: the run, or the path of its folder.
        n: how many.
        seed: of the draws.
        noise: whether to draw x from p(x | z) or to take its mean; None draws rows of a table, which need the noise to
            spread as real ones do, and takes the means of images.
        out: a file to write them to as well: .npy, a picture of image data, or .csv or .parquet of a table's rows.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: if so many samples exceed the memory, or examples cannot be written to such a file.
    """
    n, seed = to_whole(n, "n"), to_whole(seed, "seed", 0)
    run, target = Run.of(run), devices.choose(device)
    kind_of(out, what_of(run.space))
    taken, there = COPIES * 4 * n * prod(run.space.event_shape), devices.memory(torch.device("cpu"))
    if taken > there:
        raise InputError(
            f"n is {n}: so many samples take {taken / 2**30:,.1f} GiB of memory, and {there / 2**30:,.1f} GiB are "
            "available: ask for fewer at a time, with another seed each"
        )
    with devices.memory_errors(f"{n} samples", "ask for fewer at a time"):
        found = drawn(run.vae(target), run.space, n, seed, noise)
    write_examples(found, run.space, out)
    return found


def drawn(vae: VAE, space: Space, n: int, seed: int = SEED, noise: bool | None = None) -> np.ndarray:
    """Draw n samples of a model in the data's own units, by a generator that nothing else draws from."""
    noisy = bool(space.columns) if noise is None else noise
    with devices.seeded(seed, next(vae.parameters()).device):
        return np.concatenate([space.generated(x) for x in _sampled(vae, n, noisy)])


@torch.no_grad()
def _sampled(vae: VAE, n: int, noise: bool) -> Iterator[Tensor]:
    """Samples in batches, (batch, *event) each, of latents that are drawn at once."""
    for z in vae.prior().sample(torch.Size((n,))).split(BATCH):
        likelihood = vae.likelihood(z)
        yield (likelihood.sample() if noise else likelihood.mean).cpu()
