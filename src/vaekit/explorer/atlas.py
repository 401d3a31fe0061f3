"""Everything that the explorer's page shows without asking: codes, classes, pictures, units and numbers of a run."""

import io
from base64 import b64encode
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaekit.compatibility import lacking, traits
from vaekit.data.columns import CODED
from vaekit.devices import seeded
from vaekit.distributions import kl_parts
from vaekit.evaluation.latents import ACTIVE
from vaekit.evaluations import current
from vaekit.explorer.view import BATCH, CPU, Encoded, View
from vaekit.measures import FACTORIZED

VERSION = 1
POINTS, TRAINING, CHECKED = 2000, 1000, 16
"""examples that are shown, training examples to compare them with, and codes by which the page checks its decoder"""
RARE = 0.01
"""share of the shown codes that lie outside of what the page calls the aggregate posterior"""
SCORED = 2000
"""examples at most whose ELBO and log-evidence color the map"""
GLANCE = 16
"""draws of z for each of these scores, which color the map"""


def atlas(view: View, points: int = POINTS) -> dict[str, Any]:
    """Describe a run for the page, ready for JSON; arrays are as of ``packed``.

    Returns:
        ``version``, ``name``, ``digest`` (of the weights' experiment), ``kind`` (image or table), ``shape`` of an
        example, ``columns`` (name, kind, categories, low and high of each), ``d``, ``latents`` (real, one_hot or
        classes), ``split``, ``codes`` (n, d), ``scales`` (n, d), ``labels`` (n; −1 is unknown), ``classes`` (names),
        ``rows`` (n), ``files`` (names of the files that the examples are from), ``colorings`` (numbers of each example,
        by name), ``units`` (``kl``, ``active``, ``order``), ``pca`` (``mean``, ``axes``, ``explained``), ``umap``
        (n, 2), ``thumbnails``, ``table`` (the examples of a table as text, by column), ``aggregate`` (``threshold``),
        ``training`` (``codes``, ``rows``, ``thumbnails``), ``codebook``, ``metrics``, ``results``, and ``check``
        (``codes`` and what they decode to). What does not apply
        is None. The ``scores``, which take longer than all of it, are apart.
    """
    part, d = view.part, view.vae.latent_dim
    rows = _rows(view, points)
    x = part.batch(rows).x
    encoded = _encoded(view, x)
    units = _units(view, x, encoded.mean)
    labels = None if part.labels is None else part.labels[rows].numpy()
    return {
        "version": VERSION,
        "name": view.run.path.name,
        "digest": view.run.experiment.digest,
        "kind": "table" if view.is_table else "image",
        "shape": list(view.run.space.event_shape),
        "columns": _columns(view, x),
        "d": d,
        "latents": _latents(view),
        "split": view.split,
        "codes": packed(encoded.mean),
        "scales": None if encoded.scale is None else packed(encoded.scale),
        "labels": None if labels is None else packed(labels.astype(np.int32)),
        "classes": _classes(view, labels),
        "rows": packed(rows.numpy().astype(np.int32)),
        "files": None if part.names is None else [part.names[row] for row in rows.tolist()],
        "colorings": _colorings(view, x, encoded),
        "units": units,
        "pca": _components(encoded.mean),
        "umap": _umap(encoded.mean),
        "thumbnails": None if view.is_table else sheet(view.shown(x)),
        "table": _texts(view, x) if view.is_table else None,
        "aggregate": {"threshold": _threshold(encoded)},
        "training": _training(view),
        "codebook": None,
        "metrics": _history(view),
        "results": _results(view),
        "check": _check(view, encoded.mean),
    }


def scores(view: View, points: int = POINTS) -> dict[str, Any]:
    """Score the examples of an atlas, as more of its ``colorings``; none if they are too many, or have no scores."""
    rows = _rows(view, points)
    scored = view.score(view.part.batch(rows).x, GLANCE) if len(rows) <= SCORED else None
    if scored is None:
        return {}
    named = {"ELBO (nats)": scored.elbo, "log p(x) (nats)": scored.evidence}
    return {name: packed(values.astype(np.float32)) for name, values in named.items()}


def _rows(view: View, points: int) -> Tensor:
    """Choose examples that are spread evenly over the split."""
    return torch.linspace(0, len(view.part) - 1, min(len(view.part), points)).round().long()


