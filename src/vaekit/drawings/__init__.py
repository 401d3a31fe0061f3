"""What there is to draw of a run: arrays from its metrics, its model and its test data, each made into a figure."""

from collections.abc import Callable, Iterator
from typing import Any

from vaekit.arguments import Place
from vaekit.drawings.codes import latents, units
from vaekit.drawings.outcomes import classes, confusion, outcomes
from vaekit.drawings.pictures import manifold, pictures, samples
from vaekit.drawings.subject import Drawing, Subject, binarized, columns, example, named, of_images
from vaekit.drawings.tables import marginals, tables
from vaekit.drawings.training import curves
from vaekit.drawings.traversals import traversals
from vaekit.errors import InputError
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
    yield from latents(subject)
    image = of_images(run.space)
    if subject.codes.shape[1] > 2 or not image:
        yield traversals(subject)
    yield from (pictures if image else tables)(subject)
    if subject.deterministic:
        leave_out("no prior samples, no KL: a deterministic auto-encoder has no prior over its codes")
        return
    yield samples(subject) if image else marginals(subject)
    if subject.kl is None or subject.usage is None:
        leave_out("no KL per unit: prior and posterior do not factorize over the units")
    elif len(subject.kl) > 2:
        yield units(subject, subject.kl, subject.usage)
