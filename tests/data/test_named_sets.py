"""The named sets against the facts that their publishers and papers state."""

import os

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from vaekit.data import Source, Split, available, defaults
from vaekit.data.named import NAMED
from vaekit.data.readers import read_omniglot
from vaekit.errors import InputError

# Name, split, sizes of its parts, event shape, support, mean of the training part, mean of the test part.
FACTS = [
    ("mnist", "60k/10k", [60_000, 10_000], (1, 28, 28), "byte", 0.1306604763, 0.1325146058),
    ("fashion_mnist", "60k/10k", [60_000, 10_000], (1, 28, 28), "byte", 0.2860405970, 0.2868492807),
    ("binarized_mnist", "50k/10k/10k", [50_000, 10_000, 10_000], (1, 28, 28), "binary", 0.1305622704, 0.1325122449),
    ("omniglot", "24345/8115", [24_345, 8_115], (1, 28, 28), "unit", 0.08076, 0.07978),
    ("caltech101_silhouettes", "4100/2264/2307", [4100, 2264, 2307], (1, 28, 28), "binary", 0.449, 0.461),
    ("frey_face", "1565/200/200", [1565, 200, 200], (1, 28, 20), "byte", None, None),
]


def every(split: Split) -> torch.Tensor:
    return split.batch(torch.arange(len(split))).x


def mean(split: Split) -> float:
    return every(split).mean(dtype=torch.float64).item()


@pytest.mark.parametrize(("name", "split", "sizes", "event", "support", "train", "test"), FACTS)
def test_sizes_and_means_are_the_published_ones(real, name, split, sizes, event, support, train, test):
    data = Source(name=name).load(real)
    assert data.space.split == split
    assert list(data.space.sizes.values()) == sizes
    assert (data.space.event_shape, data.space.support) == (event, support)
    assert every(data.test).shape == (sizes[-1], *event)
    if train is not None:
        digits = {"caltech101_silhouettes": 3, "omniglot": 5}.get(name, 7)
        assert mean(data.train) == pytest.approx(train, abs=0.6 * 10**-digits)
        assert mean(data.test) == pytest.approx(test, abs=0.6 * 10**-digits)


def test_mnist_labels_and_validation_part(real):
    whole = Source(name="mnist").load(real)
    assert whole.train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert whole.space.classes == tuple("0123456789")
    parts = Source(name="mnist", split="50k/10k/10k").load(real)
    last = torch.arange(50_000, 60_000)
    assert torch.equal(parts.validation.x, whole.train.x[last])
    assert torch.equal(parts.test.x, whole.test.x)
    assert parts.space.digest == whole.space.digest


def test_byte_images_are_stored_as_bytes(real):
    data = Source(name="mnist", binarization="dynamic").load(real)
    assert data.train.x.dtype == data.test.x.dtype == torch.uint8
    assert data.train.x.nbytes == 60_000 * 784


def test_frey_face_is_upright_and_shuffled(real):
    frames = loadmat(real / "frey_face" / "frey_rawface.mat")["ff"].T.reshape(-1, 1, 28, 20)
    data = Source(name="frey_face").load(real)
    parts = torch.cat([data.train.x, data.validation.x, data.test.x]).numpy()
    assert np.array_equal(np.unique(parts, axis=0), np.unique(frames, axis=0))
    assert frames.mean() == pytest.approx(154.46086968)
    # In the video's own order the last 200 frames would be the test part.
    assert not np.array_equal(data.test.x.numpy(), frames[-200:])
    assert torch.equal(data.test.x, Source(name="frey_face").load(real).test.x)
    assert not torch.equal(data.test.x, Source(name="frey_face", seed=1).load(real).test.x)


def test_caltech_is_upright_with_the_object_as_one(real):
    mat = loadmat(real / "caltech101_silhouettes" / "caltech101_silhouettes_28_split1.mat")
    data = Source(name="caltech101_silhouettes").load(real)
    assert np.array_equal(data.test.x[7, 0].numpy(), 1 - mat["test_data"][7].reshape(28, 28, order="F"))
    corners, middle = data.train.x[:, 0, :3, :3].float().mean(), data.train.x[:, 0, 10:18, 10:18].float().mean()
    assert corners < 0.3 < 0.7 < middle
    assert len(data.space.classes) == 101
    label = data.train.labels[0]
    assert data.space.classes[label] == mat["classnames"][0, mat["train_labels"][0, 0] - 1].item()


