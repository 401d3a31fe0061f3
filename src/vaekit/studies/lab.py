"""The trained runs of one seed, and how they are measured and drawn."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.data import Data, Source, Split
from vaekit.estimates import Estimate, mean_over_images
from vaekit.evaluation.classifier import Classifier, classifier_for
from vaekit.evaluation.information import Information, information
from vaekit.evaluation.latents import Usage, usage
from vaekit.evaluation.probes import nearest_classes
from vaekit.evaluation.samples import judge
from vaekit.evaluations import SEED, current
from vaekit.model import VAE
from vaekit.reporting.drawings import Drawing, Subject
from vaekit.reporting.measurement import evaluate
from vaekit.run import Run
from vaekit.studies.scale import Scale
from vaekit.subject import Track

DRAWS = 10
"""posterior draws per image behind a test ELBO"""
BATCH = 250
CLASSIFIERS = 3
"""classifiers, each of its own seed, that a claim about single images is judged by"""


@dataclass(frozen=True)
class Lab:
    """The trained runs of one seed, by label, and how they are measured and drawn.

    Attributes:
        runs: by label of their experiments.
        scale: says how many images are measured.
        device, data_root, track: as in ``evaluate``.
        others: the runs of the other seeds, for figures of all.
    """

    runs: Mapping[str, Run]
    scale: Scale
    device: str = "auto"
    data_root: Path | None = None
    track: Track = iter
    others: Sequence[Mapping[str, Run]] = ()

    def seeds(self, label: str) -> list[Run]:
        """Return the runs of a label with all seeds, that of this lab first."""
        return [runs[label] for runs in (self.runs, *self.others)]

    def evaluation(self, label: str, metric: str, split: str = "test") -> dict[str, Any]:
        """Measure a run by one group of metrics on the images of a split, unless that has been done before."""
        run = self.runs[label]
        images = min(self.scale.images, run.space.sizes[split])
        for found in current(run):
            same = (found["split"], found.get("metrics"), found["images"]) == (split, [metric], images)
            if same and (metric != "samples" or self._as_now(label, found[metric])):
                return found
        return evaluate(
            run, metrics=[metric], split=split, samples=DRAWS, images=images,
            device=self.device, data_root=self.data_root, track=self.track,
        )  # fmt: skip

    def _as_now(self, label: str, quality: Mapping[str, Any]) -> bool:
        """Whether samples were measured by the same classifier, and by all measures that there are."""
        return "nearer" in quality and quality["classifier"]["digest"] == self.classifier(label).digest

    def estimate(self, label: str, name: str, split: str = "test") -> Estimate:
        """Return elbo, reconstruction, kl or log_evidence of the images of a split."""
        return estimate(self.evaluation(label, "evidence", split)[name])

    def quality(self, label: str, kind: str, name: str) -> Estimate:
        """Return what a classifier makes of samples, reconstructions, test images, ..., by the name of the measure."""
        return estimate(self.evaluation(label, "samples")["samples"]["table"][kind][name])

    def confusion(self, label: str) -> Tensor:
        """Count test images by class (row) and class of their reconstruction (column)."""
        return torch.tensor(self.evaluation(label, "samples")["samples"]["confusion"])

    def usage(self, label: str) -> Usage:
        """Say how each latent of a run is used, on test images."""
        vae, batches = self._model(label)
        return usage(vae, batches)

    def information(self, label: str) -> Information:
        """Say what the codes of test images carry together."""
        vae, batches = self._model(label)
        with devices.seeded(SEED, devices.choose(self.device)):
            return information(vae, batches)

    def _model(self, label: str) -> tuple[VAE, list[Tensor]]:
        subject = self.subject(label)
        rows = torch.arange(min(self.scale.images, len(subject.split))).split(BATCH)
        return subject.vae, [subject.split.batch(each).x for each in rows]

    def coded(self, label: str, part: str) -> tuple[Tensor, Tensor]:
        """Return codes and labels of the first images of a part of the data, as many as are measured."""
        run = self.runs[label]
        vae, split = run.vae(), _data(run.experiment.data, self.data_root).fixed(part)
        assert split.labels is not None  # otherwise there is nothing to tell apart
        rows = torch.arange(min(self.scale.images, len(split)))
        return torch.cat([vae.encode(split.batch(each).x) for each in rows.split(BATCH)]), split.labels[rows]

    def votes(self, label: str) -> Tensor:
        """Count test images by class (row) and class of their five nearest codes of training images (column)."""
        (codes, labels), (tested, expected) = self.coded(label, "train"), self.coded(label, "test")
        classes = int(torch.cat([labels, expected]).max()) + 1
        voted = nearest_classes(codes, labels, tested)
        return torch.bincount(expected * classes + voted, minlength=classes**2).reshape(classes, classes)

    def neighbors(self, label: str) -> Estimate:
        """Return the share of test images with the class of their five nearest codes of training images."""
        counts = self.votes(label)
        return share(float(counts.trace()), float(counts.sum()))

    def subject(self, label: str) -> Subject:
        """Return what the figures of a run are drawn from."""
        run = self.runs[label]
        return Subject(run, run.vae(), _data(run.experiment.data, self.data_root).fixed("test"))

    def squared_error(self, label: str) -> Estimate:
        """Return the squared error of reconstructed test images, summed over their elements."""
        x = self.test_images(label)
        return squared(self.runs[label].vae().reconstruct(x), x)

    def test_images(self, label: str) -> Tensor:
        """Return the first test images of a run, as many as are measured."""
        subject = self.subject(label)
        return subject.split.batch(subject.rows[: self.scale.images]).x

    def test_labels(self, label: str) -> Tensor:
        """Return the classes of these test images."""
        subject = self.subject(label)
        assert subject.split.labels is not None  # otherwise there is nothing to tell apart
        return subject.split.labels[subject.rows[: self.scale.images]]

    def training_images(self, label: str) -> Tensor:
        """Return the first training images of a run, as many as are measured."""
        split = self.training(label)
        return split.batch(torch.arange(min(self.scale.images, len(split)))).x

    def training(self, label: str) -> Split:
        """Return all training images of a run."""
        return _data(self.runs[label].experiment.data, self.data_root).fixed("train")

    @torch.no_grad()
    def probabilities(self, label: str, images: Tensor) -> Tensor:
        """Return what the classifier of a run's data makes of images, (images, classes)."""
        return judge(self.classifier(label), images.split(BATCH)).probabilities.cpu()

    @torch.no_grad()
    def opinions(self, label: str, images: Tensor) -> Tensor:
        """Return what three classifiers, each of its own seed, make of images, (classifiers, images, classes)."""
        batches = images.split(BATCH)
        judges = (self.classifier(label, seed) for seed in range(CLASSIFIERS))
        return torch.stack([judge(classifier, batches).probabilities.cpu() for classifier in judges])

    def classifier(self, label: str, seed: int = 0) -> Classifier:
        """Return the classifier of a run's data that a seed gives."""
        target = devices.choose(self.device)
        data = self.runs[label].data(self.data_root, stored=True).to(target)
        return classifier_for(data, device=target, seed=seed, track=self.track)


