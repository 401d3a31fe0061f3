"""Mixtures of distributions of one vector; those of diagonal Gaussians by matrix products."""

from math import log, pi

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal
from torch.types import _size

AT_ONCE = 2**22
"""numbers of draws × components that are held at once where no gradient is kept: 32 MB in double precision"""


class Mixture(Distribution):
    r"""p(z) = Σ_k w_k p_k(z).

    Log-densities of diagonal Gaussians p_k are one matrix product of (z − m)² and z − m,

    log p_k(z) = Σ_j [−½ (z_j − m_j)² + (z_j − m_j) (μ_kj − m_j)] / σ_kj² + c_k,

    where m, the mean of all μ_k, is subtracted before anything is squared. Its terms cancel where σ is small, so it is
    computed in double precision, which takes no longer here, and which autocast leaves alone. Where no gradient is
    kept, many z are evaluated in parts, so that memory does not grow with their number times that of the components.
    Draws have no gradient, because the choice of a component has none.

    Args:
        components: p_1, ..., p_K, distributions of vectors (d,), with batch shape (K,).
        log_weights: log w_k up to a constant, (K,).

    Example:
        >>> components = Independent(Normal(torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1)), 1)
        >>> p = Mixture(components, torch.zeros(2))
        >>> p.log_prob(torch.zeros(5, 1)).shape, p.mean, p.variance
        (torch.Size([5]), tensor([0.]), tensor([2.]))
    """

    arg_constraints = {}  # noqa: RUF012 (torch's interface)

    def __init__(self, components: Distribution, log_weights: Float[Tensor, "components"]) -> None:
        self.components, self.log_weights = components, wide(log_weights).log_softmax(0)
        super().__init__(torch.Size(), components.event_shape, validate_args=False)

    def log_prob(self, value: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        z = value.reshape(-1, value.shape[-1])
        parts = [z] if torch.is_grad_enabled() else z.split(max(1, AT_ONCE // len(self.log_weights)))
        found = torch.cat([(self.log_probs(part) + self.log_weights).logsumexp(1) for part in parts])
        return found.reshape(value.shape[:-1]).to(value)

    def shares(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n components"]:
        """p(k | z), the probability with which z comes from each component, (n, K)."""
        return (self.log_probs(z) + self.log_weights).softmax(1)

    def log_probs(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n components"]:
        """log p_k(z), (n, K)."""
        if normal := diagonal_gaussians(self.components):
            return gaussian_log_probs(wide(normal.loc), wide(normal.scale), wide(z))
        return wide(self.components.log_prob(z[:, None]))

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "*sample latent"]:
        shape = torch.Size(sample_shape)
        with torch.no_grad():
            rows = self.log_weights.exp().float().multinomial(shape.numel(), replacement=True)
            return self.draws(rows).reshape(*shape, *self.event_shape)

    def draws(self, rows: Int64[Tensor, "n"]) -> Float[Tensor, "n latent"]:
        """Draw once from each of some components, (n, d); of other kinds than Gaussians, all are drawn from."""
        if normal := diagonal_gaussians(self.components):
            return torch.normal(normal.loc[rows], normal.scale[rows])
        each = max(1, AT_ONCE // len(self.log_weights) // self.event_shape.numel())
        return torch.cat([self.components.sample(part.shape)[range(len(part)), part] for part in rows.split(each)])

    @property
    def mean(self) -> Float[Tensor, "latent"]:
        return self._average(self.components.mean)

    @property
    def variance(self) -> Float[Tensor, "latent"]:
        """Var z = Σ_k w_k (Var_k z + (μ_k − μ)²)."""
        return self._average(self.components.variance + (self.components.mean - self.mean).square())

    def _average(self, of_components: Float[Tensor, "components latent"]) -> Float[Tensor, "latent"]:
        return (self.log_weights.exp() @ wide(of_components)).to(of_components)


def diagonal_gaussians(components: Distribution) -> Normal | None:
    """Return the factors of components that are diagonal Gaussians, or None."""
    base = components.base_dist if isinstance(components, Independent) else None
    return base if isinstance(base, Normal) else None


def gaussian_log_probs(
    loc: Float[Tensor, "components latent"], scale: Float[Tensor, "components latent"], z: Float[Tensor, "n latent"]
) -> Float[Tensor, "n components"]:
    """log N(z; μ_k, diag σ_k²), (n, K), by one matrix product."""
    middle = loc.detach().mean(0)
    precision, loc, z = scale.pow(-2), loc - middle, z - middle
    constant = -0.5 * (loc.square() * precision).sum(1) - scale.log().sum(1) - 0.5 * log(2 * pi) * z.shape[1]
    return torch.addmm(constant, torch.cat([z.square(), z], 1), torch.cat([-0.5 * precision, loc * precision], 1).T)


def wide(x: Tensor) -> Tensor:
    """Convert to double precision, on the CPU if the device lacks it, as Apple's GPUs do."""
    return x.cpu().double() if x.device.type == "mps" else x.double()
