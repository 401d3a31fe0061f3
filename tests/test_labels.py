"""What the numbers of an evaluation are called, whether they are good, their bits, and the numbers of each image."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from built import Decoded
from small import finished, small
from test_measurement import QUICK

from vaekit import InputError, Run, evaluate, load, per_image
from vaekit.evaluation.bits import bits_per_dim, cell
from vaekit.evaluation.words import WORDS, words
from vaekit.evaluations import EACH
from vaekit.labels import LABELS
from vaekit.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, DiscretizedLogistic, Gaussian, Likelihood


def everything(run: Run) -> dict[str, Any]:
    return evaluate(run, metrics="evidence,ais,latents", samples=4, images=40, annealing=QUICK)


def test_every_number_of_an_evaluation_is_in_the_list(run: Run) -> None:
    found = everything(run)
    estimates = {name for name, value in found.items() if isinstance(value, dict) and "standard_error" in value}
    assert len(estimates) > 10
    assert estimates <= LABELS.keys()
    assert WORDS.keys() <= LABELS.keys()
    assert EACH.keys() <= LABELS.keys()
    guide = Path(__file__).parent.parent.joinpath("docs/guides/evaluation.md").read_text("utf-8")
    assert [name for name in LABELS if f"`{name}`" not in guide] == []


WIDE, NARROW = Gaussian(), Gaussian(minimum_scale=1e-3)
FIXED, SHARP = Gaussian(scale="fixed", fixed_scale=0.01), Gaussian(scale="fixed", fixed_scale=1e-3)


@pytest.mark.parametrize(
    ("likelihood", "support", "expected"),
    [
        (Bernoulli(), "binary", 1), (Bernoulli(), "byte", None), (DiscretizedLogistic(), "byte", 1),
        (Categorical(), "byte", 1), (WIDE, "byte", 1 / 255), (FIXED, "byte", 1 / 255), (NARROW, "byte", None),
        (SHARP, "byte", None), (WIDE, "binary", None), (WIDE, "unit", None), (WIDE, "real", None),
        (ContinuousBernoulli(), "byte", None), (ContinuousBernoulli(), "unit", None),
    ],
)  # fmt: skip
def test_bits_are_given_where_a_stored_value_has_a_probability(
    likelihood: Likelihood, support: Any, expected: float | None
) -> None:
    assert cell(likelihood, support) == expected


@pytest.mark.parametrize("likelihood", [Bernoulli(), DiscretizedLogistic(), Categorical(), WIDE, FIXED])
@pytest.mark.parametrize("sharpness", [1.0, 30.0])
def test_no_code_is_shorter_than_one_that_exists(likelihood: Likelihood, sharpness: float) -> None:
    """Probabilities of all values of a pixel sum to at most 1 (Kraft), also where they are sharp."""
    torch.manual_seed(0)
    support = "binary" if likelihood.kind == "bernoulli" else "byte"
    x = torch.tensor([0.0, 1.0]) if support == "binary" else torch.arange(256) / 255
    width = cell(likelihood, support)
    assert width
    module = likelihood.build(Decoded(lambda outputs: torch.nn.Unflatten(-1, (outputs, 1, 1, 1)), (1, 1, 1)))
    outputs = {"discretized_logistic": 2, "categorical": 256}.get(likelihood.kind, 1)
    z = sharpness * torch.randn(20, 1, outputs)
    with torch.no_grad():
        nats = module(z).log_prob(x[:, None, None, None]).double()
    total = 2 ** -bits_per_dim(nats.flatten(), 1, width).reshape(20, -1)
    assert total.sum(1).max() <= 1 + 1e-5
    if likelihood.kind != "gaussian":
        assert total.sum(1).min() == pytest.approx(1, abs=1e-4)


def test_a_uniform_model_of_levels_needs_eight_bits() -> None:
    assert bits_per_dim(torch.tensor([-12 * math.log(256)], dtype=torch.double), 12).item() == pytest.approx(8)


def test_evaluations_of_images_have_bits_per_dimension(run: Run, tmp_path: Path) -> None:
    assert "bits_per_dim" not in evaluate(run, metrics="evidence", samples=3, images=40)  # digits are not bytes
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (60, 3, 6, 5), np.uint8))
    found = evaluate(finished(small(data__name=str(tmp_path / "x.npy"), epochs=1), tmp_path / "colors"), samples=3)
    for key, scale in (("value", -1.0), ("standard_error", 1.0)):
        nats = found["log_evidence"][key]
        offset = math.log2(255) if key == "value" else 0.0
        assert found["bits_per_dim"][key] == pytest.approx(offset + scale * nats / (90 * math.log(2)))
    assert found["bits_per_dim"]["value"] > 8  # noise cannot be compressed


class TestPerImage:
    def test_means_are_those_of_the_evaluation_in_the_order_of_the_rows(self, run: Run) -> None:
        found = everything(run)
        for name in EACH.keys() - {"bits_per_dim"}:
            values = per_image(run, name)
            assert values.shape == (found[name]["images"],)
            assert values.mean() == pytest.approx(found[name]["value"], rel=1e-6)
        direct = run.vae().posterior(run.data().test.batch(torch.arange(40)).x)
        prior = run.vae().prior()
        kl = torch.distributions.kl_divergence(direct, prior).detach().numpy()
        np.testing.assert_allclose(per_image(run.path, "kl"), kl, rtol=1e-4)

    def test_the_last_evaluation_that_has_the_number_counts(self, run: Run) -> None:
        evaluate(run, metrics="evidence", samples=3, images=50)
        evaluate(run, metrics="ais", samples=3, images=20, annealing=QUICK)
        assert len(per_image(run, "log_evidence")) == 50
        assert len(per_image(run, "ais")) == 20

    def test_what_is_missing_says_how_to_measure_it(self, run: Run) -> None:
        with pytest.raises(InputError, match=r"each test image of .* run vaekit evaluate .* --metrics evidence"):
            per_image(run, "elbo")
        with pytest.raises(InputError, match="there is no number 'elob' of each image: did you mean 'elbo'"):
            per_image(run, "elob")
        with pytest.raises(InputError, match="there is no split 'tset'"):
            per_image(run, "elbo", split="tset")
        evaluate(run, metrics="evidence", samples=3, images=50)
        with pytest.raises(InputError, match="each validation image"):
            per_image(run, "elbo", split="validation")
        shutil.rmtree(run.path / "measured")
        with pytest.raises(InputError, match="run vaekit evaluate"):
            per_image(run, "elbo")


def test_words_say_whether_a_number_is_good() -> None:
    def estimate(value: float, samples: int = 100) -> dict[str, Any]:
        return {"value": value, "standard_error": 0.1, "samples": samples}

    found = {
        "log_evidence": estimate(-90.0), "elbo": estimate(-92.5), "kl": estimate(5.0),
        "convergence": [estimate(-90.8, 10), estimate(-90.0, 100)],
        "effective_samples": estimate(5.0), "linear_probe": estimate(0.9),
        "mutual_information": estimate(1.5), "aggregate_kl": estimate(2.5), "amortization_gap": estimate(0.2),
        "latents": {"kl_per_unit": [4.0, 1.0], "ceiling": 6.9, "chance": 0.105},
    }  # fmt: skip
    assert words(found) == {
        "log_evidence": "still climbing: +0.80 nats from 10 to 100 draws",
        "elbo": "loose: 2.50 nats below the log-evidence",
        "amortization_gap": "small",
        "aggregate_kl": "50% of the KL: samples will be poor",
        "linear_probe": "the most frequent class alone would give 0.105",
        "effective_samples": "too few: use --samples 1000",
    }
    found["mutual_information"] = estimate(6.8)
    assert words(found)["mutual_information"] == "near its ceiling of 6.9: more examples would show more"
    assert words({"elbo": {"value": None, "standard_error": None, "samples": 3}}) == {}


def test_evaluations_without_words_get_them(run: Run) -> None:
    found = evaluate(run, samples=3, images=40)
    kept = {k: v for k, v in found.items() if k not in ("words", "files", "bits_per_dim")}
    run.add_evaluation(kept)
    assert load(run.path).results()["evaluations"][0].get("words") is None
    from vaekit.evaluations import evaluations

    assert evaluations(run)[0]["words"] == found["words"]
    assert len(per_image(run, "elbo")) == 40


def test_the_command_of_an_evaluation_names_where_the_data_are(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x y.npy", np.random.default_rng(0).integers(0, 256, (60, 6, 5), np.uint8))
    other = finished(small(data__name=str(tmp_path / "x y.npy"), epochs=1), tmp_path / "own")
    (tmp_path / "x y.npy").rename(tmp_path / "moved here.npy")
    found = evaluate(other, samples=3, images=6, data=tmp_path / "moved here.npy")
    assert f"--data '{tmp_path / 'moved here.npy'}'" in found["command"]
