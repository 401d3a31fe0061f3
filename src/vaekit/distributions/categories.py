"""Categories by number."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints
from torch.types import _size


class Categories(Distribution):
    """A categorical distribution over the numbers 0, ..., C − 1; its ``mean`` is its mode, because names have no mean.

    Args:
        logits: unnormalized log-probabilities, (..., C); −∞ for a number that stands for no category.
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012 (torch's interface)

    def __init__(self, logits: Float[Tensor, "... categories"], validate_args: bool | None = None) -> None:
        self.categorical = Categorical(logits=logits, validate_args=False)
        super().__init__(logits.shape[:-1], validate_args=validate_args)

    @property
    def logits(self) -> Float[Tensor, "... categories"]:
        """The normalized log-probabilities."""
        return self.categorical.logits

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.categorical.log_prob(value)

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        return self.categorical.sample(torch.Size(sample_shape)).to(self.logits.dtype)

    @property
    def mean(self) -> Float[Tensor, "..."]:
        return self.logits.argmax(-1).to(self.logits.dtype)

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """NaN: names have none."""
        return torch.full(self.batch_shape, torch.nan, dtype=self.logits.dtype, device=self.logits.device)
