"""The model: a VAE is a prior, a posterior and a likelihood."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.arguments import to_whole
from vaekit.building import Builder
from vaekit.conditional import Conditional
from vaekit.data import Batch, Share, Space
from vaekit.distributions import (
    analytic_kl,
    center,
    has_density,
    rsample_and_log_prob,
    transported_and_log_prob,
)
from vaekit.errors import InputError
from vaekit.features import CorruptionText
from vaekit.likelihoods import Bernoulli, Likelihood
from vaekit.networks import MLP, Network, initialize
from vaekit.posteriors import Gaussian, Posterior
from vaekit.priors import Prior, StandardNormal
from vaekit.specs import Count, spec


class Draws(NamedTuple):
    """n posterior draws for each example, z ~ q(z | x), with the densities that every objective needs.

    Attributes:
        z: (n, batch, d).
        posterior: q(z | x), with batch shape (batch,).
        log_likelihood, log_prior, log_posterior: log p(x | z), log p(z), log q(z | x), each (n, batch), in nats.
        prior: p(z).
    """

    z: Float[Tensor, "n batch latent"]
    posterior: Distribution
    log_likelihood: Float[Tensor, "n batch"]
    log_prior: Float[Tensor, "n batch"]
    log_posterior: Float[Tensor, "n batch"]
    prior: Distribution

    @property
    def log_weight(self) -> Float[Tensor, "n batch"]:
        """log w = log p(x | z) + log p(z) − log q(z | x), (n, batch); its expectation under q is the ELBO."""
        return self.log_likelihood + self.log_prior - self.log_posterior


class VAE(nn.Module):
    """p(x, z) = p(x | z) p(z) with an approximate posterior q(z | x).

    Reference: *Auto-encoding variational Bayes (Kingma, Welling, 2013)*, arXiv:1312.6114.

    Args:
        prior: () → p(z).
        posterior: x (batch, *event) → q(z | x).
        likelihood: z (..., d) → p(x | z).
        event_shape: shape of one x; if given, ``encode`` refuses others.
        latent_dim: number of latents d; if left out, the prior is asked.

    Attributes:
        share: where the x that it is given are some rows of a batch, which rows: their draws have the noise that they
            would have in the whole batch.

    Example:
        >>> vae = Model(latent_dim=2).build((1, 8, 8))
        >>> x = torch.zeros(5, 1, 8, 8)
        >>> vae.draw(x, n=3).log_weight.shape
        torch.Size([3, 5])
        >>> vae.encode(x).shape, vae.sample(4).shape
        (torch.Size([5, 2]), torch.Size([4, 1, 8, 8]))
    """

    share: Share | None = None

    def __init__(
        self,
        prior: Conditional,
        posterior: Conditional,
        likelihood: Conditional,
        event_shape: Sequence[int] | None = None,
        latent_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = None if event_shape is None else tuple(event_shape)
        self.latent_dim = prior().event_shape[0] if latent_dim is None else latent_dim
        self.prior = prior
        self.posterior = posterior
        self.likelihood = likelihood

    def given(self, batch: Batch) -> "VAE":
        """Return this model given what a batch knows of its examples besides x.

        No part is conditional on labels, and x itself says which of its elements are observed, so this is the model
        itself. A step asks for it, so that objectives need not know.
        """
        return self

    def draw(
        self,
        x: Float[Tensor, "batch *event"],
        n: int = 1,
        posterior: Distribution | None = None,
        prior: Distribution | None = None,
    ) -> Draws:
        """Draw z ~ q(z | x) ``n`` times for each x of shape (batch, *event), differentiably.

        ``posterior`` is q(z | x), and ``prior`` p(z), if they are already known, so that x need not be encoded again.
        """
        q, p = self.posterior(x) if posterior is None else posterior, self.prior() if prior is None else prior
        if self.share and has_density(q):
            noise = torch.randn(n, self.share.whole, self.latent_dim, device=x.device)
            z, log_posterior = transported_and_log_prob(q, noise[:, self.share.first : self.share.last])
            return Draws(z, q, self.log_likelihood(x, z), p.log_prob(z), log_posterior, p)
        if hasattr(q, "rsample_and_log_prob"):
            z, log_posterior = rsample_and_log_prob(q, n)
            return Draws(z, q, self.log_likelihood(x, z), p.log_prob(z), log_posterior, p)
        z = q.rsample(torch.Size((n,)))  # log q comes last: the order decides in which gradients at z are added
        return Draws(z, q, self.log_likelihood(x, z), p.log_prob(z), q.log_prob(z), p)

    def kl(self, draws: Draws, analytic: bool = True) -> Float[Tensor, "batch"]:
        """KL(q(z | x) ‖ p(z)), (batch,) nats: in closed form where torch has one, else as the mean over the draws."""
        exact = analytic_kl(draws.posterior, draws.prior) if analytic else None
        return (draws.log_posterior - draws.log_prior).mean(0) if exact is None else exact

    def log_likelihood(
        self, x: Float[Tensor, "batch *event"], z: Float[Tensor, "n batch latent"]
    ) -> Float[Tensor, "n batch"]:
        """log p(x | z), (n, batch), for z (n, batch, d)."""
        return self.likelihood(z).log_prob(x)

    def log_joint(
        self, x: Float[Tensor, "batch *event"], z: Float[Tensor, "n batch latent"], prior: Distribution | None = None
    ) -> Float[Tensor, "n batch"]:
        """log p(x, z) = log p(x | z) + log p(z), (n, batch), for z (n, batch, d); ``prior`` is p(z), if it is known."""
        return self.log_likelihood(x, z) + (self.prior() if prior is None else prior).log_prob(z)

    def begin(self, examples: Callable[[int], Float[Tensor, "n *event"]]) -> None:
        """Let the parts begin at training examples, n of which are ``examples(n)``, before the first step."""
        for part in (self.prior, self.posterior, self.likelihood):
            part.begin(examples)

    def encode(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
        """Return the centers of the posteriors, (batch, d), which are their means where they have one.

        A code is deterministic, whatever the rest of the batch.

        Raises:
            InputError: if x is not a tensor of shape (batch, *event).
        """
        if self.event_shape is not None:
            refuse_unlike(x, "x", "batch", self.event_shape)
        with torch.set_grad_enabled(False):  # as torch.no_grad, in half the time
            return center_at(self.posterior, x)

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch_and_event"]:
        """Return the centers of p(x | z), (..., *event), for z (..., d): their means where they have one.

        Raises:
            InputError: if z is not a tensor of shape (..., d).
        """
        refuse_unlike(z, "z", "...", (self.latent_dim,))
        with torch.set_grad_enabled(False):
            return center_at(self.likelihood, z)

    @torch.no_grad()
    def sample(self, n: int, noise: bool = False) -> Float[Tensor, "{n} *event"]:
        """Draw z from the prior and return the means of p(x | z), (n, *event), or draws from it with ``noise``."""
        likelihood = self.likelihood(self.prior().sample(torch.Size((to_whole(n, "n"),))))
        return likelihood.sample() if noise else likelihood.mean

    def reconstruct(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return the mean of p(x | z) at the posterior mean of each x (batch, *event)."""
        return self.decode(self.encode(x))


