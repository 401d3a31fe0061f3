"""What is judged of the benchmark of Aragam (2024), with numbers on each side of every border."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from small import finished

from vaekit.studies import aragam_codes as codes
from vaekit.studies import aragam_experiments as experiments
from vaekit.studies import aragam_losses as losses
from vaekit.studies import aragam_pictures as pictures
from vaekit.studies import aragam_scores as scores
from vaekit.studies.aragam2024 import STUDY
from vaekit.studies.aragam_experiments import TABLE, label, longer
from vaekit.studies.findings import find
from vaekit.studies.lab import Lab
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import BETTER, CORRECTED, FAILED, REPRODUCED, UNTESTABLE, Key, Result, Row, Verdict

SCALE = Scale(epochs=10, seeds=3)


def measured(values: Mapping[Key, float], deviation: float = 0.01, scale: Scale = SCALE) -> Result:
    """Three seeds, of which one has the mean and the others lie on both sides of it."""
    rows = [
        Row(*key, value, 0.01, deviation, [value - deviation, value, value + deviation])
        for key, value in values.items()
    ]
    return Result(
        study="aragam2024", artifact="A1", scale="laptop", size=scale, rows=rows, figures={}, data=["mnist"],
        epochs={}, digests=[], command="", training_seconds=0, measuring_seconds=0, machine="2 CPU cores", versions={},
    )  # fmt: skip


def judged(name: str, values: Mapping[Key, float], deviation: float = 0.01, scale: Scale = SCALE) -> Verdict:
    return find(STUDY, name).verdict(measured(values, deviation, scale))


def of_all(quantity: str, values: Mapping[int, float]) -> dict[Key, float]:
    """A quantity by number of latents."""
    return {(label(d), quantity): value for d, value in values.items()}


class TestTable:
    def values(self, apart: Mapping[tuple[int, str], float], long: float = 0.0) -> dict[Key, float]:
        """Test images that meet the table, but for some terms; the other kinds are a nat away."""
        found = {}
        for kind, off in zip(losses.KINDS, (0.0, 1.0, -1.0), strict=True):
            for d, row in TABLE.items():
                for term in losses.TERMS:
                    found[label(d), losses.quantity(term, kind)] = row[term] + off + apart.get((d, term), 0.0)
            for term in losses.TERMS:
                found[longer(2), losses.quantity(term, kind)] = TABLE[2][term] + off + long
        return found

    @pytest.mark.parametrize(
        ("apart", "long", "word"),
        [
            ({}, 5.0, REPRODUCED),
            ({(3, "KL"): 0.3}, 0.0, REPRODUCED),
            ({(3, "KL"): -0.55}, 0.0, BETTER),
            ({(30, "reconstruction"): 1.0}, 0.0, FAILED),
            ({(2, "reconstruction"): 1.9}, 0.0, CORRECTED),
            ({(2, "reconstruction"): 1.9}, 1.0, FAILED),
            ({(2, "reconstruction"): 1.9, (30, "reconstruction"): 1.0}, 0.0, FAILED),
        ],
    )
    def test_both_terms_of_all_rows_count_on_both_sides(self, apart, long: float, word: str) -> None:
        verdict = judged("A1", self.values(apart, long), deviation=0.1)
        assert verdict.word == word, verdict.sentence
        assert "nearest, test images (root mean square difference" in verdict.sentence
        assert all(
            f"{label(d)} {term} {off:+.2f}" in verdict.sentence for (d, term), off in apart.items() if off != 0.3
        )

    def test_one_kind_is_taken_for_all_rows(self) -> None:
        shifted = {key: value - 1 for key, value in self.values({}).items()}
        assert "nearest, mean of the last epoch" in judged("A1", shifted).sentence

    def test_a_batch_of_images_varies_more_than_a_training(self) -> None:
        values = self.values({})
        batches = {key: value + 1 for key, value in values.items()}
        allowed = [
            losses.tolerances(measured(values), kind)[label(5), losses.quantity("KL", kind)]
            for kind in (losses.TEST, losses.BATCHES)
        ]
        assert "nearest, batch of training images" in judged("A1", batches).sentence
        assert allowed[0] == pytest.approx(3 * 0.01 * (4 / 3) ** 0.5)
        assert allowed[1] == pytest.approx(3 * (0.01**2 * 4 / 3 + 0.01**2 * 10_000 / 256) ** 0.5)

    def test_the_kinds_of_images_are_measured_alike(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = finished(experiments.experiment(SMOKE, 3).replace("optimizer.learning_rate", 5e-3), tmp_path / "run")
        lab = Lab({"run": run}, SMOKE)
        monkeypatch.setattr(Lab, "training_images", Lab.test_images)
        one, other = losses.of_test_images(lab, "run"), losses.of_training_images(lab, "run")
        assert other["KL"].value == pytest.approx(one["KL"].value, rel=1e-4)
        assert other["total"].value == pytest.approx(one["total"].value, rel=0.02)
        assert other["total"].value == pytest.approx(other["KL"].value + other["reconstruction"].value)
        error = (
            (lab.test_images("run") - run.vae().reconstruct(lab.test_images("run"))).square().flatten(1).sum(1).mean()
        )
        assert other["reconstruction"].value >= float(error) * 0.98  # codes are noisy

    def test_short_and_single_trainings_are_not_compared(self) -> None:
        for scale in (Scale(epochs=2, seeds=3), Scale(epochs=10)):
            found = find(STUDY, "A1").judged(measured(self.values({}), 0.01, scale))
            assert found.word == UNTESTABLE
        assert found.sentence.startswith("one seed: spread unknown")


class TestStart:
    def values(self, share: float, **trained: float) -> dict[Key, float]:
        found = {}
        for d in TABLE:
            for term, start, end in (("total", 180.0, 30.0), ("reconstruction", 179.0, 25.0), ("KL", 0.01, 5.0)):
                found[label(d), losses.quantity(term, losses.BEFORE)] = start
                found[label(d), losses.quantity(term, losses.AFTER)] = trained.get(term, end) if d == 30 else end
        tails = {(label(3), losses.quantile("total", at, losses.CODES)): 180.0 for at in losses.TAILS}
        return found | tails | {(label(3), f"{losses.OUTSIDE}, {losses.CODES}"): share}

    @pytest.mark.parametrize(
        ("share", "trained", "word"),
        [
            (0.06, {}, CORRECTED),
            (0.04, {}, FAILED),
            (0.5, {"KL": 0.001}, FAILED),
            (0.5, {"reconstruction": 190.0}, FAILED),
            (0.5, {"total": 190.0}, FAILED),
        ],
    )
    def test_all_curves_and_a_central_first_loss(self, share: float, trained, word: str) -> None:
        verdict = judged("A2", self.values(share, **trained), deviation=0.0)
        assert verdict.word == word
        assert all(f"{name} at d = 30" in verdict.sentence for name in trained)

    def test_distance_from_a_center_is_in_units_of_the_spread(self) -> None:
        points = np.random.default_rng(0).normal(size=(20_000, 2)) @ np.array([[3.0, 2.0], [0.0, 0.1]])
        expected = np.exp(-(2.0**2) / 2)  # of a standard normal in the plane, beyond a distance of two
        for direction in ([1.0, 0.0], [0.0, 1.0]):
            point = 2 * np.array(direction) @ np.array([[3.0, 2.0], [0.0, 0.1]])
            assert losses.outside(points, point) == pytest.approx(expected, abs=0.01)

    def test_untrained_networks_have_weights_and_a_head_of_their_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(losses, "NETWORKS", 8)
        run = finished(experiments.experiment(SMOKE, 3).replace("epochs", 0.1), tmp_path / "run")
        found = {head: losses.untrained(Lab({"run": run}, SMOKE), "run", head) for head in losses.HEADS}
        assert found["log_scale"].shape == (8, 2)
        assert len({*found["log_scale"][:, 1]}) == 8
        assert (found["log_variance"][:, 0] < found["log_scale"][:, 0]).all()  # the same output is half of log σ


class TestPairs:
    def values(self, seven_nine: float, four_nine: float, others: float = 0.03) -> dict[Key, float]:
        found = {}
        for d in (2, 3):
            found |= {(label(d), pictures.pair(*names)): others for names in pictures.PAIRS}
            found |= {(label(d), pictures.pair(7, 9)): seven_nine, (label(d), pictures.pair(4, 9)): four_nine}
            found[label(d), f"{pictures.OTHERS}, {pictures.CODES}"] = others
        return found

    @pytest.mark.parametrize(
        ("seven_nine", "four_nine", "word"), [(0.3, 0.2, REPRODUCED), (0.3, 0.4, CORRECTED), (0.04, 0.4, FAILED)]
    )
    def test_worse_pairs_are_named(self, seven_nine: float, four_nine: float, word: str) -> None:
        verdict = judged("A3", self.values(seven_nine, four_nine))
        assert verdict.word == word
        assert ("4/9 (40.0%)" in verdict.sentence) == (four_nine > seven_nine)
        assert f"rank {1 + (four_nine > seven_nine)} of 45" in verdict.sentence

    def test_at_most_five_worse_pairs_are_named(self) -> None:
        sentence = judged("A3", self.values(0.1, 0.4, others=0.2)).sentence
        assert sentence.count("rank 45 of 45 pairs") == 2
        assert sentence.count("4/9 (40.0%)") == 2
        assert sentence.count("(20.0%)") == 2 * (pictures.NAMED - 1)


class TestReading:
    @pytest.mark.parametrize(("p", "of"), [(0.05, 64), (0.5, 64), (0.9375, 64), (0.999, 15), (0.2, 1)])
    def test_the_central_interval_leaves_a_tail_on_each_side(self, p: float, of: int) -> None:
        low, high = pictures.interval(p, of)
        found = torch.distributions.Binomial(of, torch.tensor(p, dtype=torch.double))
        cdf = found.log_prob(torch.arange(of + 1).double()).exp().cumsum(0)
        assert (cdf[low - 1] if low else 0) <= 0.025 < cdf[low]
        assert cdf[high] >= 0.975 - 1e-12
        assert high == 0 or cdf[high - 1] < 0.975

    def shares(self, of: str, by: Mapping[float, float], others: Mapping[int, float]) -> dict[Key, float]:
        found = {}
        for threshold, p in by.items():
            found |= {(label(5), pictures.by_classifier(threshold, of, k)): p for k in (1, 2, 3)}
            found |= of_all(pictures.read(threshold, of), {d: others.get(d, p) for d in TABLE})
        return found

    @pytest.mark.parametrize(
        ("half", "sure", "word"),
        [(0.95, 0.93, REPRODUCED), (0.95, 0.8, UNTESTABLE), (0.8, 0.7, FAILED), (1.0, 0.8, UNTESTABLE)],
    )
    def test_sixty_of_sixty_four(self, half: float, sure: float, word: str) -> None:
        assert judged("A5", self.shares(pictures.READ, {0.5: half, 0.9: sure}, {})).word == word

    @pytest.mark.parametrize(
        ("half", "thirty", "word"),
        [(0.95, 0.95, REPRODUCED), (0.95, 0.99, FAILED), (0.5, 0.5, FAILED)],
    )
    def test_fifteen_of_fifteen_and_five_is_best(self, half: float, thirty: float, word: str) -> None:
        verdict = judged("A4", self.shares(pictures.KEPT, {0.5: half, 0.9: half}, {30: thirty}))
        assert verdict.word == word
        assert ("more is kept at d = 30 (99.0%" in verdict.sentence) == (thirty > half)

    @pytest.mark.parametrize(("thirty", "word"), [(0.7, REPRODUCED), (0.89, FAILED), (0.95, FAILED)])
    def test_thirty_latents_are_less_legible(self, thirty: float, word: str) -> None:
        assert judged("A9", self.shares(pictures.READ, {0.5: 0.9, 0.9: 0.9}, {30: thirty})).word == word

    def test_shares_are_counted_by_classifier_and_on_average(self) -> None:
        p = torch.tensor([[0.95, 0.6, 0.4, 0.91], [0.6, 0.6, 0.6, 0.6], [0.99, 0.99, 0.99, 0.99]])
        found = pictures.shares("d = 5", "read", p)
        assert [found["d = 5", pictures.by_classifier(0.9, "read", k)].value for k in (1, 2, 3)] == [0.5, 0.0, 1.0]
        assert found["d = 5", pictures.read(0.9, "read")].value == pytest.approx(0.5)
        assert found["d = 5", pictures.read(0.5, "read")].value == pytest.approx(11 / 12)


class TestScores:
    def values(self, score: Mapping[int, float], distance: Mapping[int, float]) -> dict[Key, float]:
        worse = dict.fromkeys(TABLE, (8.0, 60.0)) | {5: (8.5, 50.0)}
        found = of_all(scores.SCORE, {d: score.get(d, a) for d, (a, _) in worse.items()})
        found |= of_all(scores.DISTANCE, {d: distance.get(d, b) for d, (_, b) in worse.items()})
        ties = {
            quantity: dict.fromkeys(TABLE, 0.5) for quantity in scores.PROPOSED if (label(5), quantity) not in found
        }
        return found | {key: value for each, values in ties.items() for key, value in of_all(each, values).items()}

    @pytest.mark.parametrize(
        ("score", "distance", "word"),
        [
            ({}, {}, REPRODUCED),
            ({4: 8.5}, {}, REPRODUCED),  # a tie by one score
            ({4: 8.5}, {4: 50.0}, UNTESTABLE),
            ({4: 8.7}, {}, FAILED),
            ({}, {10: 45.0}, FAILED),
        ],
    )
    def test_best_alone_by_some_and_worse_by_none(
        self, score, distance, word: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scores, "SCORES", scores.PROPOSED)
        verdict = judged("A6", self.values(score, distance), deviation=0.05)
        assert verdict.word == word
        assert ("d = 5 cannot be told apart from d = 4)" in verdict.sentence) == (score.get(4) == 8.5)

    def test_the_misprinted_score_does_not_notice_uneven_classes(self) -> None:
        even, uneven = (torch.eye(4)[torch.tensor(rows)] for rows in ([0, 1, 2, 3] * 3, [0] * 9 + [1, 2, 3]))
        assert scores.inception(even) == pytest.approx((4.0, 4.0))
        right, misprinted = scores.inception(uneven)
        assert right == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(1 / 12))))
        assert misprinted == pytest.approx(4.0)

    def test_the_order_by_both_scores(self) -> None:
        right = of_all(scores.RIGHT, {d: d / 10 for d in TABLE}) | {("test images", scores.RIGHT): 9.8}
        for order, word in ((1, CORRECTED), (-1, FAILED)):
            other = of_all(scores.MISPRINTED, {d: 5 + order * d / 10 for d in TABLE})
            assert judged("A13", right | other | {("test images", scores.MISPRINTED): 9.9}).word == word


def test_errors_are_pooled_over_numbers_of_latents() -> None:
    found = measured({(label(30), "x"): 0.0}, deviation=6.0)
    found.rows.extend(Row(label(d), "x", 0.0, 0.5, 0.0) for d in TABLE if d != 30)
    assert pictures.error_of_difference(found, "x") == pytest.approx((2 * 36 / 6 / 3) ** 0.5)


@pytest.mark.parametrize(("seeds", "words"), [(1, "2 errors over images, of one seed"), (3, "2 errors over the seeds")])
def test_errors_are_named(seeds: int, words: str) -> None:
    assert pictures.errors_in_words(measured({}, scale=Scale(epochs=10, seeds=seeds))) == words


def test_a_single_seed_has_the_error_of_its_images() -> None:
    found = measured({})
    found.rows.extend(Row(label(d), "x", 0.0, 0.5, None) for d in TABLE)
    assert pictures.error_of_difference(found, "x") == pytest.approx(0.5 * 2**0.5)


@pytest.mark.parametrize(("gain", "word"), [(0.1, REPRODUCED), (-0.1, FAILED)])
def test_the_loss_still_falls_everywhere(gain: float, word: str) -> None:
    values = {(longer(d), losses.GAIN): gain if d == 10 else 1.0 for d in TABLE}
    values |= {(longer(d), losses.DISTANCE): abs(d - 10) + 40.0 for d in TABLE}
    verdict = judged("A7", values, scale=Scale(epochs=10, longer=2))
    assert verdict.word == word
    assert "nearest to test images at d = 10" in verdict.sentence


@pytest.mark.parametrize(
    ("shares", "word", "trend"),
    [
        ({2: 0.1, 3: 0.2, 4: 0.25, 5: 0.3, 10: 0.4, 30: 0.45}, FAILED, "rises with every step"),
        ({2: 0.1, 3: 0.2, 4: 0.25, 5: 0.3, 10: 0.4, 30: 0.55}, REPRODUCED, "rises with every step"),
        ({2: 0.1, 3: 0.2, 4: 0.15, 5: 0.3, 10: 0.4, 30: 0.55}, FAILED, "falls from 3 to 4 latents"),
    ],
)
def test_whether_the_kl_dominates(shares: Mapping[int, float], word: str, trend: str) -> None:
    verdict = judged("A8", of_all(losses.SHARE, shares))
    assert verdict.word == word
    assert trend in verdict.sentence


def test_minutes_are_not_compared() -> None:
    values = {(label(d), "seconds per epoch"): 44.0 for d in (2, 3)}
    verdict = judged("A12", values)
    assert verdict.word == UNTESTABLE
    assert "44 at d = 2" in verdict.sentence
    assert "101.9 at d = 2" in verdict.sentence


class TestCodes:
    @pytest.mark.parametrize(("left", "word"), [(43.0, REPRODUCED), (44.0, FAILED)])
    def test_sgd_has_to_beat_principal_components(self, left: float, word: str) -> None:
        values = dict.fromkeys((experiments.MEAN, experiments.AUTO_ENCODER), 40.0)
        values |= {experiments.HALF: left, codes.MEAN_IMAGE: 52.85, codes.COMPONENTS: 43.55}
        assert judged("A10", {(name, codes.LOSS): value for name, value in values.items()}).word == word

    @pytest.mark.parametrize(
        ("left", "own", "word"), [(0.009, 1.0, CORRECTED), (0.02, 1.0, UNTESTABLE), (0.009, 0.99, UNTESTABLE)]
    )
    def test_one_network_has_to_keep_everything(self, left: float, own: float, word: str) -> None:
        values = {(name, codes.LEFT): 0.5 for name in experiments.LINES}
        values |= {(name, codes.OWN): 0.5 for name in experiments.LINES}
        values |= {(name, codes.UNSEEN): 1.2 for name in experiments.LINES}
        first = next(iter(experiments.LINES))
        values |= {(first, codes.LEFT): left, (first, codes.OWN): own}
        assert judged("A11", values, deviation=0.0).word == word

    @pytest.mark.parametrize(("last", "word"), [(0.71, REPRODUCED), (0.69, FAILED)])
    def test_a_vae_has_to_be_better_with_every_seed(self, last: float, word: str) -> None:
        plain, vae = experiments.AUTO_ENCODER, experiments.VARIATIONAL
        found = measured({(plain, codes.LOSS): 30.0, (codes.MEAN_IMAGE, codes.LOSS): 52.0})
        for name, empty, midway in ((plain, 0.2, [0.7, 0.7, 0.7]), (vae, 0.05, [0.8, 0.8, last])):
            found.rows.append(Row(name, codes.EMPTY, empty, None, 0.0, [empty] * 3))
            found.rows.append(Row(name, codes.MIDWAY, fmean(midway), None, 0.1, midway))
        assert codes.judge_gaps(found).word == word

    def test_principal_components_leave_what_a_projection_leaves(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(50, 1, 3, 4)
        flat = (x - x.mean(0)).flatten(1)
        _, _, v = torch.linalg.svd(flat, full_matrices=False)
        left = (flat - flat @ v[:2].T @ v[:2]).square().sum(1).mean()
        assert codes.principal(x, 2) == pytest.approx(float(left), rel=1e-4)
        assert codes.principal(x, 0) == pytest.approx(float(flat.square().sum(1).mean()), rel=1e-5)


def test_trainings_of_the_table_are_those_of_the_first_version() -> None:
    digests = [each.digest[:8] for each in experiments.dimensions(SCALE).values()]
    assert digests == ["532baf18", "277eddbf", "370592cf", "1991bf25", "5d4be9f1", "35aa306f"]
