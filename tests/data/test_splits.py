"""Splits: disjoint, complete, seeded, and refused in a sentence where they do not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaekit.data.raw import Raw
from vaekit.data.splits import partition
from vaekit.errors import InputError


def raw(n: int, **facts) -> Raw:
    return Raw(np.zeros((n, 1), np.uint8), "byte", **facts)


@given(n=st.integers(20, 500), test=st.integers(0, 9), shuffle=st.booleans(), seed=st.integers(0, 99), data=st.data())
def test_parts_are_disjoint_and_complete(n, test, shuffle, seed, data):
    held_out = test or data.draw(st.integers(1, 5))
    validation = data.draw(st.integers(1, 5))
    split = f"{n - validation - held_out}/{validation}/{held_out}"
    parts = partition(raw(n, test=test, shuffle=shuffle), split, seed, "x")
    assert sorted(np.concatenate(list(parts.values()))) == list(range(n))
    assert [len(part) for part in parts.values()] == [n - validation - held_out, validation, held_out]
    if test:
        assert parts["test"].tolist() == list(range(n - test, n))
    if not shuffle:
        assert parts["train"].tolist() == list(range(n - validation - held_out))


def test_shares_are_of_all_examples():
    parts = partition(raw(103), "0.8/0.1/0.1", 0, "x")
    assert [len(part) for part in parts.values()] == [83, 10, 10]
    parts = partition(raw(103), ".9/.1", 0, "x")
    assert {name: len(part) for name, part in parts.items()} == {"train": 93, "test": 10}


def test_an_ordered_split_cuts_a_film_into_blocks():
    parts = partition(raw(100, shuffle=True), "ordered:70/10/20", 3, "x")
    assert np.concatenate(list(parts.values())).tolist() == list(range(100))
    assert not np.array_equal(parts["train"], partition(raw(100, shuffle=True), "70/10/20", 3, "x")["train"])


def test_the_seed_alone_decides():
    first, again, other = (partition(raw(100), "0.8/0.2", seed, "x")["test"] for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("split", "facts", "sentence"),
    [
        ("60k", {}, "'60k' is not of the form"),
        ("1/2/3/4", {}, "is not of the form"),
        ("80%/20%", {}, "is not of the form"),
        ("-1/101", {}, "is not of the form"),
        ("0.8/0.1", {}, "add up to 0.9, not to 1"),
        ("0.8/20", {}, "is not a split of photos"),
        ("90/20", {}, "does not fit the 100 examples of photos: choose from 0.8/0.1/0.1, 0.9/0.1, or sizes"),
        ("100/0", {}, "leaves a part of the 100 examples of photos empty"),
        ("0.9/0.1", {"test": 10}, "is not a split of photos"),
        ("85/15", {"test": 10, "splits": ("90/10",)}, "choose from 90/10, or sizes that add up to 100 and end in the"),
    ],
)
def test_a_wrong_split_names_the_right_ones(split, facts, sentence):
    with pytest.raises(InputError, match=r"data\.split") as refusal:
        partition(raw(100, **facts), split, 0, "photos")
    assert sentence in str(refusal.value)


def test_too_few_examples():
    with pytest.raises(InputError, match="a single example"):
        partition(raw(1), "0.8/0.1/0.1", 0, "photos")
    with pytest.raises(InputError, match="leaves a part of the 4 examples of photos empty: add examples"):
        partition(raw(4), "0.8/0.1/0.1", 0, "photos")
