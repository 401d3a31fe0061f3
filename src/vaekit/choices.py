"""From a few short words to a whole experiment: presets, flags, and what is chosen for the user, with the reason."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vaekit.arguments import Place, to_path
from vaekit.data import Source, Space, defaults
from vaekit.data.decoding import Progress as Track
from vaekit.data.source import to_name
from vaekit.errors import InputError, nearest, shown
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS

log = logging.getLogger("vaekit")

LARGE_IMAGE = 32
"""height or width above which convolutions are chosen"""

SHORT = {
    "latent_dim": "model.latent_dim",
    "network": "model.network",
    "hidden": "model.network.hidden",
    "likelihood": "model.likelihood",
    "beta": "objective.beta",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "optimizer": "optimizer",
    "learning_rate": "optimizer.learning_rate",
    "seed": "seed",
    "precision": "precision",
    "binarize": "data.binarization",
    "image_size": "data.image_size",
    "label": "data.label",
    "ignore": "data.ignore",
}
"""the fields that have a short name"""


def by_path(*, data: Place | None = None, preset: str | None = None, **short: Any) -> dict[str, Any]:
    """Put given words under the dotted paths of the fields they mean; what is None was not given.

    Example:
        >>> by_path(latent_dim=2, seed=None)
        {'model.latent_dim': 2}
    """
    named = {SHORT[name]: value for name, value in short.items() if value is not None}
    return ({} if data is None else {"data.name": data}) | _preset(preset) | named


def widths(text: str) -> list[int]:
    """Parse the widths of hidden layers.

    Example:
        >>> widths("300,300")
        [300, 300]
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"hidden {text!r} is no list of widths: give whole numbers such as 500 or 300,300") from None


def fields(settings: Iterable[str]) -> dict[str, Any]:
    """Parse path=value; a value is JSON where it reads as such, a list where it has commas, else a word.

    Example:
        >>> fields(["model.network.hidden=300,300", "ema=0.99", "optimizer=sgd"])
        {'model.network.hidden': [300, 300], 'ema': 0.99, 'optimizer': 'sgd'}
    """
    found = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"{setting!r} has no value: write {setting}=value")
        found[path] = _value(text)
    return found


def _value(text: str) -> Any:
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return text


def choose(
    data: Place | None = None,
    *,
    preset: str | None = None,
    network: str | None = None,
    latent_dim: int | None = None,
    hidden: Sequence[int] | None = None,
    likelihood: str | None = None,
    beta: float | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    precision: str | None = None,
    binarize: str | None = None,
    image_size: int | None = None,
    label: str | None = None,
    ignore: Sequence[str] | None = None,
    set: Mapping[str, Any] | None = None,
    config: Place | None = None,
    data_root: Place | None = None,
    track: Track = iter,
) -> Experiment:
    """Make an experiment from short words; what is left open is chosen by the data and logged with its reason.

    Later words win: ``config``, then ``preset``, then the flags, then ``set``.

    Args:
        data: a named set, or the path of an image folder, an array or a table; ``config`` may name it instead.
        preset: a published set-up, a key of ``vaekit.presets.PRESETS``.
        network, likelihood, optimizer: kinds of these parts.
        latent_dim, hidden, beta, epochs, batch_size, learning_rate, seed, precision, binarize, image_size,
        label, ignore: fields that have a short name; ``vaekit options`` lists all.
        set: further fields by dotted path, {"model.likelihood.scale": "pixel"}.
        config: an experiment.json to start from.
        data_root: folder of named sets.
        track: wraps the list of files while an image folder is decoded, to show progress.

    Raises:
        InputError: for an unknown word, a value that does not fit, or data that cannot be read.

    Example:
        >>> choose("digits", latent_dim=2).model.likelihood.kind
        'gaussian'
    """
    flags = by_path(
        latent_dim=latent_dim,
        network=network,
        hidden=hidden,
        likelihood=likelihood,
        beta=beta,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        seed=seed,
        precision=precision,
        binarize=binarize,
        image_size=image_size,
        label=label,
        ignore=ignore,
    )
    if set is not None and not isinstance(set, Mapping):
        raise InputError(f"set is {shown(set)}: give a dictionary, such as {{'model.likelihood.scale': 'pixel'}}")
    asked = [by_path(preset=preset), flags, set or {}]
    experiment = _base(data, config)
    for changes in asked:  # one after the other, so that a kind that is named twice keeps the fields it was given
        experiment = experiment.replace_all(changes)
    if config is not None:
        return experiment
    named = {path: value for changes in asked for path, value in changes.items()}
    experiment = experiment.replace_all(_binarization(experiment, named))
    return experiment.replace_all(_model(experiment.data.load(data_root, track).space, named))


def _base(data: Place | None, config: Place | None) -> Experiment:
    if config is None:
        if data is None:
            raise InputError("no data were named: give a set such as mnist, or the path of your own")
        return Experiment(data=Source(name=to_name(data)))
    path = to_path(config, "config")
    try:
        experiment = Experiment.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"config {path} cannot be read ({error.strerror}): name an experiment.json") from None
    except InputError as error:
        raise InputError(f"config {path}: {error}") from None
    return experiment if data is None else experiment.replace("data.name", data)


def _preset(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(f"preset {shown(name)} is unknown; {nearest(str(name), PRESETS)}")
    return dict(PRESETS[name])


def _chosen(path: str, value: Any, reason: str) -> dict[str, Any]:
    log.info("chosen: %s %s because %s", path, json.dumps(value).strip('"'), reason)
    return {path: value}


def _binarization(experiment: Experiment, named: Mapping[str, Any]) -> dict[str, Any]:
    name, default = experiment.data.name, defaults(experiment.data.name).binarization
    likelihood = experiment.model.likelihood.kind if _names(named, "model.likelihood") else "bernoulli"
    if _names(named, "data.binarization") or default == "none" or likelihood != "bernoulli":
        return {}
    return _chosen("data.binarization", default, f"evidence of {name} is reported for binary images")


def _model(space: Space, named: Mapping[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if not _names(named, "model.network"):
        if len(space.event_shape) == 3 and max(space.event_shape[1:]) > LARGE_IMAGE:
            height, width = space.event_shape[1:]
            reason = f"images of {height}×{width} are larger than {LARGE_IMAGE}×{LARGE_IMAGE}"
            chosen |= _chosen("model.network", "conv", reason)
        else:
            chosen |= _chosen("model.network", "mlp", f"examples of shape {space.event_shape} are small")
    if not _names(named, "model.likelihood"):
        if space.support == "binary":
            chosen |= _chosen("model.likelihood", "bernoulli", "the data are binary")
        else:
            kind = {"byte": "grey or colour levels", "unit": "reals in [0, 1]", "real": "real numbers"}[space.support]
            chosen |= _chosen("model.likelihood", "gaussian", f"the data are {kind}; its scale is learnt")
    if not _names(named, "precision"):
        chosen |= _chosen("precision", "fp32", "it is exact on every device; bf16 is faster on some")
    return chosen


def _names(named: Mapping[str, Any], part: str) -> bool:
    """Whether a part, or a field of it, was named."""
    return any(f"{path}.".startswith(f"{part}.") for path in named)


def extend(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a run to be resumed: a new length is taken, other changes are named as ignored."""
    for path, value in changes.items():
        changed = experiment.replace(path, value)
        if changed == experiment:
            continue
        if path == "training_samples" or (path == "epochs" and experiment.training_samples is None):
            log.info("resume changes: %s to %s", path, value)
            experiment = changed
        else:
            log.info("resume ignores: %s %s, a run keeps what it began with; train anew to change it", path, value)
    return experiment
