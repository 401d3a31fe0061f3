"""Transforms of normalizing flows: autoregressive, with the elementwise functions of zuko.

Reference: *Zuko: Normalizing flows in PyTorch (Rozet and others, 2022)*, doi:10.5281/zenodo.7625672.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import at_least_fp32, full_precision
from vaekit.specs import Count

Kind = Literal["affine", "spline"]
"""an autoregressive transform's function of each element"""
Hidden = tuple[Count, ...]
Bins = Annotated[int, Field(ge=2)]


@contextmanager
def _settings_kept() -> Iterator[None]:
    """Leave torch's checks of distributions as they are: the import of zuko switches them off, for the process."""
    kept = {name: vars(Distribution)[name] for name in ("_validate_args", "arg_constraints")}
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(Distribution, name, value)


with _settings_kept():
    from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

Elementwise: TypeAlias = MonotonicAffineTransform | MonotonicRQSTransform

BOUND = 6.0
"""a spline bends [−6, 6], where a standard normal has all but 2e-9 of its probability, and is the identity outside"""
EVERY = slice(None)
SMALL = 0.1
"""factor on the weights that a transform's last layer begins with, so that it begins near the identity"""


class MaskedLinear(nn.Module):
    """y = (M ⊙ W) x + b: the outputs depend on the inputs that the mask names. Computed in fp32 at least.

    Not a subclass of torch's layer, so that the initialization of a model's networks does not apply to it.

    Args:
        mask: M, (outputs, inputs).
        bias: whether there is b.
    """

    mask: Bool[Tensor, "outputs inputs"]

    def __init__(self, mask: Bool[Tensor, "outputs inputs"], bias: bool = True) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        reach = inputs**-0.5
        self.register_buffer("mask", mask, persistent=False)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-reach, reach)) if bias else None

    def forward(self, x: Float[Tensor, "... inputs"], rows: slice = EVERY) -> Float[Tensor, "... some"]:
        """Return y, or some of its elements."""
        bias = None if self.bias is None else at_least_fp32(self.bias[rows])
        return F.linear(x, at_least_fp32(self.weight[rows]) * self.mask[rows], bias)


class Autoregressive(nn.Module):
    r"""v_i = g(u_i; θ_i), where a masked network outputs the parameters θ_i given u_1, …, u_{i−1} and a context c.

    The Jacobian is triangular, so log |det ∂v/∂u| = Σ_i log g′(u_i; θ_i). A pass of the network maps u to v; the way
    back takes d passes, each of which finds one more element of u. What is quick therefore decides the direction: see
    ``Inverse``. At θ = 0 it is the identity.

    Each g is monotonic: exp(a) u + b if it is affine, or a rational-quadratic spline on [−6, 6].

    References: *MADE: masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle, 2015)*,
    arXiv:1502.03509; *Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019)*, arXiv:1906.04032.

    Args:
        dim: d.
        kind: g.
        hidden: widths of the network's hidden layers.
        bins: of a spline.
        context: width of c, or 0.
        backward: whether the elements come in reverse order.
    """

    def __init__(
        self, dim: int, kind: Kind, hidden: Sequence[int], bins: int, context: int = 0, backward: bool = False
    ) -> None:
        super().__init__()
        self.dim, self.kind, self.bins, self.backward = dim, kind, bins, backward
        self.each = 2 if kind == "affine" else 3 * bins - 1
        rank = torch.arange(dim).flip(0) if backward else torch.arange(dim)
        # A unit of degree m may see the elements whose rank is below m; without a context, at least one.
        least = 0 if context or dim == 1 else 1
        inner = [least + torch.arange(width) % max(dim - least, 1) for width in hidden]
        degrees = [rank + 1, *inner, rank.repeat_interleave(self.each)]
        self.layers = nn.ModuleList(MaskedLinear(b[:, None] >= a) for a, b in pairwise(degrees))
        self.given = (
            MaskedLinear(torch.ones(len(degrees[1]), context, dtype=torch.bool), bias=False) if context else None
        )
        for weight in self.layers[-1].parameters():
            weight.data.mul_(SMALL)

    def forward(
        self, u: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None = None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        """Return v and log |det ∂v/∂u|, in one pass of the network."""
        v, log_slopes = self.function(u, c).call_and_ladj(u.expand(*_both(u, c), -1))
        return v, log_slopes.sum(-1)

    def inverse(
        self, v: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None = None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        """Return u and log |det ∂u/∂v|, in d passes of the network."""
        known = v.expand(*_both(v, c), -1).unbind(-1)
        u, log_det = [torch.zeros_like(v_i) for v_i in known], torch.zeros_like(known[0])
        for i in reversed(range(self.dim)) if self.backward else range(self.dim):
            function = self.function(torch.stack(u, -1), c, i)
            u[i] = function.inv(known[i])
            log_det = log_det - function.log_abs_det_jacobian(u[i], known[i])
        return torch.stack(u, -1), log_det

    def function(
        self, u: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None = None, i: int | None = None
    ) -> Elementwise:
        """Return u_i → v_i, given the elements before it: for all elements together, or for one of them."""
        rows = EVERY if i is None else slice(i * self.each, (i + 1) * self.each)
        *before, last = self.layers
        with full_precision(u.device):
            given = None if self.given is None else self.given(c)  # does not depend on u: once for all draws
            for layer in before:
                u = layer(u) if given is None else layer(u) + given
                u, given = F.elu(u), None
            theta = last(u, rows) if given is None else last(u, rows) + given[..., rows]
        if i is None:
            theta = theta.unflatten(-1, (self.dim, self.each))
        if self.kind == "affine":
            return MonotonicAffineTransform(*theta.unbind(-1))
        return MonotonicRQSTransform(*theta.split([self.bins, self.bins, self.bins - 1], -1), bound=BOUND)


def _both(u: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None) -> torch.Size:
    """Shape of vectors and contexts together, without the last axis."""
    return u.shape[:-1] if c is None else torch.broadcast_shapes(u.shape[:-1], c.shape[:-1])


class Inverse(nn.Module):
    """A transform from v to u: quick where that one's inverse is."""

    def __init__(self, transform: Autoregressive) -> None:
        super().__init__()
        self.transform = transform

    def forward(
        self, u: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None = None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        return self.transform.inverse(u, c)

    def inverse(
        self, v: Float[Tensor, "*shape event"], c: Float[Tensor, "*batch context"] | None = None
    ) -> tuple[Float[Tensor, "*both event"], Float[Tensor, "*both"]]:
        return self.transform(v, c)
