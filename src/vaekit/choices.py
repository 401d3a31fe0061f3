"""From a few short words to a whole experiment: presets, flags, and what is chosen for the user, with the reason."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

from vaekit.arguments import Place, to_path
from vaekit.compatibility import traits
from vaekit.data import Data, Source, Space, defaults
from vaekit.data.columns import Kind, listed
from vaekit.data.decoding import Progress as Track
from vaekit.data.inference import inferences, retyped
from vaekit.data.objects import is_held
from vaekit.data.raw import Raw
from vaekit.data.source import assemble, to_name
from vaekit.errors import InputError, nearest, shown
from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.settings import SHORT, with_short_names

log = logging.getLogger("vaekit")

LARGE_IMAGE, SMALL_IMAGE = 28, 8
"""height or width above which convolutions are chosen, and below which they are not even for color images"""
STEPS = 3000
"""steps that a training takes at least if its length is chosen"""
EVALUATIONS = 20
"""how often a training evaluates whose length is chosen"""
PATIENCE = 5
"""evaluations without a better validation bound after which such a training stops"""

KINDS = "data.columns."
"""the beginning of the path of a column's kind"""
CALLED: Mapping[Kind, str] = {
    "real": "a real number",
    "positive": "positive",
    "count": "a count",
    "binary": "binary",
    "category": "a category",
    "ordinal": "ordinal",
}
CALLED_SEVERAL: Mapping[Kind, str] = {**CALLED, "real": "real numbers", "count": "counts", "category": "categories"}
SHOWN = 4
"""columns of a kind that are chosen on a line each"""

NONE = ("none", "null", "")
"""what --set reads as None"""
WORDS = {"data.binarization": "none", "data.label": ""}
"""the fields for which one of these is a value of its own"""

ALIASES: dict[tuple[str, str], tuple[str, str]] = {
    ("model.likelihood", "mse"): ("gaussian", "squared error with a learned scale"),
    ("model.likelihood", "l2"): ("gaussian", "squared error with a learned scale"),
    ("model.likelihood", "normal"): ("gaussian", "another word for it"),
    ("model.likelihood", "bce"): ("bernoulli", "binary cross-entropy"),
    ("objective", "vae"): ("elbo", "the loss of the plain VAE"),
    ("objective", "beta_vae"): ("elbo", "its beta weights the KL: set it with beta"),
    ("objective", "iwae"): ("importance", "its bound of several draws"),
}
"""kinds of parts by the words of other tools, and why they are the same"""


def by_path(*, data: Place | None = None, preset: str | None = None, **short: Any) -> dict[str, Any]:
    """Put the words that were given under the dotted paths of the fields they mean; None stands for not given.

    Raises:
        InputError: if there is no such short name.

    Example:
        >>> by_path(latent_dim=2, seed=None)
        {'model.latent_dim': 2}
    """
    for name in short.keys() - SHORT.keys():
        raise InputError(f"{name!r} is not a short name of a field; {nearest(name, SHORT)}")
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
        raise InputError(f"hidden is {text!r}: give whole numbers, such as 500 or 300,300") from None


def fields(given: Iterable[str]) -> dict[str, Any]:
    """Parse path=value. A value is JSON if it reads as such, a list if it has commas, None if it is none, else a word.

    Example:
        >>> fields(["model.network.hidden=300,300", "ema=none", "optimizer=sgd"])
        {'model.network.hidden': [300, 300], 'ema': None, 'optimizer': 'sgd'}
    """
    found = {}
    for setting in given:
        path, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"{setting!r} has no value: write {setting}=value")
        found[path] = text if text == WORDS.get(path) else _value(text)
    return found


def _value(text: str) -> Any:
    if text in NONE:
        return None
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return text


def further(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the fields that are given by dotted path, none if None.

    Raises:
        InputError: if it is not a dictionary.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"set is {shown(given)}: give a dictionary, such as {{'model.likelihood.scale': 'pixel'}}")
    return given or {}


