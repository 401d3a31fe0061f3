"""Whether sampled rows of a table are like real ones: column by column, pair by pair, and all columns at once."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor

from vaekit.errors import InputError
from vaekit.estimates import Estimate
from vaekit.evaluation.neighbors import Nearest, nearer, nearest

FOLDS = 5
REPEATS = 30
"""bootstrap samples behind a standard error"""
BINS = 4
"""quantile bins of a number beside a category"""
NEAR = 0.05
"""share of the held-out rows that count as near copies of training rows"""

Rows = Float[np.ndarray, "_ columns"]


def told_apart(samples: Rows, real: Rows, seed: int = 0) -> Estimate:
    """Return how well boosted trees tell samples from real rows, as an area under the curve of rows kept from them.

    One half, and they cannot; 1, and they always can. Missing cells are read as such. The rows are those of
    five folds, with the standard error of a Mann–Whitney statistic.

    Raises:
        InputError: if there are fewer than five of either.

    Reference: *Revisiting classifier two-sample tests (Lopez-Paz, Oquab, 2017)*, arXiv:1610.06545.
    """
    if min(len(samples), len(real)) < FOLDS:
        raise InputError(f"{len(real)} rows are too few to be told from samples: measure at least {FOLDS}")
    x, y = np.concatenate([samples, real]), np.repeat([1, 0], [len(samples), len(real)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed)
    of_real = torch.from_numpy(cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 0])
    first, second = (Nearest(part, torch.zeros(0)) for part in (of_real[y == 1], of_real[y == 0]))
    return nearer(first, second)


def near_copies(
    samples: Float[Tensor, "n columns"], held_out: Float[Tensor, "m columns"], training: Float[Tensor, "k columns"]
) -> Estimate:
    """Return the share of samples that lie as near to a training row as the nearest 5 % of the held-out rows do.

    One of 5 % says that samples are as new as held-out rows; copies reach 1. The standard error is that of both shares.
    """
    sampled, real = (nearest(rows, [training]).distance for rows in (samples, held_out))
    threshold = real.quantile(NEAR)
    shares = [float((distance <= threshold).double().mean()) for distance in (sampled, real)]
    error = sum(share * (1 - share) / len(of) for share, of in zip(shares, (sampled, real), strict=True)) ** 0.5
    return Estimate(shares[0], error, len(sampled))


def fidelity(real: Rows, sampled: Rows, names: Sequence[str], coded: Sequence[bool]) -> dict[str, Any]:
    """Compare the columns of real and sampled rows, and each pair of them.

    Args:
        real, sampled: rows, NaN where cells are missing.
        names: of the columns.
        coded: which of them are numbers of categories.

    Returns:
        columns: by name the largest difference of distribution functions of numbers, or half the sum of differences of
        categories' shares: 0 if they are alike, 1 at most. pairs: their columns, whether it is a correlation or a
        Cramér's V, in which a number beside a category is cut into quarters, and the value of real and of sampled rows.
        All have a standard_error, by the bootstrap. What no real row has is left out.
    """
    columns = {}
    for k, name in enumerate(names):
        if np.isnan(real[:, k]).all():
            continue
        distance = _shares_apart if coded[k] else _functions_apart
        columns[name] = _with_error(distance, real[:, k : k + 1], sampled[:, k : k + 1])
    pairs = []
    for i, j in combinations(range(len(names)), 2):
        if np.isnan(real[:, [i, j]]).any(1).all():
            continue
        measure = cramer_v if coded[i] or coded[j] else _correlation
        both = [_cut(rows[:, [i, j]], real[:, [i, j]], (coded[i], coded[j])) for rows in (real, sampled)]
        found = _with_error(partial(_gained, measure), *both)
        values = {"real": measure(both[0]), "sampled": measure(both[1]), "standard_error": found["standard_error"]}
        pairs.append({"columns": [names[i], names[j]], "kind": measure.__name__.removeprefix("_"), **values})
    return {"columns": columns, "pairs": pairs}


def _with_error(difference: Callable[[Rows, Rows], float], real: Rows, sampled: Rows) -> dict[str, float]:
    """Return the difference of complete rows with its standard error."""
    one, other = (rows[~np.isnan(rows).any(1)] for rows in (real, sampled))
    random = np.random.default_rng(0)
    again = [difference(*(random.choice(rows, len(rows)) for rows in (one, other))) for _ in range(REPEATS)]
    return {"value": difference(one, other), "standard_error": float(np.std(again, ddof=1))}


def _gained(measure: Callable[[Rows], float], a: Rows, b: Rows) -> float:
    """Return by how much a measure of b exceeds that of a."""
    return measure(b) - measure(a)


def _functions_apart(a: Rows, b: Rows) -> float:
    """Return sup_v |F(v) − G(v)|, the Kolmogorov–Smirnov distance."""
    at = np.concatenate([a, b]).ravel()
    f, g = (np.searchsorted(np.sort(rows.ravel()), at, side="right") / len(rows) for rows in (a, b))
    return float(np.abs(f - g).max())


def _shares_apart(a: Rows, b: Rows) -> float:
    """Return ½ Σ_c |P(c) − Q(c)|, the total variation."""
    at = np.unique(np.concatenate([a, b]))
    return float(sum(abs((a == c).mean() - (b == c).mean()) for c in at) / 2)


def _cut(rows: Rows, real: Rows, coded: Sequence[bool]) -> Rows:
    """Cut a number that stands beside a category at the quantiles of the real rows; two numbers stay."""
    if any(coded) and not all(coded):
        k = coded.index(False)
        edges = np.nanquantile(real[:, k], np.linspace(0, 1, BINS + 1)[1:-1])
        rows = rows.copy()
        rows[:, k] = np.where(np.isnan(rows[:, k]), np.nan, np.searchsorted(edges, rows[:, k]))
    return rows[~np.isnan(rows).any(1)]


def _correlation(pair: Rows) -> float:
    """Return the correlation of two numbers, 0 if one is constant."""
    spread = pair.std(0)
    centered = pair - pair.mean(0)
    return float(np.mean(centered[:, 0] * centered[:, 1]) / (spread[0] * spread[1])) if spread.all() else 0.0


def cramer_v(pair: Rows) -> float:
    """Return √(χ² / (n (min(rows, columns) − 1))) of the table of counts of two categories, 0 if one is constant.

    Example:
        >>> cramer_v(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
        1.0
    """
    codes = [np.unique(column, return_inverse=True)[1] for column in pair.T]
    counts = np.zeros([code.max(initial=0) + 1 for code in codes])
    np.add.at(counts, tuple(codes), 1)
    if min(counts.shape) < 2:
        return 0.0
    expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    chi2 = float((np.square(counts - expected) / expected).sum())
    return float(np.sqrt(chi2 / (counts.sum() * (min(counts.shape) - 1))))
