"""A word on each number of an evaluation: whether it is good, where that can be said honestly."""

from collections.abc import Callable, Mapping
from typing import Any

from vaekit.estimates import LOOSE
from vaekit.evaluation.verdict import FEW_DRAWS, NEAR_CEILING, WORTHWHILE, falls_short, more_draws, value_of


def words(found: Mapping[str, Any]) -> dict[str, str]:
    """Say by name whether a number of an evaluation is good, as far as that can be said without another model.

    The log-evidence, the KL and the reconstruction have no word: they are good or bad beside other models of the data.

    Args:
        found: an evaluation, as ``evaluate`` returns it.
    """
    return {name: word for name, judge in WORDS.items() if value_of(found, name) is not None and (word := judge(found))}


def _word_on_elbo(found: Mapping[str, Any]) -> str:
    evidence = value_of(found, "log_evidence")
    if evidence is None:
        return ""
    gap = evidence - found["elbo"]["value"]
    return f"{'tight' if gap <= LOOSE else 'loose'}: {gap:.2f} nats below the log-evidence"


def _word_on_evidence(found: Mapping[str, Any]) -> str:
    growth = [each for each in found.get("convergence", ()) if each["value"] is not None]
    if len(growth) < 2:
        return ""
    before, last = growth[-2:]
    more = last["value"] - before["value"]
    grew = f"{more:+.2f} nats from {before['samples']:,} to {last['samples']:,} draws"
    return f"{'settled' if more <= WORTHWHILE else 'still climbing'}: {grew}"


def _word_on_draws(found: Mapping[str, Any]) -> str:
    few = found["effective_samples"]["value"] < FEW_DRAWS
    return f"too few: use --samples {more_draws(found['effective_samples']['samples'])}" if few else "enough"


def _word_on_annealing(found: Mapping[str, Any]) -> str:
    return "the importance bound is loose" if falls_short(found) else "the importance bound is tight"


def _word_on_starts(found: Mapping[str, Any]) -> str:
    checks = found.get("ais_checks", {})
    if "encoder_above_prior" not in checks:
        return ""
    began = f"begun at the prior for {checks['began_at_prior']:,} of {checks['images']:,}"
    short = checks["encoder_above_prior"]["images"]
    return f"{began}; from there too low for {short:,}: more temperatures would check the encoder" if short else began


def _word_on_outliers(found: Mapping[str, Any]) -> str:
    short = found["least_likely"]["above_importance"]["images"]
    return "not to be trusted on unlikely examples" if short else "no outliers at a glance"


def _word_on_bracket(found: Mapping[str, Any]) -> str:
    wide = found["simulated_gap"]["value"] > LOOSE
    return (
        "wide: double the temperatures of --annealing" if wide else "narrow: these settings suffice on simulated images"
    )


def _word_on_encoder(found: Mapping[str, Any]) -> str:
    return "a larger encoder may recover it" if found["amortization_gap"]["value"] > LOOSE else "small"


def _word_on_information(found: Mapping[str, Any]) -> str:
    ceiling = found.get("latents", {}).get("ceiling")
    if ceiling is None or found["mutual_information"]["value"] <= ceiling - NEAR_CEILING:
        return ""
    return f"near its ceiling of {ceiling:.1f}: more examples would show more"


def _word_on_prior(found: Mapping[str, Any]) -> str:
    usage = found.get("latents")
    if not usage or (kl := sum(usage["kl_per_unit"])) <= 0:
        return ""
    aggregate = max(0.0, found["aggregate_kl"]["value"])
    share = f"{aggregate / kl:.0%} of the KL"
    if aggregate < max(LOOSE, kl / 2):
        return share
    unsure = ", as far as so few examples can tell" if _word_on_information(found) else ""
    return f"{share}: samples will be poor{unsure}"


def _word_on_classes(found: Mapping[str, Any]) -> str:
    chance = found.get("latents", {}).get("chance")
    return "" if chance is None else f"the most frequent class alone would give {chance:.3f}"


def _word_on_imputation(found: Mapping[str, Any]) -> str:
    error = found["imputation"]["standard_error"]
    if error is None:
        return ""
    known = found["imputation"]["value"] + 2 * error < 1
    return "better than a guess by the column alone" if known else "no better than a guess by the column alone"


WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "log_evidence": _word_on_evidence,
    "least_likely": _word_on_outliers,
    "ais": _word_on_starts,
    "ais_minus_importance": _word_on_annealing,
    "simulated_gap": _word_on_bracket,
    "harmonic": lambda _: "errs upward: quote another",
    "elbo": _word_on_elbo,
    "amortization_gap": _word_on_encoder,
    "mutual_information": _word_on_information,
    "aggregate_kl": _word_on_prior,
    "imputation": _word_on_imputation,
    "nearest_neighbors": _word_on_classes,
    "linear_probe": _word_on_classes,
    "effective_samples": _word_on_draws,
}
