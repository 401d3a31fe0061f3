"""How claims of the ECE 542 report are judged that were tested under several conditions."""

from collections.abc import Mapping

from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, Result, Verdict


def where(holds: Mapping[str, bool], words: str) -> Verdict:
    """Judge a claim by the conditions under which it holds: where it holds under some only, these are the correction.

    Example:
        >>> where({"the notebook's β": False, "β = 1": True}, "0.1, 0.2")
        Verdict(word='reproduced with a correction', sentence='only with β = 1: 0.1, 0.2.')
    """
    met = [name for name, held in holds.items() if held]
    if len(met) == len(holds):
        return Verdict(REPRODUCED, f"with {' and with '.join(met)}: {words}.")
    if met:
        return Verdict(CORRECTED, f"only with {' and with '.join(met)}: {words}.")
    return Verdict(FAILED, f"neither with {' nor with '.join(holds)}: {words}.")


def labels(result: Result) -> list[str]:
    """List the trainings that a result has numbers of."""
    return list(dict.fromkeys(row.label for row in result.rows))
