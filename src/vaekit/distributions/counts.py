"""Counts, whose variance may be larger than their mean."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from vaekit.distributions.mixture import wide


class Counts(Distribution):
    r"""The negative binomial distribution of a whole number with mean μ and variance μ + α μ², a Poisson for α → 0.

    log p(x) = log Γ(x + r) − log Γ(r) − log x! − r log(1 + μ/r) − x log(1 + r/μ) with r = 1/α,

    computed in double precision, because its terms cancel where r or x is large.

    Args:
        log_mean: log μ, (...).
        log_dispersion: log α, (...).

    Example:
        >>> p = Counts(torch.tensor(1.0), torch.tensor(-20.0))
        >>> torch.allclose(p.log_prob(torch.tensor(3.0)), torch.distributions.Poisson(p.mean).log_prob(torch.tensor(3)))
        True
    """

    arg_constraints = {"log_mean": constraints.real, "log_dispersion": constraints.real}  # noqa: RUF012 (torch's interface)

    def __init__(self, log_mean: Tensor, log_dispersion: Tensor, validate_args: bool | None = None) -> None:
        self.log_mean, self.log_dispersion = torch.broadcast_tensors(log_mean, log_dispersion)
        super().__init__(self.log_mean.shape, validate_args=validate_args)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        x, log_r = wide(value), -wide(self.log_dispersion)
        r, odds = log_r.exp(), wide(self.log_mean) - log_r
        ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
        return (ways - r * F.softplus(odds) - x * F.softplus(-odds)).to(value)

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        with torch.no_grad():
            r = (-self.log_dispersion).exp().expand(self._extended_shape(sample_shape))
            return torch.poisson(self.mean / r * torch._standard_gamma(r))

    @property
    def mean(self) -> Float[Tensor, "..."]:
        return self.log_mean.exp()

    @property
    def variance(self) -> Float[Tensor, "..."]:
        return self.mean + self.log_dispersion.exp() * self.mean.square()