def center_at(part: Callable[[Tensor], Distribution], c: Tensor) -> Tensor:
    """Return the center of p(· | c), by the part's own method if it has one, or else of p as a whole."""
    own: Callable[[Tensor], Tensor] | None = getattr(part, "center_at", None)
    return center(part(c)) if own is None else own(c)


def refuse_unlike(x: object, name: str, batch: str, event_shape: tuple[int, ...]) -> None:
    """Refuse anything but a tensor of shape (batch, *event_shape); with batch '...' there may be several batch axes."""
    axes = None if batch == "..." else len(event_shape) + 1
    if isinstance(x, Tensor) and x.shape[-len(event_shape) :] == event_shape and axes in (None, x.ndim):
        return
    given = f"has shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"is of type {type(x).__name__}"
    raise InputError(f"{name} {given}: give a tensor of shape ({', '.join([batch, *map(str, event_shape)])})")


@spec
class Model:
    """The architecture: prior, posterior, likelihood, network, and number of latents."""

    latent_dim: Count = 10
    """number of latents"""
    network: Network = MLP()
    """the encoder's layers; the decoder mirrors them"""
    prior: Prior = StandardNormal()
    """distribution of the latents, p(z)"""
    posterior: Posterior = Gaussian()
    """distribution of the latents given an example, q(z | x)"""
    likelihood: Likelihood = Bernoulli()
    """distribution of an example given its latents, p(x | z)"""
    corruption: CorruptionText | None = None
    """corruption of what the encoder sees in training: gaussian:0.3 adds noise, mask:0.5 hides half of the elements"""

    def build(self, space: Space | Sequence[int]) -> VAE:
        """Return a VAE with fresh weights for data in a space, or for x of shape (batch, *space)."""
        builder = Builder(self, space if isinstance(space, Space) else Space.of(space))
        parts = builder.prior, builder.posterior, builder.likelihood
        vae = VAE(*parts, builder.event_shape, self.latent_dim)
        initialize(vae, self.network.initialization)
        return vae
