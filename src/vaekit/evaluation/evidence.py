"""The bound and the evidence, log p(x), estimated from posterior draws."""

from collections.abc import Iterable
from math import log

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vaekit.distributions import Delta
from vaekit.errors import InputError
from vaekit.estimates import Estimate, mean_over_images
from vaekit.model import VAE, analytic_kl

DRAWS_AT_ONCE = 2**12
"""decoded images (draws × batch) held at once; 4096 images of 784 pixels are a tensor of 13 MB"""


@torch.no_grad()
def evidence(vae: VAE, x: Float[Tensor, "batch *event"], samples: int) -> dict[str, Float64[Tensor, "batch"]]:
    r"""Bound and evidence of each image from K posterior draws, (batch,) nats each.

    reconstruction = −(1/K) Σ_k log p(x | z_k),  kl = KL(q ‖ p) (closed form if there is one),
    elbo = −reconstruction − kl,  log_evidence = log (1/K) Σ_k w_k,  w = p(x | z) p(z) / q(z | x),  z_k ~ q(z | x).

    In expectation log_evidence lies between elbo and log p(x), and grows with K. A deterministic auto-encoder has
    a reconstruction only: its posterior is a point, which has no density to compare with the prior's.

    Reference: *Importance weighted autoencoders (Burda, Grosse, Salakhutdinov, 2016)*, arXiv:1509.00519.

    Args:
        vae: the model, in evaluation mode.
        x: (batch, *event).
        samples: K.
    """
    posterior = vae.posterior(x)
    if isinstance(posterior, Delta):
        return {"reconstruction": -vae.draw(x, 1, posterior).log_likelihood[0].double()}
    log_sum = x.new_full((len(x),), -torch.inf, dtype=torch.float64)
    log_likelihood, log_ratio = torch.zeros_like(log_sum), torch.zeros_like(log_sum)
    at_once = max(1, DRAWS_AT_ONCE // len(x))
    for done in range(0, samples, at_once):
        draws = vae.draw(x, min(at_once, samples - done), posterior)
        log_sum = torch.logaddexp(log_sum, draws.log_weight.double().logsumexp(0))
        log_likelihood += draws.log_likelihood.double().sum(0)
        log_ratio += (draws.log_posterior - draws.log_prior).double().sum(0)
    reconstruction = -log_likelihood / samples
    exact = analytic_kl(posterior, vae.prior())
    kl = log_ratio / samples if exact is None else exact.double()
    elbo = -(reconstruction + kl)
    return {"elbo": elbo, "kl": kl, "reconstruction": reconstruction, "log_evidence": log_sum - log(samples)}


def estimate(vae: VAE, batches: Iterable[Float[Tensor, "_ *event"]], samples: int) -> dict[str, Estimate]:
    """Average ``evidence`` over the images of all batches; the standard errors hold the images' and the draws' noise.

    Raises:
        InputError: if ``samples`` is not positive.
    """
    if samples < 1:
        raise InputError(f"samples is {samples}: give the number of posterior draws an image, at least 1")
    parts = [evidence(vae, x, samples) for x in batches]
    return {name: mean_over_images(torch.cat([part[name] for part in parts]), samples) for name in parts[0]}
