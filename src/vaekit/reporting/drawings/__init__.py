"""What there is to draw of a run: arrays from its metrics, its model and its test data, each made into a figure."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from vaekit.arguments import Place
from vaekit.compatibility import NOTHING, Needs, lacking
from vaekit.errors import InputError
from vaekit.measures import FACTORIZED, GENERATIVE, REAL
from vaekit.reporting.drawings.codes import latents, units
from vaekit.reporting.drawings.outcomes import classes, confusion, outcomes
from vaekit.reporting.drawings.pictures import interpolations, manifold, pictures, reconstructions, samples
from vaekit.reporting.drawings.subject import Drawing, Subject, binarized, columns, example, named, of_images
from vaekit.reporting.drawings.tables import agreement, marginals
from vaekit.reporting.drawings.training import curves
from vaekit.reporting.drawings.traversals import traversals
from vaekit.run import Run

__all__ = [
    "Drawing",
    "Subject",
    "binarized",
    "classes",
    "columns",
    "confusion",
    "curves",
    "drawings",
    "example",
    "latents",
    "manifold",
    "named",
    "of_images",
    "pictures",
    "samples",
    "traversals",
    "units",
]


def drawings(
    run: Run, data_root: Place | None, data: Place | None, leave_out: Callable[..., Any], whole: bool = False
) -> Iterator[Drawing]:
    """Draw what applies to a run, figure by figure, and tell ``leave_out`` what does not: a line, and its details.

    Raises:
        InputError: if model or data cannot be had, and ``whole`` or another place of the data asks for them.
    """
    if rows := run.metrics():
        yield curves(rows, run.space)
    else:
        leave_out("no loss curves: there are no metrics yet")
    yield from outcomes(run, leave_out)
    try:
        subject = Subject(run, run.vae(), run.data(data_root, data).fixed("test"))
    except InputError as error:
        if whole or data is not None:
            raise
        leave_out("no figures of the model: its weights or its data cannot be had", f" ({error})")
        return
    image = of_images(run.space)
    if not image and not subject.numbers:
        leave_out("no traversals: all columns are categories")
    for figure in _figures(subject, image):
        if reason := lacking(figure.needs, run.experiment):
            leave_out(f"no {figure.name}: it {reason}")
        else:
            drawn = figure.draw(subject)
            yield from (drawn,) if isinstance(drawn, Drawing) else drawn


class Figure(NamedTuple):
    """What is drawn of a model: its name, how it is drawn, and what it needs of the parts."""

    name: str
    draw: Callable[[Subject], Drawing | Iterator[Drawing]]
    needs: Needs = NOTHING


def _figures(subject: Subject, image: bool) -> Iterator[Figure]:
    """List the figures of a model of images or of tables, and of as many latents as there are."""
    total = subject.codes.shape[1]
    yield Figure("codes", latents)
    if image and total <= 2:
        yield Figure("manifold", manifold, REAL)
    elif image or subject.numbers:
        yield Figure("traversals", traversals, REAL)
    yield Figure("reconstructions", reconstructions if image else agreement)
    if image:
        yield Figure("interpolations", interpolations, REAL)
    yield Figure("samples", samples if image else marginals, GENERATIVE)
    if total > 2:
        yield Figure("KL per unit", units, FACTORIZED)
