"""Sampled rows beside real ones: alike where they are, copies where they are, and associations as scipy has them."""

import numpy as np
import pytest
import torch
from scipy import stats

import vaekit
from vaekit.errors import InputError
from vaekit.evaluation.fidelity import cramer_v, fidelity, near_copies, told_apart

NAMES, CODED = ("a", "b", "c"), (False, False, True)


def rows(n, seed, strength=0.8):
    """Two correlated numbers and a category that the first decides over."""
    random = np.random.default_rng(seed)
    a = random.normal(size=n)
    b = strength * a + (1 - strength**2) ** 0.5 * random.normal(size=n)
    return np.column_stack([a, b, (a + random.normal(size=n) > 0).astype(float)])


def test_trees_cannot_tell_rows_of_one_distribution_apart_and_tell_others():
    alike = told_apart(rows(600, 0), rows(500, 1))
    assert abs(alike.value - 0.5) < 3 * alike.standard_error
    assert 0.01 < alike.standard_error < 0.03
    other = told_apart(rows(600, 0, strength=-0.8), rows(500, 1))
    best = stats.mannwhitneyu(*(rows(5000, 2, sign * 0.8)[:, :2].prod(1) for sign in (1, -1))).statistic / 5000**2
    assert best - 0.1 < other.value < best + 3 * other.standard_error  # the densities' ratio is a function of a b


def test_copies_are_near_copies_and_new_rows_are_as_near_as_held_out_ones():
    training, held_out, new = (torch.from_numpy(rows(n, seed)) for n, seed in ((800, 0), (600, 1), (600, 2)))
    assert near_copies(training[:300], held_out, training).value == 1
    found = near_copies(new, held_out, training)
    assert abs(found.value - 0.05) < 3 * found.standard_error


def test_columns_and_pairs_are_as_scipy_has_them():
    real, sampled = rows(400, 0), rows(300, 1, strength=0.2)
    found = fidelity(real, sampled, NAMES, CODED)
    for k, name in enumerate(NAMES[:2]):
        assert np.isclose(found["columns"][name]["value"], stats.ks_2samp(real[:, k], sampled[:, k]).statistic)
    assert np.isclose(found["columns"]["c"]["value"], abs(real[:, 2].mean() - sampled[:, 2].mean()))
    numbers, *mixed = found["pairs"]
    assert numbers["columns"] == ["a", "b"]
    assert numbers["kind"] == "correlation"
    assert np.isclose(numbers["real"], np.corrcoef(real[:, 0], real[:, 1])[0, 1])
    assert numbers["real"] - numbers["sampled"] > 5 * numbers["standard_error"]
    quarters = np.searchsorted(np.quantile(real[:, 0], [0.25, 0.5, 0.75]), real[:, 0])
    table = stats.contingency.crosstab(quarters, real[:, 2]).count
    assert mixed[0]["kind"] == "cramer_v"
    assert np.isclose(mixed[0]["real"], stats.contingency.association(table, method="cramer"))


def test_equal_rows_are_alike_and_missing_cells_are_left_out():
    real = rows(200, 0)
    real[:50, 0] = np.nan
    found = fidelity(real, real.copy(), NAMES, CODED)
    assert all(each["value"] == 0 for each in found["columns"].values())
    assert all(pair["real"] == pair["sampled"] for pair in found["pairs"])
    assert np.isclose(found["pairs"][0]["real"], np.corrcoef(real[50:, 0], real[50:, 1])[0, 1])


def test_what_no_row_has_is_left_out_and_too_few_rows_are_refused():
    real = rows(200, 0)
    real[:, 0] = np.nan
    found = fidelity(real, real.copy(), NAMES, CODED)
    assert list(found["columns"]) == ["b", "c"]
    assert [pair["columns"] for pair in found["pairs"]] == [["b", "c"]]
    with pytest.raises(InputError, match="4 rows are too few"):
        told_apart(real[:4], real[:4])


def test_a_constant_column_has_no_association():
    assert cramer_v(np.array([[0.0, 1.0], [0.0, 2.0]])) == 0


def test_an_evaluation_of_a_table_sets_samples_beside_rows(tmp_path):
    x = np.column_stack([rows(300, 0), np.zeros(300)])
    np.savetxt(tmp_path / "t.csv", x, "%.6g", delimiter=",", header="a,b,c,d", comments="")
    fields = {"epochs": 20, "latent_dim": 2, "hidden": (16,), "likelihood": "columns"}
    run = tmp_path / "run"
    for _ in vaekit.train(vaekit.choose(tmp_path / "t.csv", **fields), run):
        pass
    found = vaekit.evaluate(run, metrics="samples", split="test")
    assert 0.3 < found["told_apart"]["value"] < 1
    assert found["near_copies"]["value"] < 0.5
    assert set(found["fidelity"]["columns"]) == {"a", "b", "c"}
    assert [pair["kind"] for pair in found["fidelity"]["pairs"]] == ["correlation", "cramer_v", "cramer_v"]
    assert "left_out" not in found
    page = vaekit.report(run).read_text(encoding="utf-8")
    assert "near copies" in page
    assert "Samples beside the data, by column and by pair: bars of 3 columns and a scatter plot of 3 pairs" in page
