"""The point mass."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


class Delta(Distribution):
    """The point mass at ``loc``: what a deterministic encoder returns. Its log-probability at ``loc`` is 0.

    Args:
        loc: the point, shape (batch, event).
    """

    arg_constraints = {"loc": constraints.real_vector}  # noqa: RUF012 (torch's interface)
    has_rsample = True
    has_density = False

    def __init__(self, loc: Float[Tensor, "*batch event"], validate_args: bool | None = None) -> None:
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: _size = ()) -> Float[Tensor, "... event"]:
        return self.loc.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Float[Tensor, "... event"]) -> Float[Tensor, "..."]:
        equal = (value == self.loc).all(-1)
        return torch.where(equal, 0.0, -torch.inf).to(value.dtype)

    def transported_and_log_prob(
        self, noise: Float[Tensor, "... event"]
    ) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Return the point, whatever the noise, with its log-probability 0."""
        z = self.loc.expand(torch.broadcast_shapes(noise.shape, self.loc.shape))
        return z, z.new_zeros(z.shape[:-1])

    @property
    def mean(self) -> Float[Tensor, "*batch event"]:
        return self.loc
