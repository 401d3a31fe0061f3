"""What is computed of each row alone, by draws whose noise all rows share.

A result depends neither on the other rows nor on their order or number, bit for bit: rows are computed in blocks of one
size, by one thread each, alike in memory, and a draw z_k ~ q(z | x) is the same function of the noise ε_k for all rows.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import log
from threading import RLock
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor
from torch.distributions import Distribution
from torch.overrides import TorchFunctionMode

from vaekit.distributions import transported, transported_and_log_prob
from vaekit.estimates import exact
from vaekit.evaluation.evidence import ELEMENTS_AT_ONCE
from vaekit.model import VAE

ROWS = 128
"""rows of every block: the last one is filled up, because products of matrices round by their size"""
SEED = 0
ONE_THREAD = RLock()
"""held while torch computes with one thread, so that its number of threads is restored to what it was"""
ALIGNED, NARROW = 16, 32
"""numbers between the beginnings of rows whose alignment is the same, and outputs below which it decides over bits"""


class Alike(TorchFunctionMode):
    """Lets the rows of a narrow matrix product begin at the same alignment, by which MKL orders its sums."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.linear and len(args) > 1 and len(args[1]) < NARROW and (rest := args[0].shape[-1] % ALIGNED):
            x, weight, *others = args
            args = (*(F.pad(each, (0, ALIGNED - rest)) for each in (x, weight)), *others)
        return func(*args, **(kwargs or {}))


def shared_noise(draws: int, latent_dim: int, seed: int = SEED) -> Float[Tensor, "{draws} 1 {latent_dim}"]:
    """Draw standard normal noise that all rows share, (draws, 1, d): the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(draws, 1, latent_dim, generator=generator, dtype=torch.float32)


def by_rows(
    batches: Iterable[Float[Tensor, "_ *event"]],
    device: torch.device,
    compute: Callable[[Float[Tensor, "rows *event"]], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Compute numbers of each row, (rows, ...) by name, block by block on a device."""

    @torch.no_grad()
    def computed(block: tuple[Tensor, int]) -> dict[str, Tensor]:
        with Alike():
            found = compute(block[0].to(device))
        return {name: values[: block[1]].cpu() for name, values in found.items()}

    parts: list[dict[str, Tensor]] = []
    with _threads(device) as apply:
        for batch in batches:
            parts += apply(computed, _filled(batch))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@contextmanager
def _threads(device: torch.device) -> Iterator[Callable[..., Iterable[dict[str, Tensor]]]]:
    """Give a map whose every call is computed by one thread of a CPU: several would round a row by its place."""
    if device.type != "cpu":
        yield map
        return
    with ONE_THREAD:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield pool.map
        finally:
            torch.set_num_threads(threads)


def _filled(batch: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Cut rows into blocks of ``ROWS``, the last filled up with its last row, each with its number of true rows."""
    for block in batch.split(ROWS):
        yield torch.cat([block, block[-1:].expand(ROWS - len(block), *block.shape[1:])]), len(block)


class Weighted:
    """Draws z_k = T(ε_k; x) ~ q(z | x) of a block of rows, with their importance weights; each is decoded when needed.

    w_k = p(x | z_k) p(z_k) / q(z_k | x), where p(x | z) is that of the observed elements if x has holes.

    Args:
        vae: the model, in evaluation mode; its posterior must have a density.
        x: (rows, *event), what the likelihood is asked for.
        noise: ε, (draws, 1, d), as of ``shared_noise``.
        posterior: what z is drawn from in place of q(z | x).

    Attributes:
        log_likelihood: log p(x | z_k), (draws, rows).
        log_weight: log w_k, (draws, rows).
    """

    def __init__(
        self,
        vae: VAE,
        x: Float[Tensor, "rows *event"],
        noise: Float[Tensor, "draws 1 latent"],
        posterior: Distribution | None = None,
    ) -> None:
        self.vae, self.x = vae, x
        self.posterior, self.prior = vae.posterior(x) if posterior is None else posterior, vae.prior()
        self.noise = noise.to(x.device).split(max(1, ELEMENTS_AT_ONCE // x.numel()))
        log_likelihoods, log_weights = [], []
        for part in self.noise:
            z, log_posterior = transported_and_log_prob(self.posterior, part)
            log_likelihood = vae.log_likelihood(x, z)
            log_likelihoods.append(exact(log_likelihood))
            log_weights.append(exact(log_likelihood + self.prior.log_prob(z) - log_posterior))
        self.log_likelihood: Float64[Tensor, "draws rows"] = torch.cat(log_likelihoods)
        self.log_weight: Float64[Tensor, "draws rows"] = torch.cat(log_weights)

    @property
    def draws(self) -> int:
        """Their number K."""
        return len(self.log_weight)

    @property
    def weights(self) -> Float64[Tensor, "draws rows"]:
        """Self-normalized weights w_k / Σ_j w_j, (draws, rows): those of expectations under p(z | x)."""
        return self.log_weight.softmax(0)

    @property
    def log_evidence(self) -> Float64[Tensor, "rows"]:
        """log (1/K) Σ_k w_k, (rows,) nats."""
        return self.log_weight.logsumexp(0) - log(self.draws)

    def expected(
        self,
        function: Callable[[Distribution], Tensor],
        weights: Float64[Tensor, "draws rows"],
    ) -> Float64[Tensor, "rows *shape"]:
        """Return Σ_k w_k f(p(x | z_k)) of each row, for an f that gives (draws, rows, ...)."""
        total, done = torch.zeros(()), 0
        for part in self.noise:
            values = exact(function(self.vae.likelihood(transported(self.posterior, part))))
            own = weights[done : done + len(part)].to(values)
            total = total.to(values) + torch.einsum("kr,kr...->r...", own, values)
            done += len(part)
        return total
