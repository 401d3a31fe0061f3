"""Networks: the trunk of an encoder, x → features, and the whole of a decoder, z → the parameters of p(x | z)."""

from typing import Annotated

from pydantic import Field

from vaekit.networks.conv import Conv, Layer
from vaekit.networks.layers import ACTIVATIONS, ConvTranspose2d, OnImages, initialize
from vaekit.networks.mlp import MLP
from vaekit.networks.own import Architecture, Own

Network = Annotated[MLP | Conv | Own, Field(discriminator="kind")]

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Architecture",
    "Conv",
    "ConvTranspose2d",
    "Layer",
    "Network",
    "OnImages",
    "Own",
    "initialize",
]
