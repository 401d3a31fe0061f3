"""Gathering the processes that train one model together: started here, or by torchrun; and what becomes of them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from vaekit import devices
from vaekit.arguments import Place
from vaekit.errors import InputError, RunError, command
from vaekit.experiment import Experiment
from vaekit.training.ranks import Alone, Ranks

HOST = "127.0.0.1"
PATIENCE = 300.0
"""seconds within which all processes have to come"""
GRACE = 10.0
"""seconds within which processes end by themselves"""
BETWEEN_LOOKS = 0.05
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""what torchrun sets"""


def environment() -> tuple[int, int] | None:
    """Return rank and number of processes where torchrun, or something like it, started several; else None."""
    if not all(name in os.environ for name in VARIABLES):
        return None
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return None if size == 1 else (rank, size)


def refuse_workers(workers: int, device: str) -> None:
    """Refuse a number of workers that cannot be, on this device."""
    if workers < 1:
        raise InputError(f"workers is {workers}: give a number of at least 1")
    if workers == 1:
        return
    if not dist.is_available():
        raise InputError(f"workers is {workers}, and this build of torch has no torch.distributed: train with one")
    started = environment()
    if started and started[1] != workers:
        raise InputError(f"workers is {workers}, and {started[1]} processes were started: leave --workers out")
    if started and started[0]:
        raise InputError(f"this is rank {started[0]}, and rank 0 trains: let torchrun start 'vaekit train'")
    if dist.is_initialized():
        raise InputError(f"workers is {workers}, and this process belongs to a group already: train in another process")
    devices.places(device, workers, here=not started)


@contextmanager
def gathered(workers: int, path: Path, imports: Sequence[str] = ()) -> Iterator[Alone]:
    """Have so many processes train in step with this one, which is rank 0, and end them.

    They are those that torchrun started, or else are started on this machine, where they share its threads.

    Args:
        workers: number of processes, with this one.
        path: folder of the run.
        imports: modules that the others import.

    Raises:
        RunError: if one of them ends before its time.
    """
    if workers == 1:
        yield Alone()
        return
    with ExitStack() as ending:
        started = environment()
        if started:
            store, _, _ = next(dist.rendezvous("env://"))
            helpers: list[subprocess.Popen[bytes]] = []
        else:
            store = dist.TCPStore(HOST, 0, workers, is_master=True, wait_for_workers=False)
            threads = torch.get_num_threads()
            ending.callback(torch.set_num_threads, threads)
            torch.set_num_threads(max(1, threads // workers))
            helpers = [start(rank, workers, store.port, imports) for rank in range(1, workers)]
            ending.callback(end, helpers)
        ranks = Ranks(dist.PrefixStore("vaekit", store), 0, workers)
        meet(ranks, helpers)
        try:
            yield ranks
        except RuntimeError as error:
            if isinstance(error, RunError) or not lost(error):
                raise
            raise RunError(
                f"{reason(ranks)}; {path} keeps the last state that was saved: continue with "
                f"{command('train', '--resume', '--run', path, '--workers', workers)}"
            ) from error
        finally:
            dismiss(ranks)


def errand(
    experiment: Experiment, path: Path, device: torch.device, data_root: Place | None, data: Any
) -> dict[str, str | None]:
    """Say, in plain words, what other processes are to train with this one."""
    named = {"path": path, "data_root": data_root, "data": data}
    places = {name: None if place is None else str(place) for name, place in named.items()}
    return places | {"experiment": experiment.to_json(), "device": device.type}


def start(rank: int, size: int, port: int, imports: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start one of the other processes as torchrun would: it is told by rank 0 what to train."""
    variables = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": size,
        "MASTER_ADDR": HOST,
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": torch.get_num_threads(),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    words = [sys.executable, "-m", "vaekit", "train", *(f"--import={name}" for name in imports)]
    environ = os.environ | {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def meet(ranks: Ranks, helpers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all processes are there.

    Raises:
        RunError: if one of them has ended, or they do not come.
    """
    missing, began = set(range(1, ranks.size)), time.monotonic()
    while missing := {rank for rank in missing if not ranks.store.check([f"here/{rank}"])}:
        ended = [helper for helper in helpers if helper.poll() is not None]
        if ended or time.monotonic() - began > PATIENCE:
            why = f"worker {1 + helpers.index(ended[0])} ended at once" if ended else f"{PATIENCE:.0f} seconds passed"
            raise RunError(f"{len(missing)} of {ranks.size} workers are missing ({why}): look at what they print")
        time.sleep(BETWEEN_LOOKS)


def joined() -> Ranks:
    """Join the processes that train together, as one that is not rank 0."""
    store, rank, size = next(dist.rendezvous("env://", timeout=timedelta(seconds=PATIENCE)))
    ranks = Ranks(dist.PrefixStore("vaekit", store), rank, size)
    ranks.store.set(f"here/{rank}", "")
    return ranks


def lost(error: RuntimeError) -> bool:
    """Say whether an error means that another process is gone."""
    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "peer", "NCCL"))


def reason(ranks: Ranks) -> str:
    """Say which process is gone, and why if it could say so."""
    with suppress(RuntimeError):
        if ranks.store.check(["failed"]):
            return ranks.store.get("failed").decode()
    return f"one of {ranks.size} workers ended, or its connection did"


def dismiss(ranks: Ranks) -> None:
    """Tell the other processes that there is no other step, and leave them; those that are in a step lose this one."""
    if dist.is_initialized():
        with suppress(RuntimeError):
            ranks.call(False)
    ranks.leave()


def end(helpers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait for processes to end, and kill those that do not."""
    until = time.monotonic() + GRACE
    for helper in helpers:
        try:
            helper.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            helper.kill()
            helper.wait()
