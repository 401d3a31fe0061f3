"""Which numbers are those of a run: stale ones are marked and never compared, and what they mean is said once."""

import hashlib
import json
import math
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vaekit import Run, choose, compare, encode, evaluate, load, report, runs, show, train
from vaekit.cli import main
from vaekit.errors import InputError
from vaekit.evaluation import verdict
from vaekit.evaluations import FORMER, UNKNOWN, current, evaluations, weights_digest
from vaekit.measures import GROUPS
from vaekit.reporting.comparison import ANOTHER_SEED
from vaekit.run import RESULTS, WEIGHTS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.evaluation.amortization.STEPS", 3)
    monkeypatch.setattr("vaekit.evaluations.BATCH", 20)
    monkeypatch.setattr("vaekit.measures.SLOW_IMAGES", 20)


def change_weights(run: Run) -> None:
    """Stands for more training."""
    run.save(WEIGHTS, {name: 1.1 * value for name, value in run.vae().state_dict().items()})


def trained(path: Path, seed: int = 0, **short: Any) -> Run:
    for _ in train(choose("digits", latent_dim=2, hidden=[12], epochs=1, seed=seed, **short), path):
        pass
    return load(path)


def rewritten(run: Run, **changes: Any) -> None:
    """Change the fields of the evaluations that are kept; None removes one."""
    found = run.results()["evaluations"]
    kept = [{k: v for k, v in (each | changes).items() if v is not None} for each in found]
    (run.path / RESULTS).write_text(json.dumps({"evaluations": kept}))


