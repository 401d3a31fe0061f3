"""An experiment is a value: data, model, objective, optimizer and lengths; written as JSON and read back; a digest."""

from collections.abc import Mapping, Set
from copy import deepcopy
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from vaekit import notebook, settings
from vaekit.compatibility import misfit
from vaekit.data import Source
from vaekit.devices import Precision
from vaekit.errors import InputError, nearest, shown
from vaekit.model import Model
from vaekit.objectives import ELBO, ObjectiveSpec
from vaekit.schedules import Constant, Schedule
from vaekit.settings import fields
from vaekit.specs import Count, Whole, described, explain, options, spec
from vaekit.training.optimizers import Adam, Optimizer


@spec
class Experiment:
    """Everything that determines a trained model, bit for bit on the same machine.

    Example:
        >>> experiment = Experiment(data=Source(name="digits"))
        >>> experiment.replace("model.latent_dim", 3).model.latent_dim
        3
        >>> Experiment.from_json(experiment.to_json()) == experiment
        True
    """

    data: Source
    """what the model learns from, how it is split and binarized"""
    model: Model = Model()
    """prior, posterior, likelihood and network"""
    objective: ObjectiveSpec = ELBO()
    """what is minimized"""
    optimizer: Optimizer = Adam()
    """how it is minimized"""
    schedule: Schedule = Constant()
    """factor on the learning rate over the course of training"""
    epochs: Annotated[float, Field(gt=0, lt=1e15)] = 10
    """length of training, in passes over the training images"""
    training_samples: Count | None = None
    """length of training, in images seen; replaces epochs"""
    batch_size: Count = 100
    """images per step"""
    shuffle: bool = True
    """whether each epoch has an order of its own; if not, images are seen as they lie in the data, epoch by epoch"""
    seed: Whole = 0
    """seed of weights, order and noise"""
    precision: Precision = "fp32"
    """precision of the networks' matrix products; tf32 is for CUDA, and fp32 elsewhere"""
    gradient_norm: Annotated[float, Field(gt=0)] | None = None
    """largest norm of the gradient; longer gradients are scaled down to it"""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """decay of an exponential moving average of the weights; the average is what is evaluated and saved"""
    evaluate_every: Annotated[float, Field(gt=0)] = 1
    """epochs between evaluations"""
    early_stopping: Count | None = None
    """evaluations without a better validation bound after which training stops and the best weights are kept"""

    def __post_init__(self) -> None:
        if reason := misfit(self):
            raise InputError(reason)

    def to_json(self) -> str:
        """Return the experiment as indented JSON."""
        return ADAPTER.dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Experiment":
        """Read what ``to_json`` wrote.

        Raises:
            InputError: naming each field that is wrong, its value and what would be right.
        """
        try:
            return ADAPTER.validate_json(text)
        except ValidationError as error:
            raise InputError(explain(error, Experiment)) from None

    def _repr_html_(self) -> str:
        """Show what differs from the defaults as a table, and the rest below it, folded."""
        changed, rest = list[dict[str, str]](), list[dict[str, str]]()
        for field in described(self):
            row = {"field": field.path, "value": field.value, "default": field.default or "", "meaning": field.meaning}
            (changed if field.changed else rest).append(row)
        others = notebook.folded(f"{len(rest)} more fields at their defaults", notebook.table(rest))
        return notebook.heading("Experiment", f"digest {self.digest[:12]}") + notebook.table(changed) + others

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal digests mean equal experiments.

        Fields that joined later are left out at their defaults, so that digests of older experiments do not change.
        """
        return settings.digest(ADAPTER.dump_python(self, mode="json"))

    def replace(self, path: str, value: Any) -> "Experiment":
        """Return a copy of the experiment with the field at a dotted path changed.

        A part that has several kinds is chosen by name, ``replace("model.likelihood", "gaussian")``; its other
        fields then take their defaults. A class of yours is chosen by its path, ``replace("objective", "my:Loss")``.

        Raises:
            InputError: if there is no such field, or the value does not fit.
        """
        return self.replace_all({path: value})

    def replace_all(self, changes: Mapping[str, Any]) -> "Experiment":
        """Return a copy with several fields changed in order, checked once all are in place."""
        tree = ADAPTER.dump_python(self, mode="json")
        for path, value in changes.items():
            _set(tree, path, deepcopy(value))  # a later change may reach into it
        try:
            return ADAPTER.validate_python(tree)
        except ValidationError as error:
            raise InputError(explain(error, Experiment)) from None


ADAPTER: TypeAdapter[Experiment] = TypeAdapter(Experiment)

NAMED_VALUES = ("data.columns",)
"""fields whose values have names of their own, such as those of a table's columns"""
LENGTH = ("epochs", "training_samples")
"""the fields that may change when a training is resumed"""


def unlike(one: Experiment, other: Experiment) -> str | None:
    """Say in which field two experiments differ, apart from their length and the place of their data, or None."""
    first, second = (dict(fields(ADAPTER.dump_python(each, mode="json"))) for each in (one, other))
    for path in sorted(first.keys() | second.keys()):
        if path not in (*LENGTH, "data.name") and first.get(path) != second.get(path):
            return f"{path} is {first.get(path)!r} in one and {second.get(path)!r} in the other"
    return None


def _kind(word: str) -> dict[str, Any]:
    """Return a part by the name of its kind, or by the path of a class of the user's."""
    return {"kind": "own", "path": word, "settings": {}} if ":" in word else {"kind": word}


def _names(path: str) -> list[str]:
    """Split a dotted path; the name of a table's column may have dots.

    Example:
        >>> _names("data.columns.sepal.length")
        ['data', 'columns', 'sepal.length']
    """
    for field in NAMED_VALUES:
        if path.startswith(f"{field}."):
            return [*field.split("."), path.removeprefix(f"{field}.")]
    return path.split(".")


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    if not isinstance(path, str):
        raise InputError(f"{shown(path)} is not a field: give its dotted path, such as 'model.latent_dim'")
    *parents, last = _names(path)
    node: Any = tree
    chosen = False  # whether a part above has kinds: if its kind is new, its fields are not here yet
    for i, name in enumerate([*parents, last]):
        chosen = chosen or (i > 0 and isinstance(node, dict) and "kind" in node)
        free = ".".join(parents[:i]) in NAMED_VALUES
        if not isinstance(node, dict) or (name not in node and not chosen and not free):
            known = list(node) if isinstance(node, dict) else []
            inside = ".".join(parents[:i]) or "experiment"
            raise InputError(f"{path!r}: {inside} has no field {name!r}; {nearest(name, known)}")
        if i < len(parents):
            node = node.setdefault(name, {})
    old = node.get(last)
    if last == "kind" and value != old:
        node.clear()
        node["kind"] = value
    elif isinstance(value, str) and path in _in_kinds():
        node[last] = old if old and value == old["kind"] else _kind(value)
    else:
        node[last] = value


@cache
def _in_kinds() -> Set[str]:
    """Return the paths of parts that come in kinds."""
    paths = {option.path for option in options(Experiment)}
    return paths & {path.rpartition(".")[0] for path in paths}
