"""Annealed importance sampling: log p(x) from below, and for simulated x from above as well.

References: *Annealed importance sampling (Neal, 2001)*, arXiv:physics/9803008; *Sandwiching the marginal likelihood
using bidirectional Monte Carlo (Grosse, Ghahramani, Adams, 2015)*, arXiv:1511.02543; *On the quantitative analysis of
decoder-based generative models (Wu, Burda, Salakhutdinov, Grosse, 2017)*, arXiv:1611.04273.
"""

from collections.abc import Iterable, Sequence
from math import log
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from vaekit.estimates import Estimate, exact, mean_over_images
from vaekit.evaluation.bridges import Bridge, from_encoder, from_prior
from vaekit.hmc import FIRST_STEP, Path, adapted, evaluate, transition
from vaekit.model import VAE
from vaekit.specs import Count, spec

PILOTS, WARM_UP = 4, 10
"""chains per image that find the step sizes, and their transitions before the first temperature"""
STEEPNESS = 4.0
"""δ of the sigmoid schedule"""


@spec
class Annealing:
    """Settings of the annealing; each x costs (chains + 4) × temperatures × leapfrog decoded images with gradient.

    At equal cost, more temperatures are worth more than longer trajectories.
    """

    start: Literal["encoder", "prior"] = "encoder"
    """where the path begins: encoder, q(z | x), needs fewer temperatures; prior, p(z), does not rely on the encoder"""
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


def tuned(bridge: Bridge, settings: Annealing) -> Float[Tensor, "transitions batch"]:
    """Find the step size of each image at each β between 0 and 1, on a few chains that are then thrown away.

    A step size that depends on a chain's own past would bias its weight; one fixed beforehand keeps E[w] = p(x) exact.
    """
    point = evaluate(bridge.path, bridge.sample(PILOTS))
    step, steps = torch.full_like(point.log_start[0], FIRST_STEP), [point.log_start.new_empty(0, point.z.shape[1])]
    for i, beta in enumerate([0.0] * WARM_UP + settings.betas[1:-1]):
        point, probability = transition(bridge.path, beta, point, step, settings.leapfrog)
        step = adapted(step, probability, settings.acceptance)
        if i >= WARM_UP:
            steps.append(step[None])
    return torch.cat(steps)


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


def forward(vae: VAE, x: Float[Tensor, "batch *event"], settings: Annealing) -> Float64[Tensor, "chains batch"]:
    """Return log w of chains that end at p(z | x), with E[w] = p(x).

    Args:
        vae: the model, in evaluation mode.
        x: (batch, *event).
        settings: of the annealing.
    """
    bridge = STARTS[settings.start](vae, x)
    steps = tuned(bridge, settings)
    return anneal(bridge.path, bridge.sample(settings.chains), settings.betas, steps, settings.leapfrog)


def reverse(
    vae: VAE, x: Float[Tensor, "batch *event"], z: Float[Tensor, "batch latent"], settings: Annealing
) -> Float64[Tensor, "chains batch"]:
    """Return log w of chains that begin at p(z | x), with E[1/w] = 1/p(x).

    Args:
        vae, settings: those of ``forward``.
        x: (batch, *event), simulated: x ~ p(x | z).
        z: (batch, d), what x was simulated from, z ~ p(z): one exact draw from p(z | x), where every chain begins.
    """
    bridge = STARTS[settings.start](vae, x)
    steps = tuned(bridge, settings).flip(0)
    start = z.expand(settings.chains, *z.shape)
    return -anneal(bridge.path, start, settings.betas[::-1], steps, settings.leapfrog)


def log_mean(log_weight: Float[Tensor, "chains batch"]) -> Float[Tensor, "batch"]:
    """Return log (1/M) Σ_m w_m."""
    return log_weight.logsumexp(0) - log(len(log_weight))


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
