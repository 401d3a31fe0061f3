"""Cells of a table that are hidden and filled in: the errors by hand, and those of a model whose answers are known."""

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

import vaekit
from vaekit.evaluation.hiding import PARTS, parts, recovered, typical

NAN = float("nan")


def test_each_cell_is_hidden_once_with_a_fifth_of_the_others():
    part = parts((4000, 5))
    assert torch.equal(part, parts((4000, 5)))
    assert set(part.unique().tolist()) == set(range(PARTS))
    shares = part.flatten().bincount() / part.numel()
    assert (shares - 1 / PARTS).abs().max() < 4 * (0.16 / 20_000) ** 0.5


def test_a_column_alone_says_its_mean_or_its_mode_of_what_is_known():
    known = torch.tensor([[1.0, 2.0, NAN], [NAN, 2.0, NAN], [5.0, 0.0, NAN]]).double()
    found = typical(known, (False, True, True))
    assert found[:2].tolist() == [3.0, 2.0]
    assert found[2].isnan()


def test_errors_are_those_by_hand():
    truth = torch.tensor([[1.0, 0.0], [3.0, 1.0], [NAN, 1.0], [7.0, 2.0]]).double()
    guess = torch.tensor([[1.0, 0.0], [4.0, 1.0], [99.0, 0.0], [5.0, 2.0]]).double()
    found = recovered(truth, guess, torch.tensor([3.0, 1.0]).double(), ("weight", "kind"), (False, True), 9)
    weight, kind = found["hidden"]["weight"], found["hidden"]["kind"]
    assert (weight["cells"], kind["cells"]) == (3, 4)
    assert weight["model"].value == pytest.approx((5 / 3) ** 0.5)  # of 0, 1, 2
    assert weight["alone"].value == pytest.approx((20 / 3) ** 0.5)  # of 2, 0, 4
    assert (kind["model"].value, kind["alone"].value) == (0.25, 0.5)
    assert kind["model"].standard_error == pytest.approx(0.25)  # that of a mean, s / √4
    assert found["imputation"]["value"] == pytest.approx((5 / 20 + 1 / 2) / 2)
    assert found["imputation"]["samples"] == 9


def test_errors_of_a_column_have_the_spread_of_repetitions():
    torch.manual_seed(0)
    again = [torch.randn(200, 1).double() for _ in range(300)]
    found = [recovered(x, 0.5 * x, torch.zeros(1).double(), ("a",), (False,), 1)["hidden"]["a"]["alone"] for x in again]
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.15)


def test_columns_that_never_vary_or_are_never_known_have_no_ratio():
    truth = torch.tensor([[1.0, 5.0, NAN], [3.0, 5.0, NAN], [4.0, 5.0, NAN]]).double()
    alone = torch.tensor([2.0, 5.0, NAN]).double()
    found = recovered(truth, truth, alone, ("a", "b", "c"), (False, False, False), 1)
    assert found["imputation"]["value"] == 0
    assert list(found["hidden"]) == ["a", "b"]


def test_a_trained_model_errs_as_the_best_guess_does_and_its_report_says_so(tmp_path):
    """Two columns are one number with noise, the third tells nothing: the best guess is that of a Gaussian."""
    covariance = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    torch.manual_seed(0)
    x = MultivariateNormal(torch.tensor([5.0, 0.0, 1.0]), covariance).sample((1500,)).numpy() * [2.0, 1.0, 1.0]
    np.savetxt(tmp_path / "t.csv", x, "%.6g", delimiter=",", header="length,width,luck", comments="")
    fields = {"epochs": 60, "latent_dim": 1, "hidden": (32,), "likelihood": "columns", "set": {"data.missing": 0.2}}
    for _ in vaekit.train(vaekit.choose(tmp_path / "t.csv", **fields), tmp_path / "run"):
        pass
    found = vaekit.evaluate(tmp_path / "run", metrics="samples", full=False, images=100, samples=200)
    hidden = found["hidden"]
    assert list(hidden) == ["length", "width", "luck"]
    # One cell in five is hidden beside it, so four in five of the other column are there.
    best = (0.8 * (1 - 0.9**2) + 0.2) ** 0.5
    for name, scale in (("length", 2.0), ("width", 1.0)):
        model, alone = hidden[name]["model"], hidden[name]["alone"]
        assert abs(model["value"] - scale * best) < 3.5 * model["standard_error"]
        assert abs(alone["value"] - scale) < 3.5 * alone["standard_error"]
        assert model["value"] < alone["value"] - 3 * model["standard_error"]
    assert abs(hidden["luck"]["model"]["value"] - 1) < 3.5 * hidden["luck"]["model"]["standard_error"]
    assert found["words"]["imputation"] == "better than a guess by the column alone"
    assert "left_out" not in found
    page = vaekit.report(tmp_path / "run").read_text(encoding="utf-8")
    assert "Each cell once hidden, with a fifth of all, and filled in" in page
    assert page.index("its mean or mode") < page.index('<th scope="row">luck</th>')
