"""Distributions of bits, and of values in [0, 1]."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

FACTORS = 16
"""factors between 1 and 2 in one product; fp32 holds up to 127"""


class ContinuousBernoulli(Distribution):
    r"""A density on [0, 1] whose exponent is the cross-entropy, C(λ) λ^x (1 − λ)^(1−x) with λ = σ(ℓ).

    log p(x) = ℓ (x − ½) + log (ℓ/2) / sinh(ℓ/2),  E[x] = ½ + ½ coth(ℓ/2) − 1/ℓ.

    Written in terms of the logit it is exact for every ℓ; torch's own is written in terms of λ, which fp32 cannot tell
    from 0 or 1 beyond \|ℓ\| = 16, so that its mean never leaves [0.06, 0.94].

    Reference: *The continuous Bernoulli: fixing a pervasive error in variational autoencoders
    (Loaiza-Ganem, Cunningham, 2019)*, arXiv:1907.06845.

    Args:
        logits: ℓ, shape (...).

    Example:
        >>> ContinuousBernoulli(torch.tensor([-1000.0, 0.0, 1000.0])).mean
        tensor([0.0010, 0.5000, 0.9990])
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's interface)

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=validate_args)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        near, size = self._near_zero(self.logits.abs())
        series = -self.logits.square() / 24 + self.logits.pow(4) / 2880
        exact = size.log() - size / 2 - torch.log(-torch.expm1(-size))
        return self.logits * (value - 0.5) + torch.where(near, series, exact)

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        with torch.no_grad():
            u = torch.rand(self._extended_shape(sample_shape), dtype=self.logits.dtype, device=self.logits.device)
            slope = -self.logits.abs().clamp(min=1e-6)
            x = torch.log1p(u * torch.expm1(slope)) / slope
            return torch.where(self.logits > 0, 1 - x, x)

    @property
    def mean(self) -> Float[Tensor, "..."]:
        near, logits = self._near_zero(self.logits)
        series = 0.5 + self.logits / 12 - self.logits.pow(3) / 720
        return torch.where(near, series, 0.5 + 0.5 / torch.tanh(logits / 2) - 1 / logits)

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """1/ℓ² − 1/(2 sinh(ℓ/2))², by its series near 0."""
        near = self.logits.abs() < 1
        logits, square = self.logits.masked_fill(near, 1.0), self.logits.masked_fill(~near, 0.0).square()
        series = 1 / 12 - square / 240 + square.square() / 6048
        return torch.where(near, series, logits.pow(-2) - (2 * torch.sinh(logits / 2)).pow(-2))

    def _near_zero(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return where ℓ is too near 0 for the closed forms, and ``value`` with 1 there, whose gradient is finite."""
        near = self.logits.abs() < 0.1
        return near, value.masked_fill(near, 1.0)


class IndependentBernoulli(Distribution):
    r"""Independent bits that count as one event, x_i ~ Bernoulli(σ(ℓ_i)), or gray values in [0, 1] in their place.

    log p(x) = Σ_i x_i ℓ_i − log(1 + e^{ℓ_i}) = Σ_i x_i ℓ_i − max(ℓ_i, 0) − Σ_g log Π_{i in g} (1 + e^{−\|ℓ_i\|}).

    One logarithm serves a group g of elements, whose factors lie between 1 and 2, because logarithms are most of the
    cost of decoding apart from the matrix products. The result is as exact as with one logarithm per element.

    Args:
        logits: ℓ, shape (..., *event).
        event_dims: number of axes of the event.

    Example:
        >>> IndependentBernoulli(torch.zeros(5, 1, 8, 8), event_dims=3).log_prob(torch.ones(1, 8, 8)).exp2().shape
        torch.Size([5])
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's interface)

    def __init__(self, logits: Float[Tensor, "*shape"], event_dims: int) -> None:
        self.logits = logits
        cut = logits.ndim - event_dims
        super().__init__(logits.shape[:cut], logits.shape[cut:], validate_args=False)

    def log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch"]:
        axes = -len(self.event_shape)
        logits, x = torch.broadcast_tensors(self.logits.flatten(axes), value.flatten(axes))
        if logits.requires_grad:  # a product of many factors has no cheap gradient
            return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        factors = logits.abs().neg_().exp_().add_(1)
        if short := -factors.shape[-1] % FACTORS:
            factors = F.pad(factors, (0, short), value=1.0)
        products = factors.unflatten(-1, (FACTORS, -1)).prod(-2)
        return (x * logits).sub_(logits.relu()).sum(-1) - products.log_().sum(-1)

    def element_log_prob(self, value: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*shape"]:
        """log p(x_i) of each element, (*batch, *event)."""
        logits, x = torch.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(self._extended_shape(sample_shape)))

    @property
    def mean(self) -> Float[Tensor, "*shape"]:
        return self.logits.sigmoid()

    @property
    def variance(self) -> Float[Tensor, "*shape"]:
        return self.logits.sigmoid() * (-self.logits).sigmoid()
