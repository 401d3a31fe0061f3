"""Measuring a run: what ``evaluate`` returns and keeps, image by image."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_whole
from vaekit.compiling import Compiled
from vaekit.data import Data, Split
from vaekit.devices import Precision
from vaekit.errors import InputError, nearest
from vaekit.estimates import mean_over_images, plain
from vaekit.evaluation import evidence
from vaekit.evaluation.amortization import amortization_gap
from vaekit.evaluation.annealing import Annealing, annealed, bracket
from vaekit.evaluation.classifier import classifier_for
from vaekit.evaluation.harmonic import CANDIDATES, MOST_LATENTS, harmonic
from vaekit.evaluation.information import information
from vaekit.evaluation.latents import ACTIVE, usage
from vaekit.evaluation.probes import accuracies
from vaekit.evaluation.quality import measure
from vaekit.evaluation.samples import LEGIBLE
from vaekit.model import VAE
from vaekit.run import WEIGHTS, Run

Track = Callable[[Iterable[Any]], Iterable[Any]]

BATCH, CODES_BATCH = 100, 1000
SEED = 0
SECONDS_BETWEEN_SAVES = 20.0
SAMPLES, FULL_SAMPLES, IMAGES = 1000, 5000, 1000
SLOW_IMAGES = 100
"""images of the measures that cost thousands of decodings each, unless ``full``"""
AGGREGATE_IMAGES = 10_000
WORTHWHILE = 5_000_000
"""decoded draws from which compiled densities save more than the seconds that compiling takes"""
ANNEALING = Annealing()

NO_DENSITY = {
    "bernoulli": "a Bernoulli on grey values is no density: its log-evidence is a lower bound on the expected "
    "log-evidence of the image binarized at random",
    "gaussian": "a Gaussian on bits is a density on discrete data: its log-evidence is no log-probability, and grows "
    "without bound as the scale shrinks",
}
"""what to know of a likelihood on data on which it does not sum or integrate to 1"""


@dataclass(frozen=True)
class Subject:
    """What is measured: a run's model on the first images of a split, and how."""

    run: Run
    vae: VAE
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

    @property
    def part(self) -> Split:
        """The split, its bits fixed."""
        return self.data.fixed(self.split)

    def batches(self, part: Split, images: int, size: int = CODES_BATCH) -> Iterable[Tensor]:
        """The first images of a split, in batches."""
        return (part.batch(rows) for rows in torch.arange(min(images, len(part))).split(size))

    def file(self, name: str, settings: Mapping[str, Any]) -> str:
        """Where numbers of each image are kept: a name that changes with weights, data, split and settings."""
        facts = {"split": self.split, "seed": SEED, "batch": BATCH, "data": self.run.space.digest, **settings}
        if self.precision != "fp32":
            facts["precision"] = self.precision
        weights = sha256((self.run.path / WEIGHTS).read_bytes()).hexdigest()
        key = sha256(json.dumps(facts | {"weights": weights}, sort_keys=True).encode()).hexdigest()
        return f"measured/{name}-{key[:16]}.safetensors"

    def per_image(
        self, name: str, settings: Mapping[str, Any], images: int, measure: Callable[[Tensor], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Measure images batch by batch, each batch by a seed of its own, and keep what is found in the run.

        So an interrupted measurement goes on where it stopped, more images cost only themselves, and runs are compared
        image by image.
        """
        file = self.file(name, settings)
        kept = self.run.measured(file)
        whole = min((len(values) for values in kept.values()), default=0) // BATCH * BATCH
        if min((len(values) for values in kept.values()), default=0) >= images:
            return {n: values[:images] for n, values in kept.items()}
        parts = [{n: values[:whole] for n, values in kept.items()}] if whole else []
        part, saved = self.part, time.monotonic()
        try:
            for rows in self.track(torch.arange(whole, images).split(BATCH)):
                with devices.seeded(SEED + int(rows[0]), self.device):
                    parts.append({n: values.cpu() for n, values in measure(part.batch(rows)).items()})
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    self.run.save(file, _joined(parts))
                    saved = time.monotonic()
        finally:
            if parts:
                self.run.save(file, _joined(parts))
        return _joined(parts)


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _estimate(values: Tensor, samples: int) -> dict[str, Any]:
    """The mean over images as it is written to results.json."""
    return mean_over_images(values, samples)._asdict() | {"images": len(values)}


def evaluate(
    run: Run | Place,
    *,
    metrics: Sequence[str] = ("evidence", "latents"),
    split: str = "test",
    samples: int | None = None,
    images: int | None = None,
    full: bool = False,
    annealing: Annealing = ANNEALING,
    precision: Precision = "fp32",
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
    track: Track = iter,
) -> dict[str, Any]:
    """Measure a run on a split; what is found is kept in results.json.

    All draws are seeded: the same call gives the same numbers. A measurement that was interrupted goes on where it
    stopped.

    Args:
        run: the run, or the path of its folder.
        metrics: which groups: evidence, ais (annealed importance sampling, its bracket on simulated images, and for up
            to five latents the AEVB paper's estimator), samples (quality by a classifier), latents.
        split: train, validation or test.
        samples: K, posterior draws an image; 1000 if None, 5000 with ``full``.
        images: the first so many images of the split; 1000 if None, all with ``full``.
        full: all groups, on all images.
        annealing: the settings of annealed importance sampling.
        precision: fp32, or bf16 for the matrix products of the evidence, plain and annealed; all else is in fp32.
        device: auto, cpu or cuda.
        data_root: folder of named sets.
        data: where the run's data are if they have moved.
        track: wraps the batches, to show progress.

    Returns:
        numbers by name, each with value, standard_error (None of a single image) and samples (and images where they
        are fewer), in nats per image unless they say otherwise; split, binarization, images, command; and a note where
        the likelihood is no density of such data.

    Raises:
        InputError: if a group, the split or the precision is unknown, a count is not positive, or the data do not fit.
    """
    for metric in metrics:
        if metric not in GROUPS:
            raise InputError(f"metric {metric!r} is unknown; {nearest(metric, GROUPS)}")
    devices.refuse_unknown(precision)
    draws = samples if samples is not None else FULL_SAMPLES if full else SAMPLES
    for name, count in (("images", images), ("samples", draws)):
        if count is not None:
            to_whole(count, name)
    run, target = Run.of(run), devices.choose(device)
    devices.keep_freed_memory()
    loaded = run.data(data_root, data).to(target)
    size = len(loaded.fixed(split))
    count = min(images or (size if full else IMAGES), size)
    wanted = list(GROUPS) if full else list(dict.fromkeys(metrics))
    vae = run.vae(target).requires_grad_(False)
    if run.experiment.model.network.kind == "mlp" and ("ais" in wanted or count * draws >= WORTHWHILE):
        compile_densities(vae)
    subject = Subject(run, vae, loaded, split, count, draws, full, annealing, precision, target, data_root, data, track)
    found: dict[str, Any] = {}
    with devices.memory_errors(f"{draws} samples", "use a machine with more memory"):
        for metric in wanted:
            autocast = devices.autocast(target, precision if metric in DENSITIES else "fp32")
            with devices.isolated(target), devices.seeded(SEED, target), autocast:
                found |= GROUPS[metric](subject)
    found |= {"split": split, "binarization": run.space.binarization, "images": count, "metrics": wanted}
    options = " --full" if full else f" --metrics {','.join(wanted)} --samples {draws} --images {count}"
    if "ais" in wanted:
        options += "".join(f" --annealing {name}={value}" for name, value in _changed(annealing).items())
    options += "" if precision == "fp32" else f" --precision {precision}"
    found["command"] = f"vaekit evaluate {run.path} --split {split}{options}"
    likelihood = run.experiment.model.likelihood
    if found.keys() & {"log_evidence", "ais"} and run.space.support not in likelihood.normalized_on:
        found["note"] = NO_DENSITY[likelihood.kind]
    found = plain(found)
    run.add_evaluation(found)
    return found


def compile_densities(vae: VAE) -> None:
    """Replace log p(x | z) of a model by compiled code, which takes half the time, and rounds a little otherwise."""
    eager = vae.log_likelihood
    quick = Compiled(eager, "densities")

    def log_likelihood(x: Tensor, z: Tensor) -> Tensor:
        if len(z) == 1:
            return eager(x, z)  # one draw would be compiled by itself
        torch._dynamo.maybe_mark_dynamic(z, 0)
        return quick(x, z)

    vae.log_likelihood = log_likelihood  # type: ignore[method-assign]


def _changed(annealing: Annealing) -> dict[str, Any]:
    """The settings that are not the defaults."""
    return {name: value for name, value in asdict(annealing).items() if value != getattr(ANNEALING, name)}


def _importance(subject: Subject, images: int) -> dict[str, Tensor]:
    """Bound and evidence of the first images, (images,) each."""
    samples = subject.samples
    return subject.per_image(
        "importance", {"samples": samples}, images, lambda x: evidence.evidence(subject.vae, x, samples)
    )


def _evidence(subject: Subject) -> dict[str, Any]:
    values = _importance(subject, subject.images)
    growth = {name: values.pop(name) for name in list(values) if name.startswith(evidence.AT)}
    found: dict[str, Any] = {name: _estimate(value, subject.samples) for name, value in values.items()}
    if subject.run.experiment.model.likelihood.kind == "bernoulli":
        # What a report of 2021 at KTH calls marginal likelihood: without the KL it is no evidence and no bound.
        found["kth_marginal_likelihood"] = _estimate(-values["reconstruction"], subject.samples)
    if growth:
        counts = {int(name.removeprefix(evidence.AT)): value for name, value in growth.items()}
        found["convergence"] = [_estimate(value, k) for k, value in sorted(counts.items())]
        found["per_image"] = subject.file("importance", {"samples": subject.samples})
    return found


def _ais(subject: Subject) -> dict[str, Any]:
    settings = subject.annealing
    images = subject.images if subject.full else min(SLOW_IMAGES, subject.images)
    facts = asdict(settings)
    values = subject.per_image("ais", facts, images, lambda x: {"ais": annealed(subject.vae, x, settings)})["ais"]
    found = {"ais": _estimate(values, settings.chains), "ais_settings": facts}
    importance = _importance(subject, images)["log_evidence"]
    found["ais_minus_importance"] = _estimate(values - importance, settings.chains)
    simulated = bracket(subject.vae, [BATCH] * (SLOW_IMAGES // BATCH), settings)
    found |= {f"simulated_{name}": each._asdict() | {"images": SLOW_IMAGES} for name, each in simulated.items()}
    if subject.vae.latent_dim <= MOST_LATENTS:
        start = {"candidates": CANDIDATES}
        each = subject.per_image("harmonic", start, images, lambda x: {"harmonic": harmonic(subject.vae, x)})
        found["harmonic"] = _estimate(each["harmonic"], 50)
    return found


def _samples(subject: Subject) -> dict[str, Any]:
    data = subject.run.data(subject.data_root, subject.place, stored=True).to(subject.device)
    classifier = classifier_for(data, device=subject.device, track=subject.track)
    quality = measure(
        subject.vae, classifier, data, subject.part, split=subject.split, images=subject.images, track=subject.track
    )
    closest = subject.file("closest", {"images": subject.images})
    samples, training = quality.closest
    subject.run.save(closest, {"samples": samples.cpu(), "training": training.cpu()})
    return {
        "samples": {
            "classifier": {"digest": classifier.digest, "accuracy": classifier.accuracy},
            "legible_above": LEGIBLE,
            "table": quality.table,
            "confusion": quality.confusion,
            "nearest_training_image": quality.nearest,
            "distance_ratio": quality.distance_ratio,
            "closest": closest,
        }
    }


def _latents(subject: Subject) -> dict[str, Any]:
    if subject.run.experiment.model.posterior.kind in ("delta", "standard_normal"):
        return {}
    vae, part = subject.vae, subject.part
    used = usage(vae, subject.batches(part, subject.images))
    limit = min(subject.images, AGGREGATE_IMAGES)
    carried = information(vae, subject.batches(part, limit))
    gap_images = SLOW_IMAGES if subject.full else min(SLOW_IMAGES, subject.images)
    gap = subject.per_image("amortization", {}, gap_images, lambda x: {"gap": amortization_gap(vae, x)})["gap"]
    found: dict[str, Any] = {
        "mutual_information": carried.mutual_information._asdict() | {"images": limit},
        "aggregate_kl": carried.aggregate_kl._asdict() | {"images": limit},
        "amortization_gap": _estimate(gap, 500),
    }
    train, test = subject.data.fixed("train"), part
    if train.labels is not None and test.labels is not None and subject.split != "train":
        codes = [
            torch.cat([vae.encode(x).cpu() for x in subject.batches(each, AGGREGATE_IMAGES)]) for each in (train, test)
        ]
        labels = [
            each.labels[: len(z)].cpu() for each, z in zip((train, test), codes, strict=True) if each.labels is not None
        ]
        probes = accuracies(codes[0], labels[0], codes[1], labels[1])
        found |= {name: each._asdict() | {"images": len(codes[1])} for name, each in probes.items()}
    found["latents"] = {
        "kl_per_unit": used.kl.tolist(),
        "variance_of_means": used.variance.tolist(),
        "expected_variance": used.expected_variance.tolist(),
        "active": used.active,
        "active_by_variance": used.active_by_variance,
        "ceiling": carried.ceiling,
        "verdict": verdict(used.kl),
    }
    return found


GROUPS: dict[str, Callable[[Subject], dict[str, Any]]] = {
    "evidence": _evidence,
    "ais": _ais,
    "samples": _samples,
    "latents": _latents,
}


DENSITIES = ("evidence", "ais")
"""those that decode draws by the million, whose arithmetic may be less precise"""


def verdict(kl: Tensor) -> str:
    """Say in plain words what the KL of each unit means.

    Example:
        >>> verdict(torch.tensor([2.0, 1e-4]))
        '1 of 2 latent units is unused; 1 latent would do'
    """
    d, unused = len(kl), int((kl <= ACTIVE).sum())
    if unused == d:
        return f"posterior collapse: the KL is {float(kl.sum()):.2g} nats, the latents say nothing about x"
    if unused:
        n = d - unused
        return (
            f"{unused} of {d} latent units {'is' if unused == 1 else 'are'} unused; "
            f"{n} latent{'' if n == 1 else 's'} would do"
        )
    return f"all {d} latent units are used; more might carry more"
