"""Verdicts and pages follow from stored numbers, on both sides of what is published."""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
from reproduced import ALL, DOCUMENTED, Apart, check_prose, find, result_of, shares

from vaekit import InputError
from vaekit.estimates import Estimate
from vaekit.studies import findings, kth_bounds, kth_trials, lessons, pages, running
from vaekit.studies.catalog import STUDIES
from vaekit.studies.kth_bounds import AEVB, BOUND, SECOND, at, label
from vaekit.studies.scale import SCALES, Scale
from vaekit.studies.study import (
    BETTER,
    FAILED,
    NOT_RUN,
    OUTDATED,
    REPRODUCED,
    UNTESTABLE,
    Findings,
    Row,
    Verdict,
    by_seeds,
    compared,
    shown,
    written,
)


class TestCompared:
    published: ClassVar = {("d = 2", "bound"): -100.0, ("d = 5", "bound"): -90.0}

    def verdict(self, two: float, five: float, tolerance: float = 2.0, **options: Any) -> Verdict:
        values = {("d = 2", "bound"): two, ("d = 5", "bound"): five}
        return compared(result_of("K1", values, Scale(epochs=1)), self.published, tolerance, **options)

    @pytest.mark.parametrize(
        ("two", "five", "word"),
        [
            (-101.9, -88.1, REPRODUCED),
            (-100.0, -85.0, BETTER),
            (-103.0, -90.0, FAILED),
            (-103.0, -80.0, FAILED),
        ],
    )
    def test_both_sides_count(self, two: float, five: float, word: str) -> None:
        assert self.verdict(two, five).word == word
        swapped = {BETTER: FAILED, REPRODUCED: REPRODUCED}
        if (two, five) != (-103.0, -80.0) and word != FAILED:
            assert self.verdict(two, five, higher_is_better=False).word == swapped[word]

    def test_the_sentence_names_the_most_extreme_on_each_side(self) -> None:
        assert self.verdict(-103.5, -80.0).sentence == (
            "0 of 2 published numbers agree with ours; "
            "1 of ours are better, at most d = 5, bound: -80 where -90 is published (+10); "
            "1 of ours are worse, at most d = 2, bound: -103.5 where -100 is published (-3.5)."
        )
        assert self.verdict(-100, -80.0).sentence.endswith("; why is unknown.")
        assert self.verdict(-100, -80.0, why="the first weights differ").sentence.endswith("the first weights differ.")

    def test_each_number_may_have_its_own_tolerance(self) -> None:
        apart = dict(zip(self.published, (5.0, 0.1), strict=True))
        result = result_of("K1", {key: value - 3 for key, value in self.published.items()}, Scale(epochs=1))
        assert compared(result, self.published, 4.0).word == REPRODUCED
        assert compared(result, self.published, apart).word == FAILED

    def test_nothing_published_is_not_a_verdict(self) -> None:
        assert compared(result_of("K1", {}, Scale(epochs=1)), {}, 1.0).word == UNTESTABLE

    def test_differences_are_paired_over_the_seeds(self) -> None:
        measured = [
            {("a", "x"): Estimate(high, 1.0, 1), ("b", "x"): Estimate(low, 1.0, 1)}
            for high, low in ((11.0, 10.0), (23.0, 20.0), (32.0, 30.0))
        ]
        result = dataclasses.replace(result_of("K1", {}, Scale(epochs=1)), rows=running.aggregated(measured))
        value, error, seeds = result.paired(("a", "x"), ("b", "x"))
        assert (value, error, seeds) == (pytest.approx(2.0), pytest.approx(3**-0.5), 3)
        assert math.isnan(result_of("K1", self.published, Scale(epochs=1)).paired(*self.published).standard_error)


class TestShown:
    @pytest.mark.parametrize(
        ("gains", "word"),
        [
            ([(5.0, 1.0, 3), (6.0, 1.0, 3)], REPRODUCED),
            ([(5.0, 1.0, 3), (4.0, 1.0, 3)], UNTESTABLE),  # 95% of three seeds is 4.3 errors
            ([(5.0, 1.0, 3), (-4.0, 1.0, 3)], UNTESTABLE),
            ([(5.0, 1.0, 3), (-5.0, 1.0, 3)], FAILED),
            ([(5.0, math.nan, 1)], UNTESTABLE),
        ],
    )
    def test_only_what_is_clear_over_the_seeds_decides(self, gains: list[tuple[float, float, int]], word: str) -> None:
        assert shown(*(Estimate(*gain) for gain in gains)) == word
        result = result_of("W6", {}, Scale(epochs=10, seeds=gains[0][2]))
        why = "so; one seed cannot tell." if gains[0][2] == 1 else "so; over the seeds, this is not clear."
        assert by_seeds(result, word, "so").sentence == (why if word == UNTESTABLE else "so.")


