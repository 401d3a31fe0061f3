"""A space turns raw input into the model's and back, and refuses what does not fit."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from vaekit.data import Source, Space
from vaekit.errors import InputError


def space(**facts) -> Space:
    usual = {
        "source": "faces.npy",
        "event_shape": (1, 4, 3),
        "support": "byte",
        "binarization": "none",
        "split": "8/1/1",
        "sizes": {"train": 8, "validation": 1, "test": 1},
        "digest": "",
    }
    return Space(**(usual | facts))


LEVELS = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 3), dtype=np.uint8)


def test_bytes_go_in_and_come_back():
    x = space().encode_input(LEVELS)
    assert (x.dtype, x.shape) == (torch.float32, (5, 1, 4, 3))
    assert np.array_equal(space().restore(x), LEVELS)
    assert torch.equal(space().encode_input(LEVELS / np.float32(255)), x)


def test_whole_numbers_of_any_type_are_levels_to_a_model_of_levels():
    assert torch.equal(space().encode_input(LEVELS.astype(float)), space().encode_input(LEVELS))
    with pytest.raises(InputError, match=r"run from 16 to 16, but faces.npy has values in \[0, 1\]: scale them as"):
        space(support="unit").encode_input(np.full((5, 4, 3), 16.0))


def test_gray_images_may_lack_their_channel_and_colour_may_come_last():
    assert torch.equal(space().encode_input(LEVELS[:, 0]), space().encode_input(LEVELS))
    color = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
    rgb = space(event_shape=(3, 4, 3))
    assert torch.equal(rgb.encode_input(color), rgb.encode_input(np.moveaxis(color, -1, 1)))
    assert torch.equal(space().encode_input(torch.from_numpy(LEVELS)), space().encode_input(LEVELS))


def test_binary_spaces_cut_gray_levels_and_keep_bits():
    binary = space(support="binary", binarization="dynamic")
    assert torch.equal(binary.encode_input(LEVELS), torch.from_numpy(LEVELS >= 128).float())
    bits = (LEVELS >= 128).astype(np.uint8)
    assert torch.equal(binary.encode_input(bits), torch.from_numpy(bits).float())
    assert binary.encode_input(np.full((1, 4, 3), 0.5)).min() == 1


def test_table_rows_are_standardised_and_restored():
    table = space(event_shape=(2,), support="real", shift=(10.0, -1.0), scale=(2.0, 0.5), columns=("a", "b"))
    rows = np.array([[10.0, -1.0], [14.0, 0.0]])
    x = table.encode_input(rows)
    assert torch.equal(x, torch.tensor([[0.0, 0.0], [2.0, 2.0]]))
    assert np.array_equal(table.restore(x), rows)
    assert table.restore(x.expand(7, 2, 2)).shape == (7, 2, 2)


def test_the_models_view_equals_the_training_batches():
    data = Source(name="digits").load()
    rows = torch.arange(20)
    assert torch.equal(data.space.encode_input(data.test.x[rows].numpy()), data.test.batch(rows).x)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((5, 3, 4)), "the input has shape 5×3×4, but faces.npy needs N examples of 1×4×3"),
        (np.zeros(12), "has shape 12"),
        (np.zeros((5, 3, 4, 3)), "has shape 5×3×4×3"),
        (LEVELS / 2, r"run from \S+ to \S+, but faces.npy has values in \[0, 1\]: scale them as its own were, or give"),
        (LEVELS * np.int64(257), r"run from \d+ to \d+, but faces.npy .*: divide them by 65535 \(16 bits\)"),
        (np.full((1, 4, 3), -0.1), "values run from -0.1"),
        (np.full((1, 4, 3), np.nan), "NaN or infinite values"),
        (np.full((1, 4, 3), np.inf), "NaN or infinite values"),
        (np.full((1, 4, 3), "a"), "only numbers can be encoded"),
        (np.full((1, 4, 3), None), "only numbers can be encoded"),
    ],
)
def test_unfit_input_is_refused(array, sentence):
    with pytest.raises(InputError, match=sentence):
        space().encode_input(array)


def test_spaces_and_sources_survive_json():
    for value in (Source(name="digits").load().space, Source(name="photos", image_size=(28, 20))):
        adapter = TypeAdapter(type(value))
        assert adapter.validate_json(adapter.dump_json(value)) == value


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"scale": [1.0]}, "shift and scale do not have one number per column"),
        ({"shift": [1.0], "scale": [1.0]}, "shift and scale do not have one number per column"),
        (
            {"event_shape": [2], "shift": [1.0, 2.0], "scale": [1.0]},
            "shift and scale do not have one number per column",
        ),
        ({"event_shape": [1, -4, 3]}, r"event_shape\[1\] is -4: give a number greater than 0"),
        ({"event_shape": [4, 3]}, r"event_shape \(4, 3\) is neither \(C, H, W\) nor \(D,\)"),
        ({"event_shape": [1, 4, 10**30]}, r"event_shape\[2\] is 1000.*: give a number less than 9223372036854775808"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(facts, words):
    with pytest.raises(InputError, match=words):
        space(**facts)


INK = (np.random.default_rng(0).random((20, 4, 3)) < 0.13).astype(np.float32)


@pytest.mark.parametrize(
    ("mean", "x", "warned"),
    [
        (0.13, 1 - INK, "light on dark (mean pixel 0.13), but these are dark on light"),
        (0.13, (255 * (1 - INK)).astype(np.uint8), "invert them, 255 − x"),
        (0.87, INK, "dark on light (mean pixel 0.87), but these are light on dark"),
        (0.13, INK, ""),
        (0.5, 1 - INK, ""),  # neither
        (0.13, np.full((20, 4, 3), 0.5, np.float32), ""),  # brighter, but as far from the other way round
        (None, 1 - INK, ""),  # runs of earlier versions do not know their mean
    ],
)
def test_images_the_wrong_way_round_are_noticed(mean, x, warned, caplog):
    list(space(mean=mean).encode_batches(x, 7))
    assert warned in caplog.text
    assert bool(warned) == ("training images are" in caplog.text)


def test_a_space_knows_the_mean_of_its_training_images():
    data = Source(name="digits").load()
    assert data.space.mean == pytest.approx(float(data.train.x[::2].mean()), abs=1e-6)
    assert Source(name="digits", binarization="dynamic").load().space.mean == data.space.mean
