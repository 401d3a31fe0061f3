"""Hamiltonian Monte Carlo on latents: many chains per image, for many images at once.

Reference: *MCMC using Hamiltonian dynamics (Neal, 2011)*, arXiv:1206.1901.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Path = Callable[[Tensor], tuple[Tensor, Tensor]]
"""z (chains, batch, d) → log a(z) and log r(z), each (chains, batch): the densities π_β ∝ a r^β for every β"""

ADAPTATION = 0.5
"""change of log ε when the acceptance misses its target by 1"""
JITTER = 0.1
"""share by which ε varies between trajectories, so that no orbit closes on itself"""
FIRST_STEP = 0.5
"""ε before it is adapted"""


class Point(NamedTuple):
    """A point z with everything that the dynamics need to know there, at any β.

    Attributes:
        z: (chains, batch, d).
        log_start, log_ratio: log a(z), log r(z), each (chains, batch).
        start_gradient, ratio_gradient: their gradients, each (chains, batch, d).
    """

    z: Float[Tensor, "chains batch latent"]
    log_start: Float[Tensor, "chains batch"]
    log_ratio: Float[Tensor, "chains batch"]
    start_gradient: Float[Tensor, "chains batch latent"]
    ratio_gradient: Float[Tensor, "chains batch latent"]

    def log_density(self, beta: float) -> Float[Tensor, "chains batch"]:
        """log π_β(z) = log a(z) + β log r(z), up to a constant."""
        return self.log_start + beta * self.log_ratio

    def gradient(self, beta: float) -> Float[Tensor, "chains batch latent"]:
        """∇ log π_β(z)."""
        return self.start_gradient + beta * self.ratio_gradient


def evaluate(path: Path, z: Float[Tensor, "chains batch latent"]) -> Point:
    """Evaluate the path at z: one decoder evaluation with its gradient; parameters get no gradient."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        log_start, log_ratio = path(z)
        (start_gradient,) = torch.autograd.grad(log_start.sum(), z, retain_graph=True)
        (ratio_gradient,) = torch.autograd.grad(log_ratio.sum(), z)
    return Point(z.detach(), log_start.detach(), log_ratio.detach(), start_gradient, ratio_gradient)


def leapfrog(
    path: Path,
    beta: float,
    point: Point,
    momentum: Float[Tensor, "chains batch latent"],
    step: Float[Tensor, "*chains batch"],
    length: int,
) -> tuple[Point, Float[Tensor, "chains batch latent"]]:
    """Follow H(z, ρ) = −log π_β(z) + ½ ρᵀρ for ``length`` steps ρ += ½ε ∇log π_β, z += ε ρ, ρ += ½ε ∇log π_β."""
    epsilon = step[..., None]
    for _ in range(length):
        momentum = momentum + 0.5 * epsilon * point.gradient(beta)
        point = evaluate(path, point.z + epsilon * momentum)
        momentum = momentum + 0.5 * epsilon * point.gradient(beta)
    return point, momentum


def transition(
    path: Path, beta: float, point: Point, step: Float[Tensor, "batch"], length: int
) -> tuple[Point, Float[Tensor, "chains batch"]]:
    """Move once, leaving π_β invariant: fresh momenta, a trajectory, a Metropolis test.

    A trajectory that ends in NaN is rejected.

    Returns:
        the new point and the probability with which each trajectory was accepted.
    """
    momentum = torch.randn_like(point.z)
    jitter = 1 + JITTER * (2 * torch.rand_like(point.log_start) - 1)
    end, final = leapfrog(path, beta, point, momentum, jitter * step, length)
    change = end.log_density(beta) - point.log_density(beta)
    probability = (change - 0.5 * (final.square() - momentum.square()).sum(-1)).clamp(max=0).exp().nan_to_num(0)
    accepted = torch.rand_like(probability) < probability
    chosen = (
        torch.where(accepted if a.ndim == 2 else accepted[..., None], b, a) for a, b in zip(point, end, strict=True)
    )
    return Point(*chosen), probability


def adapted(
    step: Float[Tensor, "batch"], probability: Float[Tensor, "chains batch"], acceptance: float
) -> Float[Tensor, "batch"]:
    """Adapt each image's step size to a target acceptance: log ε += η (mean over chains − target)."""
    return step * (ADAPTATION * (probability.mean(0) - acceptance)).exp()


def settle(
    path: Path, beta: float, z: Float[Tensor, "chains batch latent"], transitions: int, length: int, acceptance: float
) -> Point:
    """Run all chains from z toward π_β; the step size is adapted over the first half, then fixed."""
    point = evaluate(path, z)
    step = torch.full_like(point.log_start[0], FIRST_STEP)
    for i in range(transitions):
        point, probability = transition(path, beta, point, step, length)
        if i < transitions // 2:
            step = adapted(step, probability, acceptance)
    return point
