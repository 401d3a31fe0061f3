"""The studies of Wei and of Frans: what they measure, on cases that are known, and the verdicts that follow."""

import dataclasses
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from reproduced import find, result_of
from small import finished, small

from vaekit import Experiment
from vaekit.estimates import Estimate
from vaekit.studies import frans_codes, frans_losses, running, wei_codes, wei_uses
from vaekit.studies.scale import Scale
from vaekit.studies.study import CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Result, clear

LENGTH = Scale(epochs=10)
SEEDS = (-0.01, 0.0, 0.01)
"""what a number differs by over the seeds, in units of 1"""


def found(name: str, values: dict[Key, float], study: str) -> Result:
    """A result of three seeds, around the given values."""
    return found_by_seed(name, {key: [value * (1 + by) for by in SEEDS] for key, value in values.items()}, study)


def found_by_seed(name: str, values: dict[Key, list[float]], study: str) -> Result:
    """A result with the given values, seed by seed."""
    measured = [{key: Estimate(each[k], 1e-3, 1) for key, each in values.items()} for k in range(len(SEEDS))]
    return dataclasses.replace(result_of(name, {}, LENGTH), study=study, rows=running.aggregated(measured))


def word(name: str, values: dict[Key, float], study: str = "wei") -> str:
    """The word of the verdict on a result."""
    return find(study, name).verdict(found(name, values, study)).word


def test_a_clear_difference_is_one_that_students_t_calls_so() -> None:
    assert clear(Estimate(4.31, 1.0, 3))
    assert not clear(Estimate(4.29, 1.0, 3))
    assert clear(Estimate(-2.0, 0.1, 10))
    assert not clear(Estimate(9.0, float("nan"), 1))


class TestCodesOfWei:
    def test_fives(self) -> None:
        values = {(wei_codes.LABEL, wei_codes.becomes(k)): 0.01 * k for k in range(10) if k != wei_codes.FIVE}
        values[wei_codes.LABEL, wei_codes.NEIGHBORS] = 0.7
        assert word("W1", values) == FAILED
        values |= {(wei_codes.LABEL, wei_codes.becomes(k)): 0.5 for k in wei_codes.LOOKALIKES}
        assert word("W1", values) == REPRODUCED

    @pytest.mark.parametrize(
        ("kl", "varied", "expected"), [(0.005, 0.001, REPRODUCED), (0.5, 0.001, FAILED), (0.005, 0.1, FAILED)]
    )
    def test_the_kl_alone_has_to_leave_nothing(self, kl: float, varied: float, expected: str) -> None:
        names = ("KL", wei_codes.TOLD, wei_codes.VARIED)
        values = {(wei_codes.LABEL, name): value for name, value in zip(names, (6.0, 0.7, 0.2), strict=True)}
        values |= {(wei_codes.ALONE, name): value for name, value in zip(names, (kl, 0.1, varied), strict=True)}
        assert word("W2", values) == expected

    @pytest.mark.parametrize(
        ("taken", "kept", "expected"), [(0.8, 0.2, REPRODUCED), (0.4, 0.2, FAILED), (0.8, 0.6, FAILED)]
    )
    def test_mistaken_fives_have_to_be_among_the_others(self, taken: float, kept: float, expected: str) -> None:
        shares = dict.fromkeys(wei_codes.LOOKALIKES, taken) | {wei_codes.FIVE: kept}
        values = {
            (wei_codes.LABEL, wei_codes.beside(k, other)): shares[other]
            for k in wei_codes.LOOKALIKES
            for other in (k, wei_codes.FIVE)
        }
        assert word("W3", values) == expected

    def test_what_is_near_a_half_with_three_seeds_does_not_decide(self) -> None:
        keys = [(wei_codes.LABEL, wei_codes.beside(k, o)) for k in wei_codes.LOOKALIKES for o in (k, wei_codes.FIVE)]
        result = found("W3", dict.fromkeys(keys, 0.2), "wei")
        for k in wei_codes.LOOKALIKES:
            result.row(wei_codes.LABEL, wei_codes.beside(k, k)).values[:] = [0.44, 0.49, 0.42]
        assert find("wei", "W3").verdict(result).word == UNTESTABLE

    def test_noise_of_a_fixed_shape_fits_one_batch_only(self) -> None:
        def drawn(size: int) -> torch.Tensor:
            return wei_codes.drawn_as_printed(torch.zeros(size, 2), torch.ones(size, 2))

        assert drawn(50).shape == (50, 2)
        one = drawn(1)
        assert one.shape == (50, 2)
        assert len(one.unique(dim=0)) == 50
        with pytest.raises(RuntimeError, match="must match"):
            drawn(32)
        counts = {1: 50.0, 32: 0.0, 50: 50.0}
        values = {(wei_codes.LABEL, wei_codes.codes_of(size)): count for size, count in counts.items()}
        assert find("wei", "W7").verdict(result_of("W7", values, LENGTH)).word == CORRECTED
        values = {key: float(size) for key, size in zip(values, counts, strict=True)}
        assert find("wei", "W7").verdict(result_of("W7", values, LENGTH)).word == REPRODUCED


