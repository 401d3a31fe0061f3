"""A prior fitted to the codes of a trained run: a new run with its encoder and decoder, measured before and after."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import hypot
from typing import Any

import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_path
from vaekit.choices import EVALUATIONS, PATIENCE, STEPS
from vaekit.compatibility import kinds, traits
from vaekit.data import Data
from vaekit.errors import InputError, nearest, shown
from vaekit.estimates import exact, mean_over_images
from vaekit.evaluations import SEED, per_image, trained
from vaekit.experiment import Experiment
from vaekit.labels import label
from vaekit.model import VAE
from vaekit.objectives.prior import codes
from vaekit.progress import Progress
from vaekit.records import plain
from vaekit.reporting.comparison import difference
from vaekit.reporting.measurement import IMAGES, evaluate
from vaekit.run import Run, alone, refuse_taken
from vaekit.subject import CODES_BATCH
from vaekit.training.checks import check
from vaekit.training.loop import Training, train
from vaekit.verbs.starting import Doing, unseen

BATCH = 500
LEARNING_RATE = 5e-3
BEGINNING = 10_000
"""codes at most from which a prior begins"""
PAIRED = ("log_evidence", "elbo")
QUALITY = {
    "inception_score": "inception score of samples",
    "frechet_distance": "Fréchet distance of samples",
    "legibility": "legible samples",
}
WHEN = ("before", "after")


def refit_prior(
    source: Run | Place,
    run: Place,
    prior: str = "mixture",
    *,
    set: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    samples: int | None = None,
    images: int = IMAGES,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
    follow: Callable[[Iterator[Progress]], Iterable[Progress]] = iter,
    doing: Doing = unseen,
) -> dict[str, Any]:
    """Fit a prior to the codes of a trained run, in a new run, and measure both: the trained one's weights stay.

    The new run has the encoder and decoder of the trained one, whose weights do not change, and a prior that maximizes
    the likelihood of codes drawn from q(z | x) of the training images. Both keep the evaluations made at the end.

    Args:
        source: the trained run, or the path of its folder.
        run: the new folder.
        prior: the kind of prior.
        set: fields of the prior by dotted path, such as {"model.prior.components": 500}.
        epochs: passes over the training images; 3,000 steps if None. It ends earlier if the validation images' codes
            become no more likely, and the best prior is kept.
        learning_rate: of Adam, which falls to 0 along a cosine.
        seed: of weights, order and draws.
        samples: posterior draws per image for the log-evidence.
        images: how many test images are measured.
        resume: continue a fit in the new folder that was interrupted, or measure it again.
        overwrite: replace the run in the new folder.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: where the run's data are if they have moved.
        follow: wraps the reports of the training, to show them.
        doing: shows what is being done after it.

    Returns:
        ``rows``, each with name, before (None if it was not measured), after and difference, and whether that is paired
        image by image; ``left_out``, by name, why a measure does not apply before or after; source, run, prior, split,
        images and their noun.

    Raises:
        InputError: if the prior cannot be fitted to codes, a field of anything else is set, or the folder is taken.
        RunError: as in ``train``.
    """
    source, path = Run.of(source), to_path(run, "run")
    target = devices.choose(device)
    vae, weights = trained(source, target)
    experiment = fit_of(source, weights, prior, set or {}, epochs, learning_rate, seed)
    loaded = source.data(data_root, data)
    if not resume:
        refuse_taken(path, overwrite)
        check(experiment, loaded.space, target)
        with alone(path):
            begin(Run.create(path, experiment, loaded.space, overwrite), vae, loaded.to(target), target)
    reports = train(experiment, path, device=device, data_root=data_root, data=data, resume=True)
    for _ in follow(reports):
        pass
    fitted = Run(path)
    how = {"samples": samples, "images": min(images, len(loaded.test)), "device": device}
    return compared(source, fitted, loaded, {**how, "data_root": data_root, "data": data}, doing)


def fit_of(
    source: Run,
    weights: str,
    prior: str,
    fields: Mapping[str, Any],
    epochs: float | None,
    learning_rate: float,
    seed: int,
) -> Experiment:
    """Return the experiment that fits a prior to the codes of a run whose weights have that digest.

    Raises:
        InputError: if that kind of prior cannot be fitted, or a field is not one of the prior's.
    """
    fitted = [kind.kind for kind in kinds(source.experiment.model, "prior") if "fitted" in traits(kind)]
    if prior not in fitted:
        raise InputError(f"prior {shown(prior)} cannot be fitted to codes: {nearest(str(prior), fitted)}")
    for name in fields:
        if not name.startswith("model.prior."):
            raise InputError(
                f"{shown(name)} is not a field of the prior, and the rest of the run stays as it is: set fields of "
                "model.prior only, such as model.prior.components"
            )
    sizes = source.space.sizes
    batch = min(BATCH, sizes["train"])
    length = epochs or STEPS * batch / sizes["train"]
    return source.experiment.replace_all(
        {
            "objective": {"kind": "prior", "weights": weights},
            "model.prior": prior,
            **fields,
            "optimizer": {"kind": "adam", "learning_rate": learning_rate},
            "schedule": "cosine",
            "epochs": length,
            "evaluate_every": length / EVALUATIONS,
            "training_samples": None,
            "batch_size": batch,
            "gradient_norm": None,
            "ema": None,
            "early_stopping": PATIENCE if sizes.get("validation") else None,
            "seed": seed,
        }
    )


def begin(run: Run, trained: VAE, data: Data, device: torch.device) -> None:
    """Write the state from which the fit is trained: the trained encoder and decoder, and a prior near their codes."""
    with devices.isolated(device):
        training = Training(run.experiment, run, data, device)
        kept = {name: weight for name, weight in trained.state_dict().items() if not name.startswith("prior.")}
        training.vae.load_state_dict(kept, strict=False)
        x = data.train.some(BEGINNING, run.experiment.seed)
        devices.set_seed(run.experiment.seed, device)
        training.vae.prior.begin_at(torch.cat([codes(training.vae, part) for part in x.split(CODES_BATCH)]))
        training.save()


def compared(source: Run, fitted: Run, data: Data, how: Mapping[str, Any], doing: Doing) -> dict[str, Any]:
    """Evaluate a run and the fit of its prior on the same test images, and set their numbers side by side."""
    found = []
    for run, what in zip((source, fitted), WHEN, strict=True):
        with doing(f"evaluating {how['images']:,} test {run.space.noun} {what}") as track:
            found.append(evaluate(run, metrics=("evidence", "samples"), track=track, **how))
    before, after = found
    rows = [_of_codes(source.vae(), fitted.vae(), data, how["images"])]
    for name in PAIRED:
        if name in before and name in after:
            new, old = (torch.from_numpy(per_image(run, name))[: how["images"]] for run in (fitted, source))
            rows.append(_row(label(name), before[name], after[name], difference(new, old)))
    old, new = (each.get("samples", {}).get("table", {}).get("samples", {}) for each in found)
    rows += [_row(name, old.get(key), new[key], None) for key, name in QUALITY.items() if new.get(key)]
    found = [{"left_out": {}, **each} for each in found]
    left_out = {
        name: {what: each["left_out"][name] for each, what in zip(found, WHEN, strict=True) if name in each["left_out"]}
        for name in ("log_evidence", "samples")
    }
    facts = {"source": str(source.path), "run": str(fitted.path), "prior": fitted.experiment.model.prior.kind}
    facts |= {"split": "test", "images": how["images"], "noun": fitted.space.noun}
    return plain(facts | {"rows": rows, "left_out": {name: why for name, why in left_out.items() if why}})


@torch.no_grad()
def _of_codes(before: VAE, after: VAE, data: Data, images: int) -> dict[str, Any]:
    """Compare log p(z) of one code of each test image: its gain is what KL(q(z) ‖ p(z)) falls by."""
    test, log_priors = data.fixed("test", images), list[Tensor]()
    with devices.seeded(SEED, torch.device("cpu")):
        for rows in torch.arange(images).split(CODES_BATCH):
            z = codes(before, test.batch(rows).x.cpu())
            log_priors.append(torch.stack([exact(vae.prior().log_prob(z)) for vae in (before, after)]))
    old, new = torch.cat(log_priors, 1)
    before_after = [mean_over_images(values, 1)._asdict() for values in (old, new)]
    return _row("log p(z) of codes", before_after[0], before_after[1], difference(new, old))


def _row(name: str, before: Any, after: Any, paired: Mapping[str, Any] | None) -> dict[str, Any]:
    """Set a number before and after side by side, with their difference: paired, or of two independent estimates."""
    gain = paired
    if before and not paired:
        errors = [each["standard_error"] for each in (before, after)]
        error = None if None in errors else hypot(*errors)
        gain = {"value": after["value"] - before["value"], "standard_error": error}
    return {"name": name, "before": before, "after": after, "difference": gain, "paired": paired is not None}
