"""Figures that only images have: the manifold, reconstructions, interpolations, samples."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, Subject, named


def pictures(subject: Subject) -> Iterator[Drawing]:
    """Draw what only images have: the manifold of up to two latents, reconstructions, interpolations."""
    if subject.codes.shape[1] <= 2:
        yield manifold(subject)
    yield reconstructions(subject)
    yield from interpolations(subject)


def reconstructions(subject: Subject) -> Drawing:
    """Draw test images, each above the decoded mean at the center of its posterior."""
    rows, classes = _examples(subject)
    figure = plots.pairs(
        subject.images(rows),
        subject.decoded(subject.codes[rows]),
        names=("original", "reconstruction"),
        columns=classes,
        title="Test images and their reconstructions",
        note=subject.note,
    )
    what = "a column for each class" if classes else "evenly spaced over the split"
    holes = " Missing pixels are left blank." if subject.run.space.missing else ""
    caption = f"Test images, {what}, each above the decoded mean at its posterior mean.{holes}"
    return Drawing("reconstructions", figure, caption)


def _examples(subject: Subject, rows: int = 4, columns: int = 10) -> tuple[np.ndarray, list[str]]:
    """Places of the test images to show, (rows, columns): a column for each class if there are two to ten."""
    if subject.labels is not None:
        values, counts = np.unique(subject.labels, return_counts=True)
        if 2 <= len(values) <= columns and counts.min() >= rows:
            found = np.stack([np.flatnonzero(subject.labels == k)[:rows] for k in values], axis=1)
            return found, subject.class_names(found[0])
    n = len(subject.rows)
    columns = min(columns, n)
    rows = min(rows, n // columns)
    return np.linspace(0, n - 1, rows * columns).round().astype(int).reshape(rows, columns), []


def interpolations(subject: Subject, steps: int = 9) -> Iterator[Drawing]:
    """Draw straight ways between the codes of the first images shown and of others, three columns on, if any."""
    rows, _ = _examples(subject)
    if rows.shape[1] == 1:
        return
    first, last = rows[0][:6], np.roll(rows[-1], -min(3, rows.shape[1] - 1))[:6]
    a, b = subject.codes[first][:, None], subject.codes[last][:, None]
    t = np.linspace(0, 1, steps)[None, :, None]
    figure = plots.interpolations(
        subject.images(first),
        subject.decoded((1 - t) * a + t * b),
        subject.images(last),
        ticks=[str(Fraction(k, steps - 1)) for k in range(steps)],
        names=_ways(subject.class_names(first), subject.class_names(last)),
        title="Interpolations in the latent space",
        note=subject.note,
    )
    ends = ", named by the classes of both" if subject.labels is not None else ""
    caption = f"Decoded means on the straight line between the codes of two test images{ends}."
    yield Drawing("interpolations", figure, caption)


def _ways(first: list[str], last: list[str]) -> list[str]:
    """Name strips by the classes of both ends, on two lines where they are long."""
    pairs = [(plots.short(a, 12), plots.short(b, 12)) for a, b in zip(first, last, strict=True)]
    return [f"{a} → {b}" if len(a + b) <= 4 else f"{a}\n→ {b}" for a, b in pairs]


def manifold(subject: Subject) -> Drawing:
    """Draw the decoded plane of the two latent units of largest KL, cells of equal prior mass."""
    total, size = subject.codes.shape[1], max(subject.run.space.event_shape[1:])
    n = int(np.clip(600 // size, 8, 20))
    chosen = np.sort(subject.order[:2])
    z = np.zeros((n if total > 1 else 1, n, total))
    if subject.gaussian:
        ticks = [plots.gaussian_quantiles(n)] * 2
    else:
        z += np.median(subject.codes, axis=0)
        ticks = [np.quantile(subject.codes[:, k], (np.arange(n) + 0.5) / n) for k in chosen]
    z[..., chosen[0]] = ticks[0]
    if total > 1:
        z[..., chosen[1]] = ticks[1][:, None]
    of = "prior" if subject.gaussian else "test codes"
    figure = plots.manifold(
        subject.decoded(z),
        ticks[0],
        ticks[1][: len(z)] if total > 1 else ticks[0][:1],
        axes_labels=[f"{subject.unit(k)}, at quantiles of the {of}" for k in chosen],
        title="Learned manifold",
        note=f"decoded means; trained on {named(subject.run.space)}",
    )
    spacing = "quantiles of the test codes"
    if subject.gaussian:
        spacing = "quantiles of the prior, Φ⁻¹((i + ½)/n), so that every image stands for as much of it"
    others = (
        "" if total <= 2 else f"; the other {total - 2} units are at {'0' if subject.gaussian else 'their medians'}"
    )
    return Drawing("manifold", figure, f"Decoded means over a grid of {spacing}{others}.")


def samples(subject: Subject, n: int | None = None) -> Drawing:
    """Draw decoded draws from the prior; unless ``n`` is given, 100 in gray and 64 in color."""
    n = n or (100 if subject.run.space.event_shape[0] == 1 else 64)
    note = f"means of p(x | z), z from the prior; trained on {named(subject.run.space)}"
    figure = plots.samples(subject.shade(subject.sampled(n)), title="Samples from the prior", note=note)
    return Drawing(
        "samples", figure, f"{n} samples: z drawn from the prior and decoded to the mean of p(x | z); none was picked."
    )
