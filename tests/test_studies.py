"""Every artifact runs from end to end on digits; results, verdicts and pages follow from the stored numbers."""

import dataclasses
import json
import logging
import math
from pathlib import Path

import pytest
import torch
from reproduced import ALL, WORDS, Apart, check_prose, find
from small import finished, small

from vaekit import Experiment, InputError, Run, reproduce, train
from vaekit.cli import main
from vaekit.estimates import Estimate
from vaekit.evaluation import classifier, recognition
from vaekit.studies import aragam_losses, findings, pages, planning, running
from vaekit.studies.aragam_codes import empty
from vaekit.studies.aragam_pictures import taken
from vaekit.studies.catalog import STUDIES
from vaekit.studies.curves import printed
from vaekit.studies.lab import Lab
from vaekit.studies.scale import SCALES, SMOKE, Scale
from vaekit.studies.study import (
    NOT_RUN,
    REPRODUCED,
    Artifact,
    Row,
    Study,
    Verdict,
)


def each_artifact(function):
    """Test a function with every artifact."""
    names = [f"{study.name}-{artifact.name}" for study, artifact in ALL]
    return pytest.mark.parametrize(("study", "artifact"), ALL, ids=names)(function)


QUICK = ("K4", "N5", "W1", "F3")
"""the artifacts that are run at smoke whenever tests are; the others are slow"""
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all smoke runs share, so that what has one digest is trained once."""
    return tmp_path_factory.mktemp("reproduced")


@pytest.mark.parametrize(
    ("study", "artifact"),
    [
        pytest.param(study, artifact, id=f"{study.name}-{artifact.name}", marks=() if artifact.name in QUICK else slow)
        for study, artifact in ALL
    ],
)
def test_artifact_runs_at_smoke(out: Path, study: Study, artifact: Artifact) -> None:
    (result,) = reproduce(study.name, only=[artifact.name], scale="smoke", out=out)
    assert all(math.isfinite(row.value) for row in result.rows)
    assert result.row(*artifact.headline)
    assert artifact.judged(result).word in WORDS
    assert artifact.judged(result).sentence.endswith(".")
    folder = out / "results" / study.name
    assert findings.read(folder / f"{artifact.name}-smoke.json") == result
    assert result.figures.keys() == {path.name for path in folder.glob(f"{artifact.name}-smoke-*.png")}
    check_prose(Apart({(study.name, artifact.name): result}))
    assert set(result.tables) == {path.name for path in folder.glob(f"{artifact.name}-smoke-*.csv")}
    assert all(planned.finished for planned in planning.plan(artifact, artifact.scales["smoke"], out))


@each_artifact
def test_every_scale_names_the_same_trainings_and_its_published_numbers_are_of_them(
    study: Study, artifact: Artifact
) -> None:
    assert tuple(artifact.scales) == SCALES
    labels = list(artifact.experiments(artifact.scales["smoke"]))
    for scale in artifact.scales.values():
        assert list(artifact.experiments(scale)) == labels
        assert {label for label, _ in artifact.published(scale)} <= set(labels)
    assert artifact.claim
    assert artifact.place
    assert artifact.tolerance
    assert artifact.judged_by
    assert bool(artifact.source) == bool(artifact.published(artifact.scales["full"]))


def test_names_of_artifacts_are_those_of_the_reports() -> None:
    names = [artifact.name for _, artifact in ALL]
    letters = {"K": 7, "N": 9, "A": 13, "W": 7, "F": 7, "T": 1}
    assert {f"{letter}{k}" for letter, n in letters.items() for k in range(1, n + 1)} <= set(names)
    assert len(names) == len(set(names))
    assert all(study.errors for study in STUDIES)


def one_training() -> Artifact:
    """An artifact of a single small training."""
    scales = {name: Scale(epochs=2, images=50, digits=True) for name in SCALES}
    return Artifact(
        name="X1",
        place="nowhere",
        claim="a small model trains",
        scales=scales,
        experiments=lambda scale: {"small": small(epochs=scale.epochs)},
        measure=lambda lab: {("small", "ELBO"): lab.estimate("small", "elbo")},
        verdict=lambda result: Verdict(REPRODUCED, "it does."),
        headline=("small", "ELBO"),
        judged_by="nobody",
        tolerance="none",
    )


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Study:
    """A study of that artifact, in the place of all others, whose results stay out of the documentation."""
    monkeypatch.setattr(running, "DOCUMENTED", tmp_path / "nowhere")
    made = Study(name="tiny", title="", citation="", artifacts=(one_training(),), errors={})
    monkeypatch.setattr(planning, "STUDIES", (made,))
    monkeypatch.setattr(pages, "STUDIES", (made,))
    monkeypatch.setattr(findings, "STUDIES", (made,))
    return made


class TestReproduce:
    def test_finished_trainings_are_not_trained_again(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first,) = reproduce("tiny", out=tmp_path)

        def never(*_: object, **__: object) -> None:
            raise AssertionError("a finished training was trained again")

        monkeypatch.setattr(running, "reports", never)
        (again,) = reproduce("tiny", out=tmp_path)
        assert again.rows == first.rows
        assert again.training_seconds == first.training_seconds

    def test_samples_are_measured_anew_by_another_classifier_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pooch.os_cache", (tmp_path / "cache").joinpath)
        lab = Lab({"small": finished(small(), tmp_path / "run")}, Scale(epochs=1, images=50))
        digests = []
        for steps in (9, 10, 10):
            recipe = dataclasses.replace(recognition.RECIPE, steps=steps, epochs=1, batch_size=200)
            monkeypatch.setattr(recognition, "RECIPE", recipe)
            monkeypatch.setattr(classifier, "RECIPE", recipe)
            digests.append(lab.evaluation("small", "samples")["samples"]["classifier"]["digest"])
        assert digests[0] != digests[1] == digests[2]
        assert len(lab.runs["small"].results()["evaluations"]) == 1

    def test_three_classifiers_of_their_own_seeds_judge_images(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pooch.os_cache", (tmp_path / "cache").joinpath)
        recipe = dataclasses.replace(recognition.RECIPE, steps=9, epochs=1, batch_size=200)
        monkeypatch.setattr(recognition, "RECIPE", recipe)
        monkeypatch.setattr(classifier, "RECIPE", recipe)
        lab = Lab({"small": finished(small(), tmp_path / "run")}, Scale(epochs=1, images=50))
        images = lab.test_images("small")
        found = lab.opinions("small", images)
        assert found.shape == (3, 50, 10)
        assert torch.equal(found[0], lab.probabilities("small", images))
        assert len({lab.classifier("small", seed).digest for seed in range(3)}) == 3
        assert not torch.equal(found[0], found[1])

    def test_an_interrupted_training_goes_on_to_the_same_weights(
        self, study: Study, tmp_path: Path, every_step: None
    ) -> None:
        (planned,) = planning.plan(study.artifacts[0], study.artifacts[0].scales["laptop"], tmp_path / "broken")
        steps = train(planned.experiment, planned.path)
        next(steps)
        next(steps)
        steps.close()
        assert not planned.finished
        (broken,) = reproduce("tiny", out=tmp_path / "broken")
        (whole,) = reproduce("tiny", out=tmp_path / "whole")
        assert planned.finished
        assert broken.rows == whole.rows

    def test_seeds_are_averaged_and_trained_each_on_its_own(self, study: Study, tmp_path: Path) -> None:
        (result,) = reproduce("tiny", out=tmp_path, seeds=2)
        values = []
        for digest in result.digests:
            (evaluation,) = Run(tmp_path / digest[:16]).results()["evaluations"]
            values.append(evaluation["elbo"]["value"])
        (row,) = result.rows
        assert row.value == pytest.approx(sum(values) / 2)
        assert row.deviation == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        assert {Run(tmp_path / digest[:16]).experiment.seed for digest in result.digests} == {0, 1}

    def test_trainings_in_processes_of_their_own_are_the_same(self, study: Study, tmp_path: Path) -> None:
        (apart,) = reproduce("tiny", out=tmp_path / "apart", jobs=2)
        (here,) = reproduce("tiny", out=tmp_path / "here")
        assert apart.rows == here.rows

    @pytest.fixture
    def two(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> tuple[Artifact, Artifact]:
        """An artifact of a short training and a longer one, and after it one of the short training alone."""
        alone = study.artifacts[0]
        both = {"small": small(epochs=2), "longer": small(epochs=3)}
        first = dataclasses.replace(alone, name="X0", experiments=lambda _: both)
        made = dataclasses.replace(study, artifacts=(first, alone))
        monkeypatch.setattr(planning, "STUDIES", (made,))
        monkeypatch.setattr(findings, "STUDIES", (made,))
        return first, alone

    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=slow)])
    def test_a_result_is_stored_once_its_own_trainings_are_finished(
        self, two: tuple[Artifact, Artifact], tmp_path: Path, jobs: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        short, longer = planning.plan(two[0], two[0].scales["laptop"], tmp_path)
        for _ in train(short.experiment, short.path):
            pass
        with caplog.at_level(logging.INFO, "vaekit"):
            found = reproduce("tiny", out=tmp_path, jobs=jobs)
        told = [text for text in caplog.messages if text.startswith(("measuring", "trained"))]
        assert told == ["measuring X1", "trained longer, seed 0", "measuring X0"]
        assert [result.artifact for result in found] == ["X0", "X1"]
        assert longer.finished

    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=slow)])
    def test_a_failed_training_stops_no_other(self, two: tuple[Artifact, Artifact], tmp_path: Path, jobs: int) -> None:
        _, longer = planning.plan(two[0], two[0].scales["laptop"], tmp_path)
        longer.path.mkdir(parents=True)
        (longer.path / "letter.txt").write_text("not a run")
        with pytest.raises(InputError, match="is not a run"):
            reproduce("tiny", out=tmp_path, jobs=jobs)
        assert (tmp_path / "results/tiny/X1-laptop.json").is_file()
        assert not (tmp_path / "results/tiny/X0-laptop.json").exists()

    def test_what_is_trained_can_be_measured_alone(
        self, two: tuple[Artifact, Artifact], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert reproduce("tiny", out=tmp_path, measure_only=True) == []
        reproduce("tiny", only=["X1"], out=tmp_path)
        moved = (tmp_path / "elsewhere").absolute()
        moved.mkdir()
        for planned in planning.plan(two[1], two[1].scales["laptop"], tmp_path):
            planned.path.rename(moved / planned.path.name)
        caplog.clear()
        (found,) = reproduce("tiny", out=moved, measure_only=True)
        assert found.artifact == "X1"
        assert "X0 is left out because not all of its trainings are finished" in caplog.messages

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"study": "tinny"}, "did you mean 'tiny'"),
            ({"only": ["X3"]}, "'X3' of tiny is unknown; choose from X1"),
            ({"scale": "labtop"}, "did you mean 'laptop'"),
            ({"seeds": 0}, "seeds is 0"),
            ({"jobs": 0}, "jobs is 0"),
        ],
    )
    def test_wrong_words_are_named(self, study: Study, tmp_path: Path, options: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            reproduce(**{"study": "tiny", "out": tmp_path} | options)
        assert not any(tmp_path.iterdir())

    def test_results_of_smoke_stay_out_of_the_documentation(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        running.DOCUMENTED.mkdir(parents=True)
        assert running.results_folder(None, Path("out"), "smoke") == Path("out/results")
        assert running.results_folder(None, Path("out"), "laptop") == running.DOCUMENTED
        assert running.results_folder(Path("mine"), Path("out"), "laptop") == Path("mine")


def test_squared_errors_are_what_the_likelihood_is_less_its_constant(out: Path) -> None:
    (result,) = reproduce("aragam2024", only=["T1"], scale="smoke", out=out)
    planned = planning.plan(find("aragam2024", "T1"), SMOKE, out)
    run = next(Run(p.path) for p in planned if p.label == "auto-encoder")
    vae, x = run.vae(), run.data().fixed("test").batch(torch.arange(50)).x
    with torch.no_grad():
        reconstruction = -vae.draw(x).log_likelihood.mean()
        squared = (x - vae.reconstruct(x)).square().flatten(1).sum(1).mean()
    found = aragam_losses.losses(run, {"reconstruction": float(reconstruction), "kl": 0.0})
    assert found["reconstruction"] == pytest.approx(float(squared), rel=1e-5)
    assert result.artifact == "T1"


def test_printed_curves_are_those_of_the_paper() -> None:
    # Values that were read off the figure by eye first, then from its paths.
    assert printed(2, "mnist", 3, "aevb", "test", 1e8) == pytest.approx(-133.4, abs=0.2)
    assert printed(2, "frey_face", 20, "aevb", "train", 1e8) == pytest.approx(1488, abs=5)
    assert printed(3, "mnist", 1000, "wake-sleep", "test", 6e7) == pytest.approx(-144.8, abs=0.3)
    assert printed(2, "frey_face", 20, "aevb", "train", 1e9) is None
    assert "arXiv:1312.6114" in (Path(running.__file__).parent / "aevb_curves.csv").read_text().splitlines()[0]


def test_gaps_and_pairs() -> None:
    torch.manual_seed(0)
    assert empty(torch.rand(20_000, 2)) < 0.01
    assert empty(torch.cat([torch.rand(9_000, 2), 9 + torch.rand(9_000, 2)])) > 0.9
    counts = torch.tensor([[6, 2], [1, 1]])
    assert taken(counts, 0, 1).value == pytest.approx(0.3)


def test_numbers_of_one_seed_have_no_deviation() -> None:
    row = running.aggregated([{("a", "b"): Estimate(1.0, float("nan"), 1)}])[0]
    assert row == Row("a", "b", 1.0, None, None, [1.0])


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_all_artifacts_are_listed_with_their_state(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["reproduce", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert len(rows) == len(ALL)
        assert {row["state"] for row in rows} == {NOT_RUN}

    def test_a_dry_run_trains_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["reproduce", "aragam2024", "--only", "A1", "--scale", "smoke", "--dry-run"]) == 0
        printed = capsys.readouterr().out
        assert "d = 30" in printed
        assert "minutes of training at" in printed
        assert not Path("runs").exists()

    def test_a_study_is_run_and_its_pages_are_written(self, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["reproduce", "tiny", "--scale", "smoke"]) == 0
        printed = capsys.readouterr().out
        assert "ELBO" in printed
        assert "reproduced: it does (1 seed only)." in printed
        assert main(["reproduce", "tiny", "--scale", "smoke", "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert found["word"] == REPRODUCED
        assert main(["reproduce", "--report", "--quiet"]) == 0
        assert "README.md" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["aragam"], "did you mean 'aragam2024'"),
            (["wei", "--only", "W9"], "choose from W1"),
            (["wei", "--scale", "ful"], "did you mean 'full'"),
            (["--only", "W1"], "--only needs a study"),
            (["--dry-run"], "--dry-run needs a study"),
        ],
    )
    def test_wrong_use_is_one_sentence(
        self, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["reproduce", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert sentence in line


def test_progress_is_told(study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "vaekit"):
        reproduce("tiny", out=tmp_path)
    assert "1 training, 0 finished" in caplog.text
    assert isinstance(Run(next(tmp_path.glob("*/experiment.json")).parent).experiment, Experiment)
