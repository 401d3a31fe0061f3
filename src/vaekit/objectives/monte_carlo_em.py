"""Monte Carlo EM, whose chains find p(z | x) without an encoder."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Categorical

from vaekit.hmc import FIRST_STEP, Path, adapted, evaluate, settle, transition
from vaekit.model import VAE
from vaekit.objectives.objective import Loss
from vaekit.specs import Count, spec

STARTS_AT_ONCE = 10
"""draws from the prior that are decoded at once, for every image of a batch"""


class Chains(nn.Module):
    """Markov chains, one per training image: its current point z and its step size.

    Both are buffers because they belong to the state of a training, along with the weights.

    Args:
        z: where the chains start, (images, d).
    """

    z: Tensor
    step: Tensor

    def __init__(self, z: Float[Tensor, "images latent"]) -> None:
        super().__init__()
        self.register_buffer("z", z)
        self.register_buffer("step", torch.full_like(z[:, 0], FIRST_STEP))


@spec
class MonteCarloEM:
    r"""Monte Carlo EM: the decoder is fitted to draws from its own posterior, which are found without an encoder.

    loss = −log p(x, z),  z ~ p(z | x) by Hamiltonian Monte Carlo.

    Training images have chains that continue from visit to visit (``chains``, ``moved``) by one trajectory, so that a
    step costs ``leapfrog`` gradients. Images without a chain, such as held-out ones, get a new one that has to find the
    posterior at once: it starts at one of many prior draws, chosen in proportion to p(x | z), which is rarely in a
    minor mode; it adapts its step size over the first half of its trajectories; and it ends in z.

    The reported ``log_joint`` is log p(x, z) at z, in expectation log p(x) minus the entropy of p(z | x): not a bound.
    Nor is ``reconstruction`` that of an encoder: it is −E log p(x | z) under the posterior itself.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix E: ten leapfrog
    steps, 90% acceptance, and five updates of the weights per draw. The paper calls it "not an on-line algorithm": with
    ``batch_size`` = number of training images, the chains of all images move before the weights are updated.
    """

    kind: Literal["monte_carlo_em"] = "monte_carlo_em"
    leapfrog: Count = 10
    """leapfrog steps per trajectory"""
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """acceptance rate of trajectories that the step size is adapted to"""
    starts: Count = 100
    """prior draws from which the start of a new chain is chosen"""
    transitions: Count = 20
    """trajectories per new chain"""
    updates: Count = 1
    """updates of the weights per draw; an image counts as seen once per draw, however many there are"""

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 0.0

    def __call__(
        self,
        vae: VAE,
        x: Float[Tensor, "batch *event"],
        kl_weight: Float[Tensor, ""],
        z: Float[Tensor, "1 batch latent"] | None = None,
    ) -> Loss:
        """Return the loss at draws z from p(z | x), (1, batch, d); without them, at the ends of new chains."""
        z = self.found(vae, x) if z is None else z
        log_likelihood = vae.log_likelihood(x, z)
        log_joint = (log_likelihood + vae.prior().log_prob(z)).mean()
        return Loss(-log_joint, log_joint, {"log_joint": log_joint, "reconstruction": -log_likelihood.mean()})

    def chains(self, vae: VAE, images: int) -> Chains:
        """Return chains for a number of training images, each starting at a draw from the prior."""
        with torch.no_grad():
            return Chains(vae.prior().sample(torch.Size((images,))))

    def moved(
        self, vae: VAE, x: Float[Tensor, "batch *event"], chains: Chains, rows: Int[Tensor, "batch"]
    ) -> Float[Tensor, "1 batch latent"]:
        """Move the chains of the images x, which are those in ``rows``; return their new points, (1, batch, d)."""
        path, step = posterior_path(vae, x), chains.step[rows]
        point, probability = transition(path, 1.0, evaluate(path, chains.z[rows][None]), step, self.leapfrog)
        chains.z[rows], chains.step[rows] = point.z[0], adapted(step, probability, self.acceptance)
        return point.z

    @torch.no_grad()
    def found(self, vae: VAE, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "1 batch latent"]:
        """Draw z ~ p(z | x) once for each x of shape (batch, *event) by a new chain, (1, batch, d)."""
        z = vae.prior().sample(torch.Size((self.starts, len(x))))
        log_likelihood = torch.cat([vae.log_likelihood(x, some) for some in z.split(STARTS_AT_ONCE)])
        chosen = Categorical(logits=log_likelihood.T, validate_args=False).sample()
        start = z[chosen, torch.arange(len(x), device=z.device)][None]
        return settle(posterior_path(vae, x), 1.0, start, self.transitions, self.leapfrog, self.acceptance).z


def posterior_path(vae: VAE, x: Float[Tensor, "batch *event"]) -> Path:
    """Return p(z | x) up to a constant, as p(z) and p(x | z)."""
    return lambda z: (vae.prior().log_prob(z), vae.log_likelihood(x, z))
