"""The ECE 542 report: its network, and what decides on its claims."""

import math
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from reproduced import result_of

from vaekit.evaluation.sharpness import sharpness
from vaekit.studies import ncsu_codes, ncsu_labels, ncsu_losses, ncsu_network, ncsu_samples, ncsu_uses, planes
from vaekit.studies.ncsu_network import FULL, LATENTS, NOTEBOOK, PLAIN, THREE, hidden_beta, one, weighted
from vaekit.studies.ncsu_samples import DISTANCE, SHARP, SHARP_TEST
from vaekit.studies.scale import SMOKE
from vaekit.studies.study import BETTER, CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Result


def wave(fx: int, fy: int, side: int = 20, amplitude: float = 1.0) -> torch.Tensor:
    """An image of one frequency, (1, 1, side, side): so many periods along either axis."""
    at = 2 * math.pi * torch.arange(side, dtype=torch.float64) / side
    return amplitude * (fx * at + fy * at[:, None]).cos()[None, None]


class TestSharpness:
    @pytest.mark.parametrize(
        ("fx", "fy", "share"),
        [(1, 0, 0), (0, 5, 0), (5, 0, 0), (6, 0, 1), (0, 10, 1), (3, 3, 0), (4, 4, 1), (10, 10, 1)],
    )
    def test_a_wave_is_sharp_above_a_quarter_of_a_cycle_per_pixel(self, fx: int, fy: int, share: float) -> None:
        assert sharpness(wave(fx, fy)).item() == pytest.approx(share, abs=1e-12)

    def test_energies_are_shared_whatever_brightness_and_contrast(self) -> None:
        image = wave(2, 1) + wave(8, 3, amplitude=0.5)  # 1 and 0.25 of energy
        for x in (image, 0.1 * image + 0.5):
            assert sharpness(x).item() == pytest.approx(0.2)
        assert sharpness(torch.cat([image, wave(1, 0)])).tolist() == pytest.approx([0.2, 0.0], abs=1e-12)

    def test_one_color_is_not_sharp(self) -> None:
        assert sharpness(torch.full((2, 3, 8, 8), 0.3)).tolist() == [0.0, 0.0]


def test_hidden_betas_are_those_of_the_notebook() -> None:
    assert [round(hidden_beta(d), 4) for d in (2, 10, 20)] == [0.392, 0.0784, 0.0392]


class TestLayers:
    def result(self, **changes: float) -> Result:
        values = {(NOTEBOOK, name): float(weights) for name, weights in ncsu_network.PRINTED.items()}
        return result_of("N5", values | {(NOTEBOOK, name): value for name, value in changes.items()}, FULL)

    def test_the_network_has_the_printed_layers(self) -> None:
        vae = ncsu_network.notebook(FULL)[NOTEBOOK].model.build((1, 28, 28))
        encoder = ncsu_network.traced(vae.posterior, torch.zeros(1, 1, 28, 28))
        decoder = ncsu_network.traced(vae.likelihood, torch.zeros(1, 2))[:-1]
        named = [
            (f"{part} {k}: {name}", weights)
            for part, layers in (("encoder", encoder), ("decoder", decoder))
            for k, (name, weights) in enumerate(layers, 1)
        ]
        *printed, (_, total) = ncsu_network.PRINTED.items()
        assert named == printed
        assert sum(weights for _, weights in printed) == total

    def test_any_other_layer_or_weight_fails(self) -> None:
        assert ncsu_network.judge_layers(self.result()).word == REPRODUCED
        for name, value in (("encoder 6: dense to 32", 401_441), ("decoder 5: dense to 7", 7)):
            word, sentence = ncsu_network.judge_layers(self.result(**{name: value}))
            assert word == FAILED
            assert name in sentence

    def test_digits_have_other_shapes(self) -> None:
        assert ncsu_network.judge_layers(result_of("N5", {}, SMOKE)).word == UNTESTABLE


