"""Arrays of one's own: what their values and axes mean, and what is refused."""

import errno
import io
import logging
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from vaekit.data import Source, read_input
from vaekit.errors import InputError

RANDOM = np.random.default_rng(0)
LEVELS = RANDOM.integers(0, 256, (30, 6, 5), dtype=np.uint8)


def saved(path, array) -> str:
    np.save(path, array)
    return str(path)


def load(path, array):
    return Source(name=saved(path / "x.npy", array)).load()


@pytest.mark.parametrize(
    ("array", "event", "support"),
    [
        (LEVELS, (1, 6, 5), "byte"),
        (LEVELS[..., None].repeat(3, -1), (3, 6, 5), "byte"),
        (LEVELS[:, None], (1, 6, 5), "byte"),
        (LEVELS.astype(np.int64), (1, 6, 5), "byte"),
        (LEVELS.astype(np.float64), (1, 6, 5), "byte"),
        (LEVELS.reshape(30, 30), (30,), "byte"),
        (LEVELS.reshape(30, 30).astype(np.int64), (30,), "real"),
        (LEVELS > 99, (1, 6, 5), "binary"),
        ((LEVELS > 99).astype(np.uint8), (1, 6, 5), "binary"),
        ((LEVELS > 99).astype(np.float32), (1, 6, 5), "binary"),
        (LEVELS / 255, (1, 6, 5), "unit"),
        (LEVELS / 100 - 1, (1, 6, 5), "real"),
        (RANDOM.normal(size=(30, 4)).astype(np.float16), (4,), "real"),
        (np.asfortranarray(RANDOM.normal(size=(30, 4)).astype(">f8")), (4,), "real"),
    ],
)
def test_values_and_axes_tell_the_space(tmp_path, array, event, support):
    data = load(tmp_path, array)
    assert (data.space.event_shape, data.space.support) == (event, support)
    assert data.space.sizes == {"train": 24, "validation": 3, "test": 3}
    assert data.train.x.dtype == (torch.uint8 if support in ("byte", "binary") else torch.float32)
    raw, labels = read_input(str(tmp_path / "x.npy"))
    assert labels is None
    assert data.space.encode_input(raw).shape == (30, *event)


