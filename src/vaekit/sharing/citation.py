"""What to cite of a run: the software, the run itself, and the papers that its parts name in their docstrings."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from sys import modules
from typing import Any, NamedTuple

from vaekit.arguments import Place
from vaekit.evaluations import weights_digest
from vaekit.run import Run

REFERENCE = re.compile(r"\*([^*]+) \(([^()*]+), (\d{4})\)\*(?:, arXiv:([\d.]+\d))?")
HOME = "https://github.com/vaekit/vaekit"


class Paper(NamedTuple):
    """A paper, as a docstring names it."""

    title: str
    authors: str
    year: str
    preprint: str | None

    @property
    def key(self) -> str:
        """A key from first author, year and first word."""
        word = next(word for word in re.findall(r"[a-z]+", self.title.lower()) if word not in ("a", "an", "the", "on"))
        return re.sub(r"\W", "", self.authors.split(",")[0].split()[0]).lower() + self.year + word

    def bibtex(self) -> str:
        """Return the entry."""
        names = self.authors.removesuffix(" et al.").split(", ") + ["others"] * self.authors.endswith(" et al.")
        facts = {"title": f"{{{self.title}}}", "author": " and ".join(names), "year": self.year}
        if self.preprint:
            facts |= {"eprint": self.preprint, "archiveprefix": "arXiv"}
        return entry("article" if self.preprint else "misc", self.key, facts)


def cite(run: Run | Place) -> str:
    """Return BibTeX of vaekit, of a run by its digests, and of the papers behind the parts that it uses.

    Args:
        run: the run, or the path of its folder.
    """
    run = Run.of(run)
    digests = {"weights": weights_digest(run), "data": run.space.digest}
    known = "; ".join(f"SHA-256 of the {name}: {digest}" for name, digest in digests.items() if digest)
    facts = {"title": f"{{A variational auto-encoder of {run.space.title}}}", "note": f"Run of vaekit; {known}"}
    title = "{vaekit: variational auto-encoders, trained and evaluated honestly}"
    software = {"title": title, "author": "{The vaekit developers}", "version": version("vaekit"), "url": HOME}
    key = f"run{(digests['weights'] or run.experiment.digest)[:12]}"
    papers = {paper.key: paper.bibtex() for part in parts(run.experiment) for paper in papers_of(type(part))}
    return "\n".join([entry("software", "vaekit", software), entry("misc", key, facts), *papers.values()])


def parts(spec: Any) -> Iterator[Any]:
    """Yield a spec and all specs within it."""
    if is_dataclass(spec):
        yield spec
        for field in fields(spec):
            yield from parts(getattr(spec, field.name))
    elif isinstance(spec, tuple):
        for each in spec:
            yield from parts(each)


def papers_of(kind: type) -> list[Paper]:
    """Return the papers that the docstring of a part names, or else those of the classes beside it.

    Example:
        >>> from vaekit.priors import Vamp
        >>> [paper.key for paper in papers_of(Vamp)]
        ['tomczak2018vae']
    """
    own = _named(inspect.cleandoc(kind.__doc__ or ""))
    module = modules[kind.__module__]
    if own or not hasattr(kind, "build"):
        return own
    beside = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    return [paper for value in beside if not is_dataclass(value) for paper in _named(value.__doc__ or "")]


def _named(text: str) -> list[Paper]:
    return [Paper(*found) for found in re.findall(REFERENCE, " ".join(text.split()))]


def entry(kind: str, key: str, facts: dict[str, str]) -> str:
    """Write an entry of BibTeX."""
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in facts.items())
    return f"@{kind}{{{key},\n{lines}}}\n"
