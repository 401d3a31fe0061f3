"""Fully connected networks."""

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Literal

from torch import nn

from vaekit.compatibility import Traits
from vaekit.linear import Linear
from vaekit.networks.layers import Activation, Initialization, Widths, dense
from vaekit.specs import spec


@spec
class MLP:
    """Fully connected layers; images are flattened. The decoder has the encoder's widths in reverse."""

    has: ClassVar[Traits] = {"matrices", "stackable", "rowwise"}
    kind: Literal["mlp"] = "mlp"
    hidden: Widths = (500,)
    """widths of the hidden layers, from data to latents"""
    activation: Activation = "tanh"
    """nonlinearity after each hidden layer"""
    gated: bool = False
    """gated linear layers instead of the activation"""
    initialization: Initialization = "torch"
    """torch's default, glorot, or the standard deviation of normally distributed weights"""

    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]:
        """Return the trunk, x (batch, *event) → (batch, width), and its width."""
        widths = (prod(event_shape), *self.hidden)
        trunk = nn.Sequential(nn.Flatten(-len(event_shape)), *dense(widths, self.activation, self.gated))
        return trunk, widths[-1]

    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module:
        """Return the decoder, z (..., d) → (..., outputs, *event): ``outputs`` parameters for each element of x."""
        widths = (latent_dim, *reversed(self.hidden))
        layers = dense(widths, self.activation, self.gated)
        head = Linear(widths[-1], outputs * prod(event_shape))
        return nn.Sequential(*layers, head, nn.Unflatten(-1, (outputs, *event_shape)))
