"""Distributions that torch lacks, or lacks in the tails: over 8-bit levels, on [0, 1], and the point mass."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, constraints
from torch.types import _size

Head = Literal["log_scale", "log_variance"]
"""what a network outputs for the scale of a Gaussian: log σ, or log σ²"""
LEVELS = 256
FACTORS = 16
"""factors between 1 and 2 in one product; fp32 holds up to 127"""


class DiscretizedLogistic(Distribution):
    r"""A logistic distribution rounded to the levels k/255, k = 0..255; the outer levels take the tails.

    P(x) = σ(b) − σ(a),  a = (x − 1/510 − m)/s,  b = (x + 1/510 − m)/s,  with a = −∞ at x = 0 and b = ∞ at x = 1.

    The difference is computed as σ(b) σ(−a) (1 − e^{−(b−a)}), which is exact in both tails.

    Reference: *Improved variational inference with inverse autoregressive flow (Kingma, Salimans, Jozefowicz,
    Chen, Sutskever, Welling, 2016)*, arXiv:1606.04934, appendix.

    Args:
        loc: m, shape (...).
        scale: s > 0, shape (...).

    Example:
        >>> levels = torch.arange(256) / 255
        >>> p = DiscretizedLogistic(torch.tensor(0.3), torch.tensor(0.1))
        >>> round(float(p.log_prob(levels).exp().sum()), 5)
        1.0
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (torch's interface)

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        half = 0.5 / (LEVELS - 1)
        below = (value - half - self.loc) / self.scale
        above = (value + half - self.loc) / self.scale
        left, right = F.logsigmoid(above), F.logsigmoid(-below)
        middle = left + right + torch.log(-torch.expm1(-2 * half / self.scale))
        return torch.where(value < half, left, torch.where(value > 1 - half, right, middle))

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        with torch.no_grad():
            u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
            x = self.loc + self.scale * torch.logit(u, eps=torch.finfo(u.dtype).tiny)
            return (x * (LEVELS - 1)).round().clamp(0, LEVELS - 1) / (LEVELS - 1)

    @property
    def mean(self) -> Float[Tensor, "..."]:
        """E[x] = (1/255) Σ_{k=1}^{255} P(x ≥ k/255), summed level by level so that memory stays that of one image."""
        total = torch.zeros_like(self.loc)
        for k in range(1, LEVELS):
            total += torch.sigmoid((self.loc - (k - 0.5) / (LEVELS - 1)) / self.scale)
        return total / (LEVELS - 1)


class CategoricalLevels(Distribution):
    """A categorical distribution over the levels k/255, k = 0..255.

    Args:
        logits: unnormalized log-probabilities, shape (..., 256).
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012 (torch's interface)

    def __init__(self, logits: Float[Tensor, "... 256"], validate_args: bool | None = None) -> None:
        self.categorical = Categorical(logits=logits, validate_args=False)
        super().__init__(logits.shape[:-1], validate_args=validate_args)

    @property
    def logits(self) -> Float[Tensor, "... 256"]:
        """The normalized log-probabilities."""
        return self.categorical.logits

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.categorical.log_prob((value * (LEVELS - 1)).round())

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        return self.categorical.sample(torch.Size(sample_shape)).to(self.logits.dtype) / (LEVELS - 1)

    @property
    def mean(self) -> Float[Tensor, "..."]:
        levels = torch.arange(LEVELS, dtype=self.logits.dtype, device=self.logits.device) / (LEVELS - 1)
        return (self.categorical.probs * levels).sum(-1)


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

    def _near_zero(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return where ℓ is too near 0 for the closed forms, and ``value`` with 1 there, whose gradient is finite."""
        near = self.logits.abs() < 0.1
        return near, torch.where(near, 1.0, value)


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

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "..."]:
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(self._extended_shape(sample_shape)))

    @property
    def mean(self) -> Float[Tensor, "*shape"]:
        return self.logits.sigmoid()


class Delta(Distribution):
    """The point mass at ``loc``: what a deterministic encoder returns. Its log-probability at ``loc`` is 0.

    Args:
        loc: the point, shape (batch, event).
    """

    arg_constraints = {"loc": constraints.real_vector}  # noqa: RUF012 (torch's interface)
    has_rsample = True

    def __init__(self, loc: Float[Tensor, "*batch event"], validate_args: bool | None = None) -> None:
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: _size = ()) -> Float[Tensor, "... event"]:
        return self.loc.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Float[Tensor, "... event"]) -> Float[Tensor, "..."]:
        equal = (value == self.loc).all(-1)
        return torch.where(equal, 0.0, -torch.inf).to(value.dtype)

    @property
    def mean(self) -> Float[Tensor, "*batch event"]:
        return self.loc


def independent(distribution: Distribution, event_dims: int) -> Distribution:
    """Treat the last ``event_dims`` axes of ``distribution`` as one event, whose log-probabilities are summed."""
    return Independent(distribution, event_dims, validate_args=False)


def log_scale(raw: Float[Tensor, "*shape"], head: Head) -> Float[Tensor, "*shape"]:
    """Return log σ, given the output of a network and what it stands for."""
    return raw / 2 if head == "log_variance" else raw


def at_least_fp32(parameters: Tensor) -> Tensor:
    """Convert a network's half-precision outputs to fp32, in which densities are computed; fp64 stays."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))
