"""The order of training images: seeded permutations, cut into equal batches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaekit.data.order import Order

sizes = st.integers(1, 30)


@given(sizes, sizes, st.integers(0, 2**63 - 1), st.integers(1, 3))
def test_every_image_comes_once_in_every_n_drawn(images: int, batch_size: int, seed: int, epochs: int) -> None:
    order = Order(images, batch_size, seed)
    steps = -(-epochs * images // batch_size)
    batches = [order.rows(step) for step in range(steps)]
    assert all(rows.shape == (batch_size,) and rows.dtype == torch.int64 for rows in batches)
    drawn = torch.cat(batches)
    for epoch in range(epochs):
        part = drawn[epoch * images : (epoch + 1) * images]
        assert part.sort().values.tolist() == list(range(images))


@given(sizes, sizes, st.lists(st.integers(0, 10), min_size=1))
def test_a_batch_is_the_same_whenever_it_is_asked_for(images: int, batch_size: int, steps: list[int]) -> None:
    order = Order(images, batch_size, seed=3)
    assert all(torch.equal(order.rows(step), Order(images, batch_size, seed=3).rows(step)) for step in steps)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order, other = Order(1000, 1000, seed=0), Order(1000, 1000, seed=1)
    orders = [order.rows(0), order.rows(1), other.rows(0), other.rows(1), torch.arange(1000)]
    for i, one in enumerate(orders):
        for another in orders[:i]:
            # two random permutations of any number of items agree in one place on average
            assert (one == another).sum() < 10


def test_every_order_is_as_likely_as_another() -> None:
    counts = torch.zeros(4, 4)
    order = Order(4, 4, seed=0)
    for epoch in range(4000):
        counts[torch.arange(4), order.rows(epoch)] += 1
    # each cell is binomial(4000, 1/4): five of its standard deviations are 137
    assert (counts - 1000).abs().max() < 137


def test_a_large_set_is_ordered_by_its_seed_alone() -> None:
    torch.manual_seed(0)
    rows = Order(60_000, 100, seed=5).rows(599)
    torch.manual_seed(1)
    assert torch.equal(rows, Order(60_000, 100, seed=5).rows(599))
    assert torch.equal(torch.get_rng_state(), torch.manual_seed(1).get_state())  # torch's generator is left alone


@pytest.mark.parametrize("batch_size", [7, 50])
def test_a_batch_may_be_larger_than_the_set(batch_size: int) -> None:
    rows = Order(5, batch_size, seed=0).rows(0)
    assert rows.bincount(minlength=5).min() >= batch_size // 5


def test_without_shuffling_the_order_is_that_of_the_data_in_every_epoch():
    order = Order(images=5, batch_size=2, seed=0, shuffle=False)
    assert [order.rows(step).tolist() for step in range(5)] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