def packed(array: np.ndarray) -> dict[str, Any]:
    """Write an array for JSON: dtype, shape, and its little-endian bytes in base64.

    Example:
        >>> packed(np.zeros((1, 2), np.float32))
        {'dtype': 'float32', 'shape': [1, 2], 'data': 'AAAAAAAAAAA='}
    """
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": b64encode(plain.tobytes()).decode()}


def sheet(images: np.ndarray) -> dict[str, Any]:
    """Lay images (N, C, H, W) in [0, 1] on one sheet, in reading order, as the data URL of a PNG.

    Missing pixels are black, and images of two or more than four channels show their first one.
    """
    n, channels, height, width = images.shape
    levels = np.rint(np.nan_to_num(images).clip(0, 1) * 255).astype(np.uint8)
    levels = levels if channels in (1, 3) else levels[:, :1]
    columns = int(np.ceil(np.sqrt(n * height / width)))
    cells = np.zeros((-(-n // columns) * columns, *levels.shape[1:]), np.uint8)
    cells[:n] = levels
    pixels = cells.reshape(-1, columns, *levels.shape[1:]).transpose(0, 3, 1, 4, 2)
    pixels = pixels.reshape(pixels.shape[0] * height, columns * width, levels.shape[1])
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if levels.shape[1] == 1 else pixels).save(file, "PNG")
    png = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    return {"png": png, "columns": columns, "width": width, "height": height, "count": n}


def _encoded(view: View, x: Tensor) -> Encoded:
    parts = [view.encode(part) for part in x.split(BATCH)]
    scales = [part.scale for part in parts if part.scale is not None]
    return Encoded(np.concatenate([part.mean for part in parts]), np.concatenate(scales) if scales else None)


@torch.no_grad()
def _units(view: View, x: Tensor, codes: np.ndarray) -> dict[str, Any]:
    """Give the KL of each unit, the active ones, and all in falling order: of KL, or of spread where there is none."""
    if lacking(FACTORIZED, view.run.experiment):
        order = np.argsort(-codes.var(0), kind="stable").tolist()
        return {"kl": None, "active": order, "order": order}
    with seeded(view.run.experiment.seed, CPU):
        posteriors = map(view.vae.posterior, x.split(BATCH))
        parts = [kl_parts(q, view.vae.prior(), q.sample(torch.Size((1,)))) for q in posteriors]
    kl = torch.cat(parts).mean(0).numpy()
    order = np.argsort(-kl, kind="stable").tolist()
    return {"kl": packed(kl), "active": [k for k in order if kl[k] > ACTIVE], "order": order}


def _components(codes: np.ndarray) -> dict[str, Any] | None:
    """Give the two principal axes of the codes; None if there is one unit, or nothing varies."""
    mean = codes.mean(0)
    if codes.shape[1] < 2 or len(codes) < 2 or not codes.var(0).any():
        return None
    _, spread, axes = np.linalg.svd(codes - mean, full_matrices=False)
    explained = spread[:2] ** 2 / (spread**2).sum()
    signs = np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(1)])
    return {"mean": packed(mean), "axes": packed(axes[:2] * signs[:, None]), "explained": explained.tolist()}


def _umap(codes: np.ndarray) -> dict[str, Any] | None:
    """Give the codes' places (n, 2) by UMAP, if it is installed and there are more than two units."""
    if codes.shape[1] < 3:
        return None
    try:
        from umap import UMAP
    except ImportError:
        return None
    return packed(UMAP(random_state=0, n_jobs=1).fit_transform(codes).astype(np.float32))


