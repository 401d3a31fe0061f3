"""How claims of the ECE 542 report are judged that were tested on several trainings."""

from collections.abc import Mapping
from math import isnan

from vaekit.estimates import Estimate
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, Result, Verdict


def in_either(holds: Mapping[str, bool], words: str) -> Verdict:
    """Judge a claim that was tested with the notebook's loss and the report's: where it holds with one, that corrects.

    Example:
        >>> in_either({"the notebook's β": False, "β = 1": True}, "0.1, 0.2")
        Verdict(word='reproduced with a correction', sentence='only with β = 1: 0.1, 0.2.')
    """
    where = [name for name, held in holds.items() if held]
    if len(where) == len(holds):
        return Verdict(REPRODUCED, f"with {' and with '.join(where)}: {words}.")
    if where:
        return Verdict(CORRECTED, f"only with {', '.join(where)}: {words}.")
    return Verdict(FAILED, f"neither with {' nor with '.join(holds)}: {words}.")


def in_each(holds: Mapping[str, bool], claim: str, words: str) -> Verdict:
    """Judge a claim that was tested in several cases: all have to meet it, or most, with the others named.

    Example:
        >>> in_each({"a": True, "b": True, "c": False}, "it is sharp", "1, 2, 0")
        Verdict(word='reproduced with a correction', sentence='it is sharp in 2 of 3 cases, not in c: 1, 2, 0.')
    """
    missed = [label for label, held in holds.items() if not held]
    met = len(holds) - len(missed)
    word = REPRODUCED if not missed else CORRECTED if met > len(missed) else FAILED
    others = f", not in {'; '.join(missed)}" if missed else ""
    return Verdict(word, f"{claim} in {met} of {len(holds)} cases{others}: {words}.")


def labels(result: Result) -> list[str]:
    """List the trainings that a result has numbers of."""
    return list(dict.fromkeys(row.label for row in result.rows))


def error_of(difference: Estimate) -> float:
    """Return the standard error of a difference over seeds, 0 for that of a single seed."""
    return 0.0 if isnan(difference.standard_error) else difference.standard_error
