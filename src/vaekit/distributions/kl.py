"""Closed forms of the KL that torch lacks; importing this module registers them with torch."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, register_kl


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