def test_omniglot_agrees_with_the_original_drawings(real):
    with np.load(real / "omniglot" / "omniglot_105_packed.npz") as arrays:
        rows = np.flatnonzero(arrays["drawer"] > 15)[:200]
        drawings = np.unpackbits(arrays["images"][rows], axis=1, count=11025).reshape(-1, 105, 105)
        alphabets = arrays["alphabet"][rows]
    data = Source(name="omniglot").load(real)
    # Cells of 15/4 pixels: every fourth edge of the 28×28 image is an edge of whole pixels.
    coarse = data.test.x[:200, 0].numpy().reshape(200, 7, 4, 7, 4).mean((2, 4))
    assert np.allclose(coarse, drawings.reshape(200, 7, 15, 7, 15).mean((2, 4)), atol=1e-6)
    assert np.array_equal(data.test.labels[:200].numpy(), alphabets)


def test_omniglot_says_when_its_numbers_do_not_compare(real, caplog):
    caplog.set_level("INFO", logger="vaekit")
    data = Source(name="omniglot", split="23000/1345/8115").load(real)
    assert "do not compare with published ones" in caplog.text
    # A validation part cut from the ordered file's end would hold few alphabets.
    assert len(data.validation.labels.unique()) == 50


def test_original_omniglot_layout(tmp_path):
    random = np.random.default_rng(0)
    images = random.random((9, 28, 28))
    columns = images.transpose(0, 2, 1).reshape(9, 784).T
    target = np.eye(50)[:, random.integers(0, 50, 9)]
    parts = {"data": columns[:, :6], "target": target[:, :6], "testdata": columns[:, 6:], "testtarget": target[:, 6:]}
    savemat(tmp_path / "chardata.mat", parts)
    raw = read_omniglot([tmp_path / "chardata.mat"])
    assert np.array_equal(raw.x[:, 0], images.astype(np.float32))
    assert raw.test == 3
    assert raw.labels.tolist() == target.argmax(0).tolist()


def test_both_forms_of_binarized_mnist_are_equal(real, tmp_path):
    packed = Source(name="binarized_mnist").load(real)
    (tmp_path / "root").mkdir()
    folder = tmp_path / "root" / "binarized_mnist"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        os.symlink(
            real / "binarized_mnist" / f"binarized_mnist_{part}.amat.gz", folder / f"binarized_mnist_{part}.amat.gz"
        )
    text = Source(name="binarized_mnist").load(tmp_path / "root")
    assert text.space == packed.space


def test_digits_come_with_the_library():
    data = Source(name="digits").load()
    assert data.space.sizes == {"train": 1257, "validation": 180, "test": 360}
    assert (data.space.event_shape, data.space.support) == ((1, 8, 8), "unit")
    assert set((every(data.test) * 16).unique().tolist()) <= set(range(17))


@pytest.mark.parametrize(
    ("name", "binarization"),
    [
        ("digits", "none"),
        ("mnist", "dynamic"),
        ("omniglot", "dynamic"),
        ("fashion_mnist", "none"),
        ("kmnist", "none"),
        ("frey_face", "none"),
        ("binarized_mnist", "none"),
        ("caltech101_silhouettes", "none"),
        ("photos", "none"),
    ],
)
def test_default_binarization(name, binarization):
    assert defaults(name) == Source(name=name, binarization=binarization)


def test_the_list_tells_what_is_here(real):
    rows = {row["name"]: row for row in available(real)}
    assert set(rows) == set(NAMED)
    assert rows["digits"]["found"] == "built in"
    assert rows["mnist"]["found"] == str(real / "MNIST" / "raw")
    assert rows["kmnist"]["origin"].startswith("http://codh.rois.ac.jp/kmnist/")
    assert {row["split"] for row in rows.values()} >= {"60k/10k", "1565/200/200"}


def test_a_misspelt_name_is_put_right():
    with pytest.raises(InputError, match=r"'mnits' is neither a file or folder nor a data set: did you mean 'mnist'"):
        Source(name="mnits").load()


def test_enlarged_digits_are_the_small_ones_seen_from_nearer():
    small, large = (Source(name=name).load() for name in ("digits", "digits28"))
    assert large.space.event_shape == (1, 28, 28)
    assert torch.equal(small.train.labels, large.train.labels)
    ink = [every(data.train).flatten(1).mean(1) for data in (small, large)]
    assert np.corrcoef(*ink)[0, 1] > 0.9
    rows = every(large.train)[:, 0, 3:25, 3:25]
    blocks = torch.nn.functional.interpolate(rows[:, None], (8, 8), mode="area").flatten()
    assert np.corrcoef(blocks, every(small.train).flatten())[0, 1] > 0.9
    assert float(every(large.train)[:, 0, [0, 27]].max()) < 0.01


def test_enlarged_digits_are_the_same_on_every_machine():
    assert Source(name="digits28").load().space.digest.startswith("371221f44ab2e970")
