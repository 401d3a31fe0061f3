"""How good a model's samples and reconstructions are, next to everything that they should be compared with.

Whatever the run's binarization, gray images are compared with gray images: decoded means, which are gray even if the
model was trained on bits, with the images as they are stored, from which the classifier learned.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vaekit.data import Data, Split
from vaekit.errors import InputError
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluation.classifier import Classifier, share
from vaekit.evaluation.features import FrechetDistance, clipped, frechet_distance, kernel_distance
from vaekit.evaluation.neighbors import Nearest, blocks, closest, distance_ratio, nearer, nearest
from vaekit.evaluation.recognition import Track
from vaekit.evaluation.samples import (
    InceptionScore,
    class_counts,
    confusion,
    inception_score,
    judge,
    legibility,
)
from vaekit.model import VAE

BATCH = 250
SHOWN = 10


class Measured(NamedTuple):
    """Measures of one kind of images.

    Attributes:
        inception_score, legibility, class_counts: see the functions of the same names.
        frechet_distance, kernel_distance: of the classifier's features, to those of the held-out images; None for these
            themselves.
        clipped_density, clipped_coverage: of the same features, by balls around the held-out images.
        agreement: share of images that are classified as what they show or reconstruct; None without labels.
    """

    inception_score: InceptionScore
    legibility: Estimate
    class_counts: list[int]
    frechet_distance: FrechetDistance | None
    kernel_distance: Estimate | None
    clipped_density: Estimate | None
    clipped_coverage: Estimate | None
    agreement: Estimate | None


class Quality(NamedTuple):
    """How good a model's samples and reconstructions are, next to everything that they should be compared with.

    Attributes:
        table: measures of equally many samples, reconstructions of held-out images, held-out images themselves (what
            perfect samples would score), training images (their Fréchet distance is the floor), images of uniform
            noise, and copies of the mean image.
        confusion: held-out images by label (row) and class of the reconstruction (column).
        nearest: mean distance to the nearest training image of samples, reconstructions and held-out images.
        distance_ratio: that of samples, in units of that of held-out images.
        nearer: the probability that a sample lies nearer to a training image than a held-out image does; novelty is ½.
        closest: the ten samples closest to a training image and ten that were not picked, (20, *event), and the nearest
            training image of each.
    """

    table: dict[str, Measured]
    confusion: list[list[int]]
    nearest: dict[str, Estimate]
    distance_ratio: Estimate
    nearer: Estimate
    closest: tuple[Tensor, Tensor]


@torch.no_grad()
def measure(
    vae: VAE,
    classifier: Classifier,
    gray: Data,
    seen: Split,
    *,
    split: str = "test",
    images: int = 10_000,
    neighbors: int = 1000,
    track: Track = iter,
) -> Quality:
    """Measure samples and reconstructions of a model; its draws come from torch's random state.

    Args:
        vae: the model, in evaluation mode.
        classifier: that of ``gray``.
        gray: the data as they are stored, with binarization none.
        seen: the held-out images as the model reads them.
        split: which images are held out, test or validation.
        images: how many of each kind, at most; the smallest kind decides.
        neighbors: how many of each kind the nearest training image is found for.
        track: wraps the kinds, to show progress.

    Raises:
        InputError: if ``split`` is train, or if there are fewer images than an inception score needs.
    """
    if split == "train":
        raise InputError("split 'train' is what the classifier learned from: choose test or validation")
    held_out, train = gray.fixed(split), gray.train
    most = min(len(held_out), len(train))
    n = min(images, most)

    def whole(k: Tensor) -> int:
        """Make images that are drawn for the places k and cut afterwards, so that none depends on how many follow."""
        return min(BATCH, most - int(k[0]))

    rows, training_rows = (torch.linspace(0, len(part) - 1, n).round().long() for part in (held_out, train))
    mean = torch.stack([block.sum(0) for block in blocks(train)]).sum(0) / len(train)
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        split: lambda k: held_out.batch(rows[k]).x,
        "samples": lambda k: vae.sample(whole(k))[: len(k)],
        "reconstructions": lambda k: vae.reconstruct(seen.batch(rows[k]).x),
        "train": lambda k: train.batch(training_rows[k]).x,
        "noise": lambda k: torch.rand(whole(k), *mean.shape, device=mean.device)[: len(k)],
        "mean image": lambda k: mean.expand(len(k), *mean.shape),
    }
    labels = {split: _at(held_out, rows), "reconstructions": _at(held_out, rows), "train": _at(train, training_rows)}
    batches = torch.arange(n).split(BATCH)
    seen_as = {name: judge(classifier, map(draw, batches)) for name, draw in track(kinds.items())}
    table = {
        name: Measured(
            inception_score(verdict.probabilities),
            legibility(verdict.probabilities),
            class_counts(verdict.probabilities),
            *_distances(verdict.features, None if name == split else seen_as[split].features),
            share(verdict.probabilities.argmax(1).cpu() == labels[name]) if name in labels else None,
        )
        for name, verdict in seen_as.items()
    }
    first = torch.arange(min(neighbors, n)).split(BATCH)
    shown = {name: torch.cat([kinds[name](k) for k in first]) for name in ("samples", "reconstructions", split)}
    found = {name: nearest(images, blocks(train)) for name, images in shown.items()}
    return Quality(
        table,
        confusion(labels["reconstructions"], seen_as["reconstructions"].probabilities),
        {name: mean_over_images(each.distance, 1) for name, each in found.items()},
        distance_ratio(found["samples"], found[split]),
        nearer(found["samples"], found[split]),
        _closest_and_first(shown["samples"], found["samples"], train),
    )


def _distances(
    features: Tensor, held_out: Tensor | None
) -> tuple[FrechetDistance | None, Estimate | None, Estimate | None, Estimate | None]:
    if held_out is None:
        return None, None, None, None
    among = clipped(features, held_out)
    return frechet_distance(features, held_out), kernel_distance(features, held_out), among.density, among.coverage


def _closest_and_first(images: Tensor, found: Nearest, training: Split) -> tuple[Tensor, Tensor]:
    """Return the images closest to a training image, then the first images, each with its nearest training image."""
    first = Nearest(found.distance[:SHOWN], found.row[:SHOWN])
    picked = closest(images, found, training, SHOWN), closest(images[:SHOWN], first, training, SHOWN)
    samples, beside = zip(*picked, strict=True)
    return torch.cat(samples), torch.cat(beside)


def _at(part: Split, rows: Tensor) -> Tensor:
    assert part.labels is not None  # otherwise there would be no classifier
    return part.labels.cpu()[rows]
