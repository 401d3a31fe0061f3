"""Grey levels become bits: how often, when anew, and when fixed."""

import numpy as np
import pytest
import torch

from vaekit.data import Source, Split
from vaekit.data import data as module
from vaekit.data.data import draw_batch, draw_bits, draw_levels
from vaekit.errors import InputError

ROWS = torch.arange(100)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_dynamic_training_bits_are_drawn_anew_from_the_global_state():
    data = Source(name="digits", binarization="dynamic").load()
    assert data.space.support == "binary"
    torch.manual_seed(0)
    first, second = data.train.batch(ROWS).x, data.train.batch(ROWS).x
    torch.manual_seed(0)
    assert torch.equal(first, data.train.batch(ROWS).x)
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    gray = Source(name="digits").load().train.batch(ROWS).x
    mean = torch.stack([data.train.batch(ROWS).x for _ in range(400)]).mean(0)
    # Six standard errors of a mean of 400 bits.
    assert (mean - gray).abs().max() < 6 * 0.5 / 20


def test_held_out_bits_are_fixed_by_the_seed_of_the_data():
    source = Source(name="digits", binarization="dynamic")
    torch.manual_seed(1)
    one = source.load()
    torch.manual_seed(2)
    other = source.load()
    for name in ("train", "validation", "test"):
        assert torch.equal(one.fixed(name).batch(ROWS).x, other.fixed(name).batch(ROWS).x)
    assert torch.equal(one.test.batch(ROWS).x, one.fixed("test").batch(ROWS).x)
    assert torch.equal(one.test.batch(ROWS).x, one.test.batch(ROWS).x)
    assert not torch.equal(one.fixed("train").batch(ROWS).x, one.train.batch(ROWS).x)


def test_fixed_bits_of_mnist_do_not_depend_on_the_validation_part(real):
    whole = Source(name="mnist", binarization="dynamic").load(real)
    parts = Source(name="mnist", binarization="dynamic", split="50k/10k/10k").load(real)
    other = Source(name="mnist", binarization="dynamic", seed=1).load(real)
    assert torch.equal(whole.test.x, parts.test.x)
    assert not torch.equal(whole.test.x, other.test.x)


def test_static_is_one_draw_and_equals_the_fixed_draw_of_dynamic():
    static = Source(name="digits", binarization="static").load()
    dynamic = Source(name="digits", binarization="dynamic").load()
    assert torch.equal(static.train.batch(ROWS).x, static.train.batch(ROWS).x)
    for name in ("train", "validation", "test"):
        assert torch.equal(static.fixed(name).x, dynamic.fixed(name).x)


def test_threshold_cuts_at_one_half():
    gray = Source(name="digits").load().train.batch(ROWS).x
    cut = Source(name="digits", binarization="threshold").load().train.batch(ROWS).x
    assert torch.equal(cut, (gray >= 0.5).float())


def test_bits_of_bytes_follow_their_level():
    levels = torch.arange(256, dtype=torch.uint8).repeat(20_000, 1).numpy()
    bits = draw_bits(levels, np.random.default_rng(0))
    share = bits.mean(0)
    expected = np.arange(256) / 255
    assert share[0] == 0
    assert share[255] == 1
    # Six standard errors at most.
    assert np.abs(share - expected).max() < 6 * 0.5 / np.sqrt(20_000)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_bits_of_a_batch_follow_their_level(kind, device):
    levels, draws = torch.arange(256, dtype=torch.uint8, device=device), 40_000
    gray = levels if kind == torch.uint8 else levels / 255
    torch.manual_seed(0)
    share = draw_batch(gray.expand(draws, 256)).double().mean(0).cpu()
    p = torch.arange(256).double() / 255
    assert share[0] == 0
    assert share[255] == 1
    z = ((share - p) / (p * (1 - p) / draws).sqrt())[1:255]
    # 254 standard normals: the mean of their squares within five standard errors of 1, and so their mean of 0.
    assert abs(z.square().mean() - 1) < 5 * (2 / 254) ** 0.5
    assert abs(z.mean()) < 5 / 254**0.5


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_levels_are_uniform_and_independent(device):
    torch.manual_seed(0)
    levels = draw_levels(torch.Size((30_001, 255)), torch.device(device)).cpu().long()
    assert torch.equal(levels.unique(), torch.arange(255))
    # 254 degrees of freedom for a level, 254² for a pair of neighbors; within five standard deviations.
    for counts, freedom in ((levels.flatten().bincount(minlength=255), 254), (pairs(levels), 254**2)):
        expected = counts.double().mean()
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5


def pairs(levels: torch.Tensor) -> torch.Tensor:
    """Count the pairs of neighbors."""
    even = levels.flatten()[: levels.numel() // 2 * 2].view(-1, 2)
    return (255 * even[:, 0] + even[:, 1]).bincount(minlength=255**2)


@pytest.mark.parametrize("mode", ["dynamic", "static", "threshold"])
def test_binary_data_and_tables_are_not_binarized(tmp_path, mode):
    np.save(tmp_path / "bits.npy", np.eye(20, dtype=bool)[:, None, :])
    with pytest.raises(
        InputError, match=rf"bits.npy is binary already, so binarization '{mode}' makes no sense: use none"
    ):
        Source(name=str(tmp_path / "bits.npy"), binarization=mode).load()
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(InputError, match="holds real numbers"):
        Source(name=str(tmp_path / "rows.npy"), binarization=mode).load()


def test_unknown_and_absent_splits_are_named():
    data = Source(name="digits", split="1437/360").load()
    with pytest.raises(InputError, match=r"no split 'tets': did you mean 'test'"):
        data.fixed("tets")
    with pytest.raises(InputError, match=r"digits split as 1437/360 has no validation part: choose train or test"):
        data.fixed("validation")


@pytest.mark.parametrize("mode", ["none", "dynamic", "static", "threshold"])
def test_large_data_stay_one_shared_array(monkeypatch, mode):
    small = Source(name="digits", binarization=mode).load()
    monkeypatch.setattr("vaekit.data.source.RESIDENT", 0)
    monkeypatch.setattr(module, "RESIDENT", 0)
    large = Source(name="digits", binarization=mode).load().to("cpu")
    assert len(large.train) == len(small.train)
    if mode in ("none", "dynamic"):
        assert large.train.index is not None
        assert len(large.train.x) == 1797
    for name in ("train", "validation", "test"):
        assert torch.equal(large.fixed(name).batch(ROWS).x, small.fixed(name).batch(ROWS).x)
        assert torch.equal(large.fixed(name).labels, small.fixed(name).labels)


@CUDA
def test_batches_arrive_on_the_device():
    data = Source(name="digits", binarization="dynamic").load()
    moved = data.to("cuda")
    assert moved.train.batch(ROWS.cuda()).x.device.type == moved.test.labels.device.type == "cuda"
    assert torch.equal(moved.fixed("train").x.cpu(), data.fixed("train").x)


def test_batches_gather_rows_in_the_order_asked():
    split = Split(torch.arange(6, dtype=torch.uint8)[:, None], levels=255, index=torch.tensor([5, 3, 1]))
    assert len(split) == 3
    assert split.batch(torch.tensor([2, 0, 0])).x.flatten().tolist() == pytest.approx([1 / 255, 5 / 255, 5 / 255])
