"""An experiment is a value: data, model, objective, optimiser and lengths; JSON to and fro, with a digest."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import is_dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError

from vaekit.data import Source
from vaekit.devices import Precision
from vaekit.errors import InputError, nearest
from vaekit.model import Model
from vaekit.objectives import ELBO, ObjectiveSpec
from vaekit.optimizers import Adam, Optimizer
from vaekit.schedules import Constant, Schedule
from vaekit.specs import spec

Count = Annotated[int, Field(gt=0)]

PAIRS = {"delta": "reconstruction", "standard_normal": "monte_carlo_em"}
"""posteriors for one objective only, which takes no other"""


@spec
class Experiment:
    """All that decides a trained model, bit for bit on the same machine.

    Example:
        >>> experiment = Experiment(data=Source(name="digits"))
        >>> experiment.replace("model.latent_dim", 3).model.latent_dim
        3
        >>> Experiment.from_json(experiment.to_json()) == experiment
        True
    """

    data: Source
    """what is learnt from, how it is split and binarised"""
    model: Model = Model()
    """prior, posterior, likelihood and network"""
    objective: ObjectiveSpec = ELBO()
    """what is minimised"""
    optimizer: Optimizer = Adam()
    """how it is minimised"""
    schedule: Schedule = Constant()
    """factor on the learning rate over the epochs"""
    epochs: Annotated[float, Field(gt=0)] = 10
    """length of training in passes over the training images"""
    training_samples: Count | None = None
    """length of training in images seen; takes the place of epochs"""
    batch_size: Count = 100
    """images a step"""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """of weights, order and noise"""
    precision: Precision = "fp32"
    """of the networks' matrix products"""
    gradient_norm: Annotated[float, Field(gt=0)] | None = None
    """bound on the norm of the gradient"""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """decay of an exponential moving average of the weights, which is then what is evaluated and saved"""
    evaluate_every: Annotated[float, Field(gt=0)] = 1
    """epochs between evaluations"""
    early_stopping: Count | None = None
    """evaluations without a better validation bound before training stops and the best weights are taken"""

    def __post_init__(self) -> None:
        posterior, objective = self.model.posterior.kind, self.objective.kind
        if (posterior in PAIRS or objective in PAIRS.values()) and PAIRS.get(posterior) != objective:
            raise InputError(
                f"posterior {posterior!r} and objective {objective!r} do not go together: a deterministic auto-encoder "
                "is posterior 'delta' with objective 'reconstruction', Monte Carlo EM is posterior 'standard_normal' "
                "with objective 'monte_carlo_em'"
            )

    def to_json(self) -> str:
        """Return the experiment as indented JSON."""
        return ADAPTER.dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Experiment":
        """Read what ``to_json`` wrote.

        Raises:
            InputError: naming the first field that is wrong, its value and what would be right.
        """
        try:
            return ADAPTER.validate_json(text)
        except ValidationError as error:
            raise InputError(explain(error)) from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal digests, equal experiments."""
        canonical = json.dumps(ADAPTER.dump_python(self, mode="json"), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()

    def replace(self, path: str, value: Any) -> "Experiment":
        """Return the experiment with the field at a dotted path changed.

        A part that comes in kinds is chosen by its name, ``replace("model.likelihood", "gaussian")``; its other
        fields then take their defaults.

        Raises:
            InputError: if there is no such field, or the value does not fit it.
        """
        return self.replace_all({path: value})

    def replace_all(self, changes: Mapping[str, Any]) -> "Experiment":
        """Return the experiment with several fields changed, in order, and checked once all are in place."""
        tree = ADAPTER.dump_python(self, mode="json")
        for path, value in changes.items():
            _set(tree, path, deepcopy(value))  # a later change may reach into it
        try:
            return ADAPTER.validate_python(tree)
        except ValidationError as error:
            raise InputError(explain(error)) from None


ADAPTER: TypeAdapter[Experiment] = TypeAdapter(Experiment)


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node: Any = tree
    for i, name in enumerate([*parents, last]):
        if not isinstance(node, dict) or (name not in node and not (i and "kind" in node)):
            known = list(node) if isinstance(node, dict) else []
            inside = ".".join(path.split(".")[:i]) or "experiment"
            raise InputError(f"{path!r}: {inside} has no field {name!r}; {nearest(name, known)}")
        if i < len(parents):
            node = node[name]
    old = node.get(last)
    if last == "kind" and value != old:
        node.clear()
        node["kind"] = value
    elif isinstance(old, dict) and "kind" in old and isinstance(value, str):
        node[last] = old if value == old["kind"] else {"kind": value}
    else:
        node[last] = value


REMEDIES = {
    "int": "give a whole number",
    "float": "give a number",
    "finite_number": "give a finite number",
    "bool": "give true or false",
    "string": "give a word",
    "tuple": "give a list, such as 300,300",
    "missing": "give it",
    "dataclass": "give an object with its kind and fields",
    "model": "give an object with its kind and fields",
}
"""by the beginning of the type of pydantic's complaint"""