class TestUsesOfWei:
    def test_noise_is_the_same_every_time_and_as_large_as_it_says(self) -> None:
        x = torch.full((100, 1, 28, 28), 0.5)
        y = wei_uses.noisy(x, 0.1)
        assert torch.equal(y, wei_uses.noisy(x, 0.1))
        assert float((y - x).std()) == pytest.approx(0.1, rel=0.02)
        assert wei_uses.noisy(x, 10.0).aminmax() == (0, 1)

    @pytest.mark.parametrize(
        ("two", "twenty", "expected"), [(20, 30, REPRODUCED), (30, 20, CORRECTED), (30, 30, FAILED)]
    )
    def test_decoding_has_to_beat_averaging_pixels(self, two: float, twenty: float, expected: str) -> None:
        names = (wei_uses.NOISY, wei_uses.SMOOTHED, wei_uses.LABEL, wei_uses.LARGER)
        values = {
            (wei_uses.level(sigma), name): value
            for sigma in wei_uses.NOISES
            for name, value in zip(names, (60, 25, two, twenty), strict=True)
        }
        assert word("W4", values) == expected

    def test_only_the_hole_is_filled_and_again_from_what_was_filled(self) -> None:
        # A decoder that answers with the mean of all pixels: the hole rises towards that of the rest.
        model = SimpleNamespace(reconstruct=lambda x: x.mean((1, 2, 3), keepdim=True).expand_as(x))
        x = torch.full((3, 1, 8, 8), 0.8)
        hole = wei_uses.holes(x.shape)["lower half"]
        first, second = islice(wei_uses.filled(model, x, hole), 2)
        assert torch.equal(first[..., ~hole], x[..., ~hole])
        assert torch.allclose(first[..., hole], torch.tensor(0.4))
        assert torch.allclose(second[..., hole], torch.tensor(0.6))

    def test_holes_leave_something_and_differ(self) -> None:
        lower, middle = wei_uses.holes((1, 28, 28)).values()
        assert int(lower.sum()) == 14 * 28
        assert int(middle.sum()) == 14 * 14
        assert not lower[:14].any()

    @pytest.mark.parametrize(
        ("two", "twenty", "expected"), [(20, 30, REPRODUCED), (30, 20, CORRECTED), (30, 30, FAILED)]
    )
    def test_holes_have_to_be_filled_better_than_by_the_mean(self, two: float, twenty: float, expected: str) -> None:
        values: dict[Key, float] = {}
        for missing in ("lower half", "middle"):
            values[missing, wei_uses.MEAN] = 25
            for count in wei_uses.PASSES:
                values[missing, f"{wei_uses.LABEL}, {wei_uses.passes(count)}"] = two
                values[missing, f"{wei_uses.LARGER}, {wei_uses.passes(count)}"] = twenty
        assert word("W5", values) == expected
        # One hole that is filled worse is enough.
        values["middle", f"{wei_uses.LABEL}, {wei_uses.passes(max(wei_uses.PASSES))}"] = 26
        assert word("W5", values) != REPRODUCED

    @pytest.mark.parametrize(
        ("gains", "expected"),
        [((0.05, 0.06, 0.055), REPRODUCED), ((0.05, -0.04, 0.02), UNTESTABLE), ((-0.05, -0.06, -0.055), FAILED)],
    )
    def test_the_encoder_has_to_be_the_better_start_over_seeds(self, gains: tuple[float, ...], expected: str) -> None:
        values = {}
        for count in wei_uses.LABELED:
            label = wei_uses.few(count)
            values[label, wei_uses.SCRATCH] = [0.7, 0.75, 0.72]
            both = [a + b for a, b in zip(values[label, wei_uses.SCRATCH], gains, strict=True)]
            values[label, wei_uses.start(wei_uses.LABEL)] = both
            values[label, wei_uses.start(wei_uses.LARGER)] = both
        result = found_by_seed("W6", values, "wei")
        assert find("wei", "W6").verdict(result).word == expected


