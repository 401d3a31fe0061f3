"""One reading of an array: in training and in use, from a file and from memory, in any type, order and layout."""

import itertools
import logging
import re

import numpy as np
import pytest
import torch

from vaekit.data import Source, Space, read_input
from vaekit.data.raw import Raw
from vaekit.data.splits import partition
from vaekit.errors import InputError

RANDOM = np.random.default_rng(0)
SHAPE = (40, 3, 6, 5)
LEVELS = RANDOM.integers(0, 256, SHAPE)
BITS = RANDOM.integers(0, 2, SHAPE)
DARK = np.concatenate([BITS[:20], LEVELS[20:]])
GREY = RANDOM.random(SHAPE).astype(np.float32)
OVERSHOT = np.where(GREY > 0.5, np.float32(1.0000002), GREY)
SIGNED = RANDOM.normal(size=SHAPE).astype(np.float32)

NUMBERS = ("u1", "<i2", ">u2", "<i8", ">i4", "<f2", ">f4", "<f8")
REALS = ("<f4", ">f4", "<f8")
VALUES = [
    *(("levels", LEVELS, kind) for kind in NUMBERS),
    *(("dark", DARK, kind) for kind in NUMBERS),
    *(("bits", BITS, kind) for kind in ("?", *NUMBERS)),
    *(("gray", GREY, kind) for kind in REALS),
    *(("overshot", OVERSHOT, kind) for kind in REALS),
    *(("signed", SIGNED, kind) for kind in REALS),
    ("negative", LEVELS - 100, "<i4"),
]
LAYOUTS = {
    "NCHW": lambda x: x,
    "NHWC": lambda x: np.moveaxis(x, 1, -1),
    "Fortran": np.asfortranarray,
    "NHWC, Fortran": lambda x: np.asfortranarray(np.moveaxis(x, 1, -1)),
    "strided": lambda x: np.repeat(x, 2, 0)[::2],
    "NHW": lambda x: x[:, 0],
    "rows": lambda x: x.reshape(len(x), -1),
}
CASES = [(*value, layout) for value, layout in itertools.product(VALUES, LAYOUTS)]


@pytest.mark.parametrize(("name", "values", "kind", "layout"), CASES, ids=[f"{n}-{k}-{o}" for n, _, k, o in CASES])
def test_a_model_reads_what_it_was_trained_on(tmp_path, name, values, kind, layout):
    array = LAYOUTS[layout](values.astype(kind))
    path = str(tmp_path / "x.npy")
    np.save(path, array)
    data = Source(name=path).load()
    rows = partition(Raw(array, None), data.space.split, 0, path)
    x = data.space.encode_input(array)
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        assert torch.equal(split.batch(torch.arange(len(split))).x, x[torch.from_numpy(rows[part])])
    assert torch.equal(x, data.space.encode_input(read_input(path)[0]))
    # The first batches of dark images have no level above 1.
    assert torch.equal(x, torch.cat(list(data.space.encode_batches(array, 7))))


def space(support: str) -> Space:
    return Space(
        source="faces",
        event_shape=SHAPE[1:],
        support=support,
        binarization="none",
        split="8/1/1",
        sizes={"train": 8, "validation": 1, "test": 1},
        digest="",
    )


@pytest.mark.parametrize("support", ["binary", "byte", "unit", "real"])
@pytest.mark.parametrize(("name", "values", "kind"), VALUES, ids=[f"{n}-{k}" for n, _, k in VALUES])
def test_any_model_reads_files_and_arrays_alike(tmp_path, support, name, values, kind):
    array, model = values.astype(kind), space(support)
    try:
        expected = model.encode_input(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))
    except InputError as refusal:
        expected = str(refusal)
    unknown = name in ("signed", "negative") or (support == "unit" and name in ("levels", "dark") and kind != "u1")
    assert isinstance(expected, str) == (unknown and support != "real")
    for layout in ("NCHW", "NHWC", "Fortran", "NHWC, Fortran"):
        changed = LAYOUTS[layout](array)
        np.save(tmp_path / "x.npy", changed)
        np.savez(tmp_path / "x.npz", x=changed, labels=np.arange(len(changed)))
        np.savez(tmp_path / "parts.npz", train=changed[:30], test=changed[30:])
        for given in (changed, *(read_input(str(tmp_path / each))[0] for each in ("x.npy", "x.npz", "parts.npz"))):
            try:
                found = model.encode_input(given)
            except InputError as refusal:
                found = str(refusal)
            assert found == expected if isinstance(expected, str) else torch.equal(found, expected)


