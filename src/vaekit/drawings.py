"""What there is to draw of a run: arrays from its metrics, its model and its test data, each made into a figure."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit import devices, plots
from vaekit.arguments import Place
from vaekit.data import Space, Split
from vaekit.errors import InputError, command
from vaekit.evaluation import verdict
from vaekit.evaluation.latents import ACTIVE
from vaekit.evaluations import current
from vaekit.model import VAE, kl_per_unit
from vaekit.run import Run

CODES = 10_000
"""test examples at most that are encoded, evenly spaced over the split"""

QUANTITIES = {"loss": "loss", "elbo": "negative ELBO", "reconstruction": "reconstruction", "kl": "KL"}


class Drawing(NamedTuple):
    """A figure of a run: the name of its files, the figure, and what to see in it."""

    name: str
    figure: plots.Figure
    caption: str


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
    image = len(run.space.event_shape) == 3
    yield from (pictures if image else tables)(subject)
    if subject.deterministic:
        leave_out("no prior samples, no KL: a deterministic auto-encoder has no prior over its codes")
        return
    yield samples(subject) if image else marginals(subject)
    if subject.kl is None or subject.noise is None:
        leave_out("no KL per unit: prior and posterior do not factorise over the units")
        return
    yield units(subject, subject.kl, subject.noise)


def named(space: Space) -> str:
    """Data, split and binarisation, as they belong to every figure and number."""
    given = {"binary": "binary as given", "real": "real values"}.get(space.support, "no binarization")
    bits = given if space.binarization == "none" else f"{space.binarization} binarization"
    return f"{Path(space.source).name}, split {space.split}, {bits}"


@dataclass(frozen=True)
class Subject:
    """A trained model and its test split, with the codes that several figures share."""

    run: Run
    vae: VAE
    split: Split

    @cached_property
    def rows(self) -> Tensor:
        """Rows of the split that are encoded."""
        return torch.linspace(0, len(self.split) - 1, min(len(self.split), CODES)).round().long()

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Class numbers (rows,), or None."""
        return None if self.split.labels is None else self.split.labels[self.rows].numpy()

    @property
    def codes(self) -> np.ndarray:
        """Posterior means (rows, d)."""
        return self._encoded[0]

    @property
    def kl(self) -> np.ndarray | None:
        """Mean KL of each latent unit (d,), or None where there is none by unit."""
        return self._encoded[1]

    @property
    def noise(self) -> np.ndarray | None:
        """Mean variance of the posterior of each latent unit (d,), or None where there is no KL by unit."""
        return self._encoded[2]

    @cached_property
    def _encoded(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        means, kl, noise = [], [], []
        with torch.no_grad():
            for rows in self.rows.split(max(1, min(1000, 2**22 // math.prod(self.run.space.event_shape)))):
                posterior = self.vae.posterior(self.split.batch(rows))
                means.append(posterior.mean)
                try:
                    kl.append(kl_per_unit(posterior, self.vae.prior()))
                    noise.append(posterior.variance)
                except (InputError, NotImplementedError):
                    continue
        averages = [torch.cat(each).mean(0).numpy() if each else None for each in (kl, noise)]
        return torch.cat(means).numpy(), averages[0], averages[1]

    @cached_property
    def order(self) -> np.ndarray:
        """Latent units by falling KL, or by the spread of their codes where there is no KL."""
        return np.argsort(-(self.codes.var(0) if self.kl is None else self.kl), kind="stable")

    @property
    def deterministic(self) -> bool:
        return self.run.experiment.model.posterior.kind == "delta"

    @property
    def note(self) -> str:
        """Where the test examples of a figure are from, and how many were looked at."""
        of = f" of {len(self.split):,}" if len(self.rows) < len(self.split) else ""
        return f"{named(self.run.space)}, {len(self.rows):,}{of} test examples"

    def unit(self, k: int) -> str:
        """Name a latent unit as code indexes it."""
        return f"z[{k}]" if self.kl is None else f"z[{k}] (KL {self.kl[k]:.2f} nats)"

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Test images (..., C, H, W) in [0, 1], by their places (...) among the encoded ones."""
        x = self.split.batch(self.rows[torch.from_numpy(rows).flatten()])
        return self.shade(x).reshape(*rows.shape, *self.run.space.event_shape)

    def decoded(self, z: np.ndarray) -> np.ndarray:
        """Means of p(x | z), (..., C, H, W) in [0, 1], for z (..., d)."""
        return self.shade(self.vae.decode(torch.from_numpy(z.astype(np.float32))))

    def sampled(self, n: int, noise: bool = False) -> Tensor:
        """Draw n examples from the model, the same every time."""
        with devices.seeded(self.run.experiment.seed, torch.device("cpu")):
            return self.vae.sample(n, noise=noise)

    def shade(self, x: Tensor) -> np.ndarray:
        """Bring images to [0, 1], those of real numbers by the range of the first test images."""
        if self.run.space.support != "real":
            return x.numpy()
        first = self.split.batch(self.rows[:100])
        low, high = float(first.min()), float(first.max())
        return (x.numpy() - low) / max(high - low, 1e-6)


def curves(rows: list[dict[str, Any]], space: Space) -> Drawing:
    """Draw all quantities of the metrics; those that are the same throughout share a panel."""
    epochs = np.array([row["epoch"] for row in rows], dtype=float)
    splits = [name for name in ("train", "validation", "test") if any(name in row for row in rows)]
    panels: list[tuple[str, dict[str, np.ndarray]]] = []
    for key, name in QUANTITIES.items():
        sign = -1 if key == "elbo" else 1
        series = {s: np.array([sign * row.get(s, {}).get(key, np.nan) for row in rows]) for s in splits}
        same = [i for i, (_, other) in enumerate(panels) if all(_alike(series[s], other[s]) for s in splits)]
        if same:
            panels[same[0]] = (f"{panels[same[0]][0]} = {name}", series)
        elif any(np.isfinite(values).any() for values in series.values()):
            panels.append((name, series))
    titled = {name[0].upper() + name[1:]: series for name, series in panels}
    figure = plots.curves(epochs, titled, title="Loss and its terms", note=named(space))
    return Drawing("losses", figure, _lowest(epochs, splits, panels[0][1]) if panels else "")


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-3, equal_nan=True)


def _lowest(epochs: np.ndarray, splits: list[str], loss: dict[str, np.ndarray]) -> str:
    """Where the loss of the last split, the held-out one if there is any, was lowest."""
    held_out = np.where(np.isfinite(loss[splits[-1]]), loss[splits[-1]], np.inf)
    best = int(held_out.argmin())
    lowest = f"{held_out[best]:.2f}".replace("-", "−")
    return (
        f"Averages per example, lower is better. The {splits[-1]} loss was lowest, {lowest} nats, "
        f"at epoch {round(epochs[best], 1):g} of {round(epochs[-1], 1):g}."
    )


def latents(subject: Subject) -> Iterator[Drawing]:
    """Draw the codes over one, two and three latent units, those of largest KL if there are more."""
    total = subject.codes.shape[1]
    for n in {1: (1,), 2: (2,)}.get(total, (2, 3)):
        chosen = np.sort(subject.order[:n])
        names = [f"z[{k}]" if n == 3 else subject.unit(k) for k in chosen]
        largest = "spread" if subject.kl is None else "KL"
        which = f" in the {n} of {total} units of largest {largest}" if n < total else ""
        if n == 3 and subject.kl is not None:
            which += f" (KL {', '.join(f'{kl:.2f}' for kl in subject.kl[chosen])} nats)"
        figure = plots.scatter(
            subject.codes[:, chosen],
            subject.labels,
            subject.run.space.classes,
            axes_labels=names,
            title=f"Latent codes: {n} of {total} units" if n < total else "Latent codes",
            note=subject.note,
        )
        colour = "coloured by class" if subject.labels is not None else "in one colour, since the data have no labels"
        caption = f"A point for the posterior mean of each test example{which}, {colour}."
        yield Drawing(f"latents-{n}d", figure, caption)


def pictures(subject: Subject) -> Iterator[Drawing]:
    """Draw what only images have: manifold, reconstructions, interpolations."""
    yield manifold(subject)
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
    yield Drawing("reconstructions", figure, f"Test images, {what}, each above the decoded mean at its posterior mean.")
    if rows.shape[1] > 1:
        yield interpolations(subject, rows)


def _examples(subject: Subject, rows: int = 4, columns: int = 10) -> tuple[np.ndarray, list[str]]:
    """Places of the test images to show, (rows, columns): a column for each class if there are two to ten."""
    if subject.labels is not None:
        values, counts = np.unique(subject.labels, return_counts=True)
        if 2 <= len(values) <= columns and counts.min() >= rows:
            classes = subject.run.space.classes
            names = [classes[k] if classes and 0 <= k < len(classes) else str(k) for k in values]
            return np.stack([np.flatnonzero(subject.labels == k)[:rows] for k in values], axis=1), names
    n = len(subject.rows)
    columns = min(columns, n)
    rows = min(rows, n // columns)
    return np.linspace(0, n - 1, rows * columns).round().astype(int).reshape(rows, columns), []


def interpolations(subject: Subject, rows: np.ndarray, steps: int = 9) -> Drawing:
    """Draw straight ways between the codes of the first images shown and of others, three columns on."""
    first, last = rows[0][:6], np.roll(rows[-1], -min(3, rows.shape[1] - 1))[:6]
    a, b = subject.codes[first][:, None], subject.codes[last][:, None]
    t = np.linspace(0, 1, steps)[None, :, None]
    figure = plots.interpolations(
        subject.images(first),
        subject.decoded((1 - t) * a + t * b),
        subject.images(last),
        ticks=[str(Fraction(k, steps - 1)) for k in range(steps)],
        title="Interpolations in the latent space",
        note=subject.note,
    )
    return Drawing("interpolations", figure, "Decoded means on the straight line between the codes of two test images.")


def manifold(subject: Subject) -> Drawing:
    """Draw the decoded plane of the two latent units of largest KL, cells of equal prior mass."""
    total, size = subject.codes.shape[1], max(subject.run.space.event_shape[1:])
    n = int(np.clip(600 // size, 8, 20))
    chosen = np.sort(subject.order[:2])
    gaussian = subject.run.experiment.model.prior.kind == "standard_normal" and not subject.deterministic
    z = np.zeros((n if total > 1 else 1, n, total))
    if gaussian:
        ticks = [plots.gaussian_quantiles(n)] * 2
    else:
        z += np.median(subject.codes, axis=0)
        ticks = [np.quantile(subject.codes[:, k], (np.arange(n) + 0.5) / n) for k in chosen]
    z[..., chosen[0]] = ticks[0]
    if total > 1:
        z[..., chosen[1]] = ticks[1][:, None]
    figure = plots.manifold(
        subject.decoded(z),
        ticks[0],
        ticks[1][: len(z)] if total > 1 else ticks[0][:1],
        axes_labels=[subject.unit(k) for k in chosen],
        title="Learnt manifold",
        note=f"decoded means; trained on {named(subject.run.space)}",
    )
    spacing = "quantiles of the prior, Φ⁻¹((i + ½)/n)" if gaussian else "quantiles of the test codes"
    others = "" if total <= 2 else f"; the other {total - 2} units are at {'0' if gaussian else 'their medians'}"
    return Drawing("manifold", figure, f"Decoded means over a grid of {spacing}{others}.")


def samples(subject: Subject) -> Drawing:
    """Draw decoded draws from the prior."""
    n = 100 if subject.run.space.event_shape[0] == 1 else 64
    note = f"means of p(x | z), z from the prior; trained on {named(subject.run.space)}"
    figure = plots.samples(subject.shade(subject.sampled(n)), title="Samples from the prior", note=note)
    return Drawing("samples", figure, f"{n} draws of z from the prior, each decoded to its mean; none was picked.")


def tables(subject: Subject) -> Iterator[Drawing]:
    """Draw the reconstruction of each column against its true value."""
    space = subject.run.space
    x = subject.split.batch(subject.rows[:2000])
    figure = plots.agreement(
        space.restore(x),
        space.restore(subject.vae.reconstruct(x)),
        _columns(space),
        title="Reconstructed against true values",
        note=subject.note,
    )
    yield Drawing("reconstructions", figure, "Test rows in the file's units; R² is the part of the variance explained.")


def marginals(subject: Subject) -> Drawing:
    """Draw each column's histogram over the test rows and over draws of the model."""
    space = subject.run.space
    x = subject.split.batch(subject.rows)
    figure = plots.marginals(
        space.restore(x),
        space.restore(subject.sampled(2000, noise=True)),
        _columns(space),
        title="Test rows and draws of the model",
        note=subject.note,
    )
    return Drawing("samples", figure, "Histograms of the test rows and of 2,000 draws of x, noise of p(x | z) and all.")


def _columns(space: Space) -> list[str]:
    return list(space.columns or (f"column {k}" for k in range(space.event_shape[0])))


def units(subject: Subject, kl: np.ndarray, noise: np.ndarray) -> Drawing:
    """Draw the KL of every latent unit, and say how many matter, as the last evaluation does if there is one."""
    figure = plots.kl_per_unit(kl, threshold=ACTIVE, title="KL per latent unit", note=subject.note)
    found = next((e["latents"] for e in reversed(current(subject.run)) if "latents" in e), None)
    if found:
        sentence = verdict.units(found["kl_per_unit"], found["variance_of_means"], found["expected_variance"])
    else:
        sentence = verdict.units(kl.tolist(), subject.codes.var(0).tolist(), noise.tolist())
    caption = f"Mean KL of each latent unit; the line is at {ACTIVE} nats. {sentence[0].upper()}{sentence[1:]}."
    return Drawing("kl-per-unit", figure, caption)


def outcomes(run: Run, leave_out: Callable[[str], Any]) -> Iterator[Drawing]:
    """Draw what the last evaluations found: how the evidence grows with its draws, and what samples look like."""
    evaluations = current(run)
    if not evaluations and run.results().get("evaluations"):
        again = command("evaluate", run.path)
        leave_out(f"no figures of the numbers: they were measured before the last training; {again} measures anew")
    if found := next((e for e in reversed(evaluations) if len(e.get("convergence", ())) > 1), None):
        yield growth(found, run.space)
    if found := next((e for e in reversed(evaluations) if "samples" in e), None):
        yield confusion(found, run.space)
        yield classes(found, run.space)
        closest = run.measured(found["samples"]["closest"])
        shapes = [values.shape[1:] for name, values in closest.items() if name in ("samples", "training")]
        if shapes == [run.space.event_shape] * 2:
            yield neighbors(found, closest, run.space)


def growth(found: dict[str, Any], space: Space) -> Drawing:
    """Draw the importance bound over its draws, and beside it what else was estimated on the same images."""
    counts, values, errors = (
        np.array([each[key] for each in found["convergence"]], dtype=float)
        for key in ("samples", "value", "standard_error")
    )
    same = {
        name: (found[key]["value"], found[key]["standard_error"] or np.nan)
        for key, name in (("ais", "annealed"), ("elbo", "ELBO"))
        if key in found and found[key].get("images", found["images"]) == found["images"]
    }
    note = f"{named(space)}, {found['images']:,} {found['split']} examples"
    figure = plots.growth(counts, values, errors, others=same, title="Log-evidence by number of draws", note=note)
    caption = (
        "A bound from below in expectation: while it still climbs, more draws are needed. Bars: two standard errors."
    )
    return Drawing("evidence", figure, caption)


def confusion(found: dict[str, Any], space: Space) -> Drawing:
    """Draw which class the reconstruction of each class is taken for."""
    quality = found["samples"]
    counts = np.array(quality["confusion"])
    accuracy = 100 * quality["classifier"]["accuracy"]["value"]
    judge = f"classifier of {accuracy:.2f}\u00a0% accuracy"
    figure = plots.confusion(
        counts,
        _classes(space, len(counts)),
        title="What reconstructions are taken for",
        note=f"{named(space)}, {counts.sum():,} {found['split']} examples; {judge}",
    )
    return Drawing("confusion", figure, "Class of the input against class of its reconstruction.")


def _classes(space: Space, number: int) -> tuple[str, ...] | None:
    """The names of so many classes, if the data name as many."""
    return space.classes if len(space.classes or ()) == number else None


def classes(found: dict[str, Any], space: Space) -> Drawing:
    """Draw which classes samples are taken for, beside real images."""
    table, split = found["samples"]["table"], found["split"]
    counts = {f"{split} images": np.array(table[split]["class_counts"])}
    counts["samples"] = np.array(table["samples"]["class_counts"])
    figure = plots.class_counts(
        counts,
        _classes(space, len(counts["samples"])),
        title="What samples are taken for",
        note=f"{named(space)}, {counts['samples'].sum():,} images of each kind, by likeliest class",
    )
    return Drawing("classes", figure, f"Classes that samples from the prior and {split} images are taken for.")


def neighbors(found: dict[str, Any], closest: dict[str, Tensor], space: Space) -> Drawing:
    """Draw samples above their nearest training images: the closest of all, and the first, which were not picked."""
    samples, training = (closest[name].numpy() for name in ("samples", "training"))
    rows = (2, len(samples) // 2)
    figure = plots.pairs(
        samples.reshape(*rows, *space.event_shape),
        training.reshape(*rows, *space.event_shape),
        names=("sample", "training"),
        title="Samples and their nearest training images",
        note=f"means of p(x | z), z from the prior; trained on {named(space)}",
    )
    of = found["samples"]["distance_ratio"]["samples"]
    caption = (
        f"Above, the {rows[1]} of {of:,} samples that lie closest to a training image; below, {rows[1]} not picked."
    )
    return Drawing("neighbors", figure, caption)
