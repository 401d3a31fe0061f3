"""The order in which training images are seen."""

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor


class Order:
    """An endless stream of seeded permutations of N images, cut into equal batches: each image once in every N drawn.

    A batch may straddle two permutations, so that none is short and no image is left out. Without shuffling, each of
    them is the order of the data.

    Example:
        >>> order = Order(images=5, batch_size=2, seed=0)
        >>> sorted(int(i) for step in range(5) for i in order.rows(step))
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """

    def __init__(self, images: int, batch_size: int, seed: int, shuffle: bool = True) -> None:
        self.images, self.batch_size, self.seed, self.shuffle = images, batch_size, seed, shuffle
        self.latest = -1, np.empty(0, np.int64)

    def rows(self, step: int) -> Int64[Tensor, "{self.batch_size}"]:
        """Return the row numbers, (batch_size,), of batch ``step``; batches may be asked for in any order."""
        return self.batches(step, 1)[0]

    def batches(self, step: int, n: int) -> Int64[Tensor, "{n} {self.batch_size}"]:
        """Return the row numbers, (n, batch_size), of n batches from ``step`` on."""
        position, missing = step * self.batch_size, n * self.batch_size
        parts: list[np.ndarray] = []
        while missing:
            epoch, offset = divmod(position, self.images)
            parts.append(self._permutation(epoch)[offset : offset + missing])
            position, missing = position + len(parts[-1]), missing - len(parts[-1])
        return torch.from_numpy(np.concatenate(parts).reshape(n, self.batch_size))

    def _permutation(self, epoch: int) -> np.ndarray:
        known, permutation = self.latest
        if epoch != known:
            images = np.arange(self.images)
            permutation = np.random.default_rng([self.seed, epoch]).permutation(images) if self.shuffle else images
            self.latest = epoch, permutation  # at one stroke, since a thread may read ahead
        return permutation
