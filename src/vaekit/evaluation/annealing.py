"""Annealed importance sampling: log p(x) from below, and for simulated x from above as well.

References: *Annealed importance sampling (Neal, 2001)*, arXiv:physics/9803008; *Sandwiching the marginal likelihood
using bidirectional Monte Carlo (Grosse, Ghahramani, Adams, 2015)*, arXiv:1511.02543; *On the quantitative analysis of
decoder-based generative models (Wu, Burda, Salakhutdinov, Grosse, 2017)*, arXiv:1611.04273.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from pydantic import Field
from torch import Tensor

from vaekit.distributions import has_density
from vaekit.estimates import Estimate, exact, mean_over_images
from vaekit.evaluation.bridges import Bridge, from_encoder, from_prior
from vaekit.hmc import FIRST_STEP, Path, adapted, evaluate, transition
from vaekit.model import VAE
from vaekit.specs import Count, spec

PILOTS, WARM_UP = 4, 10
"""chains per image and start that find the step sizes and the better start; their transitions before the first β"""
STEEPNESS = 4.0
"""δ of the sigmoid schedule"""


@spec
class Annealing:
    """Settings of the annealing; each x costs (chains + 8) × temperatures × leapfrog decoded images with gradient.

    At equal cost, more temperatures are worth more than longer trajectories.
    """

    start: Literal["better", "encoder", "prior"] = "better"
    """where the path begins: encoder, q(z | x), needs fewer temperatures; prior, p(z), does not rely on the encoder; better, whichever of the two finds more, as four chains from each find out for each image"""  # noqa: E501
    schedule: Literal["sigmoid", "linear"] = "sigmoid"
    """spacing of β: sigmoid takes small steps at both ends, linear takes equal ones"""
    temperatures: Count = 500
    """steps of β from 0 to 1; a single one is plain importance sampling"""
    chains: Count = 16
    """chains per image, all held in memory at once"""
    leapfrog: Count = 4
    """leapfrog steps per trajectory"""
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.65
    """acceptance rate of trajectories that the step size is adapted to"""

    @property
    def betas(self) -> list[float]:
        """β_0 = 0 < ... < β_T = 1: equal steps, or (σ(δ(2t/T − 1)) − σ(−δ)) / (σ(δ) − σ(−δ)) with δ = 4.

        Example:
            >>> Annealing(temperatures=4, schedule="linear").betas
            [0.0, 0.25, 0.5, 0.75, 1.0]
        """
        t = torch.linspace(-1, 1, self.temperatures + 1, dtype=torch.float64)
        raw = t if self.schedule == "linear" else torch.sigmoid(STEEPNESS * t)
        return ((raw - raw[0]) / (raw[-1] - raw[0])).tolist()


STARTS = {"prior": from_prior, "encoder": from_encoder}


class Pilot(NamedTuple):
    """What a few chains found on one path, which are then thrown away.

    Attributes:
        steps: the step size of each image at each β between 0 and 1.
        log_weight: log w of the chains. Their steps depend on their own past, so E[w] = p(x) holds only roughly.
    """

    steps: Float[Tensor, "transitions batch"]
    log_weight: Float64[Tensor, "chains batch"]


def pilot(bridge: Bridge, settings: Annealing) -> Pilot:
    """Find the step size of each image at each β between 0 and 1, and roughly what annealing on this path gives.

    A step size that depends on a chain's own past would bias its weight; one fixed beforehand keeps E[w] = p(x) exact.
    """
    point = evaluate(bridge.path, bridge.sample(PILOTS))
    step, steps = torch.full_like(point.log_start[0], FIRST_STEP), [point.log_start.new_empty(0, point.z.shape[1])]
    log_weight = torch.zeros_like(exact(point.log_ratio))
    for now, after in [(0.0, 0.0)] * (WARM_UP - 1) + list(pairwise(settings.betas)):
        point, probability = transition(bridge.path, now, point, step, settings.leapfrog)
        log_weight += (after - now) * exact(point.log_ratio)
        step = adapted(step, probability, settings.acceptance)
        if now > 0:
            steps.append(step[None])
    return Pilot(torch.cat(steps), log_weight)


def pilots(vae: VAE, x: Float[Tensor, "batch *event"], settings: Annealing) -> dict[str, Pilot]:
    """Run the pilot of each start that the settings allow; a point posterior is not a start that can be chosen."""
    starts = [settings.start] if settings.start != "better" else list(STARTS)
    if settings.start == "better" and not has_density(vae.posterior(x)):
        starts.remove("encoder")
    return {start: pilot(STARTS[start](vae, x), settings) for start in starts}


def parted(found: Mapping[str, Pilot]) -> Iterator[tuple[str, Int64[Tensor, "rows"]]]:
    """Part the images by the start whose pilot found more for them, less its standard error."""
    each = [log_mean(one.log_weight) - log_mean_error(one.log_weight) for one in found.values()]
    best = torch.stack(each).nan_to_num(-torch.inf).argmax(0)
    for i, start in enumerate(found):
        rows = torch.nonzero(best == i).flatten()
        if len(rows):
            yield start, rows


def anneal(
    path: Path,
    z: Float[Tensor, "chains batch latent"],
    betas: Sequence[float],
    steps: Float[Tensor, "transitions batch"],
    leapfrog: int,
) -> Float64[Tensor, "chains batch"]:
    """Carry z along the path: Σ_t (β_t − β_{t−1}) log r(z_{t−1}), with z_t from a transition that keeps π_{β_t}.

    Upwards from z ~ a it is log w with E[w] = p(x); downwards from z ~ p(z | x) it is −log w with E[1/w] = 1/p(x).
    """
    point = evaluate(path, z)
    log_weight = (betas[1] - betas[0]) * exact(point.log_ratio)
    for now, after, step in zip(betas[1:-1], betas[2:], steps, strict=True):
        point, _ = transition(path, now, point, step, leapfrog)
        log_weight += (after - now) * exact(point.log_ratio)
    return log_weight


def walked(
    vae: VAE,
    x: Float[Tensor, "batch *event"],
    found: Mapping[str, Pilot],
    walk: Callable[[Bridge, Tensor, Tensor], Tensor],
) -> Float64[Tensor, "chains batch"]:
    """Walk the path of each image that its pilot prefers.

    Args:
        vae, x: those of ``forward``.
        found: the pilot of each start.
        walk: the bridge of some images, their step sizes and their places in x → log w of their chains.
    """
    parts, places = [], []
    for start, rows in parted(found):
        parts.append(walk(STARTS[start](vae, x[rows]), found[start].steps[:, rows], rows))
        places.append(rows)
    return torch.cat(parts, 1)[:, torch.cat(places).argsort()]


def forward(
    vae: VAE, x: Float[Tensor, "batch *event"], settings: Annealing, found: Mapping[str, Pilot] | None = None
) -> Float64[Tensor, "chains batch"]:
    """Return log w of chains that end at p(z | x), with E[w] = p(x).

    That holds for the better start as for a fixed one, because the pilots that choose it are not used again; the larger
    of two estimates would be too large.

    Args:
        vae: the model, in evaluation mode.
        x: (batch, *event).
        settings: of the annealing.
        found: the pilot of each start, if they were run before.
    """

    def walk(bridge: Bridge, steps: Tensor, _: Tensor) -> Tensor:
        return anneal(bridge.path, bridge.sample(settings.chains), settings.betas, steps, settings.leapfrog)

    return walked(vae, x, found or pilots(vae, x, settings), walk)


def reverse(
    vae: VAE, x: Float[Tensor, "batch *event"], z: Float[Tensor, "batch latent"], settings: Annealing
) -> Float64[Tensor, "chains batch"]:
    """Return log w of chains that begin at p(z | x), with E[1/w] = 1/p(x).

    Args:
        vae, settings: those of ``forward``.
        x: (batch, *event), simulated: x ~ p(x | z).
        z: (batch, d), what x was simulated from, z ~ p(z): one exact draw from p(z | x), where every chain begins.
    """

    def walk(bridge: Bridge, steps: Tensor, rows: Tensor) -> Tensor:
        start = z[rows].expand(settings.chains, -1, -1)
        return -anneal(bridge.path, start, settings.betas[::-1], steps.flip(0), settings.leapfrog)

    return walked(vae, x, pilots(vae, x, settings), walk)


def log_mean(log_weight: Float[Tensor, "chains batch"]) -> Float[Tensor, "batch"]:
    """Return log (1/M) Σ_m w_m."""
    return log_weight.logsumexp(0) - log(len(log_weight))


def log_mean_error(log_weight: Float[Tensor, "chains batch"]) -> Float[Tensor, "batch"]:
    """Return the standard error of ``log_mean`` to first order, s(w) / (w̄ √M); too small where chains miss a mode."""
    weight = (log_weight - log_weight.amax(0)).exp()
    return weight.std(0) / weight.mean(0) / len(weight) ** 0.5


def annealed(vae: VAE, x: Float[Tensor, "batch *event"], settings: Annealing) -> Float64[Tensor, "batch"]:
    """Estimate log p(x) of each image by annealed importance sampling, (batch,) nats: a lower bound in expectation.

    Args: those of ``forward``.

    Example:
        >>> from vaekit.model import Model
        >>> vae = Model(latent_dim=2).build((1, 2, 2))
        >>> annealed(vae, torch.ones(3, 1, 2, 2), Annealing(temperatures=5, chains=2)).shape
        torch.Size([3])
    """
    return log_mean(forward(vae, x, settings))


def compared(vae: VAE, x: Float[Tensor, "batch *event"], settings: Annealing) -> dict[str, Float64[Tensor, "batch"]]:
    """Estimate log p(x) as ``annealed`` does, and say what the pilots found.

    Returns:
        ``ais``, and ``ais_from_encoder`` and ``ais_from_prior`` by the pilots of the starts that were tried; each also
        with ``_error``, its standard error over chains; and ``ais_began_at_prior``, 1 where the better start was that.
    """
    found = pilots(vae, x, settings)
    chains = {"ais": forward(vae, x, settings, found)}
    chains |= {f"ais_from_{start}": one.log_weight for start, one in found.items()}
    began = torch.zeros(len(x), dtype=torch.float64)
    for start, rows in parted(found):
        began[rows.cpu()] = float(start == "prior")
    return {"ais_began_at_prior": began} | {
        name + end: of(log_weight)
        for name, log_weight in chains.items()
        for end, of in (("", log_mean), ("_error", log_mean_error))
    }


def simulated(vae: VAE, images: int, settings: Annealing) -> dict[str, Float64[Tensor, "images"]]:
    """Bracket log p(x) of images drawn from the model itself: lower, upper and their gap, (images,) nats each."""
    with torch.no_grad():
        z = vae.prior().sample(torch.Size((images,)))
        x = vae.likelihood(z).sample()
    lower, upper = log_mean(forward(vae, x, settings)), -log_mean(-reverse(vae, x, z, settings))
    return {"lower": lower, "upper": upper, "gap": upper - lower}


def bracket(vae: VAE, batches: Iterable[int], settings: Annealing) -> dict[str, Estimate]:
    """Estimate E[lower] ≤ E[log p(x)] ≤ E[upper] over images that the model draws: bidirectional Monte Carlo.

    The gap bounds how far ``annealed`` falls short with these settings, insofar as real images resemble simulated ones.

    Args:
        vae, settings: those of ``forward``.
        batches: numbers of images to hold at once; their sum is the number of all images.
    """
    parts = [simulated(vae, images, settings) for images in batches]
    return {name: mean_over_images(torch.cat([part[name] for part in parts]), settings.chains) for name in parts[0]}
