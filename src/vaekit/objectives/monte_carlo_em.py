"""Monte Carlo EM, whose chains find p(z | x) without an encoder."""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Categorical

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.hmc import FIRST_STEP, Path, adapted, evaluate, settle, transition
from vaekit.model import VAE
from vaekit.objectives.objective import Loss, Objective
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


class MonteCarloEMObjective(Objective):
    """−log p(x, z) at draws z ~ p(z | x), with the chains that find them.

    Args:
        vae: the model; each chain starts at a draw from its prior.
        images: number of training images.
        spec: how chains move.
    """

    def __init__(self, vae: VAE, images: int, spec: "MonteCarloEM") -> None:
        super().__init__()
        self.spec, self.updates = spec, spec.updates
        with torch.no_grad():
            self.chains = Chains(vae.prior().sample(torch.Size((images,))))

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        """Return the loss at prepared draws z from p(z | x), (1, batch, d); without them, at the ends of new chains."""
        (z,) = prepared or (self.found(vae, batch.x),)
        log_likelihood = vae.log_likelihood(batch.x, z)
        log_joint = (log_likelihood + vae.prior().log_prob(z)).mean()
        return Loss(-log_joint, log_joint, {"log_joint": log_joint, "reconstruction": -log_likelihood.mean()})

    def prepare(self, vae: VAE, batch: Batch) -> tuple[Tensor, ...]:
        """Move the chains of the images of a batch; return their new points, (1, batch, d)."""
        assert batch.rows is not None
        rows, chains = batch.rows, self.chains
        path, step = posterior_path(vae, batch.x), chains.step[rows]
        point, probability = transition(path, 1.0, evaluate(path, chains.z[rows][None]), step, self.spec.leapfrog)
        chains.z[rows], chains.step[rows] = point.z[0], adapted(step, probability, self.spec.acceptance)
        return (point.z,)

    @torch.no_grad()
    def found(self, vae: VAE, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "1 batch latent"]:
        """Draw z ~ p(z | x) once for each x of shape (batch, *event) by a new chain, (1, batch, d)."""
        spec, z = self.spec, vae.prior().sample(torch.Size((self.spec.starts, len(x))))
        log_likelihood = torch.cat([vae.log_likelihood(x, some) for some in z.split(STARTS_AT_ONCE)])
        chosen = Categorical(logits=log_likelihood.T, validate_args=False).sample()
        start = z[chosen, torch.arange(len(x), device=z.device)][None]
        return settle(posterior_path(vae, x), 1.0, start, spec.transitions, spec.leapfrog, spec.acceptance).z


@spec
class MonteCarloEM:
    r"""Monte Carlo EM: the decoder is fitted to draws from its own posterior, which are found without an encoder.

    loss = −log p(x, z),  z ~ p(z | x) by Hamiltonian Monte Carlo.

    Training images have chains that continue from visit to visit (``prepare``) by one trajectory, so that a
    step costs ``leapfrog`` gradients. Images without a chain, such as held-out ones, get a new one that has to find the
    posterior at once: it starts at one of many prior draws, chosen in proportion to p(x | z), which is rarely in a
    minor mode; it adapts its step size over the first half of its trajectories; and it ends in z.

    The reported ``log_joint`` is log p(x, z) at z, in expectation log p(x) minus the entropy of p(z | x): not a bound.
    Nor is ``reconstruction`` that of an encoder: it is −E log p(x | z) under the posterior itself.

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114, appendix E: ten leapfrog
    steps, 90% acceptance, and five updates of the weights per draw. The paper calls it "not an on-line algorithm": with
    ``batch_size`` = number of training images, the chains of all images move before the weights are updated.
    """

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": {"fixed"}, "prior": {"real"}}
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

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space, with a chain for each of its training images."""
        return MonteCarloEMObjective(vae, space.sizes["train"], self)


def posterior_path(vae: VAE, x: Float[Tensor, "batch *event"]) -> Path:
    """Return p(z | x) up to a constant, as p(z) and p(x | z)."""
    return lambda z: (vae.prior().log_prob(z), vae.log_likelihood(x, z))
