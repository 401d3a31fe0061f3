"""A space turns raw input into the model's and back, and refuses what does not fit."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from vaekit.data import Source, Space
from vaekit.data.columns import Column
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
    columns = (Column(name="a", shift=10, scale=2), Column(name="b", shift=-1, scale=0.5))
    table = space(event_shape=(2,), support="real", columns=columns)
    rows = np.array([[10.0, -1.0], [14.0, 0.0]])
    x = table.encode_input(rows)
    assert torch.equal(x, torch.tensor([[0.0, 0.0], [2.0, 2.0]]))
    assert np.array_equal(table.restore(x), rows)
    assert table.restore(x.expand(7, 2, 2)).shape == (7, 2, 2)


FORMER = """{"source": "t.csv", "event_shape": [2], "support": "real", "binarization": "none", "split": "8/1/1",
"sizes": {"train": 8, "validation": 1, "test": 1}, "digest": "d", "columns": ["a", "b"], "shift": [10.0, 3.0],
"scale": [2.0, 0.0], "classes": null, "depth": null, "mean": null}"""


def test_the_tables_of_version_0_1_0_are_read():
    adapter = TypeAdapter(Space)
    found = adapter.validate_json(FORMER)
    assert found.columns == (Column(name="a", shift=10, scale=2), Column(name="b", shift=3, scale=0))
    assert adapter.validate_json(adapter.dump_json(found)) == found
    assert torch.equal(found.encode_input(np.array([[14.0, 4.0]])), torch.tensor([[2.0, 1.0]]))
    assert np.array_equal(found.generated(torch.tensor([[2.0, 1.0]])), [[14.0, 3.0]])
    unnamed = adapter.validate_json(FORMER.replace('["a", "b"]', "null"))
    assert unnamed.names == ("column 1", "column 2")


KINDS = (
    Column(name="length", shift=10, scale=2),
    Column(name="mass", kind="positive", shift=1, scale=0.5),
    Column(name="eggs", kind="count", shift=0.7, scale=0.3),
    Column(name="sex", kind="binary"),
    Column(name="species", kind="category", categories=("Adelie", "Gentoo")),
)


def test_a_model_reads_each_kind_of_column_in_its_own_way():
    table = space(event_shape=(5,), support="mixed", columns=KINDS)
    values = np.array([[14.0, np.e**2, 3.0, 1.0, 0.0]])
    x = table._seen(values, 1)
    assert torch.allclose(x, torch.tensor([[2.0, 2.0, 3.0, 1.0, 0.0]]))
    assert np.allclose(table.restore(x), values)


def test_densities_in_the_units_of_the_file_integrate_to_one():
    table = space(event_shape=(5,), support="mixed", columns=KINDS)
    a = torch.linspace(-20, 40, 3001, dtype=torch.float64)
    b = torch.linspace(1e-4, 90, 200_001, dtype=torch.float64)
    rest = [3.0, 1.0, 0.0]
    normal = torch.distributions.Normal(0.0, 1.0)
    for place, grid in ((0, a), (1, b)):
        values = np.tile([np.nan, np.nan, *rest], (len(grid), 1))
        values[:, place] = grid
        x = torch.from_numpy(table._scaling.seen(values))
        density = (normal.log_prob(x[:, place]) + table.log_jacobian(x)).exp()
        assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-4)
    assert table.log_jacobian(torch.full((2, 5), torch.nan)).tolist() == [0, 0]
    assert space().log_jacobian(torch.zeros(2, 1, 4, 3)).tolist() == [0, 0]


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
        ({"event_shape": [2], "columns": [Column(name="a")]}, r"there are 1 columns for examples of \(2,\)"),
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
