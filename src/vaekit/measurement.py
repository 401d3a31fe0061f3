"""Measuring a run: what ``evaluate`` returns and keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_whole
from vaekit.compiling import Compiled
from vaekit.devices import Precision
from vaekit.errors import InputError, command, nearest
from vaekit.estimates import plain
from vaekit.evaluation.annealing import Annealing
from vaekit.evaluation.verdict import verdict
from vaekit.evaluations import SEED, trained
from vaekit.measures import DENSITIES, GROUPS
from vaekit.model import VAE
from vaekit.run import Run
from vaekit.subject import Subject, Track

SAMPLES, FULL_SAMPLES, IMAGES = 1000, 5000, 1000
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


def evaluate(
    run: Run | Place,
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
    data: Place | None = None,
    track: Track = iter,
) -> dict[str, Any]:
    """Measure a run on a split; what is found is kept in results.json.

    All draws are seeded: the same call gives the same numbers, and the numbers of an image do not depend on how many
    images follow it. A measurement that was interrupted goes on where it stopped.

    Args:
        run: the run, or the path of its folder.
        metrics: which groups, one or several: evidence, ais (annealed importance sampling, its bracket on simulated
            images, and for up to five latents the AEVB paper's estimator), samples (quality by a classifier), latents.
        split: train, validation or test.
        samples: K, posterior draws per image; 1000 if None, 5000 with ``full``.
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
        are fewer), in nats per image unless they say otherwise; split, binarization, images, noun (images or
        examples), command; ``weights``, the SHA-256 of the weights that were measured; ``findings``, what the numbers
        mean, in sentences; ``left_out``, by name, why a measure does not apply; and a note where the likelihood is not
        a density of such data.

    Raises:
        InputError: if a group, the split or the precision is unknown, a count is not positive, the data do not fit, or
            no measure that was asked for applies.
    """
    wanted = list(GROUPS) if full else _groups(metrics)
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
    vae, weights = trained(run, target)
    vae.requires_grad_(False)
    if run.experiment.model.network.kind == "mlp" and ("ais" in wanted or count * draws >= WORTHWHILE):
        compile_densities(vae)
    how = (split, count, draws, full, annealing, precision, target)
    subject = Subject(run, vae, weights, loaded, *how, data_root, data, track)
    found = _measured(subject, wanted)
    found |= {"split": split, "binarization": run.space.binarization, "images": count, "metrics": wanted}
    found["noun"] = run.space.noun
    found |= {"command": _command(subject, wanted), "weights": weights}
    likelihood = run.experiment.model.likelihood
    if found.keys() & {"log_evidence", "ais"} and run.space.support not in likelihood.normalized_on:
        found["note"] = NO_DENSITY[likelihood.kind]
    found = plain(found)
    found["findings"] = verdict(found, run.metrics())
    run.add_evaluation(found)
    return found


def _groups(metrics: str | Sequence[str]) -> list[str]:
    """The groups asked for, each once; a single word, or several with commas between them, stands for a list."""
    words = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    for word in words:
        if word not in GROUPS:
            raise InputError(f"metric {word!r} is unknown; {nearest(str(word), GROUPS)}")
    return list(dict.fromkeys(words))


def _measured(subject: Subject, wanted: Sequence[str]) -> dict[str, Any]:
    """All numbers of some groups, and why those that do not apply are left out.

    Raises:
        InputError: if none applies.
    """
    found: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    with devices.memory_errors(f"{subject.samples} samples", "use a machine with more memory"):
        for group in wanted:
            for name, measure in GROUPS[group].items():
                autocast = devices.autocast(subject.device, subject.precision if group in DENSITIES else "fp32")
                with devices.isolated(subject.device), devices.seeded(SEED, subject.device), autocast:
                    try:
                        found |= measure(subject)
                    except (InputError, NotImplementedError) as error:
                        left_out[name] = str(error)
    if not found and left_out:
        raise InputError(next(iter(left_out.values())))
    return found | ({"left_out": left_out} if left_out else {})


def _command(subject: Subject, wanted: Sequence[str]) -> str:
    """The command that measures the same again."""
    words = ["evaluate", subject.run.path, "--split", subject.split]
    if subject.full:
        words.append("--full")
    else:
        words += ["--metrics", ",".join(wanted), "--samples", subject.samples, "--images", subject.images]
    if "ais" in wanted:
        for name, value in _changed(subject.annealing).items():
            words += ["--annealing", f"{name}={value}"]
    if subject.precision != "fp32":
        words += ["--precision", subject.precision]
    return command(*words)


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


def _changed(annealing: Annealing) -> Mapping[str, Any]:
    """The settings that are not the defaults."""
    return {name: value for name, value in asdict(annealing).items() if value != getattr(ANNEALING, name)}
