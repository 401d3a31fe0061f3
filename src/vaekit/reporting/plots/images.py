"""Figures made of images, which are arrays (..., C, H, W) in [0, 1], gray or of three colors, of any size."""

from collections.abc import Sequence
from math import ceil
from statistics import NormalDist

import numpy as np

from vaekit.reporting.plots.fonts import legible, letters
from vaekit.reporting.plots.style import DPI, SERIES, WIDTH, Array, Figure, drawn, number, place, sheet, short

LETTER = 0.053  # inches that a letter of a row's or column's label takes


def gaussian_quantiles(n: int) -> Array:
    """The n points Φ⁻¹((i + ½)/n) that cut a standard normal into parts of equal mass, each the median of its part.

    Example:
        >>> gaussian_quantiles(3).round(2).tolist()
        [-0.97, 0.0, 0.97]
    """
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])


@drawn
def samples(images: Array, *, title: str, note: str = "") -> Figure:
    """Draw images (N, C, H, W) as a grid that is as near to a square as N allows; what is over is left out."""
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = len(images) // columns
    return _grid(images[: rows * columns].reshape(rows, columns, *images.shape[1:]), title, note)


@drawn
def manifold(images: Array, x: Array, y: Array, *, axes_labels: Sequence[str], title: str, note: str = "") -> Figure:
    """Draw decoded images where their latents lie: x grows to the right, y upward.

    Args:
        images: (len(y), len(x), C, H, W).
        x, y: latents, rising; a single y has no axis.
        axes_labels: one for x and, if there is one, one for y.
        title, note: what stands above.
    """
    rows, ylabel = (_ticks(y)[::-1], axes_labels[1]) if len(y) > 1 else ([], "")
    return _grid(images[::-1], title, note, rows, _ticks(x), xlabel=axes_labels[0], ylabel=ylabel)


@drawn
def pairs(
    above: Array, below: Array, *, names: tuple[str, str], columns: Sequence[str] = (), title: str, note: str = ""
) -> Figure:
    """Draw pairs of images, each of the two (rows, columns, C, H, W), under the names of the two."""
    strips = np.stack([above, below], axis=1).reshape(-1, *above.shape[1:])
    return _grid(strips, title, note, names * len(above), columns, row_breaks=range(2, len(strips), 2))


@drawn
def strips(images: Array, *, names: Sequence[str], title: str, note: str = "") -> Figure:
    """Draw rows of images (rows, columns, C, H, W), each beside its name."""
    return _grid(images, title, note, names)


@drawn
def interpolations(
    first: Array,
    between: Array,
    last: Array,
    *,
    ticks: Sequence[str],
    names: Sequence[str] = (),
    title: str,
    note: str = "",
) -> Figure:
    """Draw strips: an original, the images decoded on the way, the other original.

    Args:
        first, last: the originals (rows, C, H, W).
        between: (rows, steps, C, H, W).
        ticks: how far each step is on the way.
        title, note: what stands above.
    """
    strips = np.concatenate([first[:, None], between, last[:, None]], axis=1)
    columns = ["original", *ticks, "original"]
    return _grid(strips, title, note, names, columns, column_breaks=(1, len(columns) - 1))


@drawn
def traversals(
    images: Array, original: Array, *, names: Sequence[str], ticks: Sequence[str], title: str, note: str = ""
) -> Figure:
    """Draw a row of decoded images for each latent unit, beside the image whose code the other units keep.

    Args:
        images: (units, steps, C, H, W).
        original: (C, H, W), the image.
        names: of the units.
        ticks: of the steps; an empty one has no label.
        title, note: what stands above.
    """
    first = np.broadcast_to(original, (len(images), 1, *original.shape))
    strips = np.concatenate([first, images], axis=1)
    return _grid(strips, title, note, names, ["image", *ticks], column_breaks=(1,))


@drawn
def levels(values: Array, *, title: str, note: str = "") -> Figure:
    """Draw a histogram of the values of all pixels that are not NaN, each bar their share on a logarithmic axis."""
    figure = sheet(1.9, title, note)
    axes = place(figure, 0.62, 0.42, WIDTH - 0.72, 1.4)
    shares, edges = np.histogram(values[~np.isnan(values)], bins=32)
    axes.bar(edges[:-1], shares / max(1, shares.sum()), np.diff(edges), align="edge", color=SERIES[0])
    axes.set(xlabel="value of a pixel", ylabel="share of pixels", yscale="log")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    figure.set_label(f"{title}: a histogram from {number(edges[0])} to {number(edges[-1])}.")
    return figure