def test_rows_of_reals_are_standardised_by_the_training_rows(tmp_path):
    rows = RANDOM.normal(size=(200, 3)) * [1, 10, 100] + [5, 0, -7]
    data = load(tmp_path, rows)
    train = data.train.x.double()
    assert torch.allclose(train.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(train.std(0, correction=0), torch.ones(3, dtype=torch.float64), atol=1e-6)
    everything = np.concatenate([data.space.restore(part.x) for part in (data.train, data.validation, data.test)])
    assert np.allclose(np.sort(everything, 0), np.sort(rows, 0), rtol=1e-5)


def test_large_files_stay_on_disk(tmp_path, monkeypatch):
    small = load(tmp_path, LEVELS)
    for module in ("arrays", "source", "data"):
        monkeypatch.setattr(f"vaekit.data.{module}.RESIDENT", 0)
    before = (tmp_path / "x.npy").read_bytes()
    large = Source(name=str(tmp_path / "x.npy")).load()
    assert large.space == small.space
    rows = torch.arange(3)
    assert torch.equal(large.test.batch(rows).x, small.test.batch(rows).x)
    large.train.x.zero_()
    assert (tmp_path / "x.npy").read_bytes() == before


def test_archives_by_their_keys(tmp_path):
    labels = np.arange(30) % 3 + 7
    np.savez(tmp_path / "x.npz", x=LEVELS, labels=labels)
    data = Source(name=str(tmp_path / "x.npz")).load()
    assert data.space.classes == ("7", "8", "9")
    order = {row.tobytes(): label for row, label in zip(LEVELS, labels, strict=True)}
    for image, label in zip(data.train.x.numpy(), data.train.labels, strict=True):
        assert data.space.classes[label] == str(order[image.tobytes()])
    np.savez_compressed(tmp_path / "only.npz", whatever=LEVELS)
    assert Source(name=str(tmp_path / "only.npz")).load().space.event_shape == (1, 6, 5)
    words = np.array(["cat", "dog"] * 15)
    np.savez(tmp_path / "words.npz", images=LEVELS, y=words)
    assert Source(name=str(tmp_path / "words.npz")).load().space.classes == ("cat", "dog")


@pytest.mark.parametrize("pattern", ["{}", "x_{}"])
def test_archives_with_parts_keep_them(tmp_path, pattern):
    parts = {"train": LEVELS[:20], "val": LEVELS[20:24], "test": LEVELS[24:]}
    labels = {f"y_{name}": np.full(len(part), i) for i, (name, part) in enumerate(parts.items())}
    np.savez(tmp_path / "x.npz", **{pattern.format(name): part for name, part in parts.items()}, **labels)
    data = Source(name=str(tmp_path / "x.npz")).load()
    assert data.space.split == "20/4/6"
    assert torch.equal(data.test.x[:, 0], torch.from_numpy(LEVELS[24:]))
    assert data.test.labels.tolist() == [2] * 6
    np.savez(tmp_path / "x.npz", train=LEVELS[:24], test=LEVELS[24:])
    assert Source(name=str(tmp_path / "x.npz"), split="20/4/6").load().space.sizes["validation"] == 4


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.array([[1.0, np.nan], [2, np.inf]] * 9), r"has 9 infinite values, the first at \(1, 1\)"),
        (np.array([["a", "b"]] * 9), "has no column that varies"),
        (np.zeros((9, 2), complex), "complex128"),
        (np.zeros(9), r"has shape \(9,\): give \(N, D\)"),
        (np.zeros((0, 3)), r"has shape \(0, 3\)"),
        (
            np.zeros((9, 5, 5, 4)),
            r"has shape \(9, 5, 5, 4\), in which neither the second nor the last axis is of 1",
        ),
        (np.zeros((9, 4, 28, 28)), r"has shape \(9, 4, 28, 28\), in which neither the second nor the last axis"),
        (np.array([[1.0, 2.0], [1.0, 2.0]] * 9), "no column that varies over the training rows"),
        (np.array([[1.0, 1e200], [1.0, 3.0]] * 9), r"has the value 1e\+200 in column 'column 2': rescale the column"),
    ],
)
def test_unfit_arrays_are_refused(tmp_path, array, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        load(tmp_path, array)
    assert str(tmp_path / "x.npy") in str(refusal.value)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a data file was executed')",)


def test_pickled_objects_are_never_loaded(tmp_path):
    objects = np.array([Bomb()] * 3, dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=objects)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb()))
    for name, sentence in (("x.npy", "x.npy holds pickled"), ("x.npz", r"x.npz \(x\) holds pickled")):
        with pytest.raises(InputError, match=f"{sentence} objects, which are never loaded: save an array of numbers"):
            Source(name=str(tmp_path / name)).load()
    with pytest.raises(InputError, match=r"plain\.npy is truncated or not a \.npy file"):
        Source(name=str(tmp_path / "plain.npy")).load()


def header(shape) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    (tmp_path / "x.npy").write_bytes(header((10**15,)) + bytes(80))
    with pytest.raises(InputError, match=r"x.npy is truncated or not a .npy file"):
        Source(name=str(tmp_path / "x.npy")).load()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", header((10**15, 10**6)) + bytes(80))
    with pytest.raises(InputError, match=r"x.npz is truncated or not a .npz file \(x.npy announces \d{22} bytes"):
        Source(name=str(tmp_path / "x.npz")).load()


def test_archives_beyond_memory_are_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 1000)))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=2**20))
    with pytest.raises(InputError, match=r"x.npz takes 0 GiB, but this machine has 0 GiB of memory"):
        Source(name=str(tmp_path / "x.npz")).load()


