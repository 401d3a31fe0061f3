"""What evaluate returns and keeps, and what compare makes of it."""

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from vaekit import Run, choose, compare, evaluate, load, train
from vaekit.errors import InputError
from vaekit.estimates import mean_over_images
from vaekit.evaluation import verdict
from vaekit.evaluation.amortization import amortization_gap
from vaekit.evaluation.annealing import Annealing
from vaekit.evaluation.evidence import evidence
from vaekit.evaluation.information import information
from vaekit.likelihoods import Likelihood, Own
from vaekit.model import Model
from vaekit.reporting.comparison import _names, curves_of, plane_of

QUICK = Annealing(temperatures=4, chains=2, leapfrog=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images and steps, so that tests are quick."""
    monkeypatch.setattr("vaekit.measures.SLOW_IMAGES", 20)
    monkeypatch.setattr("vaekit.evaluations.BATCH", 20)
    monkeypatch.setattr("vaekit.measures.amortization_gap", partial(amortization_gap, steps=3))


class Interrupted(Exception):  # noqa: N818 (no error)
    """Stands for Ctrl-C."""


def interrupted(batches: Iterable[Any]) -> Iterator[Any]:
    """Break off at the third batch."""
    for k, batch in enumerate(batches):
        if k == 2:
            raise Interrupted
        yield batch


def test_numbers_are_those_of_each_batch_by_a_seed_of_its_own(run: Run) -> None:
    found = evaluate(run, metrics=["evidence"], samples=7, images=50)
    vae, part = run.vae(), run.data().fixed("test")
    values = []
    for rows in torch.arange(60).split(20):
        torch.manual_seed(int(rows[0]))
        values.append(evidence(vae, part.batch(rows).x, 7)["log_evidence"])
    expected = mean_over_images(torch.cat(values)[:50], 7)
    assert found["log_evidence"] == {**expected._asdict(), "images": 50}
    assert [each["samples"] for each in found["convergence"]] == [1, 7]
    assert 1 <= found["effective_samples"]["value"] <= 7


def test_same_call_gives_same_numbers_and_is_kept_once(run: Run) -> None:
    first = evaluate(run, samples=5, images=30)
    assert evaluate(run, samples=5, images=30) == first
    assert run.results()["evaluations"] == [json.loads(json.dumps(first))]


def test_interrupted_measurement_goes_on_to_the_same_numbers(run: Run, tmp_path: Path) -> None:
    other = load(shutil.copytree(run.path, tmp_path / "other"))
    whole = evaluate(other, metrics=["evidence"], samples=5, images=90)
    with pytest.raises(Interrupted):
        evaluate(run, metrics=["evidence"], samples=5, images=90, track=interrupted)
    (kept,) = (run.path / "measured").iterdir()
    assert len(run.measured(f"measured/{kept.name}")["elbo"]) == 40
    measured: list[int] = []

    def count(batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        for rows in batches:
            measured.append(len(rows))
            yield rows

    resumed = evaluate(run, metrics=["evidence"], samples=5, images=90, track=count)
    assert measured == [20, 20, 20]
    assert resumed["log_evidence"] == whole["log_evidence"]


def test_more_images_cost_only_themselves(run: Run) -> None:
    batches: list[int] = []

    def count(items: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        for rows in items:
            batches.append(int(rows[0]))
            yield rows

    for images in (50, 90, 40):
        evaluate(run, metrics=["evidence"], samples=5, images=images, track=count)
    assert batches == [0, 20, 40, 60, 80]


SLOW = [pytest.param(group, marks=pytest.mark.slow) for group in ("ais", "samples")]


@pytest.mark.parametrize("group", ["evidence", "latents", *SLOW])
def test_a_number_does_not_depend_on_how_many_images_were_measured_before(group: str, run: Run, tmp_path: Path) -> None:
    options: dict[str, Any] = {"metrics": group, "samples": 4, "annealing": QUICK}
    alone = {
        n: evaluate(load(shutil.copytree(run.path, tmp_path / str(n) / "small")), images=n, **options)
        for n in (15, 30, 60)
    }
    for n in (30, 15, 60, 15):
        again = evaluate(run, images=n, **options)
        changed = ("command",)
        assert {k: v for k, v in again.items() if k not in changed} == {
            k: v for k, v in alone[n].items() if k not in changed
        }


def test_numbers_of_an_image_are_the_same_however_many_follow(run: Run, tmp_path: Path) -> None:
    found = {}
    for n in (15, 50, 360):
        other = load(shutil.copytree(run.path, tmp_path / str(n)))
        evaluate(other, metrics="evidence,ais,latents", samples=4, images=n, annealing=QUICK, full=False)
        found[n] = {path.name: other.measured(f"measured/{path.name}") for path in (other.path / "measured").iterdir()}
    assert len(found[15]) == 4  # importance, ais, harmonic, amortization
    for n in (15, 50):
        for file, numbers in found[n].items():
            for name, values in numbers.items():
                assert len(values) == {15: 20, 50: 60 if "importance" in file else 20}[n]
                assert torch.equal(values, found[360][file][name][: len(values)]), (file, name)


def test_codes_drawn_for_the_information_do_not_depend_on_how_many_follow(run: Run, monkeypatch: Any) -> None:
    drawn = []
    monkeypatch.setattr("vaekit.evaluation.information._estimate", lambda values, sums: drawn.append(values))
    for n in (15, 360):
        torch.manual_seed(0)
        vae, part = run.vae(), run.data().fixed("test")
        information(vae, (part.batch(rows).x for rows in torch.arange(360).split(100)), n)
    own_minus_prior = [drawn[0] + drawn[1], drawn[2] + drawn[3]]  # the aggregate, which is of n images, drops out
    assert len(own_minus_prior[0]) == 15
    assert torch.allclose(own_minus_prior[0], own_minus_prior[1][:15], atol=1e-5)


def test_bf16_is_a_little_off_and_kept_apart(run: Run) -> None:
    exact, quick = (evaluate(run, metrics=["evidence"], samples=7, images=50, precision=p) for p in ("fp32", "bf16"))
    assert quick["per_image"] != exact["per_image"]
    assert quick["command"].endswith("--precision bf16")
    assert "precision" not in exact["command"]
    off = [run.measured(found["per_image"])["log_evidence"] for found in (exact, quick)]
    assert 0 < (off[0] - off[1]).abs().max() < 0.2


def test_new_weights_are_measured_anew(run: Run) -> None:
    before = evaluate(run, metrics=["evidence"], samples=5, images=20)
    weights = run.vae().state_dict()
    run.save("weights.safetensors", {name: 1.1 * value for name, value in weights.items()})
    after = evaluate(run, metrics=["evidence"], samples=5, images=20)
    assert after["per_image"] != before["per_image"]
    assert after["elbo"]["value"] != before["elbo"]["value"]


def test_annealing_is_paired_with_the_importance_bound(run: Run) -> None:
    found = evaluate(run, metrics=["evidence", "ais"], samples=5, images=30, annealing=QUICK)
    assert found["ais"]["images"] == 20
    assert found["ais"]["samples"] == 2
    assert found["ais_checks"].keys() == {
        "began_at_prior", "unsettled", "above_importance", "prior_above_encoder", "encoder_above_prior", "images",
    }  # fmt: skip
    bound = run.measured(found["per_image"])["log_evidence"][:20]
    difference = found["ais"]["value"] - float(bound.mean())
    assert found["ais_minus_importance"]["value"] == pytest.approx(difference)
    assert found["simulated_gap"]["value"] == pytest.approx(
        found["simulated_upper"]["value"] - found["simulated_lower"]["value"]
    )
    assert math.isfinite(found["harmonic"]["value"])  # three latents are few enough


def test_outliers_are_found_though_their_effective_draws_do_not_show_them(tmp_path: Path) -> None:
    digits = load_digits()
    x, outliers = digits.images[:400].astype("u1") * 15, np.stack([np.zeros((8, 8)), np.full((8, 8), 255)])
    test = np.concatenate([digits.images[400:450] * 15, outliers]).astype("u1")
    np.savez(tmp_path / "data.npz", x_train=x, x_test=test)
    short = {"latent_dim": 2, "hidden": [100], "epochs": 60, "learning_rate": 0.005, "binarize": "threshold"}
    for _ in train(choose(str(tmp_path / "data.npz"), set={"evaluate_every": 60}, **short), tmp_path / "run"):
        pass
    found = evaluate(tmp_path / "run", metrics="evidence", samples=1000)
    above = found["least_likely"]["above_importance"]
    assert above["images"] >= 1
    assert above["most"] > 5
    sentence = f"of the 10 least likely examples, annealing finds up to {above['most']:.1f} nats more than importance"
    assert any(sentence in finding for finding in found["findings"])
    assert found["words"]["least_likely"] == "not to be trusted on unlikely examples"
    assert found["words"]["effective_samples"] == "enough"
    usual = evaluate(tmp_path / "run", metrics="evidence", samples=1000, images=50)
    assert usual["least_likely"]["above_importance"]["images"] == 0
    assert usual["words"]["least_likely"] == "no outliers at a glance"


def test_samples_are_kept_beside_their_nearest_training_images(run: Run) -> None:
    quality = evaluate(run, metrics=["samples"], images=60)["samples"]
    assert list(quality["table"]) == ["test", "samples", "reconstructions", "train", "noise", "mean image"]
    assert sum(map(sum, quality["confusion"])) == sum(quality["table"]["samples"]["class_counts"]) == 60
    closest = run.measured(quality["closest"])
    assert closest["samples"].shape == closest["training"].shape == (20, 1, 8, 8)
    training = run.data().train
    everything = training.batch(torch.arange(len(training))).x.flatten(1)
    distances = torch.cdist(closest["samples"].flatten(1), everything).amin(1)
    assert torch.allclose((closest["samples"] - closest["training"]).flatten(1).norm(dim=1), distances, atol=1e-4)
    assert distances[:10].max() <= distances[10:].max()
    assert distances[:10].mean() < quality["nearest_training_image"]["samples"]["value"]


def test_likelihoods_that_are_no_density_of_the_data_say_so(run: Run, tmp_path: Path) -> None:
    assert "note" not in evaluate(run, metrics=["evidence"], samples=2, images=20)
    bits = choose(
        "digits", latent_dim=2, hidden=[8], epochs=1, likelihood="bernoulli", set={"data.binarization": "none"}
    )
    for _ in train(bits, tmp_path / "gray"):
        pass
    gray = load(tmp_path / "gray")
    found = evaluate(gray, metrics=["evidence"], samples=2, images=20)
    assert "Bernoulli on gray values is not a density" in found["note"]
    rows = compare([run, gray])["rows"]
    assert [row.get("note") for row in rows] == [None, found["note"]]
    assert rows[1]["difference"]["verdict"] == "not comparable, see the notes"


def test_every_such_likelihood_has_its_note() -> None:
    specs = get_args(get_args(Likelihood)[0])
    known = [spec for spec in specs if spec is not Own]
    noted = {spec.kind for spec in known if set(spec.supports) - set(spec.normalized_on)}
    assert noted == {spec.kind for spec in known if hasattr(spec, "unnormalized")}


def test_bernoulli_on_gray_values_bounds_the_expected_evidence_of_bits_from_below() -> None:
    torch.manual_seed(0)
    vae = Model(latent_dim=1).build((1, 1, 3))
    z, x = torch.linspace(-6, 6, 400)[:, None], torch.tensor([0.2, 0.5, 0.9])
    bits = torch.tensor(list(product((0.0, 1.0), repeat=3)))
    for parameter in vae.parameters():
        parameter.data.mul_(3)  # so that pixels depend on each other

    def log_evidence(x: torch.Tensor) -> torch.Tensor:
        joint = vae.likelihood(z).log_prob(x.view(-1, 1, 1, 1, 3)) + vae.prior().log_prob(z)
        return joint.logsumexp(1) + math.log(12 / 399)

    with torch.no_grad():
        exact = log_evidence(bits)
        assert exact.exp().sum().item() == pytest.approx(1, abs=1e-4)
        weights = torch.where(bits == 1, x, 1 - x).prod(1)
        assert log_evidence(x).item() < float(weights @ exact) - 1e-3


def test_latents_come_with_a_verdict(run: Run) -> None:
    found = evaluate(run, metrics=["latents"], images=100)
    usage = found["latents"]
    numbers = (usage["kl_per_unit"], usage["variance_of_means"], usage["expected_variance"])
    assert found["findings"][0].startswith(verdict.units(*numbers))
    total = sum(found["latents"]["kl_per_unit"])
    parts = found["mutual_information"]["value"] + found["aggregate_kl"]["value"]
    error = math.hypot(found["mutual_information"]["standard_error"], found["aggregate_kl"]["standard_error"])
    assert abs(parts - total) < 3.9 * error
    assert 0.2 < found["linear_probe"]["value"] <= 1
    assert found["amortization_gap"]["images"] == 20


def test_first_images_that_are_unlike_the_others_are_called_so(run: Run, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 200, (200, 8, 8), dtype=np.uint8)
    found = evaluate(run.vae(), x, metrics="evidence", samples=2, images=100)
    assert not any("not like" in sentence for sentence in found["findings"])
    x[:100] //= 4  # a set in the order of its classes
    found = evaluate(run.vae(), x, metrics="evidence", samples=2, images=100)
    words = "the first 100 test images are not like the others: their values average 0.09"
    assert found["findings"][-1].startswith(words)
    assert found["findings"][-1].endswith("standard errors away: measure all 200")
    found = evaluate(run.vae(), x, metrics="evidence", samples=2, images=200)
    assert not any("not like" in sentence for sentence in found["findings"])


def test_a_deterministic_auto_encoder_has_a_reconstruction_only(tmp_path: Path) -> None:
    point = {"model.posterior": "delta", "objective": "reconstruction"}
    for _ in train(choose("digits", latent_dim=2, hidden=[8], epochs=1, set=point), tmp_path / "ae"):
        pass
    found = evaluate(load(tmp_path / "ae"), images=30)
    assert "reconstruction" in found
    assert not {"elbo", "kl", "log_evidence", "latents"} & found.keys()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"metrics": ["evidense"]}, "evidence"),
        ({"images": 0}, "images is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"split": "tset"}, "test"),
    ],
)
def test_wrong_words_are_refused(run: Run, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        evaluate(run, **wrong)
    assert not (run.path / "results.json").exists()


@pytest.fixture
def pair(run: Run, tmp_path: Path) -> tuple[Run, Run]:
    """Two runs that differ in training, evaluated on the same images."""
    other = tmp_path / "runs" / "longer"
    for _ in train(choose("digits", latent_dim=3, hidden=[24], epochs=30), other):
        pass
    for each in (run, load(other)):
        evaluate(each, metrics=["evidence"], samples=10, images=80)
    return run, load(other)


def test_differences_are_paired(pair: tuple[Run, Run]) -> None:
    found = compare(pair)
    first, second = (run.measured(run.results()["evaluations"][0]["per_image"])["log_evidence"] for run in pair)
    expected = mean_over_images(second - first, 1)
    difference = found["rows"][1]["difference"]
    assert difference["value"] == pytest.approx(expected.value)
    assert difference["standard_error"] == pytest.approx(expected.standard_error)
    assert difference["verdict"] == "better on these images"
    assert found["seeds"].startswith("each configuration has one seed only: the spread over seeds is unknown")
    unpaired = math.hypot(*(row["log_evidence"]["standard_error"] for row in found["rows"]))
    assert difference["standard_error"] < unpaired


def test_a_run_does_not_differ_from_itself(pair: tuple[Run, Run], tmp_path: Path) -> None:
    found = compare([pair[0], pair[0]], out=tmp_path / "pictures")
    assert found["rows"][1]["difference"]["verdict"] == "no difference shown"
    assert {path.name for path in (tmp_path / "pictures").glob("*.png")} == {"comparison.png", "rate-distortion.png"}


def test_runs_of_one_name_are_drawn_under_their_paths(pair: tuple[Run, Run], tmp_path: Path) -> None:
    runs = [load(shutil.copytree(pair[1].path, tmp_path / folder / "run")) for folder in "abc"]
    rows = compare([*pair, *runs])["rows"]
    figure = plane_of([*pair, *runs], rows, "test")
    assert {str(run.path) for run in runs} <= set(_names([*pair, *runs]))
    assert figure.get_label().startswith("Rate and distortion of 5 models")
    assert len(curves_of([*pair, *runs]).axes[0].texts) == 5


def test_runs_of_other_bits_are_not_ranked(pair: tuple[Run, Run], tmp_path: Path) -> None:
    experiment = choose("digits", latent_dim=3, hidden=[24], epochs=1, binarize="dynamic")
    for _ in train(experiment, tmp_path / "bits"):
        pass
    with pytest.raises(InputError, match="binarization"):
        compare([pair[0], load(tmp_path / "bits")])


def test_runs_that_were_not_evaluated_are_named(run: Run, pair: tuple[Run, Run], tmp_path: Path) -> None:
    fresh = shutil.copytree(pair[1].path, tmp_path / "fresh")
    (fresh / "results.json").unlink()
    with pytest.raises(InputError, match=r"vaekit evaluate .*fresh"):
        compare([pair[0], load(fresh)])
    with pytest.raises(InputError, match="at least 2"):
        compare([pair[0]])
