"""Layers that networks are made of, and how their weights begin."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from vaekit.errors import InputError
from vaekit.linear import Linear
from vaekit.specs import Count

Convolution = nn.Conv2d | nn.ConvTranspose2d

Widths = tuple[Count, ...]

Activation = Literal["tanh", "relu", "leaky_relu", "leaky_relu_0.2", "elu", "silu", "gelu"]

Initialization = Literal["torch", "glorot"] | Annotated[float, Field(gt=0)]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(inplace=True),
    "leaky_relu_0.2": lambda: nn.LeakyReLU(0.2, inplace=True),
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
"""by name; those that can, change their input in place, which saves the memory of a second copy of each activation"""


class Gated(nn.Module):
    """A gated linear layer, (W x + b) ⊙ σ(V x + c).

    Reference: *Language modeling with gated convolutional networks (Dauphin, Fan, Auli, Grangier, 2017)*,
    arXiv:1612.08083.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = Linear(inputs, outputs)
        self.gate = Linear(inputs, outputs)

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        return self.linear(x) * self.gate(x).sigmoid()


class ConvTranspose2d(nn.ConvTranspose2d):
    """Torch's, but with the bias added separately: with a bias, oneDNN's is several times slower, above all in bf16."""

    def forward(  # type: ignore[override]  # no caller asks for an output size
        self, input: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs larger_height larger_width"]:
        assert not isinstance(self.padding, str)  # only plain convolutions take a word
        images = F.conv_transpose2d(input, self.weight, None, self.stride, self.padding, self.output_padding)
        return images if self.bias is None else images.add_(self.bias.to(images.dtype)[:, None, None])


class OnImages(nn.Module):
    """Image layers, which take a single batch axis, applied to z of shape (..., d)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch outputs channels height width"]:
        images = self.layers(z.reshape(-1, z.shape[-1]))
        return images.reshape(*z.shape[:-1], *images.shape[1:])


class Crop(nn.Module):
    """Images (batch, C, H, W) cut on the right and at the bottom to a given height and width.

    Raises:
        InputError: if they are smaller than that.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(
        self, x: Float[Tensor, "batch channels large_height large_width"]
    ) -> Float[Tensor, "batch channels height width"]:
        height, width = x.shape[-2:]
        if height < self.height or width < self.width:
            raise InputError(
                f"decoder_layers make images of {height}×{width}, but the data are {self.height}×{self.width}: "
                "give larger strides or more layers"
            )
        return x[..., : self.height, : self.width]


def dense(widths: Sequence[int], activation: str, gated: bool = False) -> list[nn.Module]:
    """Make linear layers of the given widths, each followed by the activation, or gated layers, which need none."""
    if gated:
        return [Gated(a, b) for a, b in pairwise(widths)]
    return [layer for a, b in pairwise(widths) for layer in (Linear(a, b), ACTIVATIONS[activation]())]


def channels_last(network: nn.Module) -> nn.Module:
    """Keep the weights of convolutions in memory with channels last; the images follow suit, which is faster."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def initialize(network: nn.Module, initialization: str | float) -> None:
    """Keep torch's default, or redraw the weights from Glorot's uniform, or N(0, s²) for a number s; biases become 0.

    Reference: *Understanding the difficulty of training deep feedforward neural networks (Glorot, Bengio, 2010)*.
    """
    if initialization == "torch":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if isinstance(initialization, float):
                nn.init.normal_(layer.weight, std=initialization)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
