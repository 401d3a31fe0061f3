"""How much the codes say about images, and how far all codes together are from the prior."""

from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit.errors import InputError
from vaekit.estimates import Estimate, exact, jackknife_error
from vaekit.model import VAE

CODES_AT_ONCE = 256


class Information(NamedTuple):
    """The two parts of the mean KL over N images, kl = mutual_information + aggregate_kl, in nats.

    Attributes:
        mutual_information: I(i; z), what a code says about which of the N images it encodes; at most log N.
        aggregate_kl: KL(q(z) ‖ p(z)) of the aggregate q(z) = (1/N) Σ_i q(z | x_i): what makes samples from the prior
            worse than reconstructions.
        ceiling: log N; if I is close to it, N images are too few to measure more.
    """

    mutual_information: Estimate
    aggregate_kl: Estimate
    ceiling: float


@torch.no_grad()
def information(vae: VAE, batches: Iterable[Float[Tensor, "_ *event"]], images: int | None = None) -> Information:
    r"""Estimate I(i; z) and KL(q(z) ‖ p(z)) over images, with one draw z_i ~ q(z | x_i) per image.

    I = (1/N) Σ_i [log q(z_i | x_i) − log q(z_i)],  KL = (1/N) Σ_i [log q(z_i) − log p(z_i)].

    The aggregate posterior is that of these N images, summed exactly; N² densities are evaluated. Both values
    depend on N; the errors are those of the jackknife over images, at this N.

    Reference: *ELBO surgery: yet another way to carve up the variational evidence lower bound
    (Hoffman, Johnson, 2016)*, NIPS workshop on advances in approximate Bayesian inference.

    Args:
        vae: the model, in evaluation mode; its posterior must have a density.
        batches: images, (batch, *event) each.
        images: N, how many of the first images to use; all if None. An image's draws do not depend on N if the batches
            do not.

    Raises:
        InputError: if there are fewer than two images.
    """
    posteriors: list[Distribution] = []
    codes: list[Tensor] = []
    left = torch.inf if images is None else images
    for x in batches:
        if left <= 0:
            break
        q = vae.posterior(x)
        z = q.sample()
        if left < len(x):
            x, z = x[: int(left)], z[: int(left)]
            q = vae.posterior(x)
        left -= len(x)
        posteriors.append(q)
        codes.append(z)
    n = sum(map(len, codes))
    if n < 2:
        raise InputError(f"images is {n}: the mutual information of the latents needs at least 2")
    z = torch.cat(codes)
    own = torch.cat([exact(q.log_prob(z_q)) for q, z_q in zip(posteriors, codes, strict=True)])
    aggregate, without = _aggregate(posteriors, z)
    prior = exact(vae.prior().log_prob(z))
    return Information(
        _estimate(own - aggregate, own.sum() - own - without),
        _estimate(aggregate - prior, without - (prior.sum() - prior)),
        log(n),
    )


def _aggregate(posteriors: Sequence[Distribution], z: Float[Tensor, "n latent"]) -> tuple[Tensor, Tensor]:
    """Return log q(z_i) of each code, and for each image r, Σ_{i≠r} log q(z_i) with q(z) of all images but r."""
    n = len(z)
    aggregate, loss = [], exact(z.new_zeros(n))
    for start, some in zip(range(0, n, CODES_AT_ONCE), z.split(CODES_AT_ONCE), strict=True):
        each = exact(torch.cat([q.log_prob(some[:, None]) for q in posteriors], 1))
        total = each.logsumexp(1)
        aggregate.append(total - log(n))
        share = (each - total[:, None]).exp().clamp_max(1 - torch.finfo(each.dtype).eps)
        rows = torch.arange(len(some), device=share.device)
        share[rows, start + rows] = 0  # the term of r itself is left out
        loss += torch.log1p(-share).sum(0)
    each = torch.cat(aggregate)
    return each, each.sum() - each + (n - 1) * log(n / (n - 1)) + loss


def _estimate(each: Float[Tensor, "n"], sums: Float[Tensor, "n"]) -> Estimate:
    """Average over images; the error is that of the jackknife, because all terms share the aggregate.

    Args:
        each: a term of each image.
        sums: for each image r, the sum of all other terms had r not been there.
    """
    n = len(each)
    return Estimate(float(each.mean()), jackknife_error(sums / (n - 1)), 1)