class TestStale:
    def test_numbers_carry_the_digest_of_the_weights(self, run: Run) -> None:
        found = evaluate(run, metrics="evidence", samples=2, images=20)
        assert found["weights"] == hashlib.sha256((run.path / WEIGHTS).read_bytes()).hexdigest()
        assert found["weights"] == weights_digest(run)
        assert current(run) == [found]

    def test_weights_that_are_replaced_while_they_are_read_are_not_mistaken(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, replaced = Run.vae, []

        def replacing(self: Run, *arguments: Any) -> Any:
            vae = read(self, *arguments)
            if not replaced:
                replaced.append(True)
                change_weights(run)
            return vae

        monkeypatch.setattr(Run, "vae", replacing)
        found = evaluate(run, metrics="evidence", samples=2, images=20)
        monkeypatch.undo()
        assert current(run) == [found]
        fresh = load(shutil.copytree(run.path, run.path.parent / "fresh"))
        (fresh.path / RESULTS).unlink()
        shutil.rmtree(fresh.path / "measured")
        monkeypatch.setattr("vaekit.evaluations.BATCH", 20)
        assert evaluate(fresh, metrics="evidence", samples=2, images=20)["elbo"] == found["elbo"]

    def test_numbers_of_former_weights_are_marked_wherever_they_are_shown(
        self, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        evaluate(run, samples=2, images=20)
        change_weights(run)
        assert [found["stale"] for found in show(run)["evaluations"]] == [FORMER]
        assert [found["stale"] for found in runs(run.path.parent)[0]["evaluations"]] == [FORMER]
        assert current(run) == []
        for words in (["show", str(run.path)], ["runs", str(run.path.parent)]):
            assert main(words) == 0
            assert FORMER in capsys.readouterr().out
        text = report(run).read_text()
        assert FORMER[1:] in text
        assert 'id="evidence"' not in text
        evaluate(run, metrics="evidence", samples=2, images=20)
        assert main(["runs", str(run.path.parent)]) == 0
        assert FORMER not in capsys.readouterr().out

    def test_numbers_of_former_weights_are_not_compared(self, run: Run, tmp_path: Path) -> None:
        other = load(shutil.copytree(run.path, tmp_path / "my other"))
        for each in (run, other):
            found = evaluate(each, metrics="evidence", samples=2, images=20)
        change_weights(other)
        with pytest.raises(InputError, match=f"my other was {FORMER}: run vaekit evaluate '.*my other' --split test"):
            compare([run, other])
        assert main(shlex.split(found["command"])[1:]) == 0
        assert compare([run, other])["rows"][1]["difference"]["value"] != 0

    def test_units_of_former_weights_are_not_taken_for_active(self, run: Run) -> None:
        evaluate(run, metrics="latents", images=40)
        encode(run, np.zeros((1, 8, 8)), units="active")
        change_weights(run)
        with pytest.raises(InputError, match="not measured since it was trained: run vaekit evaluate"):
            encode(run, np.zeros((1, 8, 8)), units="active")

    def test_numbers_of_the_first_version_are_known_by_the_name_of_their_file(self, run: Run) -> None:
        for precision in ("fp32", "bf16"):
            evaluate(run, metrics="evidence", samples=2, images=20, precision=precision)
        rewritten(run, weights=None, findings=None)
        assert len(current(run)) == 2
        assert all(isinstance(found["findings"], list) for found in current(run))
        change_weights(run)
        assert [found["stale"] for found in evaluations(run)] == [FORMER] * 2

    def test_numbers_that_name_no_weights_at_all_are_marked(self, run: Run) -> None:
        evaluate(run, metrics="latents", images=40)
        rewritten(run, weights=None)
        assert [found["stale"] for found in evaluations(run)] == [UNKNOWN]


def test_the_same_evaluation_writes_the_same_bytes(run: Run) -> None:
    texts = []
    for _ in range(2):
        evaluate(run, samples=3, images=30)
        texts.append((run.path / RESULTS).read_bytes())
    assert texts[0] == texts[1]


def test_a_command_is_quoted_and_measures_the_same_again(run: Run, tmp_path: Path) -> None:
    other = load(shutil.copytree(run.path, tmp_path / "my run"))
    found = evaluate(other, samples=3, images=30)
    assert f"'{other.path}'" in found["command"]
    before = other.results()
    assert main(shlex.split(found["command"])[1:]) == 0
    assert other.results() == before


def test_quality_that_the_first_version_measured_is_shown_with_the_error_of_its_mean(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(run, metrics="samples", images=60)
    kept = json.loads((run.path / RESULTS).read_text())
    quality = kept["evaluations"][0]["samples"]
    del quality["nearer"]
    for kind in quality["table"].values():
        del kind["inception_score"]["standard_error"]
        for name in ("kernel_distance", "clipped_density", "clipped_coverage"):
            del kind[name]
        if kind["frechet_distance"]:
            del kind["frechet_distance"]["of_samples"]
    (run.path / RESULTS).write_text(json.dumps(kept))
    score = current(run)[0]["samples"]["table"]["samples"]["inception_score"]
    assert score["standard_error"] == pytest.approx(score["standard_deviation"] / 10**0.5)
    assert main(["show", str(run.path)]) == 0
    assert "(of 60 images)" in capsys.readouterr().out
    assert "(of 60 images)" in report(run).read_text()
    evaluate(run, metrics="samples", images=60)
    assert main(["show", str(run.path)]) == 0
    assert "(of 60 images)" not in capsys.readouterr().out
    assert "Novelty: a sample lies nearer" in report(run).read_text()


class TestLeftOut:
    def test_what_a_single_image_cannot_tell_is_left_out_with_its_reason(
        self, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = evaluate(run, samples=2, images=1)
        assert found["left_out"].keys() == {"mutual_information"}
        assert {"log_evidence", "latents", "amortization_gap", "linear_probe"} <= found.keys()
        assert main(["show", str(run.path)]) == 0
        shown = capsys.readouterr().out
        assert "left out: mutual information (images is 1: the mutual information" in shown
        assert "Left out: mutual information: images is 1" in report(run).read_text()

    def test_a_request_of_which_nothing_applies_is_refused(self, run: Run) -> None:
        with pytest.raises(InputError, match="split 'train' is what the classifier learned from"):
            evaluate(run, metrics="samples", split="train", images=20)
        assert not (run.path / RESULTS).exists()

    def test_groups_are_words(self, run: Run) -> None:
        found = evaluate(run, metrics="evidence", samples=2, images=20)
        assert found["metrics"] == ["evidence"]
        with pytest.raises(InputError, match="metric 'evidense' is unknown; did you mean 'evidence'"):
            evaluate(run, metrics="evidense")

    def test_names_of_measures_are_those_of_their_numbers(self, run: Run) -> None:
        names = {name for group in ("evidence", "latents") for name in GROUPS[group]}
        assert names <= evaluate(run, samples=2, images=20).keys()


class TestCompare:
    @pytest.fixture
    def seeds(self, tmp_path: Path) -> list[Run]:
        """Two configurations with two seeds each; the last two runs are of another size."""
        found = [trained(tmp_path / f"d2-{seed}", seed) for seed in range(2)]
        found += [trained(tmp_path / f"wide-{seed}", seed, set={"model.network.hidden": [300]}) for seed in range(2)]
        for run in found:
            evaluate(run, metrics="evidence", samples=5, images=60)
        return found

    def test_another_seed_is_neither_better_nor_worse(self, seeds: list[Run]) -> None:
        found = compare(seeds[:2])
        row = found["rows"][1]
        assert abs(row["difference"]["value"]) > 1.96 * row["difference"]["standard_error"]
        assert row["difference"]["verdict"] == ANOTHER_SEED
        assert [each["seeds"] for each in found["configurations"]] == [[0, 1]]

    def test_one_seed_each_is_said(self, seeds: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", str(seeds[0].path), str(seeds[2].path)]) == 0
        shown = capsys.readouterr().out
        assert "better on these images" in shown
        assert "each configuration has one seed only: the spread over seeds is unknown" in shown
        assert compare(seeds[:3])["seeds"].startswith("configuration 2 has one seed only")

    def test_several_seeds_are_judged_by_their_spread(
        self, seeds: list[Run], capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = compare(seeds)
        assert "seeds" not in found
        values = [run.measured(current(run)[0]["per_image"])["log_evidence"][:60].mean().item() for run in seeds]
        means = [np.mean(values[:2]), np.mean(values[2:])]
        deviations = [np.std(values[:2], ddof=1), np.std(values[2:], ddof=1)]
        for each, mean, deviation in zip(found["configurations"], means, deviations, strict=True):
            assert each["mean"] == pytest.approx(mean)
            assert each["standard_deviation"] == pytest.approx(deviation)
        difference = found["configurations"][1]["difference"]
        assert difference["value"] == pytest.approx(means[1] - means[0])
        assert difference["standard_error"] == pytest.approx(math.hypot(*deviations) / 2**0.5)
        assert found["rows"][2]["difference"]["verdict"] == difference["verdict"]
        assert difference["verdict"].endswith("over seeds")
        assert main(["compare", *(str(run.path) for run in seeds)]) == 0
        assert f"{means[0]:.2f} ± {deviations[0]:.2f}" in capsys.readouterr().out

    def test_lost_numbers_of_each_image_are_a_sentence(self, seeds: list[Run]) -> None:
        shutil.rmtree(seeds[1].path / "measured")
        with pytest.raises(InputError, match=r"d2-1 lacks the log-evidence of each image.*or run vaekit evaluate"):
            compare(seeds[:2])

    def test_data_are_named_not_their_digests(self, seeds: list[Run], tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40, 8, 8)))
        for _ in train(choose(str(tmp_path / "x.npy"), latent_dim=2, hidden=[12], epochs=1), tmp_path / "x"):
            pass
        with pytest.raises(InputError, match=r"their data differ \(digits and .*x\.npy\): compare runs on"):
            compare([seeds[0], load(tmp_path / "x")])


def estimate(value: float, error: float = 0.1, **more: Any) -> dict[str, Any]:
    return {"value": value, "standard_error": error, "samples": 100, **more}


def latents(kl: list[float], means: list[float], noise: list[float], **more: Any) -> dict[str, Any]:
    usage = {"kl_per_unit": kl, "variance_of_means": means, "expected_variance": noise, "ceiling": math.log(1000)}
    return {"latents": usage | more}


class TestVerdict:
    def test_a_sound_model_has_one_sentence(self) -> None:
        found = latents([3.0, 2.0], [0.9, 0.8], [0.1, 0.2]) | {
            "mutual_information": estimate(4.7), "aggregate_kl": estimate(0.3), "effective_samples": estimate(60.0),
            "elbo": estimate(-90.0), "log_evidence": estimate(-89.5), "amortization_gap": estimate(0.2),
        }  # fmt: skip
        assert verdict.verdict(found) == ["both latent units are used: more may carry more"]

    @pytest.mark.parametrize(
        ("kl", "means", "noise", "words"),
        [
            ([3.0] * 7 + [0.001] * 9, [0.9] * 7 + [1e-4] * 9, [0.1] * 7 + [1.0] * 9, "9 of 16 latent units are unused"),
            ([3.0] * 16, [0.9] * 7 + [1e-4] * 9, [0.1] * 16, "9 of 16 latent units are unused: 7 latents would do as"),
            ([1.0, 1.0], [0.0, 0.0], [1.0, 1.0], "no latent unit is used: the KL is 2 nats per example, but less than"),
            ([0.002, 0.001], [1e-3, 1e-3], [1.0, 1.0], "posterior collapse: no latent unit carries more than 0.01"),
            ([4.0], [1e-3], [1e-5], "the only latent unit is used"),  # narrow codes, but narrower draws
        ],
    )
    def test_units(self, kl: list[float], means: list[float], noise: list[float], words: str) -> None:
        assert verdict.units(kl, means, noise).startswith(words)

    def test_collapse_does_not_contradict_its_probe(self) -> None:
        found = latents([0.001], [1e-4], [1.0], chance=0.1)
        found |= {"linear_probe": estimate(0.883, 0.017), "mutual_information": estimate(0.0012)}
        found |= {"aggregate_kl": estimate(0.0001)}
        (sentence,) = verdict.verdict(found)
        assert sentence.startswith("posterior collapse")
        assert "(linear probe 0.883), but a draw of z carries 0.0012 nats about x" in sentence
        found["linear_probe"] = estimate(0.12, 0.017)
        assert "probe" not in verdict.verdict(found)[0]

    def test_poor_samples(self) -> None:
        found = latents([13.15, 13.15], [0.9, 0.8], [0.1, 0.2]) | {"images": 1000}
        found |= {"aggregate_kl": estimate(22.7), "mutual_information": estimate(3.6)}
        assert (
            verdict.verdict(found)[1] == "samples will be poor: the KL of all codes to the prior is 22.7 of 26.3 nats"
        )
        found["mutual_information"] = estimate(6.9)
        assert verdict.verdict(found)[1].startswith("samples will be poor, as far as 1,000 examples can tell")

    def test_too_few_draws_come_with_the_remedy(self) -> None:
        (sentence,) = verdict.verdict({"effective_samples": estimate(5.0)})
        assert sentence.startswith("only 5.0 of 100 draws are effective")
        assert sentence.endswith("use --samples 1000 or --ais")
        assert verdict.verdict({"effective_samples": estimate(25.6)}) == []

    def test_a_loose_bound(self) -> None:
        found = {"elbo": estimate(-95.0), "log_evidence": estimate(-90.0), "amortization_gap": estimate(2.1)}
        assert [sentence.split(":")[0] for sentence in verdict.verdict(found)] == [
            "the ELBO is a loose bound", "the encoder loses 2.1 nats per example (amortization gap)"
        ]  # fmt: skip
        found["ais_minus_importance"] = estimate(3.0)
        assert verdict.verdict(found)[0].startswith("the importance bound is loose: annealing finds 3.0 nats more")

    def test_training_that_was_still_improving(self) -> None:
        rng = np.random.default_rng(0)

        def rows(slope: float, noise: float) -> list[dict[str, Any]]:
            return [
                {"epoch": float(epoch), "validation": {"elbo": slope * epoch + noise * rng.normal()}}
                for epoch in range(41)
            ]

        sentence = verdict.improving(rows(30.0, 5.0))
        assert sentence is not None
        assert "rose by 30 nats per epoch over the last 9 epochs; train longer (--resume --epochs 80)" in sentence
        assert verdict.improving(rows(-1.0, 0.1)) is None
        assert verdict.improving(rows(0.01, 0.0001)) is None  # steady, but 0.04 nats in four more epochs
        assert verdict.improving(rows(30.0, 5.0)[:3]) is None
        alarms = sum(verdict.improving(rows(0.0, 1.0)) is not None for _ in range(200))
        assert alarms <= 8  # the slope of noise is rarely three errors above 0

    def test_one_verdict_in_result_report_and_show(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        found = evaluate(run, samples=2, images=40)
        assert found["findings"] == verdict.verdict(found, run.metrics())
        text = report(run).read_text()
        assert main(["show", str(run.path)]) == 0
        shown = capsys.readouterr().out
        for sentence in found["findings"]:
            assert sentence in shown
            assert sentence[1:].replace("'", "&#39;") in text
        caption = text[text.index('id="kl-per-unit"') :]
        usage = found["latents"]
        assert usage["verdict"][1:] in caption[: caption.index("</figure>")]

    def test_units_of_a_collapsed_model_are_refused(self, run: Run, tmp_path: Path) -> None:
        weights = load_file(run.path / WEIGHTS)
        run.save(WEIGHTS, {k: torch.zeros_like(v) if "posterior.head" in k else v for k, v in weights.items()})
        found = evaluate(run, metrics="latents", images=40)
        assert found["findings"][0].startswith("posterior collapse")
        with pytest.raises(InputError, match="has no active units: its 3 latent units carry 0 nats"):
            encode(run, np.zeros((2, 8, 8)), units="active", out=tmp_path / "z.npy")
        assert not (tmp_path / "z.npy").exists()


def test_a_report_without_data_does_not_replace_one_with_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((60, 8, 8)))
    for _ in train(choose(str(tmp_path / "x.npy"), latent_dim=2, hidden=[12], epochs=1), tmp_path / "run"):
        pass
    run = load(tmp_path / "run")
    page = report(run).read_bytes()
    (tmp_path / "x.npy").rename(tmp_path / "elsewhere.npy")
    with pytest.raises(InputError, match="x"):
        report(run)
    assert (run.path / "report.html").read_bytes() == page
    (run.path / "report.html").unlink()
    assert "No figures of the model" in report(run).read_text()
