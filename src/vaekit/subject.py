"""What is measured: a run's model on the first images of a split, each image once."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vaekit import evaluations
from vaekit.arguments import Place
from vaekit.data import Data, Split
from vaekit.devices import Precision
from vaekit.evaluation.annealing import Annealing
from vaekit.model import VAE
from vaekit.run import Run
from vaekit.sharding import Batch, Each, Numbers

Track = Callable[[Iterable[Any]], Iterable[Any]]

CODES_BATCH = 1000
SECONDS_BETWEEN_SAVES = 20.0


@dataclass(frozen=True)
class Subject:
    """A run's model, the digest of its weights, the split whose first images are measured, and how.

    Attributes:
        compute: computes the numbers of batches of images.
        files: where the numbers of each image are kept, by measure, as they are taken.
    """

    run: Run
    vae: VAE
    weights: str
    data: Data
    split: str
    images: int
    samples: int
    full: bool
    annealing: Annealing
    precision: Precision
    device: torch.device
    data_root: Place | None
    place: Place | None
    track: Track
    compute: Numbers
    files: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> Split:
        """The split, with its bits fixed."""
        return self.data.fixed(self.split)

    def batches(self, part: Split, images: int, size: int = CODES_BATCH) -> Iterable[Tensor]:
        """Yield the first images of a split, in batches."""
        return (part.batch(rows).x for rows in torch.arange(min(images, len(part))).split(size))

    def file(self, name: str, settings: Mapping[str, Any]) -> str:
        """Name the file that keeps the numbers of each image, after weights, data, split and settings."""
        facts = evaluations.facts_of(self.run, self.split, self.precision)
        return evaluations.numbers_file(name, {**facts, **settings}, self.weights)

    def per_image(self, name: str, settings: Mapping[str, Any], images: int, each: Each) -> dict[str, Tensor]:
        """Measure images in whole batches, each with a seed of its own, and keep the numbers in the run.

        So the numbers of an image do not depend on how many follow it, an interrupted measurement continues where it
        stopped, more images cost only themselves, and runs are compared image by image.

        Returns:
            numbers of the first ``images``, (images,) each, sorted by their names.
        """
        file, batch = self.files.setdefault(name, self.file(name, settings)), evaluations.BATCH
        last = min(-(-images // batch) * batch, len(self.part))
        kept = self.run.measured(file)
        have = min((len(values) for values in kept.values()), default=0)
        whole = have if have == len(self.part) else have // batch * batch
        parts = [{n: values[:whole] for n, values in kept.items()}] if whole else []
        saved = time.monotonic()
        try:
            blocks = torch.arange(whole, last).split(batch) if whole < last else ()
            batches = (Batch(self.part.batch(rows).x, evaluations.SEED + int(rows[0])) for rows in blocks)
            found = self.compute(each, batches)
            for _ in self.track(blocks) if blocks else ():
                parts.append(next(found))
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    self.run.save(file, _joined(parts))
                    saved = time.monotonic()
        finally:
            if parts and whole < last:
                self.run.save(file, _joined(parts))
        return {n: values[:images] for n, values in sorted(_joined(parts).items())}


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
