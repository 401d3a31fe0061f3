"""What the numbers of an evaluation mean: one verdict, with a plain sentence and its number for each finding."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vaekit.estimates import LOOSE
from vaekit.evaluation.latents import ACTIVE

FEW_DRAWS = 10.0
"""effective draws below which the log-evidence is too low by more than about 1 / 20 nat without showing it"""
NEAR_CEILING = 0.5
"""nats below log N from which a mutual information shows that N examples are too few"""
WORTHWHILE = 0.1
"""nats that a tenth more epochs must promise before training is called unfinished"""
MOST_DIGITS = 16
"""decimals from which two numbers that look alike are called equal"""
STEADY, LEAST_ROWS = 3.0, 4
"""standard errors by which the slope of the held-out ELBO must exceed 0, and rows behind the slope at least"""


def verdict(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Say in plain words what an evaluation and the training behind it show, one sentence per finding.

    Args:
        found: an evaluation, as ``evaluate`` returns it.
        rows: the metrics of the training, if they are to be judged too.
    """
    sentences = (
        _latents(found), _samples(found), _draws(found), _bound(found), _outliers(found), _starts(found),
        _chains(found), _encoder(found), improving(rows),
    )  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def used_units(kl: Sequence[float], variance: Sequence[float], noise: Sequence[float]) -> list[int]:
    """Return the units with more than 0.01 nats of KL whose posterior means make up more than 1% of their variance.

    Example:
        >>> used_units([2.0, 1.0, 1e-4], [0.9, 0.0, 1e-4], [0.1, 0.2, 1.0])
        [0]
    """
    each = enumerate(zip(kl, variance, noise, strict=True))
    return [j for j, (nats, means, draws) in each if nats > ACTIVE and means > ACTIVE * (means + draws)]


def units(kl: Sequence[float], variance: Sequence[float], noise: Sequence[float]) -> str:
    """Say how many latent units are used.

    Args:
        kl: mean KL of each unit, (d,) nats.
        variance: Var_x(E_q[z_j | x]) of each, (d,).
        noise: E_x(Var_q[z_j | x]) of each, (d,).

    Example:
        >>> units([2.0, 1e-4], [0.9, 1e-4], [0.1, 1.0])
        '1 of 2 latent units is unused: 1 latent would do as well'
    """
    d, used = len(kl), len(used_units(kl, variance, noise))
    if max(kl) <= ACTIVE:
        return (
            f"posterior collapse: no latent unit carries more than {ACTIVE} nats per example, "
            f"and all {d} together carry {sum(kl):.2g} nats"
        )
    if not used:
        return (
            f"no latent unit is used: the KL is {sum(kl):.2g} nats per example, but less than {ACTIVE:.0%} of the "
            "variance of the codes comes from x"
        )
    if used < d:
        are, latents = ("is" if d - used == 1 else "are"), ("latent" if used == 1 else "latents")
        return f"{d - used} of {d} latent units {are} unused: {used} {latents} would do as well"
    which = {1: "the only latent unit is", 2: "both latent units are"}.get(d, f"all {d} latent units are")
    return f"{which} used: more may carry more"


def _latents(found: Mapping[str, Any]) -> str | None:
    usage = found.get("latents")
    if not usage:
        return None
    numbers = (usage["kl_per_unit"], usage["variance_of_means"], usage["expected_variance"])
    probe, mutual, chance = found.get("linear_probe"), value_of(found, "mutual_information"), usage.get("chance")
    if used_units(*numbers) or probe is None or mutual is None or chance is None:
        return units(*numbers)
    if probe["value"] - chance <= STEADY * (probe["standard_error"] or 0.0):
        return units(*numbers)
    return (
        f"{units(*numbers)}; classes still differ in the posterior means once these are scaled up "
        f"(linear probe {probe['value']:.3f}), but a draw of z carries {max(0.0, mutual):.2g} nats about x"
    )