def _grid(
    images: Array,
    title: str,
    note: str,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    *,
    row_breaks: Sequence[int] = (),
    column_breaks: Sequence[int] = (),
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """A table of images; columns are labeled above, or below if they are values of an axis with a name."""
    pixels = _pixels(images)
    high, wide = pixels.shape[2:4]
    gap = max(1, round(0.06 * wide))
    tops, height = _starts(pixels.shape[0], high, gap, row_breaks)
    lefts, width = _starts(pixels.shape[1], wide, gap, column_breaks)
    bitmap = np.zeros((height, width, 4), dtype=np.uint8)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            bitmap[top : top + high, left : left + wide] = pixels[i, j]

    rows = [legible(name) for name in rows]
    longest = max((letters(line) for name in rows for line in name.splitlines()), default=0)
    margin = 0.1 + LETTER * longest + (0.2 if ylabel else 0)
    scale = min((WIDTH - margin - 0.1) / width, 6.5 / height)
    columns = _fitted(columns, max(3, int((wide + 2 * gap) * scale / LETTER)))
    lines = 0.11 * max((name.count("\n") + 1 for name in columns), default=0)
    above, below = (0.04, 0.33 + lines) if xlabel else (0.09 + lines, 0.08)
    # A pixel of an image is a whole number of pixels of the file, so that none looks wider than its neighbor.
    dpi = max(1, ceil(DPI * scale)) / scale
    figure = sheet(height * scale + above + below, title, note, dpi)
    axes = place(figure, margin, below, width * scale, height * scale)
    axes.imshow(bitmap, interpolation="nearest", aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2.5, labelsize=6.5, labeltop=not xlabel, labelbottom=bool(xlabel))
    axes.set_xticks([x + wide / 2 - 0.5 for x in lefts] if columns else [], columns)
    axes.set_yticks([y + high / 2 - 0.5 for y in tops] if rows else [], rows)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.set_label(f"{title}: {pixels.shape[0]} rows of {pixels.shape[1]} images.")
    return figure


def _starts(n: int, size: int, gap: int, breaks: Sequence[int]) -> tuple[list[int], int]:
    """Where each of n cells begins, with a wider gap before the breaks, and where the last one ends."""
    starts = [k * (size + gap) + 4 * gap * sum(b <= k for b in breaks) for k in range(n)]
    return starts, starts[-1] + size


def _pixels(images: Array) -> Array:
    """Bytes (rows, columns, H, W, RGBA), averaged down to 800 pixels a row, or to 600 in color, which weigh more.

    Pixels that are missing, NaN in any channel, are transparent.
    """
    images = np.asarray(images, dtype=np.float32)
    color = images.shape[2] >= 3
    rgb = images[:, :, :3] if color else images[:, :, :1].repeat(3, axis=2)
    there = ~np.isnan(rgb).any(2, keepdims=True)
    factor = -(-images.shape[1] * images.shape[4] // (600 if color else 800))
    alpha = _averaged(np.asarray(there, dtype=np.float32), factor)
    rgb = _averaged(np.where(there, rgb, 0), factor) / np.where(alpha > 0, alpha, 1)
    rgba = np.concatenate([rgb, alpha], axis=2)
    return (np.nan_to_num(rgba).clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 1, 3, 4, 2)


def _averaged(images: Array, factor: int) -> Array:
    """Average images (rows, columns, C, H, W) over squares of so many pixels a side; what is over is cut off."""
    if factor <= 1:
        return images
    h, w = (max(1, size // factor) for size in images.shape[3:])
    cut = images[..., : h * factor, : w * factor]
    return cut.reshape(*cut.shape[:3], h, -1, w, factor).mean((4, 6))


def _ticks(values: Array) -> list[str]:
    """A label for each of ten values or less, for six of more, an empty one for the others."""
    few = len(values) if len(values) <= 10 else 6
    shown = set(np.linspace(0, len(values) - 1, few).round().astype(int).tolist())
    return [f"{round(v, 1) + 0.0:.1f}".replace("-", "−") if k in shown else "" for k, v in enumerate(values)]


def _fitted(names: Sequence[str], room: int) -> list[str]:
    """Names of columns, those with more letters than there is room for on two lines and cut."""
    shown = map(legible, names)
    parts = [name.replace("/", " ").split(" ", 1) if letters(name) > room else [name] for name in shown]
    return ["\n".join(short(word, room) for word in words) for words in parts]
