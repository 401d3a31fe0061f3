"""The numbers of images, batch by batch: computed here, or by several processes that share the batches."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit import devices, processes
from vaekit.devices import Precision
from vaekit.errors import RunError
from vaekit.evaluations import trained
from vaekit.model import VAE
from vaekit.modules import bring_in
from vaekit.own import modules
from vaekit.run import Run
from vaekit.training.compiling import Compiled

AHEAD = 2
"""batches that are given out for each process, so that none waits"""

Each = Callable[[VAE, Tensor], Mapping[str, Tensor]]
"""Gives numbers of images, (batch,) each by name, by a model and x (batch, *event). It is sent to processes that share
batches, so it is a function of a module, or a ``partial`` of one."""


class Batch(NamedTuple):
    """Images that are measured together: x (batch, *event), and the seed of their draws."""

    x: Tensor
    seed: int


Numbers = Callable[[Each, Iterator[Batch]], Iterator[dict[str, Tensor]]]
"""computes the numbers of batches, in their order"""


class Model(NamedTuple):
    """What a process needs to have the model of a run: the run's folder, the digest of the weights, and how."""

    path: Path
    weights: str
    compiled: bool
    modules: Sequence[str]


def prepared(vae: VAE, compiled: bool) -> VAE:
    """Make a model one to be measured: its weights get no gradients, and its densities may be compiled."""
    if compiled:
        compile_densities(vae)
    return vae.requires_grad_(False)


def compile_densities(vae: VAE) -> None:
    """Replace log p(x | z) of a model by compiled code, which takes half the time and rounds slightly differently."""
    eager = vae.log_likelihood
    quick = Compiled(eager, "densities")

    def log_likelihood(x: Tensor, z: Tensor) -> Tensor:
        if len(z) == 1:
            return eager(x, z)  # one draw would be compiled by itself
        torch._dynamo.maybe_mark_dynamic(z, 0)
        return quick(x, z)

    vae.log_likelihood = log_likelihood  # type: ignore[method-assign]


def here(vae: VAE, device: torch.device) -> Numbers:
    """Return what computes numbers in this process."""

    def compute(each: Each, batches: Iterator[Batch]) -> Iterator[dict[str, Tensor]]:
        return (_numbers(vae, each, batch, device) for batch in batches)

    return compute


def _numbers(vae: VAE, each: Each, batch: Batch, device: torch.device) -> dict[str, Tensor]:
    with devices.seeded(batch.seed, device):
        return {name: values.cpu() for name, values in each(vae, batch.x).items()}


@contextmanager
def crew(run: Run, weights: str, compiled: bool, places: Sequence[torch.device]) -> Iterator[Numbers]:
    """Give what computes numbers in as many processes as there are places, with a model each.

    The processes share the threads of this one. A number is the same whichever process computes it, because a batch
    has a seed of its own.

    Raises, as it computes:
        RunError: if a process is killed, or the weights are not those of the digest any more.
    """
    model = Model(run.path.resolve(), weights, compiled, modules([run.experiment]))
    names = processes.CONTEXT.SimpleQueue()
    for place in places:
        names.put(str(place))
    threads = max(1, torch.get_num_threads() // len(places))
    with processes.pool(len(places), threads, _begin, names) as pool:

        def compute(each: Each, batches: Iterator[Batch]) -> Iterator[dict[str, Tensor]]:
            out = deque[Future[dict[str, np.ndarray]]]()
            precision: Precision = "bf16" if torch.is_autocast_enabled(places[0].type) else "fp32"
            try:
                for x, seed in batches:
                    out.append(pool.submit(_shared, model, each, x.cpu().numpy(), seed, precision))
                    if len(out) > AHEAD * len(places):
                        yield _tensors(out.popleft().result())
                while out:
                    yield _tensors(out.popleft().result())
            except BrokenProcessPool:
                raise RunError(
                    f"a process that measured {run.path} was killed, perhaps because memory ran out: what was measured "
                    "before is kept; evaluate again with fewer --workers"
                ) from None
            finally:
                for future in out:
                    future.cancel()

        yield compute


class _Member:
    """What a process of the crew has: its device, and the model, once it was asked for."""

    device: torch.device
    vae: VAE | None = None


def _begin(names: Any) -> None:
    _Member.device = torch.device(names.get())
    devices.keep_freed_memory()
    processes.leave_when_asked()


def _shared(model: Model, each: Each, x: np.ndarray, seed: int, precision: Precision) -> dict[str, np.ndarray]:
    """Compute the numbers of a batch in a process of the crew."""
    device = _Member.device
    if _Member.vae is None:
        bring_in(model.modules)
        vae, weights = trained(Run(model.path), device)
        if weights != model.weights:
            raise RunError(f"the weights of {model.path} changed while they were measured: evaluate again")
        _Member.vae = prepared(vae, model.compiled)
    batch = Batch(torch.from_numpy(x).to(device), seed)
    with devices.isolated(device), devices.autocast(device, precision):
        found = _numbers(_Member.vae, each, batch, device)
    return {name: values.numpy() for name, values in found.items()}


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}