class TestLossesOfFrans:
    @pytest.mark.parametrize(
        ("half", "most", "last", "expected"),
        [
            (0.99, 0.98, 0.2, REPRODUCED),
            (0.98, 0.93, 0.2, UNTESTABLE),  # 0.93^64 is 1%
            (0.90, 0.80, 0.2, FAILED),
            (0.99, 0.98, 0.4, FAILED),  # the error does not fall
        ],
    )
    def test_64_of_64_must_be_consistent(self, half: float, most: float, last: float, expected: str) -> None:
        first = [0.3, 0.31, 0.32]
        values = {
            (frans_losses.FIRST, frans_losses.LEFT): first,
            (frans_losses.NINTH, frans_losses.LEFT): [last * each / 0.31 for each in first],
        }
        for judge in range(frans_losses.CLASSIFIERS):
            for threshold, share in zip(frans_losses.THRESHOLDS, (half, most), strict=True):
                name = frans_losses.read(frans_losses.RECONSTRUCTIONS, threshold, judge)
                values[frans_losses.NINTH, name] = [share] * 3
        assert find("frans2016", "F1").verdict(found_by_seed("F1", values, "frans2016")).word == expected

    @pytest.mark.parametrize(
        ("printed", "right", "expected"), [(0.98, 1.0, REPRODUCED), (0.3, 1.02, CORRECTED), (0.3, 0.8, FAILED)]
    )
    def test_codes_have_to_keep_unit_spread(self, printed: float, right: float, expected: str) -> None:
        values = {
            (name, quantity): width
            for name, width in ((frans_losses.PRINTED, printed), (frans_losses.RIGHT, right))
            for quantity in (frans_losses.WIDTH, frans_losses.SPREAD, frans_losses.DISTANCE)
        }
        assert word("F2", values, "frans2016") == expected

    def test_collapse(self) -> None:
        values = {(frans_losses.SUM, name): 1.0 for name in ("KL", frans_losses.ERROR)}
        values |= {(frans_losses.MEAN, name): 1e-4 for name in ("KL", frans_losses.ERROR)}
        assert word("F3", values, "frans2016") == FAILED

    @pytest.mark.parametrize(
        ("drawn", "sharper", "expected"),
        [(0.02, 0.03, REPRODUCED), (0.06, 0.03, FAILED), (0.05, 0.03, UNTESTABLE), (0.02, 0.01, FAILED)],
    )
    def test_blur_is_less_energy_than_images_and_cross_entropy_have(
        self, drawn: float, sharper: float, expected: str
    ) -> None:
        kinds = {frans_losses.ORIGINALS: 0.05, frans_losses.RECONSTRUCTIONS: 0.02, "samples": drawn}
        crossed = {frans_losses.ORIGINALS: 0.05, frans_losses.RECONSTRUCTIONS: sharper, "samples": 0.08}
        shares = {frans_losses.SUM: kinds, frans_losses.CROSS: crossed, frans_losses.PLAIN: crossed}
        values = {(name, frans_losses.sharp(kind)): v for name, each in shares.items() for kind, v in each.items()}
        assert word("F7", values, "frans2016") == expected


