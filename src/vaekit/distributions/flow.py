"""Normalizing flows: a standard normal that invertible transforms carry elsewhere."""

from collections.abc import Callable, Sequence
from math import log, pi
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

AT_ONCE = 2**17
"""elements of z held at once: a spline takes some hundred numbers for each"""


@runtime_checkable
class Transform(Protocol):
    """An invertible map u → v of vectors, given a context or None; a module, as in ``vaekit.flows``."""

    def __call__(
        self, u: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        """Return v and log |det ∂v/∂u|."""

    def inverse(
        self, v: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        """Return u and log |det ∂u/∂v|."""


class Flow(Distribution):
    r"""z = μ + σ ⊙ f_K(… f_1(ε) …) with ε ~ N(0, I): the distribution N(μ, diag σ²), bent by invertible transforms.

    log p(z) = log N(ε; 0, I) − Σ_k log |det ∂f_k| − Σ_j log σ_j.

    Where all transforms are the identity, it is N(μ, diag σ²). Its mean is not known; ``center`` is the image of ε = 0.

    Reference: *Normalizing flows for probabilistic modeling and inference (Papamakarios, Nalisnick, Rezende, Mohamed,
    Lakshminarayanan, 2021)*, arXiv:1912.02762.

    Args:
        loc, scale: μ and σ, (*batch, event).
        transforms: f_1, …, f_K.
        context: c, (*batch, context), that the transforms are given, or None.
    """

    arg_constraints = {"loc": constraints.real_vector, "scale": constraints.positive}  # noqa: RUF012 (torch's interface)
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Float[Tensor, "*batch event"],
        scale: Float[Tensor, "*batch event"],
        transforms: Sequence[Transform],
        context: Float[Tensor, "*batch context"] | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.transforms, self.context = loc, scale, transforms, context
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def _in_pieces(
        self, compute: Callable[[Tensor], tuple[Tensor, Tensor]], u: Float[Tensor, "... event"]
    ) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Compute for a part of the draws at a time, unless gradients keep everything anyway."""
        whole = torch.broadcast_shapes(u.shape, self.loc.shape)
        if torch.is_grad_enabled() or len(whole) == self.loc.ndim or whole.numel() <= AT_ONCE:
            return compute(u)
        vectors, log_probs = zip(*map(compute, u.split(max(1, AT_ONCE // whole[1:].numel()))), strict=True)
        return torch.cat(vectors), torch.cat(log_probs)

    def rsample_and_log_prob(self, sample_shape: _size = ()) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Draw z, and return it with log p(z), which is known from the way there: no transform is inverted."""
        shape = self._extended_shape(sample_shape)
        return self.transported_and_log_prob(torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device))

    def transported_and_log_prob(
        self, noise: Float[Tensor, "... event"]
    ) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Carry ε to z, and return it with log p(z)."""
        return self._in_pieces(self._pushed, noise.expand(torch.broadcast_shapes(noise.shape, self.loc.shape)))

    def rsample(self, sample_shape: _size = ()) -> Float[Tensor, "... event"]:
        return self.rsample_and_log_prob(sample_shape)[0]

    def log_prob(self, value: Float[Tensor, "... event"]) -> Float[Tensor, "..."]:
        return self._in_pieces(self._pulled, value)[1]

    def _pulled(self, z: Float[Tensor, "... event"]) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Carry z back to ε, and return it with log p(z)."""
        u, log_slope = (z - self.loc) / self.scale, -self.scale.log().sum(-1)
        for transform in reversed(self.transforms):
            u, log_det = transform.inverse(u, self.context)
            log_slope = log_slope + log_det
        return u, self._log_base(u) + log_slope

    @property
    def center(self) -> Float[Tensor, "*batch event"]:
        """The image of ε = 0, the mean of the base: (*batch, event)."""
        return self._pushed(torch.zeros_like(self.loc))[0]

    def _pushed(self, u: Float[Tensor, "... event"]) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Carry ε to z, and return it with log p(z)."""
        log_prob = self._log_base(u)
        for transform in self.transforms:
            u, log_det = transform(u, self.context)
            log_prob = log_prob - log_det
        return self.loc + self.scale * u, log_prob - self.scale.log().sum(-1)

    @staticmethod
    def _log_base(u: Float[Tensor, "... event"]) -> Float[Tensor, "..."]:
        return -0.5 * (u.square().sum(-1) + u.shape[-1] * log(2 * pi))
