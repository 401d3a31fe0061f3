"""DIP-VAE: codes whose covariance over all images is that of the prior."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import full_precision
from vaekit.model import VAE
from vaekit.objectives.critic import Weight
from vaekit.objectives.objective import ENCODER, Loss, Objective, reported
from vaekit.specs import spec

Covariance = Literal["means", "codes"]


class DIPObjective(Objective):
    """The negative ELBO, plus how far the covariance of codes is from I; ``spec`` says of which, and the weights."""

    def __init__(self, spec: "DIP") -> None:
        super().__init__()
        self.off_diagonal, self.diagonal, self.of = spec.off_diagonal, spec.diagonal, spec.covariance

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws)
        covariance = covariance_of(draws.posterior, self.of)
        variances = covariance.diagonal()
        off_diagonal = covariance.square().sum() - variances.square().sum()
        diagonal = (variances - 1).square().sum()
        value = self.off_diagonal * off_diagonal + self.diagonal * diagonal - terms["elbo"]
        return Loss(value, terms["elbo"], terms | {"off_diagonal": off_diagonal, "diagonal": diagonal})


@spec
class DIP:
    r"""DIP-VAE: uncorrelated latents, by a penalty on the covariance C of the codes of all images.

    loss = −elbo + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)².

    DIP-VAE-I takes the covariance of the posterior *means*, C = Cov_x[μ(x)]; DIP-VAE-II that of the *codes* themselves,
    C = Cov_x[μ(x)] + E_x[diag σ(x)²]. Both are estimated from the batch, whose mean is subtracted. The two sums are
    reported as ``off_diagonal`` and ``diagonal``, and ``elbo`` has neither.

    Reference: *Variational inference of disentangled latent concepts from unlabeled observations (Kumar, Sattigeri,
    Balakrishnan, 2018)*, arXiv:1711.00848.
    """

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": ENCODER | {"gaussian"}, "prior": {"real"}}
    kind: Literal["dip"] = "dip"
    covariance: Covariance = "codes"
    """what covariance: that of the posterior means (DIP-VAE-I) or of the codes (DIP-VAE-II)"""
    off_diagonal: Weight = 10.0
    """weight λ_od of the squared covariances"""
    diagonal: Weight = 10.0
    """weight λ_d of the squared differences of the variances from 1"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return DIPObjective(self)


def covariance_of(q: Distribution, what: Covariance) -> Float[Tensor, "latent latent"]:
    """Return the covariance over a batch, (d, d), of the means of q(z | x), or of its draws."""
    centered = q.mean - q.mean.mean(0)
    with full_precision(centered.device):
        of_means = centered.T @ centered / len(centered)
    return of_means if what == "means" else of_means + torch.diag(q.variance.mean(0))
