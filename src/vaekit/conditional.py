"""A conditional distribution as a module: the one interface that priors, posteriors and likelihoods share."""

from abc import abstractmethod
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution


class Conditional(nn.Module):
    """p(· | c): maps a context c to a torch distribution.

    A prior takes no context, a posterior takes x, a likelihood takes z. Distributions are built with
    ``validate_args=False``: supports are checked once, where data enter.
    """

    @abstractmethod
    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        """Return the distribution given the context ``c`` of shape (..., *context)."""

    def begin(self, examples: Callable[[int], Float[Tensor, "n *event"]]) -> None:
        """Begin at training examples, n of which are ``examples(n)``, if weights stand for examples; few parts' do."""

    def begin_at(self, codes: Float[Tensor, "n latent"]) -> None:
        """Begin near codes, if this is a prior that can be fitted to them."""

    def __call__(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        """Call the module; defined here so that type checkers know the result."""
        return super().__call__(c)
