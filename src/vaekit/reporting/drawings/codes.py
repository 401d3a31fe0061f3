"""Figures of the codes: where they lie, and what each latent unit carries."""

from collections.abc import Iterator

import numpy as np

from vaekit.evaluation import verdict
from vaekit.evaluation.latents import ACTIVE
from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, Subject, example


def latents(subject: Subject) -> Iterator[Drawing]:
    """Draw the codes over one or two latent units, those of largest KL if there are more, and all three of three.

    Of more than three, a second plane shows the directions in which the codes spread most.
    """
    total = subject.codes.shape[1]
    for n in {1: (1,), 3: (2, 3)}.get(total, (2,)):
        chosen = np.sort(subject.order[:n])
        largest = "spread" if subject.kl is None else "KL"
        which = f" in the {n} of {total} units of largest {largest}" if n < total else ""
        names = [subject.unit(k) if n < 3 else f"z[{k}]" for k in chosen]
        title = f"Latent codes: {n} of {total} units" if n < total else "Latent codes"
        yield _scatter(subject, subject.codes[:, chosen], names, f"latents-{n}d", title, which)
    if total > 3:
        yield components(subject)


def components(subject: Subject) -> Drawing:
    """Draw the codes over their first two principal components."""
    centered = subject.codes - subject.codes.mean(0)
    _, spread, directions = np.linalg.svd(centered, full_matrices=False)
    shares = 100 * spread**2 / max(float((spread**2).sum()), 1e-12)
    names = [f"component {k + 1} ({share:.0f} % of the variance)" for k, share in enumerate(shares[:2])]
    which = f", along the two directions in which the codes of all {len(shares)} units spread most"
    title = "Latent codes: principal components"
    return _scatter(subject, centered @ directions[:2].T, names, "latents-pca", title, which)


def _scatter(subject: Subject, points: np.ndarray, names: list[str], file: str, title: str, which: str) -> Drawing:
    figure = plots.scatter(
        points, subject.labels, subject.run.space.classes, axes_labels=names, title=title, note=subject.note
    )
    color = "colored by class" if subject.labels is not None else "in one color, since the data have no labels"
    one = example(subject.run.space)
    said = f" {_usage(subject.usage)}" if subject.usage and subject.codes.shape[1] <= 2 else ""
    return Drawing(file, figure, f"A point for the posterior mean of each test {one}{which}, {color}.{said}")


def units(subject: Subject) -> Drawing:
    """Draw the KL of each latent unit, and say how many are used."""
    kl, usage = subject.kl, subject.usage
    assert kl is not None
    assert usage is not None
    figure = plots.kl_per_unit(kl, subject.used, threshold=ACTIVE, title="KL of each latent unit", note=subject.note)
    return Drawing("kl-per-unit", figure, f"What each latent unit carries. {_usage(usage)}")


def _usage(usage: tuple[list[float], list[float], list[float]]) -> str:
    """Say how many units are used, as a sentence."""
    said = verdict.units(*usage)
    return f"{said[0].upper()}{said[1:]}."
