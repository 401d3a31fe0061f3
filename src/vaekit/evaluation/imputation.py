"""What is missing of a row, given what is observed: means, modes, standard deviations, and draws."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.distributions import Distribution

from vaekit import devices
from vaekit.building import ObservedLikelihood
from vaekit.data import Space
from vaekit.data.columns import CODED, Column, Scaling
from vaekit.distributions import FullGaussian, element_log_prob, transported
from vaekit.estimates import exact
from vaekit.evaluation.rows import SEED, Weighted, by_rows
from vaekit.model import VAE

ROUNDS = 10
"""times that a Gaussian is adapted to p(z | x_observed) where there is no encoder for it"""
LEAST = 0.25
"""share of the draws that count at least when a Gaussian is adapted"""
WIDER = 1.2
"""how many times wider than its target the adapted Gaussian is, so that no weight is large"""


def weighted(
    vae: VAE,
    x: Float[Tensor, "rows *event"],
    noise: Float[Tensor, "draws 1 latent"],
    space: Space,
    start: Tensor | None = None,
) -> Weighted:
    """Return draws with weights of z given what is observed of x, NaN elsewhere.

    The encoder proposes them if the model was trained with holes, else a Gaussian that is adapted to each row.

    Args:
        vae: the model; its likelihood is independent over the elements of x.
        x: (rows, *event).
        noise: ε, (draws, 1, d), as of ``shared_noise``.
        space: of the data.
        start: what ``beginning`` returns; None draws it here, for which no other thread may hold torch's generators.
    """
    if space.missing:
        return Weighted(vae, x, noise)
    observing = VAE(vae.prior, vae.posterior, ObservedLikelihood(vae.likelihood), vae.event_shape, vae.latent_dim)
    start = beginning(vae, noise, x.device) if start is None else start
    return Weighted(observing, x, noise, adapted(observing, x, noise, start))


def beginning(vae: VAE, noise: Float[Tensor, "draws 1 latent"], device: torch.device) -> Float[Tensor, "draws latent"]:
    """Draw z from the prior, as often as there is noise, with a seed: where ``adapted`` begins, (draws, d)."""
    with devices.seeded(SEED, device), torch.no_grad():
        return vae.prior().sample(torch.Size((len(noise),))).to(noise.dtype)


def adapted(
    vae: VAE,
    x: Float[Tensor, "rows *event"],
    noise: Float[Tensor, "draws 1 latent"],
    start: Float[Tensor, "draws latent"],
) -> FullGaussian:
    """Adapt a Gaussian to p(z | x_observed) of each row, beginning at the moments of draws from the prior.

    In each round its draws are weighted by w^t, with the largest t ≤ 1 at which a quarter of them counts, and it takes
    their mean and covariance: those of a distribution between it and the target.

    Reference: *Population Monte Carlo (Cappé, Guillin, Marin, Robert, 2004)*.
    """
    even = torch.full_like(start[:, 0], 1 / len(start))
    loc, factor = (each.expand(len(x), *each.shape) for each in _moments(start, even))
    for _ in range(ROUNDS):
        drawn = Weighted(vae, x, noise, FullGaussian(loc, factor))
        power = drawn.log_weight.new_ones(len(x))
        for _ in range(20):
            weights = (power * drawn.log_weight).softmax(0)
            power = torch.where(1 / weights.square().sum(0) < LEAST * drawn.draws, power / 1.5, power)
        z = torch.cat([transported(drawn.posterior, part) for part in drawn.noise])
        loc, factor = torch.vmap(_moments, in_dims=(1, 1))(z, weights.to(z))
    return FullGaussian(loc, WIDER * factor)


def _moments(z: Float[Tensor, "draws latent"], weights: Float[Tensor, "draws"]) -> tuple[Tensor, Tensor]:
    """Return the mean of weighted draws, (d,), and the Cholesky factor of their covariance, (d, d)."""
    loc = weights @ z
    away = z - loc
    covariance = away.T @ (weights[:, None] * away)
    return loc, torch.linalg.cholesky(covariance + 1e-6 * torch.eye(len(loc), dtype=z.dtype, device=z.device))


class Guess(NamedTuple):
    """What elements are given what is observed, in the file's units; categories by their numbers.

    Attributes:
        value: means, or modes of categories, (rows, *event).
        scale: standard deviations, or 1 − probability of categories' modes, (rows, *event).
    """

    value: Tensor
    scale: Tensor


def guessed(drawn: Weighted, space: Space) -> Guess:
    r"""Return mean and standard deviation of p(x_missing | x_observed) = Σ_k w_k p(x | z_k), element by element.

    E[x] = Σ_k w_k m_k and E[x²] = Σ_k w_k (m_k² + s_k²), with the moments m_k and s_k of each draw's x in the file's
    units, where a positive column is log-normal.
    """
    weights, moments = drawn.weights, _Moments(space)
    first, second = drawn.expected(moments, weights).unbind(-1)
    value, scale = moments.restored(first, (second - first.square()).clamp_min(0).sqrt())
    for k, column in enumerate(space.columns or ()):
        if column.kind in CODED and drawn.x[:, k].isnan().any():
            chances = probabilities(drawn, weights, k, column)
            value[:, k], scale[:, k] = chances.argmax(-1).to(value), 1 - chances.amax(-1)
    return Guess(value, scale)


def guesses(
    vae: VAE,
    batches: Iterable[Float[Tensor, "_ *event"]],
    noise: Float[Tensor, "draws 1 latent"],
    space: Space,
    device: torch.device,
) -> Guess:
    """Return what is expected of each element of many rows, and its standard deviation, block by block on a device."""
    start = None if space.missing else beginning(vae, noise, device)  # not in the threads: the caller may be seeded
    found = by_rows(batches, device, lambda x: guessed(weighted(vae, x, noise, space, start), space)._asdict())
    return Guess(**found)


def probabilities(
    drawn: Weighted, weights: Float[Tensor, "draws rows"], place: int, column: Column
) -> Float[Tensor, "rows categories"]:
    """Return Σ_k w_k P(x_i = c | z_k) of each category c of a column, the i-th: (rows, categories)."""

    def chances(p: Distribution) -> Tensor:
        known = torch.where(drawn.x.isnan(), 0, drawn.x)
        asked = [known.index_fill(1, torch.tensor(place, device=known.device), code) for code in range(size)]
        return torch.stack([element_log_prob(p, x)[..., place] for x in asked], -1).exp()

    size = max(2, len(column.categories)) if column.kind == "binary" else len(column.categories)
    return drawn.expected(chances, weights)


class _Moments:
    """Means and mean squares of elements in the file's units, up to what ``restored`` adds."""

    def __init__(self, space: Space) -> None:
        scaling = Scaling.of(space.columns or ())
        self.positive, self.shift, self.divisor = (torch.from_numpy(each) for each in scaling)
        if not space.columns:
            levels = torch.tensor(255.0 if space.support == "byte" else 1.0).double()
            self.positive, self.shift, self.divisor = torch.tensor(False), torch.tensor(0.0).double(), levels

    def __call__(self, p: Distribution) -> Tensor:
        positive, divisor = self.positive.to(p.mean.device), self.divisor.to(p.mean.device)
        mean, variance = exact(p.mean) * divisor, exact(p.variance) * divisor.square()
        first = torch.where(positive, (mean + variance / 2).exp(), mean)
        return torch.stack([first, torch.where(positive, (2 * (mean + variance)).exp(), mean.square() + variance)], -1)

    def restored(self, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Add the columns' shifts, which are factors of positive ones."""
        positive, shift = self.positive.to(mean.device), self.shift.to(mean.device)
        factor = torch.where(positive, shift.exp(), 1)
        return torch.where(positive, 0, shift) + factor * mean, factor * scale


@torch.no_grad()
def drawn(weighted: Weighted, n: int) -> Float[Tensor, "{n} rows *event"]:
    """Draw x from Σ_k w_k p(x | z_k), n times for each row, with torch's generator: (n, rows, *event).

    z is one of the weighted draws, chosen by its weight; x is drawn from p(x | z), as the model reads it.
    """
    chosen: Int64[Tensor, "n rows"] = torch.multinomial(weighted.weights.T, n, replacement=True).T
    z = torch.cat([transported(weighted.posterior, part) for part in weighted.noise])
    picked = z.expand(-1, chosen.shape[1], -1).gather(0, chosen[..., None].expand(-1, -1, z.shape[-1]))
    return weighted.vae.likelihood(picked).sample()
