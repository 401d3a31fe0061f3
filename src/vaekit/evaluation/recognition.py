"""The network that recognizes the classes of images, and how it is trained."""

import logging
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaekit.data import Data
from vaekit.data.order import Order
from vaekit.specs import spec

log = logging.getLogger("vaekit")

Track = Callable[[Iterable[Any]], Iterable[Any]]

SMALLEST, LARGEST = 8, 32
"""pixels per side: smaller images are refused, larger ones are averaged down"""


@spec
class Recipe:
    """Everything that the weights depend on, apart from the data and the seed."""

    channels: tuple[int, ...] = (16, 16, 32, 32, 64)
    strides: tuple[int, ...] = (1, 2, 1, 2, 2)
    features: int = 128
    batch_size: int = 128
    epochs: int = 10
    steps: int = 600
    """steps taken at least, however few the images are"""
    learning_rate: float = 4e-3
    shift: float = 0.07
    """share of a side by which images are moved at most"""
    blur: float = 0.07
    """share of a side over which half of the images are partly averaged, because what a model decodes is smooth"""
    outliers: int = 24
    """images of nothing added to each batch, of which the network learns to be unsure"""


RECIPE = Recipe()


class Network(nn.Module):
    """Convolutions, a layer of features, and the logits of the classes."""

    shift: Tensor
    scale: Tensor

    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, *sides = event_shape
        shrink = min(1.0, LARGEST / max(sides))
        height, width = (max(SMALLEST, round(side * shrink)) for side in sides)
        self.sides = (height, width)
        layers: list[nn.Module] = []
        for (inputs, outputs), stride in zip(pairwise((channels, *RECIPE.channels)), RECIPE.strides, strict=True):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            height, width = ceil(height / stride), ceil(width / stride)
        dense = nn.Linear(RECIPE.channels[-1] * height * width, RECIPE.features)
        self.body = nn.Sequential(*layers, nn.Flatten(), dense, nn.ReLU())
        self.head = nn.Linear(RECIPE.features, classes)
        self.register_buffer("shift", torch.zeros(channels, 1, 1))
        self.register_buffer("scale", torch.ones(channels, 1, 1))

    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        small = F.adaptive_avg_pool2d(x, self.sides)
        return self.body(((small - self.shift) / self.scale).contiguous(memory_format=torch.channels_last))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def train(network: Network, data: Data, seed: int, track: Track) -> int:
    """Train a network on the training images, drawing shifts from torch's random state; return the steps taken."""
    images, labels = data.train, data.train.labels
    assert labels is not None
    steps = max(RECIPE.steps, ceil(RECIPE.epochs * len(images) / RECIPE.batch_size))
    log.info("training the classifier of %s once, %d steps; it is kept in the cache", data.space.source, steps)
    order = Order(len(images), RECIPE.batch_size, seed)
    some = images.batch(torch.linspace(0, len(images) - 1, min(len(images), 1000)).long()).x
    network.shift.copy_(some.mean((0, 2, 3))[:, None, None])
    network.scale.copy_(some.std((0, 2, 3))[:, None, None].clamp_min(1e-3))
    optimizer = torch.optim.Adam(network.parameters(), RECIPE.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RECIPE.learning_rate, total_steps=steps, pct_start=0.2)
    network.train()
    with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
        for step in track(range(steps)):
            rows = order.rows(step)
            x = F.adaptive_avg_pool2d(images.batch(rows).x, network.sides)
            sure, unsure = network(torch.cat([blurred(shifted(x)), outliers(x[: RECIPE.outliers])])).split(len(rows))
            doubt = -unsure.log_softmax(1).mean()  # cross-entropy with equal probabilities
            loss = F.cross_entropy(sure, labels[rows.to(labels.device)]) + doubt * len(unsure) / len(sure)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    return steps


def shifted(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
    """Move each image by its own number of whole pixels; the pixels of its border fill the gap."""
    n, _, height, width = x.shape
    most = [max(1, round(RECIPE.shift * side)) for side in (height, width)]
    down, right = (torch.randint(2 * by + 1, (n, 1), device=x.device) for by in most)
    rows, columns = down + torch.arange(height, device=x.device), right + torch.arange(width, device=x.device)
    padded = F.pad(x, (most[1], most[1], most[0], most[0]), mode="replicate").permute(0, 2, 3, 1)
    each = torch.arange(n, device=x.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def blurred(x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
    """Mix every other image with its moving average, each with its own share between none and all of it.

    A classifier that has never seen smooth images takes nearly all of them for one class.
    """
    around = [max(1, round(RECIPE.blur * side)) for side in x.shape[2:]]
    smooth = F.avg_pool2d(x[::2], [2 * n + 1 for n in around], 1, around, count_include_pad=False)
    mixed = x.clone()
    mixed[::2] = x[::2].lerp(smooth, torch.rand(len(smooth), 1, 1, 1, device=x.device))
    return mixed


def outliers(x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n channels height width"]:
    """Make equally many images of nothing: in turn uniform noise, a single level, and an image with shuffled pixels.

    A classifier that has never seen any is sure of the class of noise, and would call it legible; a black image from a
    dead decoder would be a 1.

    Reference: *Deep anomaly detection with outlier exposure (Hendrycks, Mazeika, Dietterich, 2019)*, arXiv:1812.04606.
    """
    nothing = x.flatten(2)[:, :, torch.randperm(x[0, 0].numel(), device=x.device)].view_as(x)
    nothing[::3] = torch.rand_like(nothing[::3])
    nothing[1::3] = torch.rand_like(nothing[1::3, :, :1, :1])
    return nothing