def _samples(found: Mapping[str, Any]) -> str | None:
    aggregate, mutual = value_of(found, "aggregate_kl"), value_of(found, "mutual_information")
    usage = found.get("latents")
    if aggregate is None or mutual is None or not usage:
        return None
    kl, ceiling = sum(usage["kl_per_unit"]), usage["ceiling"]
    if aggregate < max(LOOSE, kl / 2):
        return None
    numbers = f"the KL of all codes to the prior is {aggregate:.1f} of {kl:.1f} nats"
    if mutual > ceiling - NEAR_CEILING:
        images = found["aggregate_kl"].get("images", found.get("images"))
        return (
            f"samples will be poor, as far as {images:,} examples can tell: {numbers}, "
            f"at most, because the mutual information is near its ceiling of {ceiling:.1f} nats"
        )
    return f"samples will be poor: {numbers}"


def _draws(found: Mapping[str, Any]) -> str | None:
    effective = found.get("effective_samples")
    if not effective or effective["value"] is None or effective["value"] >= FEW_DRAWS:
        return None
    return (
        f"only {effective['value']:.1f} of {effective['samples']:,} draws are effective, too few for the log-evidence: "
        f"use --samples {more_draws(effective['samples'])} or --ais"
    )


def more_draws(samples: int) -> int:
    """Return how many draws to use where so many were too few."""
    return max(1000, 10 * samples)


def _bound(found: Mapping[str, Any]) -> str | None:
    elbo, evidence, more = (value_of(found, key) for key in ("elbo", "log_evidence", "ais_minus_importance"))
    if more is not None and falls_short(found):
        return f"the importance bound is loose: annealing finds {more:.1f} nats more; quote the annealed log-evidence"
    if elbo is not None and evidence is not None and evidence - elbo > LOOSE:
        return f"the ELBO is a loose bound: it lies {evidence - elbo:.1f} nats below the log-evidence"
    return None


def _outliers(found: Mapping[str, Any]) -> str | None:
    """Warn of outliers by what annealing finds, because the effective draws do not show what the encoder misses."""
    which = (("ais_checks", "of {images:,} examples"), ("least_likely", "of the {images:,} least likely examples"))
    for name, among in which:
        above = found.get(name, {}).get("above_importance")
        if above and above["images"]:
            return (
                f"on {above['images']:,} {among.format(**found[name])}, annealing finds up to {above['most']:.1f} nats "
                "more than importance sampling, which is not to be trusted where the encoder fails: rank unlikely "
                "examples by the annealed log-evidence (--ais)"
            )
    return None


def _starts(found: Mapping[str, Any]) -> str | None:
    checks = found.get("ais_checks", {})
    above = checks.get("prior_above_encoder")
    if not above or not above["images"]:
        return None
    return (
        f"on {above['images']:,} of {checks['images']:,} examples, annealing from the prior finds up to "
        f"{above['most']:.1f} nats more than from the encoder, which misses their posterior"
    )


def _chains(found: Mapping[str, Any]) -> str | None:
    checks = found.get("ais_checks", {})
    if not checks.get("unsettled"):
        return None
    temperatures = 4 * found["ais_settings"]["temperatures"]
    return (
        f"on {checks['unsettled']:,} of {checks['images']:,} examples, few chains carry the annealed log-evidence, "
        f"which may be far too low: use --annealing temperatures={temperatures}"
    )


def falls_short(found: Mapping[str, Any]) -> bool:
    """Whether annealing finds so much more than the importance bound that this is neither noise nor small."""
    more = found["ais_minus_importance"]
    return bool(more["value"] > max(LOOSE, 2 * (more["standard_error"] or 0.0)))


def _encoder(found: Mapping[str, Any]) -> str | None:
    gap = value_of(found, "amortization_gap")
    if gap is None or gap <= LOOSE:
        return None
    return f"the encoder loses {gap:.1f} nats per example (amortization gap): a larger one may recover them"


