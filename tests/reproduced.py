"""What tests of the studies share: all artifacts, and results of given numbers."""

from contextlib import suppress
from pathlib import Path

import pytest

from vaekit.estimates import Estimate
from vaekit.studies import aragam_losses, lessons, planning
from vaekit.studies.catalog import STUDIES
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import (
    BETTER,
    CORRECTED,
    FAILED,
    REPRODUCED,
    UNTESTABLE,
    Artifact,
    Findings,
    Result,
    Row,
)

WORDS = (REPRODUCED, CORRECTED, BETTER, FAILED, UNTESTABLE)
ALL = [(study, artifact) for study in STUDIES for artifact in study.artifacts]
DOCUMENTED = Path(__file__).parent.parent / "docs/reproductions/results"


def find(study: str, name: str) -> Artifact:
    return next(artifact for found, artifact in ALL if (found.name, artifact.name) == (study, name))


class Other:
    """Stands for the results of other artifacts: each of their numbers is one."""

    size = SMOKE

    def value(self, *_: str) -> float:
        return 1.0

    def paired(self, *_: tuple[str, str]) -> Estimate:
        return Estimate(1.0, 0.1, 3)


class Apart(Findings):
    """The result of one artifact, beside others."""

    def __missing__(self, _: object) -> Other:
        return Other()


def check_prose(found: Findings) -> list[str]:
    """Check that texts and lessons find the numbers that they quote, whatever these are at smoke, and return them."""
    told = []
    texts = [text for study in STUDIES for text in study.errors.values() if callable(text)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lessons, "supported", lambda found, study, artifact, *_: found[study, artifact])
        patch.setattr(lessons, "require", lambda _: None)
        for text in [*texts, *(lesson for each in lessons.LESSONS.values() for lesson in each)]:
            with suppress(lessons.UnsupportedError):
                told.append(text(found))
                assert told[-1].endswith(".")
    return told


def result_of(name: str, values: dict[tuple[str, str], float], scale: Scale) -> Result:
    """A result with given numbers, the same with every seed."""
    study, artifact = next((study, artifact) for study, artifact in ALL if artifact.name == name)
    return Result(
        study=study.name,
        artifact=name,
        scale="full",
        size=scale,
        rows=[
            Row(label, quantity, value, 0.1, None, [value] * scale.seeds) for (label, quantity), value in values.items()
        ],
        figures={},
        data=["mnist"],
        epochs={"d = 2": 10},
        digests=planning.digests(artifact, scale),
        command=f"vaekit reproduce {study.name}",
        training_seconds=60,
        measuring_seconds=0,
        machine="2 CPU cores",
        versions={},
    )


def shares(factor: float = 0.5) -> dict[tuple[str, str], float]:
    """The shares that A8 measures, as a multiple of the report's."""
    return {key: factor * value for key, value in aragam_losses.published_shares(SMOKE).items()}
