"""The Gaussian with full covariance."""

from math import log, pi

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, register_kl
from torch.types import _size

from vaekit.distributions.parts import full_precision


class FullGaussian(MultivariateNormal):
    r"""N(μ, L Lᵀ), as torch's, but a draw z = μ + L ε comes with its density, for which no equations are solved.

    log p(z) = log N(ε; 0, I) − Σ_j log L_jj.

    Args:
        loc: μ, (*batch, event).
        scale_tril: L, lower triangular, (*batch, event, event).
    """

    def __init__(
        self,
        loc: Float[Tensor, "*batch event"],
        scale_tril: Float[Tensor, "*batch event event"],
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(loc, scale_tril=scale_tril, validate_args=validate_args)

    def rsample_and_log_prob(self, sample_shape: _size = ()) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Draw z, and return it with log p(z)."""
        shape = self._extended_shape(sample_shape)
        return self.transported_and_log_prob(torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device))

    def transported_and_log_prob(
        self, noise: Float[Tensor, "... event"]
    ) -> tuple[Float[Tensor, "... event"], Float[Tensor, "..."]]:
        """Return z = μ + L ε, given ε, with log p(z)."""
        shape = torch.broadcast_shapes(noise.shape, self.loc.shape)
        factor, draws = self._unbroadcasted_scale_tril, noise.expand(shape).reshape(-1, *self.loc.shape)
        with full_precision(noise.device):
            moved = torch.einsum("...ij,n...j->n...i", factor, draws).reshape(shape)
        log_scales = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.loc + moved, -0.5 * (noise.square().sum(-1) + shape[-1] * log(2 * pi)) - log_scales

    def rsample(self, sample_shape: _size = ()) -> Float[Tensor, "... event"]:
        return self.rsample_and_log_prob(sample_shape)[0]


@register_kl(MultivariateNormal, Independent)
def kl_from_factorized(q: MultivariateNormal, p: Independent) -> Float[Tensor, "*batch"]:
    """KL(N(μ, L Lᵀ) ‖ N(m, diag s²)) = ½ Σ_j [((L Lᵀ)_jj + (μ_j − m_j)²) / s_j² − 1 + log s_j²] − Σ_j log L_jj.

    Raises:
        NotImplementedError: if p is not a Gaussian over one axis, as torch does where there is no closed form.
    """
    normal, factor = p.base_dist, q.scale_tril
    if not isinstance(normal, Normal) or p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    squares = factor.square().sum(-1) + (q.loc - normal.loc).square()
    each = (squares / normal.variance - 1) / 2 + normal.scale.log()
    return each.sum(-1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