@with_short_names(dict.fromkeys(SHORT, Any))
def choose(
    data: Any = None,
    *,
    preset: str | None = None,
    set: Mapping[str, Any] | None = None,
    config: Place | None = None,
    data_root: Place | None = None,
    track: Track = iter,
    **short: Any,
) -> Experiment:
    """Make an experiment from a few words; what they leave open is chosen to suit the data and logged with its reason.

    Later words win: ``config``, then ``preset``, then the flags, then ``set``.

    Args:
        data: a named set, the path of an image folder, an array or a table, or data in memory, which ``train`` is then
            given as well; ``config`` may name it instead.
        preset: the settings of a published experiment, a key of ``vaekit.presets.PRESETS``.
        set: further fields by dotted path, {"model.likelihood.scale": "pixel"}.
        config: an experiment.json to start from.
        data_root: folder of named sets.
        track: wraps the list of files while an image folder is decoded, to show progress.
        short: fields that have a short name, such as ``latent_dim=2`` or ``prior="vamp"``, as flags of ``vaekit train``
            have them; ``vaekit options`` lists all fields. ``mse``, ``bce`` and ``vae`` are understood.

    Raises:
        InputError: for an unknown word, a value that does not fit, or data that cannot be read.

    Example:
        >>> choose("digits", latent_dim=2).model.likelihood.kind
        'gaussian'
    """
    flags = by_path(**short)
    asked = [by_path(preset=preset), understood(flags), understood(further(set))]
    experiment = _base(data, config)
    for changes in asked:  # one after the other, so that a kind that is named twice keeps the fields it was given
        experiment = experiment.replace_all(changes)
    if config is not None:
        return experiment
    named = {path: value for changes in asked for path, value in changes.items()}
    experiment = _take(experiment, _binarization(experiment, named))
    raw = experiment.data.read(data_root, track, data if is_held(data) else None)
    experiment = _take(experiment, _kinds(raw, experiment, named))
    space = assemble(experiment.data, retyped(raw, dict(experiment.data.columns))).space
    return completed(experiment, space, named)


def completed(experiment: Experiment, space: Space, named: Mapping[str, Any]) -> Experiment:
    """Choose what is not among the fields that were named, by dotted path, to suit the space of the data; log it."""
    return _take(experiment, _of_space(space, experiment, named))


class Choice(NamedTuple):
    """A field that was left open: its value by the data, and why."""

    path: str
    value: Any
    reason: str

    def __str__(self) -> str:
        if self.path.startswith(KINDS):
            return f"{self.path.removeprefix(KINDS)} is {CALLED[self.value]} ({self.reason})"
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{self.path} {value} because {self.reason}"


def suggested(source: Source, raw: Raw) -> tuple[list[Choice], Data]:
    """List what ``choose`` chooses for data of which nothing but their source is named, and give them as they are then.

    Args:
        source: of the data; nothing in it is chosen.
        raw: what it has read.
    """
    experiment = Experiment(data=source)
    bits, kinds = _binarization(experiment, {}), _kinds(raw, experiment, {})
    data = assemble(source, retyped(raw, {choice.path.removeprefix(KINDS): choice.value for choice in kinds}))
    space = replace(data.space, binarization=bits[0].value, support="binary") if bits else data.space
    return [*bits, *kinds, *_of_space(space, experiment, {})], data


def _take(experiment: Experiment, choices: Sequence[Choice]) -> Experiment:
    for line in _lines(choices):
        log.info("chosen: %s", line)
    return experiment.replace_all({choice.path: choice.value for choice in choices})


def _lines(choices: Sequence[Choice]) -> Iterator[str]:
    """Write choices on a line each, and many columns of a kind on one."""
    for kind in dict.fromkeys(choice.value for choice in choices if choice.path.startswith(KINDS)):
        alike = [choice for choice in choices if choice.path.startswith(KINDS) and choice.value == kind]
        if len(alike) <= SHOWN:
            yield from map(str, alike)
        else:
            names = listed([choice.path.removeprefix(KINDS) for choice in alike])
            yield f"{names} are {CALLED_SEVERAL[kind]} (such as {alike[0].reason})"
    yield from (str(choice) for choice in choices if not choice.path.startswith(KINDS))