def improving(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Say that training was still improving at its end, if the held-out ELBO rose by more than its noise.

    A line is fitted to the last quarter of the rows; its slope must be three standard errors above 0, and a tenth more
    epochs must promise 0.1 nats.

    Args:
        rows: those of metrics.jsonl.
    """
    points = np.array([*_held_out(rows)], dtype=float).reshape(-1, 2)
    trend = _trend(points)
    if trend is None or trend.direction <= 0:
        return None
    return (
        f"training was still improving at its end: the held-out ELBO rose by {trend.slope:.2g} nats per epoch over the "
        f"last {trend.epochs:.3g} epochs; train longer (--resume --epochs {2 * max(1, round(points[-1, 0]))})"
    )


def course(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Say in one sentence how a training went: from where to where the loss fell, and what the held-out loss does.

    Args:
        rows: of metrics.jsonl.

    Returns:
        the sentence, or None if there are fewer than two rows.
    """
    losses = [row["train"]["loss"] for row in rows if "loss" in row["train"]]
    if len(losses) < 2:
        return None
    first, last = _apart(losses[0], losses[-1])
    if first == last:
        return f"the loss is {last}, as it was at first"
    went = "fell" if losses[-1] < losses[0] else "rose"
    held_out = "validation" if "validation" in rows[-1] else "test"
    points = np.array([*_held_out(rows)], dtype=float).reshape(-1, 2)
    trend = _trend(points)
    if not len(points) or went == "rose":
        return f"the loss {went} from {first} to {last}"
    if trend is None:
        what = "follows"
    elif trend.direction > 0:
        what = "is still improving: train longer for more"
    elif trend.direction < 0:
        what = f"has become worse since epoch {points[points[:, 1].argmax(), 0]:.3g}: fewer epochs or early_stopping"
    else:
        what = "follows and has settled"
    return f"the loss fell from {first} to {last}, and {held_out} {what}"


def _apart(one: float, other: float) -> tuple[str, str]:
    """Write two numbers with as many decimals as it takes to tell them apart, one at least.

    Example:
        >>> _apart(1234.5, 20.0), _apart(2.84, 2.76), _apart(2.812, 2.809)
        (('1,234.5', '20.0'), ('2.84', '2.76'), ('2.812', '2.809'))
    """
    digits = next((n for n in range(1, MOST_DIGITS) if f"{one:.{n}f}" != f"{other:.{n}f}"), 1)
    return f"{one:,.{digits}f}", f"{other:,.{digits}f}"


class _Trend(NamedTuple):
    """Where the held-out ELBO is going: 1 up, -1 down, 0 neither beyond its noise; by how much, over which epochs."""

    direction: int
    slope: float
    epochs: float


def _trend(points: np.ndarray) -> _Trend | None:
    """Fit a line to the last quarter of points (epoch, held-out ELBO), (n, 2); None if they are too few."""
    if len(points) < LEAST_ROWS:
        return None
    epoch, elbo = points[-max(LEAST_ROWS, len(points) // 4) :].T
    centered = epoch - epoch.mean()
    spread = float(centered @ centered)
    if spread == 0:
        return None
    slope = float(centered @ elbo) / spread
    noise = float(np.sqrt(np.square(elbo - elbo.mean() - slope * centered).sum() / (len(elbo) - 2) / spread))
    shown = abs(slope) > STEADY * noise and abs(slope) * epoch[-1] / 10 > WORTHWHILE
    return _Trend(int(np.sign(slope)) * shown, slope, float(epoch[-1] - epoch[0]))


def _held_out(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """Yield epoch and held-out ELBO of each row after the first step."""
    for row in rows:
        elbo = (row.get("validation") or row.get("test") or {}).get("elbo")
        if elbo is not None and np.isfinite(elbo) and row["epoch"] > 0:
            yield row["epoch"], elbo


def value_of(found: Mapping[str, Any], name: str) -> float | None:
    estimate = found.get(name)
    return estimate["value"] if estimate else None
