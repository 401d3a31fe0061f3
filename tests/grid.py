"""Models of two latents whose evidence is known by integration on a grid."""

from math import log
from typing import Any

import torch
from torch import Tensor

from vaekit.model import VAE, Model
from vaekit.networks import MLP

HALF_WIDTH, POINTS = 7.0, 121


def log_evidence(vae: VAE, x: Tensor, points: int = POINTS, half_width: float = HALF_WIDTH) -> Tensor:
    """log p(x) = log ∫ p(x, z) dz by the trapezoidal rule, which smooth densities make exact to rounding."""
    axis = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    joint = [vae.log_joint(x, z[:, None].expand(-1, len(x), -1)) for z in grid.split(4096)]
    return torch.cat(joint).logsumexp(0) + 2 * log(float(axis[1] - axis[0]))


def small(images: int, **roles: Any) -> tuple[VAE, Tensor]:
    """An untrained model with an MLP decoder that depends on its two latents, and images that it drew."""
    vae = Model(latent_dim=2, network=MLP(hidden=(8,)), **roles).build((1, 2, 2)).double().eval().requires_grad_(False)
    for parameter in vae.likelihood.parameters():
        parameter.mul_(2 if parameter.ndim > 1 else 1)  # weights, not scales
    return vae, vae.sample(images, noise=True)
