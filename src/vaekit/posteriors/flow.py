"""A Gaussian bent by a normalizing flow."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Traits
from vaekit.conditional import Conditional
from vaekit.distributions import at_least_fp32
from vaekit.flows import Autoregressive, Bins, Hidden, Kind
from vaekit.specs import Count, spec


class FlowPosterior(Conditional):
    """q(z | x), the distribution of μ(x) + σ(x) ⊙ f(ε; x), ε ~ N(0, I), where f are autoregressive transforms.

    Args:
        trunk: x (batch, *event) → features (batch, width), which every transform is given.
        width: number of features.
        latent_dim: number of latents d.
        spec: says which transforms.
    """

    def __init__(self, trunk: nn.Module, width: int, latent_dim: int, spec: "Flow") -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, 2 * latent_dim)
        self.transforms = nn.ModuleList(
            Autoregressive(latent_dim, spec.transform, spec.hidden, spec.bins, width, backward=bool(i % 2))
            for i in range(spec.steps)
        )

    def forward(self, c: Float[Tensor, "batch *event"] | None = None) -> Distribution:
        features = self.trunk(c)
        loc, log_scale = at_least_fp32(self.head(features)).chunk(2, -1)
        context = at_least_fp32(features)
        return distributions.Flow(loc, log_scale.exp(), [*self.transforms], context, validate_args=False)


@spec
class Flow:
    r"""A Gaussian bent by an inverse autoregressive flow: a draw and its density take one pass of each network.

    z = μ(x) + σ(x) ⊙ f_K(… f_1(ε) …), where v_i = g(u_i; θ(u_1, …, u_{i−1}, x)) for each transform, the order of the
    elements reversed from one to the next. Training and evidence draw z and need the density of that draw, which is
    known on the way; the density of another z takes d passes. The transforms begin near the identity, the posterior
    near the ``gaussian`` one. Its KL is estimated by draws.

    References: *Improved variational inference with inverse autoregressive flow (Kingma et al., 2016)*,
    arXiv:1606.04934; splines: *Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019)*, arXiv:1906.04032.
    """

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"encoder", "density", "pathwise", "apart"}
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
        """Return the module on top of a new encoder."""
        return FlowPosterior(*builder.encoder(), builder.latent_dim, self)
