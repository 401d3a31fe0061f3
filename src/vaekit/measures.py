"""The measures of an evaluation, in the groups that can be asked for: what each needs, and how it is taken."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit import evaluations
from vaekit.compatibility import NOTHING, Needs, lacking, traits
from vaekit.data import Split
from vaekit.data.columns import CODED
from vaekit.errors import InputError
from vaekit.estimates import exceeds, mean_over_images
from vaekit.evaluation import evidence
from vaekit.evaluation.amortization import amortization_gap
from vaekit.evaluation.annealing import Annealing, bracket, compared, forward, log_mean, log_mean_error
from vaekit.evaluation.classifier import classifier_for
from vaekit.evaluation.fidelity import fidelity, near_copies, told_apart
from vaekit.evaluation.harmonic import CANDIDATES, MOST_LATENTS, harmonic
from vaekit.evaluation.hiding import PARTS, parts, recovered, typical
from vaekit.evaluation.imputation import guesses
from vaekit.evaluation.information import information
from vaekit.evaluation.latents import usage
from vaekit.evaluation.probes import accuracies
from vaekit.evaluation.quality import measure
from vaekit.evaluation.rows import shared_noise
from vaekit.evaluation.samples import LEGIBLE
from vaekit.evaluation.verdict import units
from vaekit.model import VAE
from vaekit.subject import CODES_BATCH, Subject

SLOW_IMAGES = 100
"""how many images are measured by what takes thousands of decodings each, unless ``full``"""
UNSETTLED = 0.5
"""standard error in nats from which the chains of an image disagree so much that annealing may be far too low"""
LEAST_LIKELY, GLANCE = 10, Annealing(temperatures=30, chains=4, leapfrog=2)
"""how many images the importance bound is checked on where only it was asked for, and the annealing that checks it"""
SURE = 5.0
"""nats by which few chains exceed log p(x) on one image in 148 at most"""
AGGREGATE_IMAGES = 10_000
"""how many images at most stand for all in what compares each code with every other"""
SAMPLED_ROWS = 2000
"""how many rows of a table at most are set beside as many samples"""
SLOW_AGGREGATE_IMAGES = 300
"""the same, where each comparison is a pass through a network"""

REAL: Needs = {"prior": {"real"}}
GENERATIVE: Needs = {"objective": {"generative"}}
DENSITY: Needs = {"posterior": {"density"}}
ENCODER: Needs = {"posterior": {"encoder", "density"}}
FILLING: Needs = {"posterior": {"density"}, "likelihood": {"elementwise"}}
"""what fills in missing values"""
FACTORIZED: Needs = {"posterior": {"encoder", "density", "factorized"}, "prior": {"factorized"}}
GRADIENT: Needs = {"posterior": {"density"}, "prior": {"real"}}
"""what needs a gradient with respect to z, for Hamiltonian Monte Carlo"""


class Measure(NamedTuple):
    """A measure: the function from a subject to numbers by name, what it needs of an experiment, and of which data.

    Attributes:
        tables: whether it is of tables only, or of other data only; None of all data.
    """

    run: Callable[[Subject], dict[str, Any]]
    needs: Needs = NOTHING
    tables: bool | None = None

    def concerns(self, subject: Subject) -> bool:
        """Say whether it is of such data."""
        return self.tables in (None, subject.run.space.columns is not None)

    def misfit(self, subject: Subject) -> str | None:
        """Say why the measure does not apply, if it does not."""
        reason = lacking(self.needs, subject.run.experiment)
        return None if reason is None else f"it {reason}"


def _estimate(values: Tensor, samples: int) -> dict[str, Any]:
    """Average over images, as it is written to results.json."""
    return mean_over_images(values, samples)._asdict() | {"images": len(values)}


def _named(name: str, each: Callable[[VAE, Tensor], Tensor], vae: VAE, x: Tensor) -> dict[str, Tensor]:
    """Return a single number of each image by its name."""
    return {name: each(vae, x)}


def _importance(subject: Subject, images: int) -> dict[str, Tensor]:
    """Return bound and evidence of the first images, (images,) each, and their bits where they are a code's length."""
    samples = subject.samples
    each = partial(evidence.evidence, samples=samples)
    values = subject.per_image("importance", {"samples": samples}, images, each)
    return values | evaluations.bits(subject.run, values)


def _evidence(subject: Subject) -> dict[str, Any]:
    values = _importance(subject, subject.images)
    growth = {name: values.pop(name) for name in list(values) if name.startswith(evidence.AT)}
    found: dict[str, Any] = {name: _estimate(value, subject.samples) for name, value in values.items()}
    counts = {int(name.removeprefix(evidence.AT)): value for name, value in growth.items()}
    found["convergence"] = [_estimate(value, k) for k, value in sorted(counts.items())]
    found["per_image"] = subject.file("importance", {"samples": subject.samples})
    return found


def _reconstruction(subject: Subject) -> dict[str, Any]:
    name = "reconstruction"
    values = subject.per_image(name, {}, subject.images, partial(_named, name, evidence.reconstruction))
    return {name: _estimate(values[name], 1)}


