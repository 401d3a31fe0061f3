"""Distances of features, clipped density and coverage, novelty: closed forms, and what they must be at both ends."""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats

from vaekit.errors import InputError
from vaekit.evaluation.features import _groups, clipped, expected_coverage, frechet_distance, kernel_distance
from vaekit.evaluation.neighbors import Nearest, nearer


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# Fréchet distance


def test_the_extrapolated_distance_has_no_bias_where_the_usual_one_has():
    found = [frechet_distance(torch.randn(100, 8), torch.randn(100, 8)) for _ in range(40)]
    values, usual = (torch.tensor([getattr(f, of) for f in found]) for of in ("value", "of_samples"))
    assert usual.min() > 0.2  # the truth is 0
    assert abs(values.mean()) < 0.05 * usual.mean()
    assert found[0].samples == 100


def test_groups_are_equal_and_always_the_same():
    groups = _groups(103, 10)
    assert groups.bincount().tolist() == [11] * 3 + [10] * 7
    assert torch.equal(groups, _groups(103, 10))
    assert not torch.equal(groups.sort().values, groups)
    a, b = torch.randn(50, 4), torch.randn(60, 4)
    assert frechet_distance(a, b) == frechet_distance(a, b)


# Kernel distance


def test_the_kernel_distance_is_the_unbiased_mean_over_pairs(monkeypatch):
    monkeypatch.setattr("vaekit.evaluation.features.AT_ONCE", 3)
    a, b = torch.randn(7, 1, 2, 2).double(), torch.randn(8, 1, 2, 2).double() + 0.5

    def mean(x, y, same):
        k = (x.flatten(1) @ y.flatten(1).T / 4 + 1) ** 3
        return (k.sum() - k.trace() * same) / (k.numel() - len(x) * same)

    expected = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    assert kernel_distance(a, b).value == pytest.approx(float(expected), rel=1e-12)


def test_the_kernel_distance_is_that_of_torchmetrics():
    from torchmetrics.image.kid import KernelInceptionDistance

    class Identity(torch.nn.Module):
        num_features = 6

        def forward(self, x):
            return x

    a, b = torch.randn(60, 6), torch.randn(60, 6) + 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the memory that it takes
        theirs = KernelInceptionDistance(Identity(), subsets=1, subset_size=60)
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    assert kernel_distance(a, b).value == pytest.approx(float(theirs.compute()[0]), abs=1e-5)


def test_the_kernel_distance_needs_two_images():
    with pytest.raises(InputError, match="the kernel distance of 1 and 9 images is undefined"):
        kernel_distance(torch.ones(1, 3), torch.ones(9, 3))


# Clipped density and coverage


def test_the_data_themselves_are_perfect_and_images_far_away_worth_nothing():
    data = torch.rand(200, 1, 4, 4)
    same, far = clipped(data, data), clipped(data + 1000, data)
    assert (same.density.value, same.coverage.value) == (1, 1)
    assert (far.density.value, far.coverage.value) == (0, 0)
    assert (far.density.standard_error, far.coverage.standard_error) == (0, 0)


def test_both_fall_linearly_with_the_share_of_bad_images():
    data, good = torch.randn(3000, 4), torch.randn(3000, 4)
    for bad in (0.0, 0.25, 0.5, 0.9):
        images = good.clone()
        images[: int(bad * 3000)] += 1000
        for found in clipped(images, data):
            assert found.value == pytest.approx(1 - bad, abs=0.05)


def test_one_good_image_over_and_over_is_dense_and_covers_nothing():
    data = torch.randn(500, 4)
    found = clipped(data[data.norm(dim=1).argmin()].expand(500, 4), data)
    assert found.density.value == 1
    assert found.coverage.value < 0.05


def test_an_outlier_of_the_data_does_not_make_bad_images_good():
    """A ball around an outlier would reach all images on its way."""
    data = torch.cat([torch.randn(300, 4), torch.full((1, 4), 100.0)])
    between = torch.full((300, 4), 50.0) + torch.randn(300, 4)
    assert clipped(between, data).density.value == 0
    assert clipped(between, data).coverage.value < 0.01


def test_they_are_those_of_brute_force(monkeypatch):
    monkeypatch.setattr("vaekit.evaluation.features.AT_ONCE", 7)
    data, images, k = torch.randn(40, 3).double(), torch.randn(30, 3).double() + 0.7, 4
    apart = torch.cdist(data, data).fill_diagonal_(torch.inf)
    radius = apart.sort(1).values[:, k - 1]
    small = radius.clamp_max(float(radius.median()))
    to_images = torch.cdist(data, images)
    hits = ((to_images <= small[:, None]).sum(0) / k).clamp_max(1).mean()
    ideal = ((apart <= small[:, None]).sum(0) / k).clamp_max(1).mean()
    met = float(((to_images <= radius[:, None]).sum(1) / k).clamp_max(1).mean())
    found = clipped(images, data, neighbors=k)
    assert found.density.value == pytest.approx(min(1, float(hits / ideal)))
    m = found.coverage.value * 30
    assert float(expected_coverage(np.array([np.floor(m)]), 40, k)[0]) <= met + 1e-12
    assert met <= float(expected_coverage(np.array([np.floor(m) + 1]), 40, k)[0]) + 1e-12


@pytest.mark.parametrize("m", [1, 20, 200])
def test_the_expected_coverage_is_that_of_data_on_a_line(m):
    n, k = 100, 5
    met = []
    for _ in range(60):
        data, images = torch.rand(n, 1).double(), torch.rand(m, 1).double()
        radius = torch.cdist(data, data).sort(1).values[:, k]
        met.append(float(((torch.cdist(data, images) <= radius[:, None]).sum(1) / k).clamp_max(1).mean()))
    expected = float(expected_coverage(np.array([m]), n, k)[0])
    j = np.arange(m + 1)
    assert expected == pytest.approx(float((np.minimum(j, k) * stats.betabinom.pmf(j, m, k, n - k)).sum() / k))
    assert abs(np.mean(met) - expected) < 4 * np.std(met) / 60**0.5


def test_few_data_are_refused():
    with pytest.raises(InputError, match="clipped density needs more than 6 images of the data"):
        clipped(torch.rand(9, 2), torch.rand(6, 2))
    assert np.isnan(clipped(torch.rand(9, 2), torch.rand(12, 2)).density.standard_error)


# Novelty


def test_novelty_counts_pairs_and_ties_half():
    def at(*distances):
        return Nearest(torch.tensor(distances), torch.zeros(len(distances)))

    assert nearer(at(0.0, 0.0), at(1.0, 2.0)).value == 1
    assert nearer(at(3.0, 3.0), at(1.0, 2.0)).value == 0
    assert nearer(at(1.0, 2.0), at(1.0, 2.0)).value == 0.5
    a, b = torch.rand(30), torch.rand(20)
    found = nearer(Nearest(a, a), Nearest(b, b))
    assert found.value == pytest.approx(stats.mannwhitneyu(b, a).statistic / 600)