def log_aggregate(z: np.ndarray, codes: np.ndarray, scales: np.ndarray | None) -> np.ndarray:
    """Give log q(z), (N,), of the mixture (1/n) Σ_i N(z; codes_i, diag scales_i²), for z (N, d).

    Where posteriors have no scales, the mixture is a kernel density: Scott's rule, scale n^(−1/(d+4)) times the codes'.
    """
    n, d = codes.shape
    if scales is None:
        scales = np.broadcast_to(codes.std(0) * n ** (-1 / (d + 4)) + 1e-6, codes.shape)
    found = []
    for part in np.array_split(z, -(-len(z) * n * d // 2**24)):
        each = ((part[:, None] - codes) / scales) ** 2
        log_terms = -0.5 * each.sum(-1) - np.log(scales).sum(-1) - 0.5 * d * np.log(2 * np.pi)
        found.append(np.logaddexp.reduce(log_terms, axis=1) - np.log(n))
    return np.concatenate(found)


def _threshold(encoded: Encoded) -> float:
    """Give the log density below which the rarest of the shown codes lie, under the mixture of the others."""
    half = len(encoded.mean) // 2 or 1
    scales = None if encoded.scale is None else encoded.scale[:half]
    others = encoded.mean[half:][:500] if len(encoded.mean) > 1 else encoded.mean
    return float(np.quantile(log_aggregate(others, encoded.mean[:half], scales), RARE))


def _training(view: View) -> dict[str, Any]:
    """Give some training examples, spread over the set, for the nearest ones of a point."""
    train = view.data.fixed("train", None if not view.data.train.dynamic else TRAINING)
    rows = torch.linspace(0, len(train) - 1, min(len(train), TRAINING)).round().long()
    x = train.batch(rows).x
    return {
        "codes": packed(_encoded(view, x).mean),
        "rows": packed(rows.numpy().astype(np.int32)),
        "thumbnails": None if view.is_table else sheet(view.shown(x)),
        "table": _texts(view, x) if view.is_table else None,
        "of": len(view.data.train),
    }


def _check(view: View, codes: np.ndarray) -> dict[str, Any]:
    """Give some codes and what they decode to, by which a page proves its own decoder."""
    chosen = codes[np.linspace(0, len(codes) - 1, CHECKED).round().astype(int)].astype(np.float32)
    return {"codes": packed(chosen), "decoded": packed(view.decode(chosen))}


def _colorings(view: View, x: Tensor, encoded: Encoded) -> dict[str, Any]:
    """Give numbers of each example by which the map may be colored at once: its scale, a table's columns."""
    found: dict[str, Any] = {}
    if encoded.scale is not None:
        found["posterior scale (mean)"] = packed(encoded.scale.mean(1))
    if view.is_table:
        shown = view.shown(x)
        found |= {column["name"]: packed(shown[:, k]) for k, column in enumerate(_columns(view, x) or ())}
    return found


def _columns(view: View, x: Tensor) -> list[dict[str, Any]] | None:
    """Name a table's columns, what they are, and between which values they lie; None of images."""
    if not view.is_table:
        return None
    shown, columns = view.shown(x), view.run.space.columns
    names = view.run.space.names or [f"column {k + 1}" for k in range(shown.shape[1])]
    found = []
    for k, (name, values) in enumerate(zip(names, shown.T, strict=True)):
        kind = columns[k].kind if columns else "real"
        words = columns[k].categories or ("0", "1") if columns and kind in CODED else ()
        known = values[np.isfinite(values)]
        ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        found.append({"name": name, "kind": kind, "categories": list(words), "low": ends[0], "high": ends[1]})
    return found


def _texts(view: View, x: Tensor) -> dict[str, list[str]]:
    """Give the cells of a table's rows as text, by column."""
    shown, columns = view.shown(x), _columns(view, x) or []
    return {c["name"]: [_text(value, c["categories"]) for value in shown[:, k]] for k, c in enumerate(columns)}


def _text(value: float, categories: list[str]) -> str:
    if not np.isfinite(value):
        return ""
    return categories[int(value)] if categories else f"{value:.6g}"


def _latents(view: View) -> str:
    """Say what the latents are: real numbers, one-hot codes or classes."""
    known = traits(view.run.experiment.model.prior)
    return next((kind for kind in ("one_hot", "classes") if kind in known), "real")


def _classes(view: View, labels: np.ndarray | None) -> list[str] | None:
    if labels is None:
        return None
    named = view.run.space.classes or ()
    return [named[k] if k < len(named) else str(k) for k in range(max(int(labels.max()) + 1, len(named)))]


def _results(view: View) -> dict[str, Any]:
    """Give the last evaluation's log-evidence and ELBO on this split, with errors, if there is one."""
    measured = (e for e in reversed(current(view.run)) if e.get("split") == view.split and "log_evidence" in e)
    found: dict[str, Any] = next(measured, {})
    return {name: found[name] for name in ("log_evidence", "elbo") if name in found}


def _history(view: View) -> dict[str, list[float | None]]:
    """Give the numbers of metrics.jsonl by column, None where there is none."""
    columns = {name: values.astype(float) for name, values in view.run.history().items() if values.dtype.kind in "if"}
    return {name: [v if np.isfinite(v) else None for v in values.tolist()] for name, values in columns.items()}