class TestLosses:
    def result(self, shift: float = 0.0, fall: float = -0.002, early: float = 0.001, late: float = 0.001) -> Result:
        """The printed losses, all shifted by a part of their tolerance, and a gap in the second and last fifth."""
        known, allowed = ncsu_losses.published_losses(THREE), ncsu_losses.tolerances()
        values = {key: loss + shift * allowed[key] for key, loss in known.items()}
        values |= {(NOTEBOOK, ncsu_losses.quantity(ncsu_losses.LAST, images)): 0.176 for images in ncsu_losses.IMAGES}
        for when, gap, loss in ((ncsu_losses.EARLY, early, 0.18), (ncsu_losses.LATE, late, 0.18 + fall)):
            values[NOTEBOOK, ncsu_losses.gap(when)] = gap
            values[NOTEBOOK, ncsu_losses.quantity(when, "held out")] = loss
        return result_of("N2", values, THREE)

    @pytest.mark.parametrize(
        ("changes", "word", "words"),
        [
            ({"shift": 0.9}, REPRODUCED, "20 of 20"),
            ({"shift": -1.1}, BETTER, "why is unknown"),
            ({"shift": 1.1}, FAILED, "worse"),
            ({"late": 0.0021, "early": 0.0021}, FAILED, "the gap exceeds 0.002:"),
            ({"late": 0.0015}, FAILED, "the gap grows:"),
            ({"fall": 0.001}, FAILED, "the held-out loss no longer falls:"),
        ],
    )
    def test_printed_epochs_gap_and_fall_decide(self, changes: dict[str, float], word: str, words: str) -> None:
        found, sentence = ncsu_losses.judge_losses(self.result(**changes))
        assert found == word
        assert words in sentence

    def test_tolerances_are_a_fiftieth_over_the_epoch(self) -> None:
        allowed = ncsu_losses.tolerances()
        assert allowed[NOTEBOOK, ncsu_losses.quantity(1, "training")] == 0.02
        assert allowed[NOTEBOOK, ncsu_losses.quantity(10, "held out")] == pytest.approx(0.002)
        assert ncsu_losses.published_losses(FULL).keys() == allowed.keys()

    @pytest.mark.parametrize(
        ("epochs", "second", "last"), [(50, range(10, 20), range(40, 50)), (1, range(1), range(1))]
    )
    def test_fifths(self, epochs: int, second: range, last: range) -> None:
        parts = ncsu_losses.fifths(epochs)
        assert range(epochs)[parts[ncsu_losses.EARLY]] == second
        assert range(epochs)[parts[ncsu_losses.LATE]] == last


def samples_result(plain: tuple[float, ...], notebook: tuple[float, ...], distances: tuple[float, ...] = ()) -> Result:
    """Sharpness at 2, 10 and 20 latents for either β, and Fréchet distances for both; errors are 0.1."""
    values = {(one(2), SHARP_TEST): 5.0}
    for label, found in ((one, plain), (weighted, notebook)):
        for d, value, distance in zip(LATENTS, found, distances or (300, 100, 110), strict=True):
            values[label(d), SHARP], values[label(d), DISTANCE] = value, float(distance)
    return result_of("N3", values, FULL)


class TestSamples:
    @pytest.mark.parametrize(
        ("plain", "notebook", "word"),
        [
            ((1, 3, 4), (2, 4, 5), REPRODUCED),
            ((1, 3, 4), (2, 4, 2.1), CORRECTED),  # within two standard errors of 2 latents
            ((1, 3, 0.5), (2, 4, 5), CORRECTED),
            ((3, 1, 4), (3, 1, 4), FAILED),
        ],
    )
    def test_more_latents_have_to_be_sharper_at_both_numbers(self, plain, notebook, word) -> None:
        assert ncsu_samples.judge_sharper(samples_result(plain, notebook)).word == word

    def test_distances_that_say_otherwise_are_named(self) -> None:
        found, sentence = ncsu_samples.judge_sharper(samples_result((1, 3, 4), (1, 3, 4), (300, 100, 310)))
        assert found == REPRODUCED
        assert "by that distance, more latents are not better with β = 1" in sentence

    @pytest.mark.parametrize(
        ("plain", "notebook", "distances", "word"),
        [
            ((1, 3, 3.3), (1, 3, 2.7), (300, 100, 130), REPRODUCED),
            ((1, 3, 3.5), (1, 3, 3), (300, 100, 130), CORRECTED),
            ((1, 3, 3), (1, 3, 3), (320, 110, 157), FAILED),  # sharpness is the same, but not the distance
        ],
    )
    def test_ten_and_twenty_latents_differ_little(self, plain, notebook, distances, word) -> None:
        assert ncsu_samples.judge_alike(samples_result(plain, notebook, distances)).word == word


