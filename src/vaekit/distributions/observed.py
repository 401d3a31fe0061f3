"""A distribution of what is observed of x."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size

from vaekit.distributions.parts import center, element_log_prob


class Observed(Distribution):
    """p(x_observed): the marginal of a p(x) whose elements are independent, where NaN marks the elements not observed.

    A hole is filled with 0, which lies in every support, before its log-probability is computed and left out, so that
    gradients are finite. Draws and means are those of p, and have no holes.

    Args:
        p: a distribution that is independent over the elements of x.

    Example:
        >>> import torch
        >>> from vaekit.distributions import IndependentBernoulli
        >>> p = Observed(IndependentBernoulli(torch.zeros(3), event_dims=1))
        >>> p.log_prob(torch.tensor([1.0, torch.nan, 0.0])).exp()
        tensor(0.2500)
    """

    arg_constraints = {}  # noqa: RUF012 (torch's interface)

    def __init__(self, p: Distribution) -> None:
        self.p = p
        super().__init__(p.batch_shape, p.event_shape, validate_args=False)

    def log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch"]:
        return self.element_log_prob(value).flatten(-len(self.event_shape)).sum(-1)

    def element_log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch_and_event"]:
        """log p(x_i) of each element, 0 where it is not observed: (*batch, *event)."""
        seen = ~value.isnan()
        return element_log_prob(self.p, value.masked_fill(~seen, 0)).masked_fill(~seen, 0)

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        return self.p.sample(sample_shape)

    @property
    def mean(self) -> Float[Tensor, "*batch_and_event"]:
        return self.p.mean

    @property
    def variance(self) -> Float[Tensor, "*batch_and_event"]:
        return self.p.variance

    @property
    def center(self) -> Float[Tensor, "*batch_and_event"]:
        """What stands for p where one point is wanted."""
        return center(self.p)
