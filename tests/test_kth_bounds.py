"""Figure 2 of Auto-encoding variational Bayes: its settings are those of the text, and verdicts look both ways."""

import pytest
from test_studies import result_of

from vaekit.studies.kth_bounds import (
    AEVB,
    BOUND,
    ON_FREY,
    ON_MNIST,
    TRAINING_BOUND,
    WAKE_SLEEP,
    label,
    lengths,
)
from vaekit.studies.study import BETTER, FAILED, REPRODUCED


@pytest.mark.parametrize("way", [AEVB, WAKE_SLEEP])
@pytest.mark.parametrize(("shift", "word"), [(1, REPRODUCED), (3, BETTER), (-3, FAILED)])
def test_curves_are_compared_on_both_sides_at_as_many_images(way: str, shift: float, word: str) -> None:
    scale = lengths("mnist", 3, 10)["full"]
    known = ON_MNIST.published(scale)
    marks = {f"{BOUND} at {m} million" for m in (1, 2, 3)}
    assert {quantity for _, quantity in known} == marks | {BOUND, TRAINING_BOUND}
    values = {key: value + shift * key[0].endswith(way) for key, value in known.items()}
    assert ON_MNIST.judge(result_of("K1", values, scale)).word == word


def test_settings_are_those_of_the_text() -> None:
    chosen = ON_FREY.experiments(lengths("frey_face", 3, 10)["laptop"])[label(10, AEVB)]
    assert chosen.model.network.initialization == 0.01
    assert (chosen.model.posterior.head, chosen.model.likelihood.head) == ("log_variance", "log_variance")
    assert (chosen.optimizer.kind, chosen.optimizer.weight_decay) == ("adagrad", 1 / 1565)
    assert (chosen.optimizer.decayed, chosen.batch_size) == ("matrices", 100)
    assert (chosen.objective.kind, chosen.objective.samples) == ("elbo", 1)