class TestUses:
    def test_ways_lead_from_the_mean_of_all_others(self) -> None:
        codes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 4.0], [6.0, 8.0]])
        found = ncsu_uses.ways(codes, torch.tensor([0, 0, 1, 2]))
        expected = torch.tensor([[1 - 5, 0 - 6], [4 - 8 / 3, 4 - 8 / 3], [6 - 2, 8 - 4 / 3]])
        assert torch.allclose(found, expected)

    def test_noise_is_the_same_but_for_its_size(self) -> None:
        x = torch.full((50, 1, 8, 8), 0.5)
        small, large = (ncsu_uses.noised(x, sigma) - x for sigma in (0.05, 0.1))
        assert torch.allclose(2 * small, large, atol=1e-6)
        assert small.std().item() == pytest.approx(0.05, rel=0.1)
        assert ncsu_uses.noised(x, 9.0).aminmax() == (0.0, 1.0)

    @pytest.mark.parametrize(
        ("halfway", "largest", "word"), [(0.9, 1.5, REPRODUCED), (0.9, 2.1, FAILED), (0.6, 1.5, FAILED)]
    )
    def test_paths(self, halfway: float, largest: float, word: str) -> None:
        quantities = {ncsu_uses.LARGEST: largest, ncsu_uses.HALFWAY: halfway, ncsu_uses.MIXED: 0.5}
        values = {(one(2), quantity): value for quantity, value in quantities.items()}
        assert ncsu_uses.judge_paths(result_of("N6", values, FULL)).word == word

    @pytest.mark.parametrize(
        ("fours", "stray", "word"),
        [
            ((0.0, 0.3, 0.6), 0.1, REPRODUCED),
            ((0.0, 0.3, 0.6), 0.7, FAILED),
            ((0.4, 0.3, 0.6), 0.1, FAILED),
            ((0.0, 0.3, 0.4), 0.1, FAILED),
        ],
    )
    def test_directions(self, fours: tuple[float, ...], stray: float, word: str) -> None:
        values = {(one(2), ncsu_uses.STRAYED): stray}
        for length, p in zip(ncsu_uses.AWAY, fours, strict=True):
            values |= {(one(2), ncsu_uses.becomes(what, length)): p for what in ("4", ncsu_uses.ANY)}
        assert ncsu_uses.judge_directions(result_of("N7", values, FULL)).word == word

    @pytest.mark.parametrize(
        ("weak", "strong", "word"), [(9.0, 30.0, REPRODUCED), (11.0, 30.0, CORRECTED), (11.0, 95.0, FAILED)]
    )
    def test_denoising(self, weak: float, strong: float, word: str) -> None:
        errors = {0.1: (10.0, weak, 30.0), 0.3: (40.0, 4 * weak, 70.0), 0.5: (90.0, strong, 100.0)}
        kinds = (ncsu_uses.INPUT, ncsu_uses.CLEAN, ncsu_uses.ITSELF)
        values = {
            ("d", ncsu_uses.noisy(sigma, kind)): error
            for sigma, each in errors.items()
            for kind, error in zip(kinds, each, strict=True)
        }
        found, sentence = ncsu_uses.judge_denoised(result_of("N9", values, FULL))
        assert found == word
        assert ("only with σ = 0.5" in sentence) == (word == CORRECTED)

    def test_a_claim_has_to_hold_in_all_trainings_of_as_many_latents(self) -> None:
        smooth = {ncsu_uses.LARGEST: 1.0, ncsu_uses.HALFWAY: 0.9, ncsu_uses.MIXED: 0.5}
        values = {
            (label(d), quantity): value
            for label in (one, weighted)
            for d in LATENTS
            for quantity, value in smooth.items()
        }
        values[weighted(2), ncsu_uses.LARGEST] = 3.0
        found, sentence = ncsu_uses.judge_paths(result_of("N6", values, FULL))
        assert (found, sentence.split(":")[0]) == (CORRECTED, "only with 10 latents and with 20 latents")


