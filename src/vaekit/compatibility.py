"""Which parts go together: what each of them has, and what it needs of the others."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import is_dataclass, replace
from typing import Any, Literal, NamedTuple, get_args, get_origin

from vaekit.data import Space
from vaekit.errors import InputError, either

Role = Literal["prior", "posterior", "likelihood", "network", "objective"]
Latents = Literal["real", "one_hot", "classes"]
"""what z is: a vector of reals, one-hot vectors side by side, or classes by number"""
Trait = Literal[
    "real",
    "one_hot",
    "classes",
    "encoder",
    "density",
    "pathwise",
    "factorized",
    "gaussian",
    "closed",
    "standard",
    "fixed",
    "point",
    "apart",
    "judged",
    "direct",
    "generative",
    "fitted",
    "begun",
    "stackable",
    "matrices",
    "elementwise",
    "rowwise",
]
Traits = Set[Trait]
Needs = Mapping[Role, Traits]
"""by role: the traits that the part of this role must have"""
NOTHING: Needs = {}

MEANING: Mapping[Trait, str] = {
    "real": "is over real vectors",
    "one_hot": "is over one-hot vectors",
    "classes": "is over classes",
    "closed": "has a density in closed form",
    "standard": "is N(0, I)",
    "encoder": "depends on x",
    "density": "has a density",
    "pathwise": "has draws that can be differentiated",
    "factorized": "is independent over the latent units",
    "gaussian": "is a Gaussian with diagonal covariance",
    "fixed": "is the same for every x",
    "point": "is a point",
    "apart": "is built without the other parts",
    "judged": "reports a bound on log p(x), or minus its own loss, by which weights can be judged",
    "direct": "minimizes minus the bound that it reports, but for a constant weight of its KL",
    "generative": "brings codes and prior together, so that samples mean something",
    "fitted": "can be fitted to codes",
    "begun": "begins with the weights of a trained run",
    "stackable": "can be stacked",
    "matrices": "consists of matrix products",
    "elementwise": "is independent over the elements of x",
    "rowwise": "takes each example by itself",
}
"""each trait in words, after 'a posterior that ...'"""


def traits(part: Any) -> Traits:
    """Return the traits of a spec: what it says it ``has``, and what its ``latents`` are."""
    has: Traits = getattr(part, "has", frozenset())
    return has | {part.latents} if hasattr(part, "latents") else has


def needs(part: Any) -> Needs:
    """Return what a spec needs of the others; a prior and a posterior are over the same latents."""
    stated: Needs = getattr(part, "needs", {})
    return stated


def lacking(wanted: Needs, experiment: Any) -> str | None:
    """Say what is needed of an experiment's parts and missing, or return None if nothing is.

    Example:
        >>> from vaekit.data import Source
        >>> from vaekit.experiment import Experiment
        >>> lacking({"posterior": {"point"}}, Experiment(data=Source(name="digits")))
        "needs a posterior that is a point, unlike 'gaussian'"
    """
    parts = _parts(experiment)
    for role, trait in _missing(wanted, parts):
        return f"needs {_a(role)} that {MEANING[trait]}, unlike {parts[role].kind!r}"
    return None


def unmet(wanted: Needs, experiment: Any) -> str | None:
    """Say what ``lacking`` says, and which kinds or fields would have it."""
    parts = _parts(experiment)
    for role, _ in _missing(wanted, parts):
        choices = [*_settings(role, parts, wanted[role]), *_fitting(role, parts, experiment, wanted[role])]
        return f"{lacking(wanted, experiment)}: choose {_any(choices)}"
    return None


def misfit(experiment: Any, space: Space | None = None) -> str | None:
    """Say which two parts of an experiment do not go together, why, and which kinds would fit; None if all do.

    Args:
        experiment: made or being made.
        space: of its data, if they are known: whether the likelihood covers their values, and whether there are
            validation images for early stopping.
    """
    parts = _parts(experiment)
    if not all(getattr(part, "known", True) for part in parts.values()):
        return None  # what an own part has and needs is known when its module is imported, before it is built
    if clash := next(_clashes(parts), None):
        return _refusal(clash, parts, experiment)
    if experiment.early_stopping and (reason := unmet({"objective": {"judged"}}, experiment)):
        return f"early_stopping {experiment.early_stopping} {reason}, or early_stopping none"
    if (corruption := experiment.model.corruption) and (reason := unmet({"posterior": {"encoder"}}, experiment)):
        return f"model.corruption {corruption} {reason}, or model.corruption none"
    return None if space is None else _unlike_data(experiment, space)


class Clash(NamedTuple):
    """A part that another one lacks a trait for."""

    role: Role
    other: Role
    trait: Trait


def _parts(experiment: Any) -> dict[Role, Any]:
    return {role: getattr(_owner(role, experiment), role) for role in get_args(Role)}


def _owner(role: Role, experiment: Any) -> Any:
    return experiment if role == "objective" else experiment.model


def _missing(wanted: Needs, parts: Mapping[Role, Any]) -> Iterator[tuple[Role, Trait]]:
    for role, asked in wanted.items():
        yield from ((role, trait) for trait in get_args(Trait) if trait in asked and trait not in traits(parts[role]))


def _clashes(parts: Mapping[Role, Any]) -> Iterator[Clash]:
    for role, part in parts.items():
        yield from (Clash(role, *missing) for missing in _missing(needs(part), parts))
    latents: Trait = parts["prior"].latents
    if latents not in traits(parts["posterior"]):
        yield Clash("prior", "posterior", latents)


def _refusal(clash: Clash, parts: Mapping[Role, Any], experiment: Any) -> str:
    role, other, trait = clash
    choices = [*_settings(role, parts), *_fitting(other, parts, experiment), *_fitting(role, parts, experiment)]
    if not choices:  # a third part stands in the way as well
        choices = [
            f"{other} {part.kind!r}" for part in kinds(_owner(other, experiment), other) if trait in traits(part)
        ]
    pair = " and ".join(f"{each} {parts[each].kind!r}" for each in (other, role))
    why = f"{parts[role].kind!r} needs {_a(other)} that {MEANING[trait]}"
    return f"{pair} do not go together, because {why}: choose {_any(choices)}"


def _fitting(role: Role, parts: Mapping[Role, Any], experiment: Any, asked: Traits = frozenset()) -> list[str]:
    """List the other kinds of a role that have what is asked and go together with all other parts."""
    return [
        f"{role} {part.kind!r}"
        for part in kinds(_owner(role, experiment), role)
        if part.kind != parts[role].kind and _fits(role, part, parts, asked)
    ]


def _settings(role: Role, parts: Mapping[Role, Any], asked: Traits = frozenset()) -> Iterator[str]:
    """List the fields of a part that make it fit at another of the words that they take, or at their defaults."""
    part, path = parts[role], role if role == "objective" else f"model.{role}"
    fields = type(part).__pydantic_fields__.items()
    words = [
        (name, word) for name, f in fields if get_origin(f.annotation) is Literal for word in get_args(f.annotation)
    ]
    defaults = [(name, field.default) for name, field in fields if not field.is_required()]
    for name, value in dict.fromkeys(words + defaults):
        if value != getattr(part, name) and _fits(role, replace(part, **{name: value}), parts, asked):
            yield f"{path}.{name}={value}"


def _fits(role: Role, part: Any, parts: Mapping[Role, Any], asked: Traits) -> bool:
    return asked <= traits(part) and not any(_clashes({**parts, role: part}))


def kinds(owner: Any, role: Role) -> Iterator[Any]:
    """Give a part of each kind in the union of a role, at its defaults; kinds that have none are left out.

    Args:
        owner: the spec that has the role as a field.
        role: name of the field.
    """
    annotation = type(owner).__pydantic_fields__[role].annotation
    for kind in [kind for kind in get_args(annotation) or [annotation] if is_dataclass(kind)]:
        try:
            yield kind()  # type: ignore[operator]
        except InputError:
            continue


def _a(role: Role) -> str:
    return f"an {role}" if role == "objective" else f"a {role}"


def _any(choices: list[str]) -> str:
    """Join choices as words, naming a role once: posterior 'a' or 'b', or objective 'c'."""
    grouped: dict[str, list[str]] = {}
    for choice in choices:
        head, _, kind = choice.partition(" ")
        grouped.setdefault(head, []).append(kind)
    return ", or ".join(f"{head} {either(kinds)}".rstrip() for head, kinds in grouped.items())


def _unlike_data(experiment: Any, space: Space) -> str | None:
    likelihood = experiment.model.likelihood
    if space.support not in likelihood.supports:
        needs = f"likelihood {likelihood.kind} needs {' or '.join(likelihood.supports)} data"
        return f"{needs}, {space.source} is {space.support}: {_remedy(space)}"
    if space.missing and (reason := unmet({"likelihood": {"elementwise"}}, experiment)):
        return f"{space.source} has missing values, so the model {reason}"
    if experiment.early_stopping and not space.sizes.get("validation"):
        return (
            f"early_stopping {experiment.early_stopping} needs validation images, split {space.split} has none: "
            "choose a split in three parts, such as data.split=50k/10k/10k"
        )
    return None


def _remedy(space: Space) -> str:
    if space.columns and space.support == "real":
        return "choose likelihood gaussian or columns; to learn bits or gray levels, save them as a .npy file"
    return {
        "real": "scale the values to [0, 1] (pixels of 0..255: save them as uint8), or choose likelihood gaussian",
        "unit": "save the images as uint8, or choose likelihood gaussian",
        "byte": "choose likelihood gaussian",
        "mixed": "choose likelihood columns, which has a density for each kind of column",
        "binary": "choose likelihood bernoulli, or binarization none",
    }[space.support]
