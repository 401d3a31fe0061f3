"""Networks of your own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from vaekit import own
from vaekit.compatibility import Role
from vaekit.networks.layers import Initialization
from vaekit.specs import spec


class Architecture(ABC):
    """What a class of networks is derived from: it makes encoders and decoders, each time new ones.

    Attributes:
        initialization: how the weights of their layers begin: torch's default, glorot, or a standard deviation.
    """

    initialization: Initialization = "torch"

    @abstractmethod
    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]:
        """Return the trunk of an encoder, x (batch, *event) → features (batch, width), and its width."""

    @abstractmethod
    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module:
        """Return a decoder, z (..., d) → (..., outputs, *event): ``outputs`` parameters for each element of x."""


@spec
class Own(own.Own):
    """Encoder and decoder by a class of yours, an ``Architecture``."""

    role: ClassVar[Role] = "network"
    base: ClassVar[type] = Architecture

    @property
    def initialization(self) -> Initialization:
        """How the weights begin."""
        return self._stated("initialization", "torch")

    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]:
        """Return the trunk, x (batch, *event) → (batch, width), and its width."""
        with self.explained():
            made: tuple[nn.Module, int] = self.make().encoder(event_shape)
            return made

    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module:
        """Return the decoder, z (..., d) → (..., outputs, *event)."""
        with self.explained():
            made: nn.Module = self.make().decoder(latent_dim, event_shape, outputs)
            return made
