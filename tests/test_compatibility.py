"""Which parts go together: a refusal names kinds that fit, taken from the unions."""

import re
from collections.abc import Iterator
from itertools import product

import pytest

from vaekit import Experiment, InputError, Source
from vaekit.compatibility import MEANING, kinds, lacking, misfit, traits
from vaekit.measures import GROUPS
from vaekit.objectives import ELBO
from vaekit.posteriors import Gaussian
from vaekit.priors import StandardNormal

DIGITS = Experiment(data=Source(name="digits"))
PATHS = {"prior": "model.prior", "posterior": "model.posterior", "objective": "objective"}


def combinations() -> Iterator[dict[str, str]]:
    parts = [[part.kind for part in kinds(DIGITS.model, role)] for role in ("prior", "posterior")]
    objectives = [part.kind for part in kinds(DIGITS, "objective")]
    for chosen in product(*parts, objectives):
        yield dict(zip(PATHS.values(), chosen, strict=True))


def refusal(changes: dict[str, str]) -> str | None:
    try:
        DIGITS.replace_all(changes)
    except InputError as error:
        return str(error)
    return None


def named(sentence: str) -> list[tuple[str, str]]:
    """The role and kind of all that a refusal says would fit."""
    choices = sentence.rpartition(": choose ")[2].split(", or ")
    return [(PATHS[choice.split()[0]], kind) for choice in choices for kind in re.findall("'(.*?)'", choice)]


def fitting(changes: dict[str, str]) -> list[tuple[str, str]]:
    """The role and kind of all that fit by themselves; none where two parts have to change."""
    return [
        (path, part.kind)
        for role, path in PATHS.items()
        for part in kinds(DIGITS if role == "objective" else DIGITS.model, role)  # type: ignore[arg-type]
        if not refusal({**changes, path: part.kind})
    ]


def test_every_kind_that_a_refusal_names_fits() -> None:
    refused = [(changes, sentence) for changes in combinations() if (sentence := refusal(changes))]
    assert len(refused) > 5
    for changes, sentence in refused:
        suggested = named(sentence)
        assert suggested, sentence
        if not fitting(changes):
            continue
        assert [path for path, kind in suggested if refusal({**changes, path: kind})] == [], sentence


def test_every_kind_that_fits_is_named() -> None:
    for changes in combinations():
        if (sentence := refusal(changes)) and (fits := fitting(changes)):
            assert set(named(sentence)) <= set(fits)
            asked, other = re.findall(r"(\w+) '", sentence)[:2]
            assert set(named(sentence)) == {(p, k) for p, k in fits if p in (PATHS[asked], PATHS[other])}, sentence


def test_a_word_that_makes_a_part_fit_is_named() -> None:
    changes = {"model.posterior": "flow", "objective.free_bits": 0.1}
    sentence = refusal(changes)
    assert sentence
    assert ": choose objective.free_bits_per=part, or objective.free_bits=0.0, or posterior 'gaussian'" in sentence
    assert refusal({**changes, "objective.free_bits_per": "part"}) is None


def test_densities_that_take_passes_are_not_mixed_by_the_hundred() -> None:
    refused = refusal({"model.prior": "vamp", "model.posterior": "flow", "objective": "importance"})
    assert refused is not None
    assert "'vamp' needs a posterior that has a density in closed form: choose posterior 'gaussian' or 'full" in refused


def test_densities_over_different_latents_are_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandardNormal, "latents", "one_hot")
    with pytest.raises(InputError, match="needs a posterior that is over one-hot vectors"):
        Experiment(data=Source(name="digits"))


def test_a_field_that_asks_for_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gaussian, "has", Gaussian.has - {"factorized"})
    assert DIGITS.replace("seed", 1).seed == 1
    with pytest.raises(InputError, match=r"independent over the latent units: choose .*objective\.free_bits=0\.0"):
        DIGITS.replace("objective.free_bits", 0.5)


def test_early_stopping_needs_something_to_judge_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ELBO, "has", frozenset())
    with pytest.raises(
        InputError, match=r"early_stopping 3 needs an objective that .*'wake_sleep'.* early_stopping none"
    ):
        DIGITS.replace("early_stopping", 3)


def test_what_is_needed_and_lacking_is_said_in_words() -> None:
    assert lacking({"posterior": {"encoder", "density"}, "prior": {"real"}}, DIGITS) is None
    assert lacking({"posterior": {"point"}}, DIGITS) == "needs a posterior that is a point, unlike 'gaussian'"
    assert misfit(DIGITS) is None


@pytest.mark.parametrize("role", ["prior", "posterior", "objective"])
def test_parts_state_traits_that_have_a_meaning(role: str) -> None:
    for part in kinds(DIGITS if role == "objective" else DIGITS.model, role):  # type: ignore[arg-type]
        assert traits(part), part
        assert traits(part) <= set(MEANING), part
        assert role == "objective" or part.latents in traits(part)


def test_what_moves_along_gradients_of_z_is_not_taken_of_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandardNormal, "latents", "one_hot")
    monkeypatch.setattr(Gaussian, "latents", "one_hot")
    left_out = {name for group in GROUPS.values() for name, measure in group.items() if lacking(measure.needs, DIGITS)}
    assert left_out == {"least_likely", "ais", "simulated_gap", "harmonic", "amortization_gap"}
    assert "over real vectors" in str(lacking(GROUPS["ais"]["ais"].needs, DIGITS))
    with pytest.raises(InputError, match="'monte_carlo_em' needs a prior that is over real vectors"):
        DIGITS.replace_all({"model.posterior": "standard_normal", "objective": "monte_carlo_em"})
