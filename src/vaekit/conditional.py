"""A conditional distribution as a module: the one interface that priors, posteriors and likelihoods share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution


class Conditional(nn.Module):
    """p(· | c): maps a context c to a torch distribution.

    A prior takes no context, a posterior takes x, a likelihood takes z. Distributions are built with
    ``validate_args=False``: supports are checked once, where data enter.

    Attributes:
        center_at: a method, c → the center of p(· | c), where that takes less than all of p; otherwise None. A class
            that defines ``forward`` does not inherit it.
    """

    center_at: ClassVar[Callable[..., Tensor] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):
            cls.center_at = vars(cls).get("center_at")

    @abstractmethod
    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        """Return the distribution given the context ``c`` of shape (..., *context)."""

    def begin(self, examples: Callable[[int], Float[Tensor, "n *event"]]) -> None:
        """Begin at training examples, n of which are ``examples(n)``, if weights stand for examples; few parts' do."""

    def begin_at(self, codes: Float[Tensor, "n latent"]) -> None:
        """Begin near codes, if this is a prior that can be fitted to them."""

    if TYPE_CHECKING:  # they would not know the result

        def __call__(self, c: Float[Tensor, "..."] | None = None) -> Distribution: ...