class TestVerdicts:
    def test_short_trainings_refute_nothing(self) -> None:
        dominates = find("aragam2024", "A8")
        short, whole = (result_of("A8", shares(), Scale(epochs=epochs)) for epochs in (2, 10))
        assert dominates.judged(short).word == UNTESTABLE
        assert dominates.judged(whole).word == FAILED
        assert dominates.judged(result_of("A8", shares(factor=2), Scale(epochs=2))).word == REPRODUCED

    @pytest.mark.parametrize(
        ("word", "at_any_length", "to_the_end", "judged"),
        [
            (FAILED, False, False, UNTESTABLE),
            (FAILED, True, False, FAILED),
            (FAILED, True, True, FAILED),
            (REPRODUCED, False, False, REPRODUCED),
            (REPRODUCED, False, True, UNTESTABLE),
            (BETTER, True, True, UNTESTABLE),
        ],
    )
    def test_what_a_short_training_shows(self, word: str, at_any_length: bool, to_the_end: bool, judged: str) -> None:
        made = dataclasses.replace(
            find("aragam2024", "A5"),
            verdict=lambda _: Verdict(word, "it is so."),
            at_any_length=at_any_length,
            to_the_end=to_the_end,
        )
        short, whole = (made.judged(result_of("A5", {}, Scale(epochs=n, seeds=3))) for n in (2, 10))
        assert short.word == judged
        assert "2 of 10 epochs" in short.sentence
        assert whole == (word, "it is so.")

    @pytest.mark.parametrize("word", [REPRODUCED, FAILED])
    def test_one_seed_has_no_differences(self, word: str) -> None:
        made = dataclasses.replace(find("wei", "W6"), verdict=lambda _: Verdict(word, "it is so."))
        one, two = (made.judged(result_of("W6", {}, Scale(epochs=10, seeds=n))) for n in (1, 2))
        assert one == (UNTESTABLE, "one seed: spread unknown, so that no difference can be judged: it is so.")
        assert two == (word, "it is so (2 seeds only).")

    def test_few_seeds_are_told(self) -> None:
        made = dataclasses.replace(find("aragam2024", "A5"), verdict=lambda _: Verdict(REPRODUCED, "it is so."))
        sentences = [made.judged(result_of("A5", {}, Scale(epochs=10, seeds=n))).sentence for n in (1, 2, 3)]
        assert sentences == ["it is so (1 seed only).", "it is so (2 seeds only).", "it is so."]