def test_truncated_and_foreign_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", LEVELS)
    np.savez(tmp_path / "x.npz", x=LEVELS)
    for name in ("x.npy", "x.npz"):
        content = (tmp_path / name).read_bytes()
        for damaged in (content[:-200], content[:40], b"", b"not an array at all"):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(InputError, match=rf"{name} is truncated or not a {name[1:]} file"):
                Source(name=str(tmp_path / name)).load()
    altered = bytearray(content)
    altered[300] ^= 1
    (tmp_path / "x.npz").write_bytes(altered)
    with pytest.raises(InputError, match=r"x\.npz is truncated"):
        Source(name=str(tmp_path / "x.npz")).load()


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": LEVELS, "b": LEVELS}, r"holds the arrays a, b: name the examples x"),
        ({"x": LEVELS, "labels": np.arange(7)}, r"examples of shape \(30, 6, 5\) and labels of shape \(7,\)"),
        ({"x": LEVELS, "labels": np.linspace(0, 1, 30)}, "labels are one whole number or word per example"),
        ({"x": LEVELS, "labels": np.eye(30)}, "labels are one whole number or word per example"),
        ({"train": LEVELS, "test": LEVELS[:, :3]}, "parts of unlike shapes"),
    ],
)
def test_unfit_archives_are_refused(tmp_path, arrays, sentence):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        Source(name=str(tmp_path / "x.npz")).load()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"x.pkl is not a supported format: save the array with numpy.save"):
        Source(name=str(tmp_path / "x.pkl")).load()
    with pytest.raises(InputError, match=r"image_size \(--image-size\) is for folders of images and for rows of"):
        Source(name=saved(tmp_path / "x.npy", LEVELS), image_size=8).load()


@pytest.mark.parametrize(
    "text", ["(" * 15, "(" * 3000, "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8)}", "1" * 9000]
)
def test_headers_that_trip_the_parser_are_refused(tmp_path, text):
    content = b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n" + bytes(80)
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(InputError, match=rf"{name} is truncated or not a {name[1:]} file \(.*header"):
            Source(name=str(tmp_path / name)).load()


def test_damaged_lzma_members_are_refused(tmp_path):
    stream = io.BytesIO()
    np.save(stream, LEVELS)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", stream.getvalue())
    assert Source(name=str(tmp_path / "x.npz")).load().space.event_shape == (1, 6, 5)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[40:70] = b"\xff" * 30
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x.npz is truncated or not a .npz file"):
        Source(name=str(tmp_path / "x.npz")).load()


def test_a_limit_of_address_space_is_not_called_a_damaged_file(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    np.save(tmp_path / "x.npy", LEVELS)
    monkeypatch.setattr("vaekit.data.disk.mmap.mmap", refuse)
    with pytest.raises(InputError, match=r"x.npy of 0.0 GiB cannot be mapped into memory: raise this process's limit"):
        Source(name=str(tmp_path / "x.npy")).load()


PIXELS = np.random.default_rng(1).integers(0, 256, (30, 64)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["table", "bytes", "reals"])
def test_rows_of_pixels_are_read_as_images_when_a_size_is_named(kind, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="vaekit")
    path = tmp_path / ("x.csv" if kind == "table" else "x.npy")
    if kind == "table":
        head = ",".join(["label", *(f"pixel{i}" for i in range(64))])
        lines = [",".join(map(str, [i % 3, *row])) for i, row in enumerate(PIXELS)]
        path.write_text("\n".join([head, *lines]))
    else:
        np.save(path, PIXELS if kind == "bytes" else PIXELS / 255)
    flat = Source(name=str(path)).load().space.event_shape
    assert flat == (64,)
    assert ("the 64 columns of" in caplog.text and "--image-size) 8 reads them" in caplog.text) == (kind != "reals")
    data = Source(name=str(path), image_size=8).load()
    assert (data.space.event_shape, data.space.columns) == ((1, 8, 8), None)
    assert data.space.support == ("unit" if kind == "reals" else "byte")
    assert data.space.mean == pytest.approx(0.5, abs=0.05)
    rows = read_input(path, event_shape=data.space.event_shape)[0]  # as encode reads them
    assert data.space.encode_input(rows).numpy() == pytest.approx(PIXELS.reshape(-1, 1, 8, 8) / 255, abs=1e-6)
    with pytest.raises(InputError, match=r"9×9 needs rows of 81 pixels, but .* has 64 columns"):
        Source(name=str(path), image_size=9).load()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("x.zip", "unpack it"),
        ("x.xlsx", "as .csv"),
        ("x.heic", "convert it"),
        ("x.png", "folder"),
        ("x.pt", "numpy"),
    ],
)
def test_a_remedy_fits_the_format(name, remedy, tmp_path):
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(InputError, match=f"is not a supported format: .*{remedy}"):
        Source(name=str(tmp_path / name)).load()
