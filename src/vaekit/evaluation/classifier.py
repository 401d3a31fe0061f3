"""A small classifier of a labeled image set, with which sample quality is measured; trained once and kept.

It learns images as they are stored, never their bits, so that one classifier measures runs of every binarization.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vaekit import devices
from vaekit.data import Data
from vaekit.data.cache import cache_folder, draft, publish
from vaekit.errors import InputError
from vaekit.estimates import Estimate
from vaekit.evaluation.recognition import RECIPE, SMALLEST, Network, Track, train

WEIGHTS, FACTS = "weights.safetensors", "facts.json"
TEST_BATCH = 500


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        network: in evaluation mode.
        accuracy: on the test images, which it has never seen.
        digest: SHA-256 of its weights, to be quoted with every number that it measures.
        path: its folder in the cache.
    """

    network: Network
    accuracy: Estimate
    digest: str
    path: Path

    @torch.no_grad()
    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """Return the inputs of the last layer, on the classifier's device, for images in [0, 1]."""
        return self.network.features(x.to(self.network.shift.device))

    @torch.no_grad()
    def classify(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Return p(y | x) from the features of x."""
        return self.network.head(features).softmax(1)

    def probabilities(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Return p(y | x), on the classifier's device, for images in [0, 1]."""
        return self.classify(self.features(x))


def share(hits: Bool[Tensor, "images"]) -> Estimate:
    """Return the share of images that are hits, with its binomial standard error √(p (1 − p) / N).

    The error uses p = (hits + 1) / (N + 2), so that 64 hits of 64 do not count as certain.

    Example:
        >>> share(torch.tensor([True, True, True, False])).value
        0.75
    """
    n, k = len(hits), int(hits.sum())
    p = (k + 1) / (n + 2)
    return Estimate(k / n, sqrt(p * (1 - p) / n), n)


def classifier_for(data: Data, *, device: torch.device | str = "cpu", seed: int = 0, track: Track = iter) -> Classifier:
    """Return the classifier of a labeled image set from the cache, or train it on the training images and keep it.

    The same data, split and seed give the same classifier (on the same machine, with the same number of threads).

    Args:
        data: loaded with binarization none, whatever the run to be measured has.
        device: where it is trained and used.
        seed: of weights, order and shifts.
        track: wraps the steps of the training, to show progress.

    Raises:
        InputError: if the data have no labels, only one class, or are not images of at least 8×8 pixels; if the cached
            classifier is damaged.
        RunError: if the cache has no room.
    """
    classes, device = _classes(data), torch.device(device)
    key = {"data": data.space.digest, "split": data.space.split, "split_seed": data.seed, "seed": seed}
    name = hashlib.sha256(json.dumps([key, asdict(RECIPE)], sort_keys=True).encode()).hexdigest()[:32]
    path = cache_folder() / "classifiers" / name
    if not path.is_dir():
        with devices.isolated(device), devices.seeded(seed, device):
            network = Network(data.space.event_shape, classes).to(device)
            began, steps = time.perf_counter(), train(network, data.to(device), seed, track)
        facts = {
            "accuracy": _accuracy(network, data)._asdict(),
            "source": Path(data.space.source).name,
            **key,
            "event_shape": data.space.event_shape,
            "classes": classes,
            "recipe": asdict(RECIPE),
            "epochs": round(steps * RECIPE.batch_size / len(data.train), 2),
            "steps": steps,
            "seconds": round(time.perf_counter() - began, 1),
            "vaekit": version("vaekit"),
            "torch": torch.__version__,
        }
        _save(path, network, facts)
    return _load(path, data.space.event_shape, classes, device)


def _classes(data: Data) -> int:
    """Count the classes, and refuse data that cannot be classified."""
    space = data.space
    if len(space.event_shape) != 3 or min(space.event_shape[1:]) < SMALLEST:
        shape = "×".join(map(str, space.event_shape))
        raise InputError(f"{space.source} has examples of {shape}: the classifier needs images of at least 8×8 pixels")
    if space.missing:
        raise InputError(f"{space.source} has missing pixels: the classifier learns whole images")
    if space.binarization != "none":
        raise InputError(
            f"{space.source} was loaded with binarization {space.binarization!r}, but the classifier learns gray "
            "images: load it with none"
        )
    parts = [part.labels for part in (data.train, data.validation, data.test) if part is not None]
    labels = [each for each in parts if each is not None]
    if not labels:
        raise InputError(
            f"{space.source} has no labels, which the classifier learns: choose a labeled set such as mnist, or put "
            "the images of each class into a subfolder of its own"
        )
    classes = 1 + int(torch.cat(labels).max())
    if classes < 2:
        raise InputError(f"{space.source} has a single class, which leaves nothing to classify: add images of others")
    return classes


@torch.no_grad()
def _accuracy(network: Network, data: Data) -> Estimate:
    labels, device = data.test.labels, network.shift.device
    assert labels is not None
    batches = torch.arange(len(labels)).split(TEST_BATCH)
    found = torch.cat([network(data.test.batch(rows).x.to(device)).argmax(1).cpu() for rows in batches])
    return share(found == labels.cpu())


def _save(path: Path, network: Network, facts: dict[str, Any]) -> None:
    """Write a classifier's folder, all of it or nothing."""
    with draft(path) as scratch:
        if path.is_dir():  # another process finished the same classifier first
            return
        folder = scratch / path.name
        folder.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / WEIGHTS)
        text = json.dumps(facts | {"digest": _digest(folder / WEIGHTS)}, indent=2)
        (folder / FACTS).write_text(f"{text}\n", encoding="utf-8")
        publish(folder, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path, event_shape: tuple[int, ...], classes: int, device: torch.device) -> Classifier:
    """Read a classifier's folder; the header's shapes and the digest are checked before memory is taken."""
    with devices.isolated(torch.device("cpu")):
        network = Network(event_shape, classes)
    expected = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    try:
        facts = json.loads((path / FACTS).read_bytes())
        accuracy, digest = Estimate(**facts["accuracy"]), facts["digest"]
        with safe_open(path / WEIGHTS, "pt") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            if found != expected or _digest(path / WEIGHTS) != digest:
                raise ValueError("its weights have changed since they were written")
            network.load_state_dict({name: file.get_tensor(name) for name in found})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): delete the folder, and it will be trained again") from None
    return Classifier(network.to(device).eval(), accuracy, digest, path)