def explain(error: ValidationError, cls: Any = Experiment) -> str:
    """Turn the first of pydantic's complaints into one sentence with the field, its value and the remedy."""
    first = error.errors()[0]
    location = tuple(part for part in first["loc"] if isinstance(part, str))
    fields = {option.location: option for option in options(cls)}
    path = _dotted(first["loc"], fields)
    context, value = first.get("ctx", {}), first["input"]
    match first["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            depth = len(location) - 1
            beside = {names[depth] for names in fields if names[:depth] == location[:depth]}
            if not beside:
                return f"{path} is no field of {location[-2]!r}, which has none: leave it out"
            return f"{path} is no field; {nearest(location[-1], beside)}"
        case "literal_error" if location[:-1] in fields:
            return f"{path} is {value!r}: give {fields[location[:-1]].type.replace(' | ', ' or ')}"
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            return f"{path} {context['tag']!r} is unknown; {nearest(context['tag'], tags)}"
        case "literal_error":
            words = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
            return f"{path} {value!r} is unknown; {nearest(str(value), words)}"
        case "json_invalid":
            return f"this is no JSON: {context['error']}"
    message = first["msg"].removeprefix("Value error, ")
    kind = next((kind for kind in REMEDIES if first["type"].startswith(kind)), "")
    remedy = REMEDIES.get(kind) or re.sub("^Input should be (?=greater|less)", "give a number ", message)
    given = "is missing" if kind == "missing" else f"is {value!r}"
    return f"{path} {given}: {remedy}" if path else remedy


def _dotted(location: Iterable[str | int], fields: Container[tuple[str, ...]]) -> str:
    """Write pydantic's location as a path: without the kinds' names that follow a part, with list positions in [ ]."""
    names, path = tuple[str, ...](), ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += "" if names in fields else f".{part}"
            names += (part,)
    return path.lstrip(".")


class Option(NamedTuple):
    """One field of an experiment.

    Attributes:
        location: its path, with the kind's name after each part that comes in kinds.
        path: the dotted path for ``Experiment.replace`` and --set.
        type, default, description: of the field.
    """

    location: tuple[str, ...]
    path: str
    type: str
    default: Any
    description: str


def options(cls: Any = Experiment, location: tuple[str, ...] = (), path: str = "") -> Iterator[Option]:
    """Walk all fields of an experiment and of every kind of its parts, in order."""
    for name, field in cls.__pydantic_fields__.items():
        here, dotted = (*location, name), f"{path}.{name}".lstrip(".")
        kinds: list[Any] = [kind for kind in get_args(field.annotation) or [field.annotation] if is_dataclass(kind)]
        if name == "kind":
            continue
        if not kinds:
            default = None if field.is_required() else field.default
            yield Option(here, dotted, type_name(field.annotation), default, field.description or "")
        elif len(kinds) == 1:
            yield from options(kinds[0], here, dotted)
        else:
            words = " | ".join(kind.kind for kind in kinds)
            yield Option(here, dotted, words, field.default.kind, field.description or "")
            for kind in kinds:
                yield from options(kind, (*here, kind.kind), dotted)


def type_name(annotation: Any) -> str:
    """Write a field's type as a user would: 'int', 'list of float', 'fp32 | bf16', 'number or nothing'.

    Example:
        >>> type_name(tuple[int, ...]), type_name(Literal["a", "b"] | None)
        ('list of int', 'a | b | nothing')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if origin is Literal:
        return " | ".join(map(str, inner))
    if inner:
        return " | ".join(map(type_name, inner))
    return "nothing" if annotation is type(None) else annotation.__name__