class TestPages:
    def test_documentation_is_what_the_results_give(self) -> None:
        for name, text in pages.pages(DOCUMENTED).items():
            assert (DOCUMENTED.parent / name).read_text() == text, f"{name}: run 'vaekit reproduce --report'"

    def test_documented_results_are_of_the_same_trainings(self) -> None:
        for study, artifact in ALL:
            for scale in SCALES[1:]:
                path = DOCUMENTED / study.name / f"{artifact.name}-{scale}.json"
                if not path.is_file():
                    continue
                result = findings.read(path)
                assert all((path.parent / name).is_file() for name in (*result.figures, *result.tables))
                if findings.verdict(artifact, result).word != OUTDATED:
                    assert list(result.epochs) == list(artifact.experiments(result.size))

    def test_a_page_says_what_was_measured_and_what_was_not_run(self, tmp_path: Path) -> None:
        running.store(result_of("A8", shares(), Scale(epochs=10)), tmp_path / "results")
        written = {path.name: path.read_text() for path in pages.write_pages(tmp_path / "results")}
        assert (
            "| 0.4499 | 0.225 ± 0.1 (d = 30, share of the KL in the total) | full | "
            "1 seed, at most 10,000 images, losses | " in written["README.md"]
        )
        assert written["README.md"].count(NOT_RUN) == len(ALL) - 1
        assert "**Not reproduced**" in written["aragam2024.md"]
        assert "**Not run yet**: " in written["wei.md"]
        links = re.findall(r"\]\((\w+)\.md#(\w+)\)", written["README.md"])
        assert len(links) == len(ALL)
        assert all(f'<a id="{anchor}"></a>' in written[f"{name}.md"] for name, anchor in links)

    def test_a_curve_has_its_numbers_beside_it(self, tmp_path: Path) -> None:
        result = result_of("A8", shares(), Scale(epochs=10))
        figures = {"A8-full-losses.png": "Losses.", "A8-full-samples.png": "Samples."}
        running.store(dataclasses.replace(result, figures=figures, tables=["A8-full-losses.csv"]), tmp_path / "results")
        text = pages.pages(tmp_path / "results")["aragam2024.md"]
        assert "*Losses.* ([numbers](results/aragam2024/A8-full-losses.csv))" in text
        assert "*Samples.*\n" in text

    def test_results_of_older_code_load(self, tmp_path: Path) -> None:
        path = running.store(result_of("A1", {("d = 2", "x"): 1.0}, Scale(epochs=10)), tmp_path)
        stored = json.loads(path.read_text())
        del stored["tables"], stored["rows"][0]["values"]
        path.write_text(json.dumps(stored))
        assert findings.read(path).value("d = 2", "x") == 1.0

    @pytest.mark.parametrize("change", ["digests", "rows"])
    def test_a_result_of_older_code_is_to_be_run_again(self, tmp_path: Path, change: str) -> None:
        result = result_of("A8", shares(), Scale(epochs=10))
        running.store(dataclasses.replace(result, **{change: []}), tmp_path / "results")
        texts = pages.pages(tmp_path / "results")
        assert texts["README.md"].count(f"| {OUTDATED} |") == 1
        assert "**Run again**: " in texts["aragam2024.md"]
        assert ("aragam2024", "A8") not in findings.findings(tmp_path / "results")
        (state,) = {row["state"] for row in findings.states(tmp_path / "results")} - {NOT_RUN}
        assert state == "run again (full)"

    def test_prose_quotes_stored_results(self) -> None:
        found = Findings({("aragam2024", "A1"): result_of("A1", {("d = 2", "total"): 36.71}, Scale(epochs=10))})
        texts = [
            lambda found, quantity=quantity: f"it is {found.quote('aragam2024', 'A1', 'd = 2', quantity)} nats."
            for quantity in ("total", "KL")
        ]
        assert [written(text, found) for text in texts] == ["it is 36.71 nats.", None]
        assert written(texts[0], Findings()) is None
        assert written("the report says 3.", found) == "the report says 3."

    def test_a_lesson_is_told_if_the_results_support_it(self) -> None:
        values = {("z = μ + σ ε", "lower bound"): -100.0, ("z = μ + σ² ε", "lower bound"): -120.0}
        result = result_of("K7", values, Scale(epochs=1, seeds=3))
        text = lessons.page(Findings({("kth2021", "K7"): result}))
        assert "One exponent costs 20 nats" in text
        assert "1 not reproduced" in text
        same = dataclasses.replace(result, rows=[Row(*row, -100.0, 0.1, 0.0, [-100.0] * 3) for row in values])
        assert "exponent" not in lessons.page(Findings({("kth2021", "K7"): same}))
        alone = result_of("K7", values, Scale(epochs=1))
        assert "exponent" not in lessons.page(Findings({("kth2021", "K7"): alone}))
        assert "##" in lessons.page(Findings())
        whole = [lessons.HEAD, *check_prose(Apart()), lessons.FOOT]
        assert len(" ".join(whole).split()) < 900, "more than two screens"

    def test_first_weights_are_compared_after_equally_many_images(self) -> None:
        size = kth_bounds.lengths("mnist", 3, 10)["laptop"]
        small, large = {}, {}
        for d in (3, 10):
            small[label(d, AEVB), at(1)], small[label(d, AEVB), BOUND] = -130.0, -120.0
            large[label(d, SECOND), BOUND] = -127.0
        found = Findings(
            {("kth2021", "K1"): result_of("K1", small, size), ("kth2021", "K1c"): result_of("K1c", large, size)}
        )
        assert "by +3.0 nats with 3 latents and by +3.0 nats with 10 latents" in lessons.first_weights(found)
        near = dict.fromkeys(large, -129.0)
        with pytest.raises(InputError):
            lessons.first_weights(Findings({**found, ("kth2021", "K1c"): result_of("K1c", near, size)}))

    def test_the_setting_that_comes_nearest_to_faces_is_named(self) -> None:
        size = kth_bounds.lengths("frey_face", 1, 10)["laptop"]
        known = kth_trials.published(size)
        values = {key: height + 100 for key, height in known.items()}
        one = kth_trials.frey("frames in their order"), BOUND
        words = lessons.nearest_trial(result_of("K2b", values | {one: known[one] - 40}, size))
        assert "Of the 7 settings that we tried, the nearest is 'frames in their order', with 7" in words

    def test_full_comes_before_laptop_and_smoke_is_left_out(self, tmp_path: Path) -> None:
        for scale in SCALES:
            result = result_of("A5", {("d = 5", "x"): 1.0}, Scale(epochs=10))
            running.store(dataclasses.replace(result, scale=scale), tmp_path)
        (aragam,) = (study for study in STUDIES if study.name == "aragam2024")
        assert findings.stored(aragam, tmp_path)["A5"].scale == "full"
        (tmp_path / "aragam2024/A5-full.json").unlink()
        assert findings.stored(aragam, tmp_path)["A5"].scale == "laptop"
        (tmp_path / "aragam2024/A5-laptop.json").unlink()
        assert findings.stored(aragam, tmp_path) == {}

    def test_a_damaged_result_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "wei").mkdir()
        (tmp_path / "wei/W1-full.json").write_text('{"study": "wei"}')
        with pytest.raises(InputError, match=r"W1-full\.json is not the result"):
            pages.pages(tmp_path)