class TestCodesOfFrans:
    @pytest.mark.parametrize("sigma", [0.01, 1.0])
    def test_apples_and_bananas_are_told_apart_as_two_codes_are(self, sigma: float) -> None:
        torch.manual_seed(0)
        codes = torch.tensor([[frans_codes.APPLE], [frans_codes.BANANA]])
        shares = [frans_codes.own(codes + sigma * torch.randn(2, 1), codes).value for _ in range(4000)]
        p = frans_codes.right_fruit(sigma)
        assert sum(shares) / 4000 == pytest.approx(p, abs=4 * (p * (1 - p) / 8000) ** 0.5)

    def test_without_noise_all_codes_are_told_apart(self) -> None:
        torch.manual_seed(0)
        codes = torch.randn(2500, 3)
        assert frans_codes.own(codes, codes).value == 1
        assert frans_codes.own(codes + 3 * torch.randn(2500, 3), codes).value < 0.05

    def test_agreement_is_averaged_over_classifiers(self) -> None:
        opinions = torch.eye(2)[torch.tensor([[0, 1, 1, 0], [0, 0, 1, 0]])]
        assert frans_codes.agreement(opinions, torch.tensor([0, 1, 1, 1])).value == pytest.approx((3 + 2) / 8)

    def test_random_codes_have_the_covariance_of_the_others(self) -> None:
        torch.manual_seed(0)
        codes = torch.randn(500, 3) @ torch.tensor([[1.0, 2, 0], [0, 1, 0], [0, 0, 0]])  # the last never varies
        covariance = codes.T.cov()
        root = frans_codes.root(covariance)
        assert torch.allclose(root @ root, covariance, atol=1e-5)

    def capacities(self, **changes: list[float]) -> dict[Key, float]:
        """Shares that fall with noise, but for the changes."""
        falling = {"images": [1.0, 0.9, 0.5, 0.1, 0.01], "classes": [0.98, 0.97, 0.9, 0.4, 0.15]} | changes
        names = [frans_codes.beta(weight) for weight in frans_codes.BETAS]
        values: dict[Key, float] = {
            (frans_codes.FRUIT, frans_codes.told(s)): frans_codes.right_fruit(s) for s in frans_codes.ADDED
        }
        values |= {(name, frans_codes.FORGOTTEN): 1e-4 for name in frans_codes.MEMORIES}
        for k, name in enumerate((frans_codes.NONE, *names)):
            values[name, frans_codes.WIDTH] = 1.0
            values |= {(name, frans_codes.SPREAD): 0.1 * k, (name, "KL"): 60 - 10 * k} if k else {}
            for s, told, kept in zip(frans_codes.ADDED, *falling.values(), strict=True):
                values |= {(name, frans_codes.told(s)): told, (name, frans_codes.kept(s)): kept}
        return values

    def test_noise_has_to_take_images_and_classes_away(self) -> None:
        assert word("F4", self.capacities(), "frans2016") == REPRODUCED
        assert word("F4", self.capacities(images=[1.0, 0.9, 0.5, 0.6, 0.01]), "frans2016") == FAILED
        assert word("F4", self.capacities(classes=[0.98, 0.97, 0.96, 0.95, 0.94]), "frans2016") == FAILED
        forgets = self.capacities() | {("one image", frans_codes.FORGOTTEN): 0.02}
        assert word("F4", forgets, "frans2016") == FAILED

    @pytest.mark.parametrize(
        ("new", "random", "expected"), [(20, 0.7, REPRODUCED), (40, 0.7, FAILED), (20, 0.3, FAILED)]
    )
    def test_noise_has_to_help_new_images_and_random_codes(self, new: float, random: float, expected: str) -> None:
        plain = {frans_codes.SEEN: 5.0, frans_codes.NEW: 30.0, frans_codes.READ: 0.9, frans_codes.RANDOM: 0.4}
        values = {(frans_codes.scarce(kind), name): v for kind in frans_codes.POSTERIORS for name, v in plain.items()}
        noisy = frans_codes.scarce(frans_codes.beta(1.0))
        values |= {(noisy, frans_codes.NEW): new, (noisy, frans_codes.RANDOM): random}
        assert word("F5", values, "frans2016") == expected

    @pytest.mark.parametrize(
        ("few", "drawn", "expected"),
        [(0.2, 20, REPRODUCED), (0.2, 4, FAILED), (2.0, 20, FAILED), (0.2, 0.1, UNTESTABLE)],
    )
    def test_random_codes_are_judged_where_something_is_lost(self, few: float, drawn: float, expected: str) -> None:
        """Below a hundredth of the mean image's error, both kinds of codes have stored the images."""
        kinds = {frans_codes.LEARNED: few, frans_codes.DRAWN: 0.1, "mean image": 50.0}
        most = {frans_codes.LEARNED: 5.0 if drawn > 1 else 0.3, frans_codes.DRAWN: drawn, "mean image": 50.0}
        values = {
            (frans_codes.stored(count), f"{frans_codes.LOST}, {kind}"): value
            for count in frans_codes.FEW
            for kind, value in (most if count == max(frans_codes.FEW) else kinds).items()
        }
        assert word("F6", values, "frans2016") == expected

    def test_a_decoder_stores_images_under_random_codes(self, tmp_path: Path) -> None:
        experiment: Experiment = small(
            data__split="20/1417/360",
            model__posterior="delta",
            objective="reconstruction",
            model__likelihood="bernoulli",
            data__binarization="none",
            model__latent_dim=20,
            optimizer__learning_rate=1e-2,
            batch_size=20,
            epochs=1000,
            evaluate_every=1000,
        )
        run = finished(experiment, tmp_path / "run")
        x = run.data().fixed("train").batch(torch.arange(20)).x
        y = frans_codes.remembered(run, x)
        assert float((y - x).square().sum() / (x - x.mean(0)).square().sum()) < 0.05
        assert torch.equal(y, frans_codes.remembered(run, x))


def test_trainings_on_few_images_see_as_many_as_those_on_all() -> None:
    scale = frans_losses.SCALES["laptop"]
    for count in frans_codes.FEW:
        few = frans_codes.few(scale, count)
        assert few.epochs * count == scale.epochs * 60_000
        assert few.data.split == f"{count}/{60_000 - count}/10000"