def test_bits_of_a_named_set_are_bits_to_a_model_of_gray_levels(monkeypatch):
    bits = BITS.astype(np.uint8)
    monkeypatch.setattr("vaekit.data.source.read_named", lambda name, root: Raw(bits, "binary"))
    x, _ = read_input("binarized_mnist")
    assert torch.equal(space("unit").encode_input(x), torch.from_numpy(BITS).float())


def test_bytes_that_are_bits_are_read_as_levels_aloud(caplog):
    x = space("unit").encode_input(BITS.astype(np.uint8))
    assert x.max() == np.float32(1 / 255)
    assert "bytes 0 and 1, read as levels of 255: give bits as booleans or floats" in caplog.text


def test_a_rounding_beyond_the_range_is_cut_off(tmp_path):
    np.save(tmp_path / "x.npy", np.where(GREY < 0.1, np.float32(-1e-7), OVERSHOT))
    data = Source(name=str(tmp_path / "x.npy")).load()
    assert data.space.support == "unit"
    assert (data.train.x.min(), data.train.x.max()) == (0, 1)
    assert space("unit").encode_input(np.full((1, 3, 6, 5), 1.0000001)).max() == 1
    assert space("unit").encode_input(np.full((1, 3, 6, 5), 1.001, np.float16)).max() == 1
    with pytest.raises(InputError, match=r"run from 1\.0001 to 1\.0001, but faces has values in \[0, 1\]"):
        space("unit").encode_input(np.full((1, 3, 6, 5), 1.0001))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            RANDOM.integers(0, 65536, (40, 6, 5)).astype("u2"),
            r"from \d+ to \d+, but .* divide them by 65535 \(16 bits\)",
        ),
        (
            RANDOM.integers(0, 65536, (40, 6, 5)).astype("f4"),
            r"divide them by 65535 \(16 bits\) and save them as float32",
        ),
        (RANDOM.integers(1000, 4096, (40, 6, 5, 3)), r"divide them by 4095 \(12 bits\)"),
        (RANDOM.integers(0, 2**40, (40, 6, 5)) + 2**40, r"divide them by 2\.\d{5,}e\+12 and"),
    ],
)
def test_unscaled_levels_are_refused_with_the_scale_that_fits(tmp_path, values, sentence):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InputError, match=sentence):
        Source(name=str(tmp_path / "x.npy")).load()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            GREY * 254,
            r"run from \S+ to 25\S+ and are not scaled; if they are gray levels, divide them by 255 \(8 bits\)",
        ),
        (GREY * 3000, r"divide them by 4095 \(12 bits\)"),
        (SIGNED, r"run from -\S+ to \S+ and are not scaled$"),
    ],
)
def test_pixels_of_any_size_are_named_as_not_scaled(tmp_path, values, sentence, caplog):
    np.save(tmp_path / "x.npy", values)
    with caplog.at_level(logging.INFO, "vaekit"):
        assert Source(name=str(tmp_path / "x.npy")).load().space.support == "real"
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"the pixels of {tmp_path / 'x.npy'} run from")
    assert re.search(sentence, message)


def test_values_beyond_single_precision_are_refused(tmp_path):
    values = RANDOM.normal(size=SHAPE)
    values[3] = 1e300
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InputError, match=r"x.npy has values beyond 3.4e38, the end of single precision: scale them"):
        Source(name=str(tmp_path / "x.npy")).load()
    with pytest.raises(InputError, match=r"the input has values beyond 3.4e38"):
        space("real").encode_input(values)
