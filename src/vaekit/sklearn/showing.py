"""What an estimator shows: its training while it goes on, and its numbers in a notebook."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from vaekit import notebook
from vaekit.progress import Progress

Follow = Callable[[Iterable[Progress]], Iterable[Progress]]
CURVES = {"train": "train", "validation": "validation", "test": "held out"}


@contextmanager
def followed(verbose: bool) -> Iterator[Follow]:
    """Give what passes on the reports of a training, and shows them and the messages meanwhile if ``verbose``."""
    if not verbose:
        yield iter
        return
    from vaekit.display.messages import Output, messages
    from vaekit.display.progress import follow

    with messages(Output()):
        yield follow


def fitted_html(estimator: Any) -> str:
    """Write the numbers of a fitted estimator: the bound over the epochs, and its last terms; nothing before."""
    run = getattr(estimator, "run_", None)
    if run is None or not run.rows:
        return ""
    row = run.rows[-1]
    shown = {name: part for part, name in CURVES.items() if part in row}
    terms = [{"rows": name, **{term: f"{v:.3f}" for term, v in row[part].items()}} for name, part in shown.items()]
    curves = {
        name: [(each["epoch"], each[part]["elbo"]) for each in run.rows if "elbo" in each.get(part, {})]
        for name, part in shown.items()
    }
    facts = f"{run.experiment.model.latent_dim} latents, {row['epoch']:.3g} epochs, nats per row"
    threshold = notebook.sentence(f"outliers have log p(x) below {estimator.offset_:.3f}")
    return notebook.heading("Fitted", facts) + notebook.curve(curves) + notebook.table(terms) + threshold
