"""Parts of your own: specs that name a class, which is looked up among the modules that are imported already."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from vaekit import devices
from vaekit.compatibility import Latents, Needs, Role, Traits
from vaekit.errors import InputError, shown
from vaekit.modules import fault, find
from vaekit.settings import FORMER
from vaekit.specs import spec

T = TypeVar("T")

PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
OURS = {former.path.partition(":")[0] for former in FORMER.values()}
"""modules of vaekit itself, which are imported when one of their classes is built"""


def _path(path: str) -> str:
    if not PATH.fullmatch(path):
        raise InputError(f"path is {shown(path)}: name a class as package.module:Class, such as losses:Tilted")
    return path


def _pairs(settings: Any) -> tuple[tuple[str, Any], ...]:
    """Turn a mapping or pairs into pairs of a name and a plain value, by name; lists become tuples."""
    try:
        pairs = dict(settings)
    except (TypeError, ValueError):
        raise InputError(f"settings is {shown(settings)}: give names and values, such as {{'beta': 2.0}}") from None
    for name in pairs:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"settings has the name {shown(name)}: give the name of an argument of the class")
    return tuple((name, _plain(name, pairs[name])) for name in sorted(pairs))


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(name, each) for each in value)
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise InputError(f"settings.{name} is {shown(value)}: give a number, a word, true, false, none or a list of these")


ClassPath = Annotated[
    str,
    AfterValidator(_path),
    Field(description="the class, as package.module:Class; its module must be imported (--import package.module)"),
]
Settings = Annotated[
    tuple[tuple[str, Any], ...],
    BeforeValidator(_pairs),
    PlainSerializer(dict),
    Field(description="the class's further arguments by name: numbers, words, true, false, none or lists of these"),
]


@spec
class Own:
    """A part that a class of the user's builds; each role has a spec of its own on top of it.

    Nothing is imported to build it: a folder from elsewhere executes nothing, and whoever runs it says which package
    may. What the class decides is not part of the experiment, so keep it beside the run.

    What the part has and needs of the others is read from the class where its module is imported, from the attributes
    ``latents``, ``has``, ``needs`` (see ``compatibility``), and ``supports`` and ``normalized_on`` of a likelihood.
    """

    role: ClassVar[Role]
    base: ClassVar[type]
    """what the class is a subclass of"""
    usual: ClassVar[Mapping[str, Any]] = {}
    """the attributes of a class that states none"""
    kind: Literal["own"] = "own"
    path: ClassPath
    settings: Settings = ()

    @property
    def known(self) -> bool:
        """Whether the class is there, so that it can say what it has and needs."""
        return self._class() is not None

    @property
    def latents(self) -> Latents:
        """What z is."""
        return self._stated("latents", "real")

    @property
    def has(self) -> Traits:
        """What the part has."""
        return frozenset(self._stated("has", frozenset()))

    @property
    def needs(self) -> Needs:
        """What the part needs of the others."""
        return self._stated("needs", {})

    def make(self, *arguments: Any) -> Any:
        """Build the part: the class is called with these arguments and the settings.

        Raises:
            InputError: if its module is not imported, it is not of the right kind, or it cannot be built.
        """
        cls = self._class()
        if cls is None:
            raise InputError(self._missing())
        with self.explained():
            return cls(*arguments, **dict(self.settings))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say of which part an error is that its class raises while it is built, unless memory is only counted."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            if devices.lacks_meta(error):
                raise
            reason = f"{type(error).__name__}: {error}"
            remedy = f"mend the class, or its settings {dict(self.settings)}"
            raise InputError(f"{self.role} {self.path} cannot be built ({reason}): {remedy}") from error

    def _stated(self, name: str, otherwise: T) -> T:
        found: T = getattr(self._class(), name, self.usual.get(name, otherwise))
        return found

    def _class(self) -> type | None:
        if (module := self.path.partition(":")[0]) in OURS:
            import_module(module)
        found = find(self.path)
        if found is not None and not (isinstance(found, type) and issubclass(found, self.base)):
            base = f"vaekit.{self.base.__name__}"
            raise InputError(f"{self.role} {self.path} is not a class derived from {base}: derive it from that")
        return found

    def _missing(self) -> str:
        module = self.path.partition(":")[0]
        remedy = f"add --import {module} if you trust it, or import it in Python first"
        return f"{self.role} {self.path} is a class of another package, and {module} is not imported: {remedy}"


@contextmanager
def tried(parts: Sequence[Own], examples: int) -> Iterator[None]:
    """Say which of some parts an error is from, in which file, unless memory is only counted.

    Raises:
        InputError: in place of the error.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not parts or devices.lacks_meta(error):
            raise
        at = fault(error, {part.path.partition(":")[0] for part in parts})
        named = [f"{part.role} {part.path}" for part in parts if at is None or part.path == at.path]
        who, where = (" or ".join(named) or at.path, f" in {at.where}") if at else (" or ".join(named), "")
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{who} fails on {examples} examples{where} ({reason}): mend it") from error


def own_parts(experiment: Any) -> list[Own]:
    """List the parts of an experiment that are classes of the user's.

    Example:
        >>> from vaekit.data import Source
        >>> from vaekit.experiment import Experiment
        >>> own_parts(Experiment(data=Source(name="digits")))
        []
    """
    parts = (getattr(experiment.model, role) for role in ("prior", "posterior", "likelihood", "network"))
    return [part for part in (*parts, experiment.objective) if isinstance(part, Own)]


def modules(experiments: Iterable[Any]) -> list[str]:
    """Name the modules of the user's that the parts of experiments are in, each once."""
    return list(dict.fromkeys(part.path.partition(":")[0] for each in experiments for part in own_parts(each)))
