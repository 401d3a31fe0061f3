"""A mixture of the encoder's posteriors at learned pseudo-inputs as the prior."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Latents, Needs, Traits
from vaekit.conditional import Conditional
from vaekit.errors import InputError
from vaekit.specs import Count, spec

EDGE = 0.01
"""distance from 0 and 1 at which pseudo-inputs begin, because they go through a sigmoid"""


class VampPrior(Conditional):
    r"""p(z) = (1/K) Σ_k q(z | u_k), with the posterior q of the model and pseudo-inputs u_k learned.

    With all training examples for pseudo-inputs, it is their aggregate posterior, the prior that maximizes the ELBO.
    Pseudo-inputs live where x lives: values in [0, 1] are the sigmoids of what is learned.

    Args:
        posterior: q, which is borrowed: its weights belong to the model.
        count: number of pseudo-inputs K.
        event_shape: of x.
        bounded: whether x lies in [0, 1].
    """

    def __init__(self, posterior: Conditional, count: int, event_shape: tuple[int, ...], bounded: bool) -> None:
        super().__init__()
        self.borrowed = (posterior,)
        self.bounded = bounded
        self.raw = nn.Parameter(torch.randn(count, *event_shape))

    @property
    def pseudo_inputs(self) -> Float[Tensor, "count *event"]:
        """u_k, (K, *event)."""
        return self.raw.sigmoid() if self.bounded else self.raw

    @torch.no_grad()
    def begin(self, examples: Callable[[int], Float[Tensor, "count *event"]]) -> None:
        """Begin at training examples, holes filled by means; those in [0, 1] are moved off the ends by 0.01."""
        x = examples(len(self.raw))
        x = torch.where(x.isnan(), x.nanmean(0), x).nan_to_num(0.0)
        self.raw.copy_(x.logit(EDGE) if self.bounded else x)

    def forward(self, c: Float[Tensor, "..."] | None = None) -> Distribution:
        (posterior,) = self.borrowed
        return distributions.Mixture(posterior(self.pseudo_inputs), self.raw.new_zeros(len(self.raw)))


@spec
class Vamp:
    """A mixture of the encoder's posteriors at learned pseudo-inputs, which begin at training images.

    The density of a code is that of all K posteriors there, so they need one in closed form: a flow would take K d
    passes of its networks for each code.

    Reference: *VAE with a VampPrior (Tomczak, Welling, 2018)*, arXiv:1705.07120.
    """

    latents: ClassVar[Latents] = "real"
    has: ClassVar[Traits] = {"density"}
    needs: ClassVar[Needs] = {"posterior": {"encoder", "density", "closed", "apart"}}
    kind: Literal["vamp"] = "vamp"
    pseudo_inputs: Count = 500
    """number of pseudo-inputs, each of which is encoded at every step"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module, which borrows the posterior.

        Raises:
            InputError: if there are fewer training examples than pseudo-inputs, the encoder normalizes batches, or
                there are categories.
        """
        if builder.space.support == "mixed":
            raise InputError(
                f"prior 'vamp' learns pseudo-inputs as numbers, and {builder.space.source} has columns of other kinds: "
                "choose prior 'mixture'"
            )
        there = builder.space.sizes.get("train", 0)
        if 0 < there < self.pseudo_inputs:
            raise InputError(
                f"model.prior.pseudo_inputs is {self.pseudo_inputs:,}, but they begin at the training "
                f"{builder.space.noun}, of which there are {there:,}: choose at most as many"
            )
        if getattr(builder.model.network, "batch_norm", False):
            raise InputError(
                "prior 'vamp' encodes its pseudo-inputs by themselves, and model.network.batch_norm is true, which "
                "would normalize them otherwise than images: choose false, or prior 'mixture'"
            )
        bounded = builder.space.support != "real"
        return VampPrior(builder.posterior, self.pseudo_inputs, builder.event_shape, bounded)
