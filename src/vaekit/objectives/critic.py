"""A critic: a second player, which tells codes from draws of another distribution and so measures how they differ."""

from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from vaekit.distributions import full_precision
from vaekit.linear import Linear
from vaekit.networks.layers import Activation, Widths, dense
from vaekit.specs import spec
from vaekit.training.optimizers import Adam, Momentum, Rate

Weight = Annotated[float, Field(ge=0)]


class CriticNetwork(nn.Module):
    r"""A network c whose output is a log density ratio.

    It classifies codes z ~ q(z) against draws z' ~ r(z) by the logit c(z), with the loss

    −½ E_q log σ(c(z)) − ½ E_r log(1 − σ(c(z'))),

    which is smallest, in nats, where c(z) = log q(z) − log r(z), and is log 2 where the two cannot be told apart. Then
    E_q c(z) is KL(q ‖ r). Logits are computed in the precision of the weights, whatever that of the model is.

    Args:
        layers: z (..., d) → (..., 1).
    """

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        with full_precision(z.device):
            return self.layers(z).squeeze(-1)


@spec
class Critic:
    """A critic's layers, and how it minimizes its own loss: by Adam, with the settings of FactorVAE's critic."""

    hidden: Widths = (256, 256, 256)
    """widths of the critic's hidden layers"""
    activation: Activation = "leaky_relu_0.2"
    """nonlinearity after each of them"""
    learning_rate: Rate = 1e-4
    """step size of the critic's Adam"""
    betas: tuple[Momentum, Momentum] = (0.5, 0.9)
    """its decay rates of the running means of the gradient and of its square"""

    @property
    def optimizer(self) -> Adam:
        """What minimizes the critic's loss."""
        return Adam(learning_rate=self.learning_rate, betas=self.betas)

    def build(self, latent_dim: int) -> CriticNetwork:
        """Return the network for codes of d latents."""
        widths = (latent_dim, *self.hidden)
        return CriticNetwork(nn.Sequential(*dense(widths, self.activation), Linear(widths[-1], 1)))


def confusion(codes: Float[Tensor, "n"], others: Float[Tensor, "m"]) -> Float[Tensor, ""]:
    """Return the loss of a critic, given its logits at codes and at draws of the other distribution."""
    return (F.softplus(-codes).mean() + F.softplus(others).mean()) / 2


def regrouped(z: Float[Tensor, "n latent"]) -> Float[Tensor, "n latent"]:
    """Return vectors whose elements come from different rows of z: draws from Π_j q(z_j) if the rows are from q(z).

    Each row is cut from a circle of all rows in random order, so that no two elements of it come from the same one as
    long as n ≥ d. If each column is shuffled by itself instead, every n-th pair of elements does.

    Example:
        >>> torch.manual_seed(0)
        <torch._C.Generator object at ...>
        >>> rows = regrouped(torch.arange(4.0)[:, None].expand(4, 3)).int().tolist()  # each element names its row
        >>> [len(set(row)) for row in rows], sorted(row[0] for row in rows)
        ([3, 3, 3, 3], [0, 1, 2, 3])
    """
    n, latents = z.shape
    order = torch.rand(n, device=z.device).argsort()
    places = torch.arange(n, device=z.device)[:, None] + torch.arange(latents, device=z.device)
    return z.take_along_dim(order[places % n], 0)
