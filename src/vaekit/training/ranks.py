"""The processes that train one model together: what each takes of a step, and what they tell each other."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vaekit import devices
from vaekit.data import Batch, Share
from vaekit.model import VAE

LONG = timedelta(days=30)
"""how long a process waits for the next step, while the first one evaluates or its reports are looked at"""


class Alone:
    """The only process of a training."""

    rank, size = 0, 1

    def divide(self, images: int) -> None:
        """Divide a batch of so many images among the processes."""

    def part(self, batch: Batch) -> Batch:
        """Return the rows of a batch that this process takes."""
        return batch

    def wrapped(self, step: nn.Module) -> nn.Module:
        """Return a step whose gradients are the means over the processes."""
        return step

    def drawing(self, vae: VAE) -> AbstractContextManager[None]:
        """Let a model take the draws of this process's rows inside the block."""
        return nullcontext()

    def weighted(self, loss: Tensor) -> Tensor:
        """Weight the mean over the rows of this process so that the mean over processes is the mean over the batch."""
        return loss

    def mean(self, numbers: dict[str, float]) -> dict[str, float]:
        """Turn means over the rows of each process into means over the batch."""
        return numbers

    def begin(self, order: Mapping[str, Any], device: torch.device) -> None:
        """Tell the other processes what to train."""

    def call(self, another: bool) -> None:
        """Tell the other processes whether there is another step."""


class Ranks(Alone):
    """One process out of several that train a model together, each on its rows of every batch.

    All of them draw the noise of the whole batch from the same generator, and each uses that of its rows, so that the
    model is that of a single process but for how sums are rounded. Rank 0 evaluates, reports and writes; the others
    wait for its word before every step.

    Args:
        store: what the processes share before they are connected.
        rank: number of this process, from 0.
        size: number of processes.
    """

    share: Share

    def __init__(self, store: "dist.Store", rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size

    def begin(self, order: Mapping[str, Any], device: torch.device) -> None:
        self.store.set("order", json.dumps(order))
        self.connect(device.type)

    def order(self) -> dict[str, Any]:
        """Wait to be told what to train."""
        self.store.set_timeout(LONG)
        found: dict[str, Any] = json.loads(self.store.get("order"))
        return found

    def connect(self, kind: str) -> None:
        """Connect the processes; gradients on CUDA devices are exchanged by NCCL, all else by Gloo."""
        backend = "nccl" if kind == "cuda" else "gloo"
        dist.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size)
        self.words = dist.new_group(backend="gloo", timeout=LONG)

    def divide(self, images: int) -> None:
        self.share = Share.of(images, self.rank, self.size)

    def part(self, batch: Batch) -> Batch:
        return self.share.taken(batch)

    def wrapped(self, step: nn.Module) -> nn.Module:
        return DistributedDataParallel(step, static_graph=True)

    @contextmanager
    def drawing(self, vae: VAE) -> Iterator[None]:
        vae.share = self.share
        try:
            yield
        finally:
            vae.share = None

    def weighted(self, loss: Tensor) -> Tensor:
        weight = self.share.rows * self.size / self.share.whole
        return loss if weight == 1 else loss * weight

    def mean(self, numbers: dict[str, float]) -> dict[str, float]:
        weighted = torch.tensor(list(numbers.values()), dtype=torch.float64) * self.share.rows / self.share.whole
        dist.all_reduce(weighted, group=self.words)
        return dict(zip(numbers, weighted.tolist(), strict=True))

    def call(self, another: bool) -> None:
        dist.broadcast(torch.tensor([another]), 0, group=self.words)

    def called(self) -> bool:
        """Wait for rank 0, and return whether there is another step."""
        word = torch.empty(1, dtype=torch.bool)
        dist.broadcast(word, 0, group=self.words)
        return bool(word)

    def leave(self) -> None:
        """Disconnect; processes that wait for this one fail."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def device(self, kind: str) -> torch.device:
        """Return the device of this process: on each machine, the ranks take its CUDA devices in turn."""
        if kind != "cuda":
            return torch.device(kind)
        device = devices.choose(f"cuda:{os.environ.get('LOCAL_RANK', self.rank)}")
        torch.cuda.set_device(device)
        return device
