"""The bound and the evidence, log p(x), estimated from posterior draws."""

from collections.abc import Iterable
from math import log

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vaekit.errors import InputError
from vaekit.estimates import Estimate, exact, mean_over_images
from vaekit.model import VAE, analytic_kl

ELEMENTS_AT_ONCE = 2**20
"""decoded elements (draws × batch × event) held at once: 4 MB, or 1 GB where each has 256 probabilities"""
MORE_ON_CUDA = 2**6
"""times as many there, where little work at once costs as much as more"""

CHECKPOINTS = (1, 10, 100, 1000, 5000, 10_000, 100_000)
"""numbers of draws at which the log-evidence is recorded, to show how it grows with them"""

AT = "log_evidence_at_"


@torch.no_grad()
def evidence(vae: VAE, x: Float[Tensor, "batch *event"], samples: int) -> dict[str, Float64[Tensor, "batch"]]:
    r"""Estimate bound and evidence of each image from K posterior draws, (batch,) nats each.

    reconstruction = −(1/K) Σ_k log p(x | z_k),  kl = KL(q ‖ p) (closed form if there is one),
    elbo = −reconstruction − kl,  log_evidence = log (1/K) Σ_k w_k,  w = p(x | z) p(z) / q(z | x),  z_k ~ q(z | x).

    In expectation, log_evidence lies between elbo and log p(x), and grows with K; it is also given for the first 1, 10,
    100, ... draws, as log_evidence_at_1 and so on. effective_samples = (Σ_k w_k)² / Σ_k w_k² says how many of the K
    draws count: near 1, a single draw carries the estimate, and more draws may move it.

    Reference: *Importance weighted autoencoders (Burda, Grosse, Salakhutdinov, 2016)*, arXiv:1509.00519.

    Args:
        vae: the model, in evaluation mode; its posterior must have a density.
        x: (batch, *event).
        samples: K.
    """
    posterior, prior = vae.posterior(x), vae.prior()
    closed = analytic_kl(posterior, prior)
    log_sum = exact(x.new_full((len(x),), -torch.inf))
    log_squares, log_likelihood, log_ratio = log_sum.clone(), torch.zeros_like(log_sum), torch.zeros_like(log_sum)
    growth: dict[str, Tensor] = {}
    done, at_once = 0, max(1, ELEMENTS_AT_ONCE * (MORE_ON_CUDA if x.is_cuda else 1) // x.numel())
    for checkpoint in sorted({*(k for k in CHECKPOINTS if k < samples), samples}):
        while done < checkpoint:
            draws = vae.draw(x, min(at_once, checkpoint - done), posterior, prior)
            log_weight = exact(draws.log_weight)
            log_sum = torch.logaddexp(log_sum, log_weight.logsumexp(0))
            log_squares = torch.logaddexp(log_squares, (2 * log_weight).logsumexp(0))
            log_likelihood += exact(draws.log_likelihood).sum(0)
            if closed is None:
                log_ratio += exact(draws.log_posterior - draws.log_prior).sum(0)
            done += len(log_weight)
        growth[f"{AT}{checkpoint}"] = log_sum - log(checkpoint)
    reconstruction = -log_likelihood / samples
    kl = log_ratio / samples if closed is None else exact(closed)
    return {
        "log_evidence": growth[f"{AT}{samples}"],
        "elbo": -(reconstruction + kl),
        "reconstruction": reconstruction,
        "kl": kl,
        "effective_samples": (2 * log_sum - log_squares).exp(),
        **growth,
    }


@torch.no_grad()
def reconstruction(vae: VAE, x: Float[Tensor, "batch *event"]) -> Float64[Tensor, "batch"]:
    """Return −log p(x | z) of each image at one draw z from its posterior, (batch,) nats.

    It is all that a deterministic auto-encoder has: its posterior is a point, without a density to compare with p(z).
    """
    return -exact(vae.draw(x).log_likelihood[0])


def estimate(vae: VAE, batches: Iterable[Float[Tensor, "_ *event"]], samples: int) -> dict[str, Estimate]:
    """Average ``evidence`` over the images of all batches; standard errors include noise from images and draws.

    Raises:
        InputError: if ``samples`` is not positive.
    """
    if samples < 1:
        raise InputError(f"samples is {samples}: give the number of posterior draws per image, at least 1")
    parts = [evidence(vae, x, samples) for x in batches]
    return {name: mean_over_images(torch.cat([part[name] for part in parts]), samples) for name in parts[0]}
