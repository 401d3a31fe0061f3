"""Parts of models by themselves."""

from collections.abc import Callable, Sequence

from torch import nn

from vaekit.building import Builder
from vaekit.data import Space
from vaekit.model import Model


class Decoded(Builder):
    """Builds likelihoods on decoders of the test's own.

    Args:
        decoder: number of outputs → z (..., d) → (..., outputs, *event).
        event_shape: of x.
    """

    def __init__(self, decoder: Callable[[int], nn.Module], event_shape: Sequence[int]) -> None:
        super().__init__(Model(latent_dim=2), Space.of(event_shape))
        self.made = decoder

    def decoder(self, outputs: int, event_shape: Sequence[int] | None = None) -> nn.Module:
        return self.made(outputs)
