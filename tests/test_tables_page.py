"""The page of tables is what the stored numbers say, and its baselines and closed forms are right."""

import importlib
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables():
    """The names of docs/tables.py."""
    return runpy.run_path(str(ROOT / "docs/tables.py"))


def test_page_is_what_the_stored_numbers_say(tables):
    stored = json.loads(tables["STORED"].read_text(encoding="utf-8"))
    assert tables["PAGE"].read_text(encoding="utf-8") == tables["page"](stored)


def test_a_gaussian_fills_holes_by_the_regression_on_what_is_seen(tables):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3)) @ random.normal(size=(3, 3))
    given = x.copy()
    given[:100, 2] = np.nan  # a monotone pattern, whose maximum of likelihood is a regression
    regressors = np.column_stack([np.ones(400), x[:, :2]])
    coefficients = np.linalg.lstsq(regressors[100:], x[100:, 2], rcond=None)[0]
    np.testing.assert_allclose(tables["gaussian_em"](given, 200)[:100, 2], (regressors @ coefficients)[:100], atol=1e-6)


def test_a_linear_model_agrees_with_its_closed_form(tables):
    found = dict(tables["exact"](0))["mean difference"]
    assert found["log p(x_observed), nats"] < 0.02
    assert found["E[x_missing ∣ x_observed]"] < 0.03


def test_a_cell_is_the_median_with_the_error_of_the_mean_or_why_there_is_none(tables):
    assert tables["cell"]([0.1, 0.2, 0.9]) == "0.2 (0.25)"
    assert tables["cell"]([0.5]) == "0.5"
    assert tables["cell"](["not run: no module"]) == "not run: no module"


def test_a_goal_is_reached_by_the_means_over_seeds(tables):
    runs = [{"a": {"vaekit": 0.9, "ctgan's TVAE": 0.8}, "b": {"vaekit": v, "ctgan's TVAE": 0.8}} for v in (0.7, 0.9)]
    assert tables["outcome"]("synthesis", runs) == "Reached: at least TVAE's score on 2 of 2 tables."
    assert tables["outcome"]("synthesis", runs[:1]) == "Missed: at least TVAE's score on 1 of 2 tables."


def test_the_tables_of_the_quality_report_are_whole(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    synthesis = importlib.import_module("benchmarks.synthesis")
    shapes = {name: load().shape for name, load in synthesis.TABLES.items()}
    assert shapes == {"penguins": (344, 8), "wine": (178, 14), "diabetes": (442, 11)}


@pytest.mark.slow
def test_the_bar_of_imputation_runs(tables, monkeypatch):
    for name, value in {"DRAWS": 100, "RUNS": 2, "COPIES": 40}.items():
        monkeypatch.setitem(tables["imputation"].__globals__, name, value)
    tables["CANDIDATES"][tables["CHOSEN"]] = {"hidden": (8,), "epochs": 2}
    found = dict(tables["imputation"](0))
    assert found["mean squared error"]["Gaussian EM"] < 0.25 < found["mean squared error"]["vaekit"]
    assert 0 < found["share in 95% intervals"]["vaekit"] < 1
