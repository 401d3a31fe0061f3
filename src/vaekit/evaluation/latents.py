"""Which latent units carry information, and how much."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.distributions import kl_parts
from vaekit.estimates import exact
from vaekit.model import VAE

ACTIVE = 0.01
"""threshold of both definitions of an active unit: nats of KL, and variance of the posterior mean"""


class Usage(NamedTuple):
    """What each latent unit carries, averaged over images.

    Attributes:
        kl: KL(q(z_j | x) ‖ p(z_j)) of each unit, (d,) nats.
        variance: Var_x(E_q[z_j | x]) of each unit, (d,).
        expected_variance: E_x(Var_q[z_j | x]) of each unit, (d,); its sum with ``variance`` is that of all codes.
    """

    kl: Float[Tensor, "latent"]
    variance: Float[Tensor, "latent"]
    expected_variance: Float[Tensor, "latent"]

    @property
    def active(self) -> list[int]:
        """Units whose KL exceeds 0.01 nats.

        Reference: *Ladder variational autoencoders (Sønderby, Raiko, Maaløe, Sønderby, Winther, 2016)*,
        arXiv:1602.02282.
        """
        return torch.nonzero(self.kl > ACTIVE).flatten().tolist()

    @property
    def active_by_variance(self) -> list[int]:
        """Units whose posterior mean varies by more than 0.01 over images.

        Reference: *Importance weighted autoencoders (Burda, Grosse, Salakhutdinov, 2016)*, arXiv:1509.00519.
        """
        return torch.nonzero(self.variance > ACTIVE).flatten().tolist()


@torch.no_grad()
def usage(vae: VAE, batches: Iterable[Float[Tensor, "_ *event"]]) -> Usage:
    """Measure what each unit of ``vae`` carries about the images of all batches; both densities must factorize."""
    kl, means, variances = [], [], []
    for x in batches:
        q = vae.posterior(x)
        kl.append(exact(kl_parts(q, vae.prior(), q.sample(torch.Size((1,))))))
        means.append(exact(q.mean))
        variances.append(exact(q.variance))
    return Usage(torch.cat(kl).mean(0), torch.cat(means).var(0, correction=0), torch.cat(variances).mean(0))
