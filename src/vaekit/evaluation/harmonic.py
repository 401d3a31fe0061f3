"""The marginal-likelihood estimator of the paper that introduced variational auto-encoders, for few latents."""

from math import log

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.errors import InputError
from vaekit.evaluation.bridges import from_prior
from vaekit.hmc import settle
from vaekit.model import VAE

MOST_LATENTS = 5
"""beyond them the fitted density and the posterior hardly overlap"""


def fitted(z: Float[Tensor, "samples batch latent"]) -> MultivariateNormal:
    """The Gaussian with the mean and the full covariance of each image's samples."""
    mean = z.mean(0)
    covariance = torch.einsum("sbi,sbj->bij", z - mean, z - mean) / (len(z) - 1)
    return MultivariateNormal(mean, covariance, validate_args=False)


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
    other such samples. The paper leaves the family of q open; here it is the Gaussian with full covariance. Every
    sample is the end of a chain of its own that begins at a draw from the encoder.

    It errs upwards: the mean in brackets is unbiased for 1/p(x), hence by Jensen's inequality E[log p̂(x)] ≥ log p(x),
    and where q has heavier tails than p(z | x) that mean is carried by samples too rare to be met. So it is no
    bound to be quoted alone. Chains that cannot leave the encoder's mode err downwards, as they see that mode alone.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix D.

    Args:
        vae: the model, in evaluation mode.
        x: (batch, *event).
        samples: L; 2 L chains are held at once.
        leapfrog: leapfrog steps of a trajectory.
        transitions: trajectories of each chain.
        acceptance: share of trajectories to accept, at which the step size aims.

    Raises:
        InputError: if there are more than five latents, or too few samples to fit q to.
    """
    if vae.latent_dim > MOST_LATENTS:
        raise InputError(
            f"the harmonic estimator holds for at most {MOST_LATENTS} latents, this model has {vae.latent_dim}: "
            "use annealed importance sampling"
        )
    if samples <= vae.latent_dim:
        raise InputError(f"samples is {samples}: fitting {vae.latent_dim} latents needs at least {vae.latent_dim + 1}")
    with torch.no_grad():
        start = vae.posterior(x).sample(torch.Size((2 * samples,)))
    point = settle(from_prior(vae, x).path, 1.0, start, transitions, leapfrog, acceptance)
    z, log_joint = point.z.double(), point.log_density(1.0).double()
    log_ratio = fitted(z[:samples]).log_prob(z[samples:]) - log_joint[samples:]
    return log(samples) - log_ratio.logsumexp(0)