def understood(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace kinds of parts that are named by the words of other tools, and log it."""
    found = dict(changes)
    for path, word in changes.items():
        if isinstance(word, str) and (alias := ALIASES.get((path, word.lower().replace("-", "_")))):
            kind, reason = alias
            log.info("understood: %s %s as %s (%s)", path, word, kind, reason)
            found[path] = kind
    return found


def _base(data: Any, config: Place | None) -> Experiment:
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
    return experiment if data is None else experiment.replace("data.name", to_name(data))


def _preset(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(f"preset {shown(name)} is unknown; {nearest(str(name), PRESETS)}")
    return dict(PRESETS[name])


def _binarization(experiment: Experiment, named: Mapping[str, Any]) -> list[Choice]:
    name, default = experiment.data.name, defaults(experiment.data.name).binarization
    likelihood = experiment.model.likelihood.kind if _names(named, "model.likelihood") else "bernoulli"
    if _names(named, "data.binarization") or default == "none" or likelihood != "bernoulli":
        return []
    return [Choice("data.binarization", default, f"evidence of {name} is reported for binary images")]


def _kinds(raw: Raw, experiment: Experiment, named: Mapping[str, Any]) -> list[Choice]:
    """Choose what columns of a table are; numbers stay real where a likelihood was named that takes nothing else."""
    given = dict(experiment.data.columns)
    found = {name: told for name, told in inferences(raw).items() if name not in given}
    kinds: dict[str, Kind] = {name: told.kind for name, told in found.items()}
    support = retyped(raw, kinds).support
    if _names(named, "model.likelihood") and support not in experiment.model.likelihood.normalized_on:
        words = {column.name for column in raw.columns or () if column.kind != "real"}
        found = {name: told for name, told in found.items() if name in words}
    return [Choice(f"{KINDS}{name}", told.kind, told.reason) for name, told in found.items()]


def _of_space(space: Space, experiment: Experiment, named: Mapping[str, Any]) -> list[Choice]:
    open_parts = {
        "model.network": _network,
        "model.likelihood": _likelihood,
        "precision": lambda _: Choice("precision", "fp32", "it is exact on every device; bf16 is faster on some"),
    }
    chosen = [choice(space) for part, choice in open_parts.items() if not _names(named, part)]
    return [*chosen, *_units(chosen, experiment, named), *_length(space, experiment, named)]


def _network(space: Space) -> Choice:
    if len(space.event_shape) != 3:
        what = "columns" if space.support == "mixed" else "numbers"
        return Choice("model.network", "mlp", f"the data are rows of {space.event_shape[0]} {what}, not images")
    channels, *size = space.event_shape
    images = f"{'color' if channels > 1 else 'gray'} images of {'×'.join(map(str, size))}"
    if channels > 1 and min(size) >= SMALL_IMAGE:
        return Choice("model.network", "conv", f"convolutions suit {images}, whose channels vary together")
    if max(size) > LARGE_IMAGE:
        return Choice("model.network", "conv", f"{images} are larger than {LARGE_IMAGE}×{LARGE_IMAGE}")
    return Choice("model.network", "mlp", f"{images} are small")


def _units(chosen: Sequence[Choice], experiment: Experiment, named: Mapping[str, Any]) -> list[Choice]:
    """Choose units that do not saturate where a learned prior would follow the posterior out of their reach."""
    network = {choice.path: choice.value for choice in chosen}.get("model.network", experiment.model.network.kind)
    whole = isinstance(named.get("model.network"), Mapping)  # as presets have it
    units = whole or any(_names(named, f"model.network.{name}") for name in ("activation", "gated", "initialization"))
    if network != "mlp" or units or "standard" in traits(experiment.model.prior):
        return []
    reason = "with a prior that is learned, units of tanh may saturate, and all codes become alike"
    return [
        Choice("model.network.activation", "relu", reason),
        Choice("model.network.initialization", "glorot", "it suits relu"),
    ]


def _likelihood(space: Space) -> Choice:
    if space.support == "binary":
        return Choice("model.likelihood", "bernoulli", "the data are binary")
    if space.support == "mixed":
        return Choice("model.likelihood", "columns", "the columns are of several kinds, each with a density of its own")
    levels = "gray levels" if space.event_shape[0] == 1 or len(space.event_shape) == 1 else "color levels"
    kind = {"byte": levels, "unit": "reals in [0, 1]", "real": "real numbers"}[space.support]
    return Choice("model.likelihood", "gaussian", f"the data are {kind}; its scale is learned")


def _length(space: Space, experiment: Experiment, named: Mapping[str, Any]) -> list[Choice]:
    """Choose a length in epochs that is long enough in steps, and so many evaluations that they cost little."""
    if any(_names(named, field) for field in ("epochs", "training_samples")):
        return []
    images = space.sizes["train"]
    batch = min(experiment.batch_size, images)
    epochs = max(int(experiment.epochs), _round_up(STEPS * batch / images))
    steps = f"{images:,} training examples in batches of {batch} make {epochs * images // batch:,} steps"
    if epochs == experiment.epochs:
        return [Choice("epochs", epochs, steps)]
    found = [Choice("epochs", epochs, f"{steps}, and small data need some thousands of them")]
    if any(_names(named, field) for field in ("evaluate_every", "early_stopping")):
        return found
    if epochs > EVALUATIONS:
        every = epochs // EVALUATIONS
        found.append(Choice("evaluate_every", every, f"{EVALUATIONS} evaluations show how training goes"))
    direct = "direct" in traits(experiment.objective)  # else the validation bound may not say how far a training is
    if direct and "validation" in space.sizes:
        reason = "small data are soon learned by heart; the weights with the best validation bound are kept"
        found.append(Choice("early_stopping", PATIENCE, reason))
    return found


def _round_up(value: float) -> int:
    """Round up to two digits.

    Example:
        >>> _round_up(238.7), _round_up(0.5)
        (240, 1)
    """
    step = max(1, 10 ** (len(str(ceil(value))) - 2))
    return ceil(value / step) * step


def _names(named: Mapping[str, Any], part: str) -> bool:
    """Whether a part, or a field of it, was named."""
    return any(f"{path}.".startswith(f"{part}.") for path in named)


def extend(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a run to be resumed: a new length is accepted, other changes are logged as ignored."""
    for path, value in understood(changes).items():
        changed = experiment.replace(path, value)
        if changed == experiment:
            continue
        if path == "training_samples" or (path == "epochs" and experiment.training_samples is None):
            log.info("resume changes: %s to %s", path, value)
            experiment = changed
        else:
            log.info(
                "resume ignores: %s %s, because a run keeps its settings; train a new run to change them",
                path,
                value,
            )
    return experiment