def _least_likely(subject: Subject) -> dict[str, Any]:
    """Look at the images that the importance bound finds least likely: where the encoder fails, it is far too low."""
    values = _importance(subject, subject.images)
    rows = values["log_evidence"].argsort()[:LEAST_LIKELY].sort().values
    log_weight = forward(subject.vae, subject.part.batch(rows).x, GLANCE).cpu()
    found, importance = log_mean(log_weight), values["log_evidence"][rows]
    error = _importance_error(values, subject.samples)[rows]
    above = exceeds(found, log_mean_error(log_weight), importance, error, SURE)
    return {"least_likely": _estimate(found - importance, GLANCE.chains) | {"above_importance": above}}


def _importance_error(values: Mapping[str, Tensor], samples: int) -> Tensor:
    """Return the standard error of each image's importance bound to first order, as its weights tell it."""
    return (1 / values["effective_samples"] - 1 / samples).clamp_min(0).sqrt()


def _slow_images(subject: Subject) -> int:
    return subject.images if subject.full else min(SLOW_IMAGES, subject.images)


def _ais(subject: Subject) -> dict[str, Any]:
    settings, images = subject.annealing, _slow_images(subject)
    facts = asdict(settings)
    values = subject.per_image("ais", facts, images, partial(compared, settings=settings))
    importance = _importance(subject, images)
    return {
        "ais": _estimate(values["ais"], settings.chains),
        "ais_settings": facts,
        "ais_checks": _checks(values, importance, subject.samples) | {"images": images},
        "ais_minus_importance": _estimate(values["ais"] - importance["log_evidence"], settings.chains),
    }


def _checks(values: Mapping[str, Tensor], importance: Mapping[str, Tensor], samples: int) -> dict[str, Any]:
    """Count the images on which estimates contradict each other, or their chains do."""
    annealed, error = values["ais"], values["ais_error"]
    found = {
        "began_at_prior": int(values["ais_began_at_prior"].sum()),
        "unsettled": int((error > UNSETTLED).sum()),
        "above_importance": exceeds(
            annealed, error, importance["log_evidence"], _importance_error(importance, samples)
        ),
    }
    if {"ais_from_encoder", "ais_from_prior"} <= values.keys():
        encoder, prior = ((values[name], values[f"{name}_error"]) for name in ("ais_from_encoder", "ais_from_prior"))
        found |= {"prior_above_encoder": exceeds(*prior, *encoder), "encoder_above_prior": exceeds(*encoder, *prior)}
    return found


def _simulated(subject: Subject) -> dict[str, Any]:
    batches = [evaluations.BATCH] * (SLOW_IMAGES // evaluations.BATCH)
    found = bracket(subject.vae, batches, subject.annealing)
    return {f"simulated_{name}": each._asdict() | {"images": SLOW_IMAGES} for name, each in found.items()}


def _harmonic(subject: Subject) -> dict[str, Any]:
    if subject.vae.latent_dim > MOST_LATENTS:
        raise InputError(f"it needs at most {MOST_LATENTS} latents")
    images, start = _slow_images(subject), {"candidates": CANDIDATES}
    values = subject.per_image("harmonic", start, images, partial(_named, "harmonic", harmonic))
    return {"harmonic": _estimate(values["harmonic"], 50)}


def _samples(subject: Subject) -> dict[str, Any]:
    if not _has_training_part(subject):
        raise InputError("a model that is in no run has no training images to set its samples beside")
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
            "nearer": quality.nearer,
            "closest": closest,
        }
    }


def _rows(subject: Subject) -> dict[str, Any]:
    """Compare samples of a table with held-out rows: both in the file's units, with the same cells missing."""
    space, n = subject.run.space, min(subject.images, SAMPLED_ROWS)
    x = subject.part.batch(torch.arange(n)).x
    drawn = subject.vae.sample(n, noise=True).where(~x.isnan(), torch.nan)
    real, sampled = space.restore(x), space.rounded(space.restore(drawn))
    columns = space.columns or ()
    found: dict[str, Any] = {"told_apart": told_apart(sampled, real)._asdict() | {"images": n}}
    if _has_training_part(subject) and subject.split != "train":
        training = torch.cat(list(subject.batches(subject.data.fixed("train"), AGGREGATE_IMAGES)))
        copies = near_copies(*(each.nan_to_num(0) for each in (drawn, x, training)))
        found["near_copies"] = copies._asdict() | {"images": n}
    return found | {"fidelity": fidelity(real, sampled, [c.name for c in columns], [c.kind in CODED for c in columns])}


