"""The networks of the benchmarks in plain torch: the same layers, in the same order, as vaekit's presets."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Parts = tuple[nn.Sequential, nn.Sequential]


class Crop(nn.Module):
    """Cut images to 28 × 28."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :28, :28]


def mlp(latents: int = 20, side: int = 28) -> Parts:
    """784-500-20-500-784, tanh."""
    width, pixels, images = 500, side**2, nn.Unflatten(1, (1, side, side))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.Tanh(), nn.Linear(width, 2 * latents))
    decoder = nn.Sequential(nn.Linear(latents, width), nn.Tanh(), nn.Linear(width, pixels), images)
    return encoder, decoder


def aragam() -> Parts:
    """vaekit's preset of the same name; the decoder ends in the mean of a Gaussian."""
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, 1, 1), nn.LeakyReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.LeakyReLU()),
        *(nn.Conv2d(64, 64, 3, 2, 1), nn.LeakyReLU(), nn.Conv2d(64, 64, 3, 1, 1)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 4)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(2, 64 * 7 * 7), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 64, 3, 1, 1), nn.LeakyReLU(), nn.ConvTranspose2d(64, 64, 3, 2, 1), nn.LeakyReLU()),
        *(nn.ConvTranspose2d(64, 32, 3, 2, 0), nn.LeakyReLU(), nn.ConvTranspose2d(32, 1, 3, 1, 0)),
        *(Crop(), nn.Sigmoid()),
    )
    return encoder, decoder


def ncsu() -> Parts:
    """vaekit's preset of the same name."""
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64 * 14 * 14, 32), nn.ReLU(), nn.Linear(32, 4)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(2, 64 * 14 * 14), nn.ReLU(), nn.Unflatten(1, (64, 14, 14))),
        *(nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.Conv2d(32, 1, 3, 1, 1)),
    )
    for layer in (*encoder, *decoder):
        if hasattr(layer, "weight"):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return encoder, decoder


NETS: dict[str, Callable[[], Parts]] = {"mlp": mlp, "mlp-40": partial(mlp, 40), "aragam": aragam, "ncsu": ncsu}
LATENTS = {"mlp": 20, "mlp-40": 40, "aragam": 2, "ncsu": 2}
OPTIMIZERS: dict[str, tuple[str, float, dict[str, float]]] = {
    "mlp": ("Adam", 1e-3, {}),
    "mlp-40": ("Adam", 1e-3, {}),
    "aragam": ("Adam", 5e-4, {}),
    "ncsu": ("RMSprop", 1e-3, {"alpha": 0.9, "eps": 1e-7}),
}
"""torch's class, the learning rate, and whatever else the preset sets"""
CONSTANT = {"mlp": 0.0, "mlp-40": 0.0, "aragam": 392 * math.log(2 * math.pi), "ncsu": 0.0}
"""difference of −log p(x | z) and the loss: 784/2 · log 2π for a Gaussian of unit scale"""


class VAE(nn.Module):
    """A VAE as one would write it by hand; calling it returns the loss in nats per image."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.net = net
        self.encoder, self.decoder = NETS[net]()

    def forward(self, x: Tensor) -> Tensor:
        loc, log_scale = self.encoder(x).chunk(2, -1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        kl = 0.5 * (loc.square() + (2 * log_scale).exp() - 1) - log_scale
        return self.distortion(self.decoder(z), x).sum() / len(x) + kl.sum() / len(x)

    def distortion(self, output: Tensor, x: Tensor) -> Tensor:
        """Return −log p(x | z) of each pixel, without the Gaussian's constant."""
        if self.net == "aragam":
            return 0.5 * (output - x).square()
        return F.binary_cross_entropy_with_logits(output, x, reduction="none")


def arrays(parameters: Iterable[Tensor]) -> list[np.ndarray]:
    """Return the weights in their order, encoder first."""
    return [parameter.detach().float().cpu().numpy() for parameter in parameters]


def save(path: str, weights: Iterable[np.ndarray]) -> None:
    """Write weights, in their order and in torch's layout."""
    np.savez(path, **{f"{i:02}": weight for i, weight in enumerate(weights)})


@torch.no_grad()
def load(path: str, parameters: Iterable[Tensor]) -> None:
    """Copy what ``save`` wrote into parameters."""
    with np.load(path) as weights:
        for name, parameter in zip(sorted(weights), parameters, strict=True):
            assert parameter.shape == weights[name].shape
            parameter.copy_(torch.from_numpy(weights[name]))


def training_gflop(net: str, images: int) -> float:
    """Count the arithmetic of a forward and backward pass over some images: products and convolutions only."""
    vae, x = VAE(net), torch.zeros(10, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        vae(x).backward()
    return counter.get_total_flops() / 10 * images / 1e9
