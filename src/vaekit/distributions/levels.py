"""Distributions over 8-bit levels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints
from torch.types import _size

LEVELS = 256


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

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """E[x²] − E[x]² with E[x²] = (1/255²) Σ_{k=1}^{255} (2k − 1) P(x ≥ k/255)."""
        total = torch.zeros_like(self.loc)
        for k in range(1, LEVELS):
            total += (2 * k - 1) * torch.sigmoid((self.loc - (k - 0.5) / (LEVELS - 1)) / self.scale)
        return (total / (LEVELS - 1) ** 2 - self.mean.square()).clamp_min(0)


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

    @property
    def variance(self) -> Float[Tensor, "..."]:
        levels = torch.arange(LEVELS, dtype=self.logits.dtype, device=self.logits.device) / (LEVELS - 1)
        return (self.categorical.probs * (levels - self.mean[..., None]).square()).sum(-1)
