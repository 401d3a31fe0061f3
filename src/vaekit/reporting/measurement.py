"""Measuring a run: what ``evaluate`` returns and keeps."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from math import hypot
from typing import Any, cast

import torch
from torch import nn

from vaekit import devices
from vaekit.arguments import Place, to_whole
from vaekit.compatibility import traits
from vaekit.data.objects import is_held
from vaekit.devices import Precision
from vaekit.errors import InputError, command, nearest
from vaekit.estimates import mean_over_images
from vaekit.evaluation.annealing import Annealing
from vaekit.evaluation.verdict import verdict
from vaekit.evaluation.words import words
from vaekit.evaluations import BATCH, SEED, trained
from vaekit.measures import DENSITIES, GROUPS
from vaekit.records import plain
from vaekit.reporting.summary import Evaluation
from vaekit.run import Run
from vaekit.sharding import crew, here, prepared
from vaekit.subject import Subject, Track
from vaekit.unsaved import Unsaved

SAMPLES, FULL_SAMPLES, IMAGES = 1000, 5000, 1000
LOOKED_AT, UNLIKE = 1000, 10.0
"""images of which the means are compared, and standard errors from which those that are measured are called unlike"""
WORTHWHILE = 5_000_000
"""number of decoded draws from which compiled densities save more time than compiling takes"""
ANNEALING = Annealing()
UNSAVED = "vaekit.evaluate(module, data)"
"""what stands for the command where a model in memory was measured"""

UNSTATED = "the likelihood does not say that it sums or integrates to 1 on such data"
"""what to know about a likelihood on data on which it may not, unless its spec says more as ``unnormalized``"""


def evaluate(
    run: Run | Place | nn.Module,
    data: Any = None,
    *,
    metrics: str | Sequence[str] = ("evidence", "latents"),
    split: str = "test",
    samples: int | None = None,
    images: int | None = None,
    full: bool = False,
    annealing: Annealing = ANNEALING,
    precision: Precision = "fp32",
    device: str = "auto",
    data_root: Place | None = None,
    workers: int = 1,
    track: Track = iter,
) -> dict[str, Any]:
    """Measure a run on a split, and keep the numbers in results.json.

    All draws are seeded: the same call gives the same numbers, and the numbers of an image do not depend on how many
    images follow it. A measurement that was interrupted continues where it stopped. ``per_image`` returns the numbers
    of each image.

    Args:
        run: the run, or the path of its folder; or any module with the parts prior, posterior and likelihood, of which
            nothing is kept.
        data: where the run's data are if they have moved, or the data if they are in memory; those on which a module is
            measured, all of them, as numbers that it reads: an array, a DataFrame, a torch Dataset, a path, ...; where
            they have labels, classifiers of codes learn from every other example and are judged on the rest.
        metrics: one or several groups: evidence, ais (annealed importance sampling, its bracket on simulated
            images, and for up to five latents the AEVB paper's estimator), samples (quality by a classifier), latents.
        split: train, validation or test.
        samples: K, posterior draws per image; 1000 if None, 5000 with ``full``.
        images: how many of the first images of the split; 1000 if None, all with ``full``.
        full: all groups, on all images.
        annealing: the settings of annealed importance sampling.
        precision: fp32, or bf16 for the matrix products of the evidence, plain and annealed; the rest is in fp32.
        device: auto, cpu or cuda.
        data_root: folder of named sets.
        workers: processes that share the images where each image has numbers of its own (the log-evidence, annealing,
            the amortization gap); the numbers are the same. On CUDA, one per device.
        track: wraps the batches, to show progress.

    Returns:
        numbers by name, each with value, standard_error (None for a single image) and samples (and images where they
        are fewer), in nats per image unless ``labels`` says otherwise; ``words``, by name, whether a number is good,
        where that can be said; split, binarization, images, noun (images or examples), command; ``weights``, the
        SHA-256 of the weights that were measured; ``files``, those of the run that keep the numbers of each image;
        ``findings``, what the numbers mean, in sentences; ``left_out``, by name, why a measure does not apply;
        and a note where the likelihood is not a density on such data.

    Raises:
        InputError: if a group, the split or the precision is unknown, a count is not positive, the data do not fit,
            none of the measures asked for applies, or there are not so many devices.
        RunError: if memory runs out, or one of several processes is killed; what was measured is kept.
    """
    wanted = list(GROUPS) if full else _groups(metrics)
    devices.refuse_unknown(precision)
    draws = samples if samples is not None else FULL_SAMPLES if full else SAMPLES
    for name, count in (("images", images), ("samples", draws)):
        if count is not None:
            to_whole(count, name)
    target = devices.places(device, to_whole(workers, "workers"))[0]
    unsaved = Unsaved.of(run, data) if isinstance(run, nn.Module) else None
    run = cast(Run, unsaved) if unsaved or isinstance(run, nn.Module) else Run.of(run)
    if unsaved and workers > 1:
        raise InputError(f"workers is {workers}, and a model in memory is measured by one process: leave workers out")
    devices.keep_freed_memory()
    loaded = run.data(data_root, data).to(target)
    size = len(loaded.fixed(split))
    count = min(images or (size if full else IMAGES), size)
    compiled = "matrices" in traits(run.experiment.model.network) and ("ais" in wanted or count * draws >= WORTHWHILE)
    vae, weights = (unsaved.vae.to(target), "") if unsaved else trained(run, target)
    vae = prepared(vae, compiled)
    how = (split, count, draws, full, annealing, precision, target)
    places = devices.places(device, min(workers, -(-count // BATCH)))
    sharing = crew(run, weights, compiled, places) if len(places) > 1 else nullcontext(here(vae, target))
    with sharing as compute:
        subject = Subject(run, vae, weights, loaded, *how, data_root, data, track, compute)
        found = _measured(subject, wanted)
    found |= {"split": split, "binarization": run.space.binarization, "images": count, "metrics": wanted}
    found["noun"] = run.space.noun
    found |= {"command": UNSAVED if unsaved else _command(subject, wanted), "weights": weights, "files": subject.files}
    likelihood = run.experiment.model.likelihood
    if found.keys() & {"log_evidence", "ais"} and run.space.support not in likelihood.normalized_on:
        found["note"] = getattr(likelihood, "unnormalized", UNSTATED)
    found = plain(found)
    found |= {"findings": verdict(found, run.metrics()) + selection(subject), "words": words(found)}
    run.add_evaluation(found)
    return Evaluation(found)


def selection(subject: Subject) -> list[str]:
    """Say if the first images of a split are not like the others, by their mean values, so that a part misleads."""
    part, count, space = subject.part, subject.images, subject.run.space
    if count == len(part) or space.columns is not None or space.missing:
        return []
    ends = ((0, count), (count, len(part)))
    rows = [torch.linspace(start, end - 1, min(end - start, LOOKED_AT)).long() for start, end in ends]
    first, others = (mean_over_images(part.batch(some).x.flatten(1).mean(1), 1) for some in rows)
    apart = abs(first.value - others.value) / (hypot(first.standard_error, others.standard_error) or 1.0)
    if not apart > UNLIKE:
        return []
    return [
        f"the first {count:,} {subject.split} {space.noun} are not like the others: their values average "
        f"{first.value:.3f}, those of the others {others.value:.3f}, {apart:.0f} standard errors away: measure all "
        f"{len(part):,}"
    ]


def _groups(metrics: str | Sequence[str]) -> list[str]:
    """Return the groups asked for, each once; a word, or several separated by commas, stands for a list."""
    words = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    for word in words:
        if word not in GROUPS:
            raise InputError(f"metric {word!r} is unknown; {nearest(str(word), GROUPS)}")
    return list(dict.fromkeys(words))


def _measured(subject: Subject, wanted: Sequence[str]) -> dict[str, Any]:
    """Return all numbers of some groups, and why those that do not apply are left out.

    Raises:
        InputError: if none applies.
    """
    found: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    with devices.memory_errors(f"{subject.samples} samples", "use a machine with more memory"):
        for group in wanted:
            for name, measure in GROUPS[group].items():
                if name in found or not measure.concerns(subject):
                    continue
                autocast = devices.autocast(subject.device, subject.precision if group in DENSITIES else "fp32")
                with devices.isolated(subject.device), devices.seeded(SEED, subject.device), autocast:
                    if reason := measure.misfit(subject):
                        left_out[name] = reason
                        continue
                    try:
                        found |= measure.run(subject)
                    except (InputError, NotImplementedError) as error:
                        left_out[name] = str(error)
    if not found and left_out:
        raise InputError(next(iter(left_out.values())))
    return found | ({"left_out": left_out} if left_out else {})


def _command(subject: Subject, wanted: Sequence[str]) -> str:
    """Write the command that measures the same again."""
    typed = ["evaluate", subject.run.path, "--split", subject.split]
    if subject.full:
        typed.append("--full")
    else:
        typed += ["--metrics", ",".join(wanted), "--samples", subject.samples, "--images", subject.images]
    if "ais" in wanted:
        for name, value in _changed(subject.annealing).items():
            typed += ["--annealing", f"{name}={value}"]
    if subject.place is not None and not is_held(subject.place):
        typed += ["--data", subject.place]
    if subject.precision != "fp32":
        typed += ["--precision", subject.precision]
    return command(*typed)


def _changed(annealing: Annealing) -> Mapping[str, Any]:
    """Return the settings that differ from the defaults."""
    return {name: value for name, value in asdict(annealing).items() if value != getattr(ANNEALING, name)}
