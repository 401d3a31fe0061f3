"""β-TCVAE: the KL in three parts, each with a weight of its own."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE, Draws
from vaekit.objectives.critic import Weight
from vaekit.objectives.objective import ENCODER, Loss, Objective, Weighted, reported
from vaekit.schedules import Constant, Schedule
from vaekit.specs import spec

Sampling = Literal["weighted", "stratified"]


class BetaTCObjective(Weighted):
    """The reconstruction plus the three weighted parts of the KL.

    Args:
        spec: their weights, and how q(z) is estimated from a batch.
        images: number of training images.
    """

    def __init__(self, spec: "BetaTC", images: int) -> None:
        super().__init__(spec.beta, spec.beta_schedule)
        self.alpha, self.gamma, self.sampling, self.images = spec.alpha, spec.gamma, spec.sampling, images

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws, analytic=False)
        information, correlation, dimensions = self.parts(draws)
        value = terms["reconstruction"] + self.alpha * information + self.beta * correlation + self.gamma * dimensions
        named = {"mutual_information": information, "total_correlation": correlation, "dimension_kl": dimensions}
        return Loss(value, terms["elbo"], terms | named)

    def parts(self, draws: Draws) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the information, the total correlation and the KL by dimension, which add up to the KL."""
        (z,), (log_posterior,), (log_prior,) = draws.z, draws.log_posterior, draws.log_prior
        assert isinstance(draws.posterior, Independent)
        given = draws.posterior.base_dist.log_prob(z[:, None])  # of each code given each image, by unit
        shares = self.log_shares(z)
        together = (given.sum(-1) + shares).logsumexp(1)  # log q(z)
        apart = (given + shares[..., None]).logsumexp(1).sum(-1)  # Σ_j log q(z_j)
        return (log_posterior - together).mean(), (together - apart).mean(), (apart - log_prior).mean()

    def log_shares(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n n"]:
        """Return the log of the share of q(z | x) of each image of a batch (column) in q(z) at each code (row)."""
        n = len(z)
        own = 1 / (n if self.sampling == "weighted" else max(self.images, n))
        others = (1 - own) / max(n - 1, 1)
        return torch.full((n, n), others, device=z.device, dtype=z.dtype).fill_diagonal_(own).log()


@spec
class BetaTC:
    r"""β-TCVAE: independent latents, by a larger weight on one of three parts of the KL.

    loss = −E_q log p(x | z) + α I(x; z) + β KL(q(z) ‖ Π_j q(z_j)) + γ Σ_j KL(q(z_j) ‖ p(z_j)),

    which are the ``mutual_information`` between image and code, the ``total_correlation`` of the codes, and what
    remains, ``dimension_kl``, where q(z) is the mean of q(z | x) over the N training images. The three add up to the
    Monte Carlo ``kl`` of the same draws, so α = β = γ = 1 is the ELBO. The reported ``elbo`` has none of the weights.

    At each code of a batch of M images, q(z) is estimated from the batch, which holds the one image that the code comes
    from: *weighted* gives each image the share 1/M, *stratified* gives that one 1/N and each of the others
    (1 − 1/N)/(M − 1), which estimates q(z) without bias. The paper trains with the first; its share 1/(NM) adds a
    constant to log q(z), which changes no gradient and is left out here because the parts would be off by it. Narrow
    posteriors make the information at most log M and log N. Memory grows with M² d.

    Reference: *Isolating sources of disentanglement in variational autoencoders (Chen, Li, Grosse, Duvenaud, 2018)*,
    arXiv:1802.04942.

    Example:
        >>> from torch import rand
        >>> from vaekit.data import Batch, Space
        >>> from vaekit.model import Model
        >>> space = Space.of((1, 8, 8), train=100)
        >>> vae = Model().build(space)
        >>> terms = BetaTC().build(vae, space)(vae, Batch(rand(5, 1, 8, 8))).terms
        >>> parts = terms["mutual_information"] + terms["total_correlation"] + terms["dimension_kl"]
        >>> bool((parts - terms["kl"]).abs() < 1e-4)
        True
    """

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": ENCODER | {"factorized"}, "prior": {"real"}}
    kind: Literal["beta_tc"] = "beta_tc"
    alpha: Weight = 1.0
    """weight α of the mutual information between image and code"""
    beta: Weight = 6.0
    """weight β of the total correlation"""
    gamma: Weight = 1.0
    """weight γ of the KL of each unit's codes to the prior"""
    beta_schedule: Schedule = Constant()
    """factor on beta over the course of training"""
    sampling: Sampling = "weighted"
    """shares of a batch's images in q(z): equal ones, or those that estimate it without bias"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return BetaTCObjective(self, space.sizes["train"])
