"""The stored results of the studies: which there are, which are of older code, and what they say."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vaekit.errors import InputError
from vaekit.studies.catalog import STUDIES
from vaekit.studies.planning import digests
from vaekit.studies.scale import SCALES
from vaekit.studies.study import NOT_RUN, OUTDATED, RESULT, Artifact, Findings, Result, Study, Verdict

OLDER = "the stored result is from an earlier version of this experiment: run it again."


def findings(results: Path) -> Findings:
    """Read the results of all studies, apart from those of older code, whose numbers belong to other experiments."""
    return Findings(
        {
            (study.name, name): result
            for study in STUDIES
            for name, result in stored(study, results).items()
            if verdict(find(study, name), result).word != OUTDATED
        }
    )


def verdict(artifact: Artifact, result: Result | None) -> Verdict:
    """Return the verdict on a stored result, unless there is none, or it is of older code."""
    if result is None:
        return Verdict(NOT_RUN, f"`--only {artifact.name}` trains and measures it.")
    if set(result.digests) != set(digests(artifact, result.size)):
        return Verdict(OUTDATED, OLDER)
    try:
        result.row(*artifact.headline)
        return artifact.judged(result)
    except InputError:  # it lacks numbers that are measured now
        return Verdict(OUTDATED, OLDER)


def find(study: Study, name: str) -> Artifact:
    """Return an artifact of a study by its name."""
    return next(artifact for artifact in study.artifacts if artifact.name == name)


def stored(study: Study, results: Path) -> dict[str, Result]:
    """Read the results of a study by artifact: of several scales the largest, and never smoke."""
    found = {}
    for artifact in study.artifacts:
        for scale in SCALES[1:]:
            path = results / study.name / f"{artifact.name}-{scale}.json"
            if path.is_file():
                found[artifact.name] = read(path)
    return found


def read(path: Path) -> Result:
    """Read a stored result.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return RESULT.validate_json(path.read_bytes())
    except (ValidationError, OSError):
        raise InputError(f"{path} is not the result of a study: remove it and run the artifact again") from None


def states(results: Path) -> list[dict[str, str]]:
    """Return what is known about each artifact of each study."""
    rows = []
    for study in STUDIES:
        found = stored(study, results)
        for artifact in study.artifacts:
            result = found.get(artifact.name)
            word = verdict(artifact, result).word
            state = f"{word} ({result.scale})" if result else word
            rows.append({"study": study.name, "artifact": artifact.name, "claim": artifact.claim, "state": state})
    return rows


def verdicts(found: Iterable[Result]) -> list[dict[str, Any]]:
    """Return each result with its claim and verdict, as plain values."""
    rows = []
    for result in found:
        artifact = find(next(study for study in STUDIES if study.name == result.study), result.artifact)
        judged = {"claim": artifact.claim, **artifact.judged(result)._asdict()}
        rows.append({**judged, **RESULT.dump_python(result, mode="json")})
    return rows