def labeled(label: str, drawings: Iterable[Drawing], only: str | tuple[str, ...] = "") -> Iterator[Drawing]:
    """Name drawings after the label of their run, keeping those whose names begin as requested."""
    for drawing in drawings:
        if drawing.name.startswith(only):
            name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{drawing.name}-{label.replace('β', 'beta')}").strip("-")
            yield drawing._replace(name=name, caption=f"{label}: {drawing.caption}")


def held_out(row: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the terms of held-out images in a row of metrics."""
    found: Mapping[str, float] = row.get("validation") or row["test"]
    return found


def estimate(found: Mapping[str, Any]) -> Estimate:
    """Read an estimate from results.json."""
    error = found["standard_error"]
    return Estimate(found["value"], float("nan") if error is None else error, found.get("samples", 1))


def squared(a: Tensor, b: Tensor) -> Estimate:
    """Return the squared difference of two sets of images, summed over an image and averaged over images.

    Example:
        >>> squared(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)).value
        4.0
    """
    return mean_over_images((a - b).square().flatten(1).sum(1), 1)


def exact(value: float) -> Estimate:
    """Return a number that has no error of its own."""
    return Estimate(value, float("nan"), 1)


def share(count: float, of: float) -> Estimate:
    """Return a share of a number of things, with its binomial standard error.

    Example:
        >>> share(1, 4).value
        0.25
    """
    p = count / max(of, 1)
    return Estimate(p, (p * (1 - p) / max(of, 1)) ** 0.5, 1)


@lru_cache(maxsize=1)
def _data(source: Source, root: Path | None) -> Data:
    return source.load(root)
