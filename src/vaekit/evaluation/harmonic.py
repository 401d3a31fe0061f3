"""The marginal-likelihood estimator of the paper that introduced variational auto-encoders, for few latents."""

from math import log

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.errors import InputError
from vaekit.estimates import exact
from vaekit.evaluation.bridges import from_prior
from vaekit.hmc import settle
from vaekit.model import VAE

MOST_LATENTS = 5
"""with more, the fitted density and the posterior hardly overlap"""
CANDIDATES = 10
"""draws from the encoder for each chain"""
LEAST_VARIANCE = 1e-8
"""scale of the fitted density where no chain has moved"""


def fitted(z: Float[Tensor, "samples batch latent"]) -> MultivariateNormal:
    """Return the Gaussian with the mean and the full covariance of each image's samples."""
    mean = z.mean(0)
    covariance = torch.einsum("sbi,sbj->bij", z - mean, z - mean) / (len(z) - 1)
    least = LEAST_VARIANCE * torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    return MultivariateNormal(mean, covariance + least, validate_args=False)


@torch.no_grad()
def resampled(vae: VAE, x: Float[Tensor, "batch *event"], n: int) -> Float[Tensor, "{n} batch latent"]:
    """Choose n of ``CANDIDATES`` n draws from q(z | x) for each x, in proportion to their weights p(x, z) / q(z | x).

    A chain that begins far away, such as at a draw from the prior, may stay there, and one in fifty ruins a harmonic
    mean.

    Reference: *The calculation of posterior distributions by data augmentation: comment (Rubin, 1987)*.
    """
    posterior, prior = vae.posterior(x), vae.prior()
    draws = [
        vae.draw(x, n, posterior, prior) for _ in range(CANDIDATES)
    ]  # no more are decoded at once than there are chains
    z, log_weight = torch.cat([d.z for d in draws]), torch.cat([d.log_weight for d in draws])
    weight = log_weight.nan_to_num(torch.finfo(log_weight.dtype).min).T.softmax(1)  # overflows are not chosen
    chosen = torch.multinomial(weight, n, replacement=True).T
    return z.take_along_dim(chosen[..., None], 0)


def harmonic(
    vae: VAE,
    x: Float[Tensor, "batch *event"],
    samples: int = 50,
    leapfrog: int = 4,
    transitions: int = 100,
    acceptance: float = 0.65,
) -> Float64[Tensor, "batch"]:
    r"""Estimate log p(x) of each image from posterior samples, (batch,) nats.

    p(x) ≈ [(1/L) Σ_l q(z_l) / (p(z_l) p(x | z_l))]⁻¹ with z_l ~ p(z | x) by Hamiltonian Monte Carlo, and q fitted to L
    other such samples. The paper leaves the family of q open; here it is a Gaussian with full covariance. Every sample
    is the end of its own chain, which begins at one of many draws from the encoder, chosen by its weight.

    It errs upward: the mean in brackets is unbiased for 1/p(x), hence E[log p̂(x)] ≥ log p(x) by Jensen's inequality,
    and where q has heavier tails than p(z | x), samples too rare to occur carry that mean. So it is not a bound to be
    quoted alone. Chains that cannot leave the encoder's mode err downward, because they see only that mode.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix D.

    Args:
        vae: the model, in evaluation mode.
        x: (batch, *event).
        samples: L; 2 L chains are held in memory at once.
        leapfrog: leapfrog steps per trajectory.
        transitions: trajectories per chain.
        acceptance: acceptance rate of trajectories that the step size is adapted to.

    Raises:
        InputError: if there are more than five latents, or too few samples to fit q to.
    """
    if vae.latent_dim > MOST_LATENTS:
        raise InputError(
            f"the harmonic estimator works for at most {MOST_LATENTS} latents, but this model has {vae.latent_dim}: "
            "use annealed importance sampling"
        )
    if samples <= vae.latent_dim:
        raise InputError(f"samples is {samples}: fitting {vae.latent_dim} latents needs at least {vae.latent_dim + 1}")
    point = settle(from_prior(vae, x).path, 1.0, resampled(vae, x, 2 * samples), transitions, leapfrog, acceptance)
    z, log_joint = exact(point.z), exact(point.log_density(1.0))
    log_ratio = fitted(z[:samples]).log_prob(z[samples:]) - log_joint[samples:]
    return log(samples) - log_ratio.logsumexp(0)