class Linear:
    """A model whose images are its codes, and a lab of it, whose classifiers look at the sign of the first element."""

    runs: ClassVar = {"d": SimpleNamespace(vae=lambda: SimpleNamespace(decode=lambda z: z[..., None, None]))}

    def __init__(self, codes: torch.Tensor, classes: torch.Tensor) -> None:
        self.data = codes, classes

    def coded(self, _label: str, _part: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.data

    def opinions(self, _label: str, images: torch.Tensor) -> torch.Tensor:
        right = (images.flatten(1)[:, 0] > 0).double()
        return torch.stack([1 - right, right], -1).expand(3, -1, -1)


class TestMeasures:
    def test_paths_of_a_linear_decoder_have_equal_steps_and_meet_the_cross_fade_halfway(self) -> None:
        torch.manual_seed(0)
        found = ncsu_uses.paths(Linear(torch.randn(40, 2), torch.arange(40) % 2))
        assert found["d", ncsu_uses.LARGEST].value == pytest.approx(1.0, abs=1e-5)
        assert found["d", ncsu_uses.HALFWAY] == found["d", ncsu_uses.MIXED]

    def test_the_way_to_a_class_makes_all_codes_that_class(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ncsu_uses, "FOUR", 1)
        left = torch.tensor([[-1.0, 0.0], [-1.2, 0.0], [-0.8, 0.0], [-1.0, 0.0]])
        found = ncsu_uses.directions(Linear(torch.cat([left, -left]), torch.arange(8) // 4))
        parts = [found["d", ncsu_uses.becomes(ncsu_uses.ANY, part)].value for part in ncsu_uses.AWAY]
        assert parts[::2] == [0.0, 1.0]  # the way is 2 long, from −1 to 1
        assert found["d", ncsu_uses.becomes("1", 1.0)].value == 1.0


class TestPlanes:
    def numbers(self, name: str, chance: float, largest: float) -> dict[tuple[str, str], float]:
        """The numbers of a plane: how often chance orders its classes as well, and its largest step."""
        found = {planes.CORRELATION: -0.5, planes.CHANCE: chance, planes.MEAN_STEP: 0.2, planes.LARGEST_STEP: largest}
        return {(name, quantity): value for quantity, value in found.items()} | {(name, ncsu_codes.NEIGHBORS): 0.7}

    @pytest.mark.parametrize(
        ("chance", "largest", "word"),
        [(0.01, 0.8, REPRODUCED), (0.06, 0.8, CORRECTED), (0.01, 1.2, CORRECTED)],
    )
    def test_classes_are_ordered_and_the_grid_is_smooth(self, chance: float, largest: float, word: str) -> None:
        values = self.numbers(PLAIN, 0.01, 0.8) | self.numbers(NOTEBOOK, chance, largest)
        found, sentence = ncsu_codes.judge(result_of("N1", values, FULL))
        assert found == word
        assert ("only with d = 2, β = 1" in sentence) == (word == CORRECTED)
        both = self.numbers(PLAIN, chance, largest) | self.numbers(NOTEBOOK, chance, largest)
        assert ncsu_codes.judge(result_of("N1", both, FULL)).word == (FAILED if word == CORRECTED else word)

    @pytest.mark.parametrize(
        ("chance", "sharp", "word"), [(0.01, 0.3, REPRODUCED), (0.06, 0.3, FAILED), (0.01, 0.1, FAILED)]
    )
    def test_many_labels(self, chance: float, sharp: float, word: str) -> None:
        few, many = map(ncsu_labels.label, ncsu_labels.SIZES)
        values = self.numbers(few, chance, 0.8) | {(few, SHARP): 0.2, (many, SHARP): sharp, (few, SHARP_TEST): 0.4}
        values |= {(name, ncsu_labels.NEIGHBORS): 0.1 for name in (few, many)} | {(few, ncsu_labels.CHANCE): 0.02}
        assert ncsu_labels.judge(result_of("N8", values, THREE)).word == word
