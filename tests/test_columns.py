"""The columns of a table: densities against scipy's, tables of counts, and what an encoder reads of them."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from laws.conditionals import KINDS, rows_of, table
from scipy import stats
from small import finished, same, small, stopped
from torch import Tensor, nn

from vaekit import Model
from vaekit.data import Batch, Space
from vaekit.data.columns import Column, Kind
from vaekit.distributions import Counts, Observed
from vaekit.features import Features
from vaekit.likelihoods import Columns
from vaekit.likelihoods.columns import ColumnsLikelihood, Levels, group_of
from vaekit.networks import MLP
from vaekit.objectives import ELBO


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def linear(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(2, outputs), nn.Unflatten(-1, (1, outputs)))


def made(*columns: Column) -> ColumnsLikelihood:
    return ColumnsLikelihood(linear, columns, minimum_scale=0.01)


def coded(sizes: dict[str, int], kind: Kind = "category") -> list[Column]:
    return [Column(name=name, kind=kind, categories=tuple(f"{name}{i}" for i in range(n))) for name, n in sizes.items()]


@pytest.mark.parametrize("dispersion", [1e-6, 1e-3, 0.5, 20.0])
@pytest.mark.parametrize("mean", [0.01, 3.0, 2e4, 3e6])
def test_counts_are_a_negative_binomial_for_small_and_large_numbers(mean: float, dispersion: float) -> None:
    x = np.array([0, 1, 7, 300, 20_000, 3_000_000])
    r = 1 / dispersion
    expected = torch.from_numpy(stats.nbinom.logpmf(x, r, r / (r + mean)))
    found = Counts(torch.tensor(mean).double().log(), torch.tensor(dispersion).double().log())
    assert torch.allclose(found.log_prob(torch.from_numpy(x).double()), expected, rtol=1e-7, atol=1e-6)


def test_counts_of_no_dispersion_are_a_poisson() -> None:
    x = np.arange(12)
    found = Counts(torch.tensor(log(3.0)), torch.tensor(log(1e-6))).log_prob(torch.from_numpy(x).float())
    assert np.allclose(found.numpy(), stats.poisson.logpmf(x, 3.0), atol=1e-4)


def test_levels_have_cumulative_logits() -> None:
    levels = Levels([*coded({"a": 4}, "ordinal"), *coded({"b": 2}, "ordinal")])
    assert torch.allclose(levels(torch.zeros(2)).logits.exp()[0], torch.full((4,), 0.25), atol=1e-6)
    raw = torch.tensor([[-1.0, 0.5], [40.0, -40.0]])
    logits = levels(raw).logits.detach()
    cuts = torch.tensor([1 / 4, 1 / 2, 3 / 4]).logit()
    above = torch.cat([torch.ones(1), (raw[0, 0] - cuts).sigmoid(), torch.zeros(1)])
    assert torch.allclose(logits[0, 0].exp(), -above.diff(), atol=1e-6)
    assert torch.allclose(logits[0, 1, 1].exp(), raw[0, 1].sigmoid())
    assert torch.equal(logits[:, 1, 2:], torch.full((2, 2), -torch.inf))
    assert torch.allclose(logits.exp().sum(-1), torch.ones(2, 2))
    assert float(logits[1, 0, 0]) == pytest.approx(float(cuts[0]) - 40, rel=1e-5)  # where a difference would be 0


def test_columns_of_like_numbers_of_categories_are_a_group_which_pads_little() -> None:
    columns = coded({"a": 2, "b": 3, "c": 900, "d": 5, "e": 4, "f": 1, "g": 7})
    module = made(*columns)
    assert [group.picked.shape for group in module.groups] == [(1, 1), (1, 2), (2, 4), (2, 7), (1, 900)]
    assert module.network[0].out_features == 2 + 3 + 900 + 5 + 4 + 1 + 7
    x = torch.tensor([[1, 2, 899, 4, 3, 0, 6]]).float()
    each = module(torch.randn(1, 2)).element_log_prob(x)
    assert each[0, 5] == 0
    assert torch.allclose(each[0].exp(), 1 / torch.tensor([2, 3, 900, 5, 4, 1, 7]), rtol=3)


def test_each_column_has_the_density_of_its_kind() -> None:
    columns = table(KINDS).columns
    assert columns is not None
    module, x = made(*columns).double().requires_grad_(False), rows_of(KINDS, 1).double()
    p = module(torch.zeros(1, 2).double())
    names = sorted({group_of(column) for column in columns})
    raw = dict(zip((kind for kind, _ in names), module.network[0].bias.split(module.sizes), strict=True))
    groups = dict(zip((kind for kind, _ in names), module.groups, strict=True))
    scale = np.log1p(np.exp(-1 - log(0.01))) + log(0.01)
    assert groups["real"](raw["real"]).scale.tolist() == pytest.approx([np.exp(scale)] * 2)
    r = 1 / (2 + 1e-6 - 1)  # softplus(0 − log ε) + log ε = log (1 + ε)
    mean = np.exp(0.3 + 0.8 * float(raw["count"]))
    expected = [
        *stats.norm.logpdf(x[0, :2], raw["real"], np.exp(scale)),
        stats.nbinom.logpmf(x[0, 2], r, r / (r + mean)),
        stats.bernoulli.logpmf(int(x[0, 3]), float(raw["binary"].sigmoid())),
        float(raw["category"].log_softmax(0)[int(x[0, 4])]),
        float(groups["ordinal"](raw["ordinal"]).logits[0, int(x[0, 5])]),
    ]
    assert p.element_log_prob(x)[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert p.mean[0, 4] == raw["category"].argmax()
    assert float(p.log_prob(x)) == pytest.approx(sum(expected), rel=1e-6)


@pytest.mark.parametrize("hidden", [0.0, 0.4])
def test_categories_alone_are_a_table_of_counts(hidden: float) -> None:
    columns = coded({"a": 3, "b": 5})
    x = torch.stack([torch.randint(3, (500,)), torch.randint(5, (500,)).clamp(max=3)], 1).float()
    x[torch.rand_like(x) < hidden] = torch.nan
    counts = [torch.stack([(x[:, i] == k).sum() for k in range(n)]).float() for i, n in enumerate((3, 5))]
    module = made(*columns)
    assert module.groups[0].picked.shape == (1, 3)
    weight, bias = module.network[0].weight, module.network[0].bias
    with torch.no_grad():
        weight.zero_()
        bias.copy_(torch.cat(counts).log().clamp(min=-50))
    p = Observed(module(torch.randn(500, 2)))
    expected = sum(float(torch.xlogy(c, c / c.sum()).sum()) for c in counts)
    total = p.log_prob(x).sum()
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    total.backward()
    assert bias.grad is not None
    assert bias.grad.abs().max() < 1e-3  # shares of the counts are the most likely ones


def test_an_encoder_reads_standardized_numbers_categories_as_vectors_and_a_mask() -> None:
    space = table(KINDS, missing=True)
    x = torch.tensor([[0.5, -1.0, 4.0, 1.0, 2.0, 1.0], [torch.nan] * 6, [1.5, 0.0, 0.0, 0.0, 0.0, torch.nan]])
    read = Features(space)
    count = [(np.log1p(4) - 0.3) / 0.8, -0.3 / 0.8]
    expected = [
        [0.5, -1.0, count[0], 1.0, 0, 0, 1, 0, 0, 0, 1, 0, *[1] * 6],
        [0.0] * 18,
        [1.5, 0.0, count[1], 0.0, 1, 0, 0, 0, 0, 0, 0, 0, *[1] * 5, 0],
    ]
    assert read.shape == (18,)
    assert torch.allclose(read(x), torch.tensor(expected).float(), atol=1e-6)


def test_a_mask_of_images_is_a_channel_per_channel() -> None:
    space = Space.of((3, 4, 5))
    assert Features(space).identity
    read = Features(replace(space, missing=True))
    x = torch.rand(2, 3, 4, 5)
    x[0, 1, 2, 3] = torch.nan
    assert read.shape == (6, 4, 5)
    assert torch.equal(read(x)[:, :3], x.nan_to_num(0.0))
    assert torch.equal(read(x)[:, 3:], (~x.isnan()).float())


def test_a_mixed_table_is_learned() -> None:
    z = torch.randn(400)
    x = torch.stack([z, (z > 0).float(), torch.poisson((1 + z).exp()), (z * 1.5 + 1.5).round().clamp(0, 2)], 1)
    space = table(("real", "binary", "count", "ordinal"), missing=True)
    x[torch.rand_like(x) < 0.2] = torch.nan
    vae = Model(latent_dim=1, network=MLP(hidden=(16,)), likelihood=Columns()).build(space)
    objective, optimizer = ELBO().build(vae, space), torch.optim.Adam(vae.parameters(), 1e-2)
    bounds = []
    for _ in range(200):
        loss = objective(vae, Batch(x))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        bounds.append(float(loss.bound.detach()))
    alone: Tensor = vae.likelihood(torch.zeros(1, 1)).log_prob(x).mean().detach()
    assert np.mean(bounds[-20:]) > max(bounds[0], float(alone)) + 0.5


def test_levels_of_two_have_one_cut_and_are_trained_saved_and_resumed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{k % 2},{k % 7}.5\n" for k in range(100)))
    changes = {"data.name": str(tmp_path / "t.csv"), "data.columns": {"a": "ordinal"}, "model.likelihood": "columns"}
    experiment = small().replace_all(changes)
    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "run", step=1)
    assert same(finished(experiment, tmp_path / "run", resume=True), whole)
    assert whole.vae().state_dict()["likelihood.groups.0.first"].shape == (1, 1)
