"""Numbers for a plane of codes: whether similar classes are near, and how smooth the decoder's path is."""

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from vaekit.studies.planes import confusion, distances, likeness, path, ranks


def upper(matrix: Tensor) -> np.ndarray:
    return matrix.numpy()[np.triu_indices(len(matrix), 1)]


def symmetric(seed: int, classes: int = 8) -> Tensor:
    x = torch.rand(classes, classes, generator=torch.Generator().manual_seed(seed)).mul(6).round()  # with ties
    return (x + x.T).fill_diagonal_(0)


def test_the_correlation_is_spearmans_over_the_pairs() -> None:
    for seed in range(5):
        a, b = symmetric(seed), symmetric(seed + 100)
        assert np.isclose(likeness(a, b)[0], spearmanr(upper(a), upper(b)).statistic)


def test_chance_is_uniform_for_unrelated_matrices_and_small_for_related_ones() -> None:
    found = [likeness(symmetric(seed), symmetric(seed + 1000))[1] for seed in range(200)]
    assert 0.4 < np.mean(found) < 0.6
    assert np.mean(np.array(found) <= 0.05) < 0.11  # 0.05 by chance, by binomial three errors more
    related = symmetric(0)
    correlation, chance = likeness(related, -related + 0.1 * symmetric(1))
    assert correlation < -0.9
    assert chance < 0.01


def test_near_classes_that_are_confused() -> None:
    classes = torch.tensor([0, 0, 1, 1, 2, 2])
    codes = torch.tensor([[0.0, 0], [0, 2], [3, 0], [3, 2], [9, 1], [9, 1]])
    assert distances(codes, classes).tolist() == [[0, 3, 9], [3, 0, 6], [9, 6, 0]]
    voted = torch.tensor([0, 1, 1, 1, 2, 0])
    assert confusion(classes, voted)[0, 1] == 0.5
    assert confusion(classes, voted)[0, 2] == 0.5
    assert confusion(classes, voted)[1, 2] == 0


def test_ranks_share_ties() -> None:
    assert ranks(torch.tensor([2.0, 2, 2])).tolist() == [2, 2, 2]


def test_a_jump_is_a_step_longer_than_the_mean_distance_and_a_line_has_equal_steps() -> None:
    line = torch.arange(10.0).expand(10, 10)[..., None]
    mean, largest = path(line)
    assert largest < 0.5
    assert np.isclose(mean, largest / 2)  # half the steps, along the columns, are 0
    jump = (line > 4).float()
    assert path(jump)[1] > 1.9
