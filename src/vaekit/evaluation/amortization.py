"""What the encoder loses by guessing q(z | x) in one pass instead of fitting it to each image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vaekit.errors import InputError
from vaekit.estimates import exact
from vaekit.model import VAE

STEPS, LEARNING_RATE, DRAWS = 300, 0.02, 10
TEST_DRAWS = 500
DRAWS_AT_ONCE = 50


def amortization_gap(
    vae: VAE,
    x: Float[Tensor, "batch *event"],
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    draws: int = DRAWS,
) -> Float[Tensor, "batch"]:
    """Return the ELBO of each image's best diagonal Gaussian minus that of the encoder's, (batch,) nats.

    Adam finds the best one, starting from the encoder's q; both bounds are then estimated with the same 500 fresh draws
    of noise, so that their difference has little noise. What remains between the best ELBO and log p(x) is the
    approximation gap of the family.

    Reference: *Inference suboptimality in variational autoencoders (Cremer, Li, Duvenaud, 2018)*, arXiv:1801.03558.

    Args:
        vae: the model, in evaluation mode; its posterior must be a diagonal Gaussian.
        x: (batch, *event).
        steps, learning_rate, draws: of the optimization; draws of z per image and step.

    Raises:
        InputError: if the posterior belongs to another family.
    """
    with torch.no_grad():
        guess, prior = vae.posterior(x), vae.prior()
    if not (isinstance(guess, Independent) and isinstance(guess.base_dist, Normal)):
        raise InputError(f"the amortization gap needs a Gaussian posterior, but this model has {guess}: leave it out")
    loc = guess.base_dist.loc.clone().requires_grad_()
    log_scale = guess.base_dist.scale.log().requires_grad_()
    optimizer = torch.optim.Adam([loc, log_scale], learning_rate)
    # The steps shrink toward the end, so that the noise of the draws does not shake q about its optimum.
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        noise = torch.randn(draws, *loc.shape, dtype=loc.dtype, device=loc.device)
        loss = -_elbo(vae, prior, x, loc, log_scale, noise).sum()
        # Only q is fitted: the model's own gradients stay untouched.
        loc.grad, log_scale.grad = torch.autograd.grad(loss, [loc, log_scale])
        optimizer.step()
        schedule.step()
    gap = exact(torch.zeros(len(x), device=loc.device))
    with torch.no_grad():
        for _ in range(0, TEST_DRAWS, DRAWS_AT_ONCE):
            noise = torch.randn(DRAWS_AT_ONCE, *loc.shape, dtype=loc.dtype, device=loc.device)
            best = _elbo(vae, prior, x, loc, log_scale, noise)
            guessed = _elbo(vae, prior, x, guess.base_dist.loc, guess.base_dist.scale.log(), noise)
            gap += exact(best - guessed) * DRAWS_AT_ONCE / TEST_DRAWS
    return gap


def _elbo(
    vae: VAE,
    prior: Distribution,
    x: Float[Tensor, "batch *event"],
    loc: Float[Tensor, "batch latent"],
    log_scale: Float[Tensor, "batch latent"],
    noise: Float[Tensor, "n batch latent"],
) -> Float[Tensor, "batch"]:
    """Return the ELBO under q = N(loc, scale²), with the entropy in closed form: it grows as Σ log scale."""
    z = loc + log_scale.exp() * noise
    entropy = Independent(Normal(loc, log_scale.exp(), validate_args=False), 1, validate_args=False).entropy()
    return vae.log_joint(x, z, prior).mean(0) + entropy
