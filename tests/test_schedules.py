"""Factors at the epochs where they turn."""

from math import cos, pi
from typing import Any

import pytest

from vaekit.schedules import Constant, Cosine, Cyclic, Milestones, WarmUp


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), {0: 1, 5: 1, 10: 1}),
        (WarmUp(epochs=4), {0: 0, 1: 0.25, 3.999: 0.99975, 4: 1, 10: 1}),
        (WarmUp(epochs=0), {0: 1}),
        (Milestones(at=(6, 2), decay=0.1), {0: 1, 1.999: 1, 2: 0.1, 5.999: 0.1, 6: 0.01, 10: 0.01}),
        (Cosine(), {0: 1, 2.5: (1 + cos(pi / 4)) / 2, 5: 0.5, 10: 0, 12: 0}),
        (Cosine(final=0.2), {0: 1, 5: 0.6, 10: 0.2}),
        (Cosine(warm_up=2), {0: 0, 1: 0.5, 2: 1, 6: 0.5, 10: 0}),
        (Cosine(warm_up=20), {0: 0, 10: 0.5}),
        (Cosine(warm_up=10, final=0.5), {5: 0.5, 10: 1}),
        (Cyclic(period=4, rise=0.25), {0: 0, 0.5: 0.5, 1: 1, 3.999: 1, 4: 0, 4.5: 0.5, 9: 1}),
        (Cyclic(period=4, rise=1), {3: 0.75, 7: 0.75}),
    ],
)
def test_factors_over_ten_epochs(schedule: Any, factors: dict[float, float]) -> None:
    assert {epoch: schedule.factor(epoch, 10) for epoch in factors} == pytest.approx(factors)