def _imputation(subject: Subject) -> dict[str, Any]:
    """Hide cells of a table, fill them in, and compare them with what they were, in the file's units."""
    space, vae = subject.run.space, subject.vae
    columns, noise = space.columns or (), shared_noise(subject.samples, vae.latent_dim)
    x = torch.cat(list(subject.batches(subject.part, _slow_images(subject))))
    reference = subject.data.fixed("train") if _has_training_part(subject) else subject.part
    known = torch.cat(list(subject.batches(reference, AGGREGATE_IMAGES)))
    part, coded = parts(x.shape).to(x.device), [column.kind in CODED for column in columns]
    given = torch.cat([x.where(part != k, torch.nan) for k in range(PARTS)]).split(CODES_BATCH)
    guess = (
        guesses(vae, given, noise, space, subject.device).value.unflatten(0, (PARTS, -1)).gather(0, part.cpu()[None])[0]
    )
    truth, numbers = (torch.from_numpy(space.restore(each)).double() for each in (x, known))
    names = [column.name for column in columns]
    return recovered(truth, guess.double(), typical(numbers, coded), names, coded, subject.samples)


def _latents(subject: Subject) -> dict[str, Any]:
    used = usage(subject.vae, subject.batches(subject.part, subject.images))
    labels = known(subject.part)
    numbers = (used.kl.tolist(), used.variance.tolist(), used.expected_variance.tolist())
    return {
        "latents": {
            **dict(zip(("kl_per_unit", "variance_of_means", "expected_variance"), numbers, strict=True)),
            "active": used.active,
            "active_by_variance": used.active_by_variance,
            "ceiling": log(min(subject.images, AGGREGATE_IMAGES)),
            "verdict": units(*numbers),
            "chance": None if not len(labels) else float(labels.unique(return_counts=True)[1].max()) / len(labels),
        }
    }


def _information(subject: Subject) -> dict[str, Any]:
    closed = "closed" in traits(subject.run.experiment.model.posterior)
    images = min(subject.images, AGGREGATE_IMAGES if closed else SLOW_AGGREGATE_IMAGES)
    whole = min(-(-images // CODES_BATCH) * CODES_BATCH, len(subject.part))
    carried = information(subject.vae, subject.batches(subject.part, whole), images)
    return {
        "mutual_information": carried.mutual_information._asdict() | {"images": images},
        "aggregate_kl": carried.aggregate_kl._asdict() | {"images": images},
    }


def _amortization(subject: Subject) -> dict[str, Any]:
    name, images = "amortization_gap", _slow_images(subject)
    gaps = subject.per_image(name, {}, images, partial(_named, name, amortization_gap))
    return {name: _estimate(gaps[name], 500)}


def _probes(subject: Subject) -> dict[str, Any]:
    if subject.split == "train":
        raise InputError("classifiers of codes are trained on this split")
    test = _codes(subject, subject.part)
    train = _codes(subject, subject.data.fixed("train")) if _has_training_part(subject) else test
    if train is test:
        train, test = ([each[first::2] for each in test] for first in (0, 1))
    probes = accuracies(*train, *test)
    return {name: each._asdict() | {"images": len(test[0])} for name, each in probes.items()}


def _codes(subject: Subject, part: Split) -> list[Tensor]:
    """Return the codes of the first images of a split, and their labels."""
    if not len(known(part)):
        raise InputError("the data have no labels")
    assert part.labels is not None
    codes = torch.cat([subject.vae.encode(x).cpu() for x in subject.batches(part, AGGREGATE_IMAGES)])
    labels = part.labels[: len(codes)].cpu()
    return [codes[labels >= 0], labels[labels >= 0]]


def known(part: Split) -> Tensor:
    """Return the labels of the examples whose class is known; none if the data have no labels."""
    return torch.empty(0) if part.labels is None else part.labels[part.labels >= 0]


def _has_training_part(subject: Subject) -> bool:
    """Say whether the data have a training part, which those of a model that is in no run lack."""
    return "train" in subject.run.space.sizes


GROUPS: Mapping[str, Mapping[str, Measure]] = {
    "evidence": {
        "log_evidence": Measure(_evidence, DENSITY),
        "reconstruction": Measure(_reconstruction),  # where it is not among the numbers of the one before
        "least_likely": Measure(_least_likely, GRADIENT),
    },
    "ais": {
        "ais": Measure(_ais, GRADIENT),
        "simulated_gap": Measure(_simulated, GRADIENT),
        "harmonic": Measure(_harmonic, GRADIENT),
    },
    "samples": {
        "samples": Measure(_samples, GENERATIVE, tables=False),
        "told_apart": Measure(_rows, GENERATIVE, tables=True),
        "imputation": Measure(_imputation, FILLING, tables=True),
    },
    "latents": {
        "latents": Measure(_latents, FACTORIZED),
        "mutual_information": Measure(_information, ENCODER),
        "amortization_gap": Measure(_amortization, {"posterior": {"encoder", "gaussian"}, "prior": {"real"}}),
        "linear_probe": Measure(_probes, {"posterior": {"encoder"}}),
    },
}
"""by group: the measures, each under the name of its first number; what numbers are called is in ``labels``"""

DENSITIES = ("evidence", "ais")
"""the groups that decode draws by the million, whose arithmetic may be less precise"""
