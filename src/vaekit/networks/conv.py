"""Convolutional networks."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from math import prod
from typing import Literal

from torch import nn

from vaekit.compatibility import Traits
from vaekit.errors import InputError
from vaekit.networks.layers import (
    ACTIVATIONS,
    Activation,
    Convolution,
    ConvTranspose2d,
    Crop,
    Initialization,
    OnImages,
    Widths,
    channels_last,
    dense,
)
from vaekit.specs import Count, Whole, spec


@spec
class Layer:
    """One layer of a convolutional decoder that does not mirror its encoder."""

    channels: Count | None = None
    """output channels; left out in the last layer, where the likelihood decides"""
    stride: Count = 1
    """step of the kernel: how many times larger the output is"""
    padding: Whole | None = None
    """none chooses it so that the output is stride times larger (smaller if the convolution is not transposed)"""
    transposed: bool = True
    """whether the convolution is transposed or plain"""

    def build(self, inputs: int, outputs: int, kernel: int) -> Convolution:
        """Return the layer, whose kernel is a square of side ``kernel``."""
        if not self.transposed:
            padding = kernel // 2 if self.padding is None else self.padding
            return nn.Conv2d(inputs, outputs, kernel, self.stride, padding)
        if self.padding is not None:
            return ConvTranspose2d(inputs, outputs, kernel, self.stride, self.padding)
        # size out = stride·in when 2p − op = kernel − stride, with op < stride
        padding = max(0, kernel - self.stride + 1) // 2
        extra = 2 * padding - (kernel - self.stride)
        return ConvTranspose2d(inputs, outputs, kernel, self.stride, padding, extra)


@spec
class Conv:
    """Convolutions, then optional dense layers; the decoder mirrors them with transposed convolutions.

    Any image size works: the mirrored decoder gives each layer the size that the encoder had there.

    Example:
        >>> Conv(channels=(32, 64, 64), strides=(2, 2, 2)).sizes((1, 28, 20))
        [(28, 20), (14, 10), (7, 5), (4, 3)]
    """

    kind: Literal["conv"] = "conv"
    channels: Widths = (32, 64)
    """output channels of the encoder's convolutions"""
    strides: Widths = (2, 2)
    """strides of the encoder's convolutions, one each"""
    kernel: Count = 3
    """side of the square kernels, an odd number"""
    hidden: tuple[Count, ...] = ()
    """widths of dense layers between the convolutions and the latents"""
    activation: Activation = "relu"
    """nonlinearity between layers"""
    decoder_activation: Activation | None = None
    """nonlinearity of the decoder; none takes that of the encoder"""
    batch_norm: bool = False
    """batch normalization before each convolution's nonlinearity"""
    linear_code: bool = False
    """no nonlinearity after the encoder's last convolution, nor before the decoder's first"""
    decoder_layers: tuple[Layer, ...] = ()
    """the decoder's layers if it does not mirror the encoder; from the encoder's last size on, the output cropped"""
    initialization: Initialization = "torch"
    """torch's default, glorot, or the standard deviation of normally distributed weights"""

    def __post_init__(self) -> None:
        if not self.channels or len(self.channels) != len(self.strides):
            found = f"channels {self.channels} and strides {self.strides}"
            raise InputError(f"{found} do not match: give each layer one of each")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel {self.kernel} is even: choose an odd one, such as {self.kernel + 1}")
        inner, last = self.decoder_layers[:-1], self.decoder_layers[-1:]
        if any(layer.channels is None for layer in inner) or any(layer.channels for layer in last):
            raise InputError(
                "decoder_layers need channels in every layer except the last, where the likelihood decides"
            )

    def sizes(self, event_shape: Sequence[int]) -> list[tuple[int, int]]:
        """Return height and width before the first convolution and after each: ⌈size / stride⌉."""
        if len(event_shape) != 3:
            shape = tuple(event_shape)
            raise InputError(f"network conv needs images, but the data have shape {shape}: choose network mlp")

        def after(size: tuple[int, int], stride: int) -> tuple[int, int]:
            return -(-size[0] // stride), -(-size[1] // stride)

        return list(accumulate(self.strides, after, initial=(event_shape[1], event_shape[2])))

    @property
    def has(self) -> Traits:
        """Batch normalization sees other examples, and its running means cannot be stacked."""
        return frozenset() if self.batch_norm else {"stackable", "rowwise"}

    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]:
        """Return the trunk, x (batch, C, H, W) → (batch, width), and its width."""
        height, width = self.sizes(event_shape)[-1]
        layers: list[nn.Module] = []
        for (a, b), stride in zip(pairwise((event_shape[0], *self.channels)), self.strides, strict=True):
            convolution = nn.Conv2d(a, b, self.kernel, stride, self.kernel // 2)
            layers += [convolution, *self._after(b, self.activation)]
        if self.linear_code:
            layers.pop()
        widths = (self.channels[-1] * height * width, *self.hidden)
        trunk = nn.Sequential(*layers, nn.Flatten(), *dense(widths, self.activation))
        return channels_last(trunk), widths[-1]

    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module:
        """Return the decoder, z (..., d) → (..., outputs, C, H, W): ``outputs`` parameters for each element of x."""
        start = (self.channels[-1], *self.sizes(event_shape)[-1])
        channels, height, width = event_shape
        hidden = () if self.decoder_layers else tuple(reversed(self.hidden))
        activation = self.decoder_activation or self.activation
        first = dense((latent_dim, *hidden, prod(start)), activation)
        if self.linear_code:
            first.pop()
        up = self._custom(outputs * channels) if self.decoder_layers else self._mirror(event_shape, outputs * channels)
        between = [[layer, *self._after(layer.out_channels, activation)] for layer in up[:-1]]
        layers = [*chain.from_iterable(between), up[-1]]
        shape = nn.Unflatten(1, (outputs, channels))
        return channels_last(OnImages(*first, nn.Unflatten(1, start), *layers, Crop(height, width), shape))

    def _after(self, channels: int, activation: str) -> list[nn.Module]:
        normalization = [nn.BatchNorm2d(channels)] if self.batch_norm else []
        return [*normalization, ACTIVATIONS[activation]()]

    def _mirror(self, event_shape: Sequence[int], outputs: int) -> list[Convolution]:
        channels = pairwise((*reversed(self.channels), outputs))
        sizes = pairwise(reversed(self.sizes(event_shape)))
        layers: list[Convolution] = []
        for (a, b), stride, (small, large) in zip(channels, reversed(self.strides), sizes, strict=True):
            # from ⌈n / stride⌉ back to n
            extra = (large[0] - (small[0] - 1) * stride - 1, large[1] - (small[1] - 1) * stride - 1)
            layers.append(ConvTranspose2d(a, b, self.kernel, stride, self.kernel // 2, extra))
        return layers

    def _custom(self, outputs: int) -> list[Convolution]:
        channels = pairwise((self.channels[-1], *(layer.channels or outputs for layer in self.decoder_layers)))
        return [layer.build(a, b, self.kernel) for layer, (a, b) in zip(self.decoder_layers, channels, strict=True)]
