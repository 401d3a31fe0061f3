"""A normalizing flow as prior."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import LEAST_SCALE
from vaekit.flows import Autoregressive, Bins, Hidden, Inverse, Kind
from vaekit.specs import Count, spec


class FlowPrior(Conditional):
    """p(z), the distribution of μ + σ ⊙ f(ε), ε ~ N(0, I), where f is the inverse of autoregressive transforms.

    μ = 0 and σ = 1, unless the prior begins at codes, which may lie anywhere.

    Args:
        latent_dim: number of latents d.
        spec: says which transforms.
    """

    loc: Float[Tensor, "latent"]
    scale: Float[Tensor, "latent"]

    def __init__(self, latent_dim: int, spec: "Flow") -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.transforms = nn.ModuleList(
            Inverse(Autoregressive(latent_dim, spec.transform, spec.hidden, spec.bins, backward=bool(i % 2)))
            for i in range(spec.steps)
        )

    def begin_at(self, codes: Float[Tensor, "n latent"]) -> None:
        """Begin with the mean and the standard deviations of codes."""
        self.loc.copy_(codes.mean(0))
        self.scale.copy_(codes.std(0).clamp_min(LEAST_SCALE))

    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        return distributions.Flow(self.loc, self.scale, [*self.transforms], validate_args=False)


@spec
class Flow:
    r"""A masked autoregressive flow: its density takes one pass of each network, a sample takes d.

    ε_i = g(z_i; θ(z_1, …, z_{i−1})) for each transform, from z to ε ~ N(0, I), the order of the elements reversed from
    one transform to the next. Training and evidence need densities of given z, many times; samples are drawn rarely.
    The transforms begin near the identity, the prior near N(0, I). Its KL from a posterior is estimated by draws.

    References: *Masked autoregressive flow for density estimation (Papamakarios, Pavlakou, Murray, 2017)*,
    arXiv:1705.07057; as a prior: *Variational lossy autoencoder (Chen et al., 2017)*, arXiv:1611.02731; splines:
    *Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019)*, arXiv:1906.04032.
    """

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"density", "apart", "fitted"}
    kind: Literal["flow"] = "flow"
    transform: Kind = "affine"
    """what happens to each element: affine, or spline, a monotonic rational-quadratic spline on [-6, 6]"""
    steps: Count = 2
    """number of autoregressive transforms"""
    hidden: Hidden = (64, 64)
    """widths of the hidden layers of each transform's network"""
    bins: Bins = 8
    """bins of each spline"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        return FlowPrior(builder.latent_dim, self)
