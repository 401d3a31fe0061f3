"""The engine of a cluster: Ray gives tasks to its nodes, and those of a node that dies to others."""

import logging
import os
import pickle
import platform
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from vaekit.engine.units import Unit
from vaekit.engine.work import Finished, Stopping, Task, Work, Workers, carry_out
from vaekit.errors import InputError, RunError
from vaekit.modules import bring_in
from vaekit.own import modules

LOGS = "logs"
AGAIN = 5
"""times that a task begins again because its process or its node died, before it has failed"""
SECONDS = 1.0
"""between two reports at most"""
SECONDS_TO_CONNECT = 18.0
"""for a cluster to answer"""
SECONDS_TO_SAVE = 60.0
"""for the nodes to save what they train, when they are to stop"""
VERSION = version("vaekit")


@contextmanager
def cluster(
    address: str | None = None, jobs: int | None = None, per_gpu: int = 1, device: str = "auto"
) -> Iterator[Workers]:
    """Join a Ray cluster for the time of the block, or the one that this process has joined already.

    Args:
        address: host:port of its head, or auto for the one that runs on this machine; RAY_ADDRESS if left out, and if
            there is none either, Ray is started on this machine.
        jobs: tasks at a time; as many as the cluster has CPUs, or shares of its GPUs, if left out.
        per_gpu: tasks that share a GPU.
        device: auto, cpu or cuda; auto is CUDA if the cluster has GPUs.

    Raises:
        InputError: if Ray is not installed, the cluster does not answer, or has no GPU that is asked for.
    """
    ray = _ray()
    joined = ray.is_initialized()
    if not joined:
        _join(ray, address or os.environ.get("RAY_ADDRESS"))
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = sum(node.get("GPU", 0) for node in nodes)
        if device.startswith("cuda") and not gpus:
            raise InputError(f"device is {device!r}, and the cluster has no GPUs: choose auto or cpu")
        on_gpu = gpus > 0 and device != "cpu"
        cpus = [int(node.get("CPU", 0)) for node in nodes]
        slots = jobs or max(1, int(gpus * per_gpu) if on_gpu else sum(cpus))
        run = partial(on_ray, limit=jobs, cpus=each(cpus, slots), gpus=1 / per_gpu if on_gpu else 0)
        yield Workers(run, slots, "cuda" if on_gpu else "cpu")
    finally:
        if not joined:
            ray.shutdown()


def each(cpus: Sequence[int], jobs: int) -> int:
    """Return how many CPUs each of some tasks may have on nodes with so many, so that all find room at a time.

    Example:
        >>> each([0, 64, 64], 8), each([4, 2], 2), each([2], 8)
        (16, 2, 1)
    """
    sizes = range(max(cpus, default=1), 1, -1)
    return next((size for size in sizes if sum(node // size for node in cpus) >= jobs), 1)


def on_ray(
    tasks: Sequence[Task], work: Work, limit: int | None = None, cpus: int = 1, gpus: float = 0
) -> Generator[list[Finished], None, None]:
    """Work on tasks on the nodes of the cluster that this process has joined; an ``Engine``.

    A task whose process or node dies begins again on another node, which goes on from the states that were saved. What
    a node has to say of a unit is in a file of the unit's name in the folder ``logs`` beside the units; Ray calls
    the task by that name, too.

    Args:
        tasks: what there is to do.
        work: how.
        limit: tasks that are given out at a time; all if none.
        cpus, gpus: that a task has to itself.

    Raises:
        InputError: if a node has another version of vaekit, or does not see the units' folder.
    """
    ray = _ray()
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=AGAIN)(_work)
    left, running = deque(tasks), dict[Any, Task]()
    for folder in {unit.path.parent for task in tasks for unit in task}:
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
    try:
        while left or running:
            while left and len(running) < (limit or len(tasks)):
                task = left.popleft()
                running[remote.options(name=task[0].label).remote(VERSION, _packed(task, work), cpus)] = task
            ready, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS)
            yield [finished for ref in ready for finished in _result(ray, ref, running.pop(ref))]
    finally:
        for ref in running:
            ray.cancel(ref)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=SECONDS_TO_SAVE)


def _packed(task: Task, work: Work) -> bytes:
    """Pack what a node needs, so that it is unpacked only where the version is the same."""
    units = tuple(replace(unit, path=unit.path.absolute()) for unit in task)
    root = work.data_root and work.data_root.absolute()
    names = modules(unit.experiment for unit in task)
    return pickle.dumps((units, work._replace(data_root=root), names, os.getcwd()))


def _result(ray: Any, ref: Any, task: Task) -> list[Finished]:
    """Return the units of a task that ended, each with what went wrong."""
    try:
        found = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise InputError(
            f"a node of the cluster cannot work on {task[0].label} ({reason}): install vaekit {VERSION} there as here"
        ) from error
    except ray.exceptions.RayError as error:
        return [Finished(unit, _died(unit, type(error).__name__)) for unit in task]
    if isinstance(found, str):
        raise InputError(found)
    return [Finished(unit, error) for unit, error in zip(task, found, strict=False)]


def _died(unit: Unit, reason: str) -> RunError:
    return RunError(
        f"{unit.path}: its process or its node died {AGAIN + 1} times ({reason}), perhaps because memory ran out: see "
        f"{unit.path.parent / LOGS / unit.label}.log, or choose a smaller batch_size or model"
    )


def _work(wanted: str, packed: bytes, cpus: int) -> list[InputError | RunError | None] | str:
    """Carry out a task on a node; return what went wrong with each unit, or why this node cannot work."""
    node = platform.node()
    if (ours := version("vaekit")) != wanted:
        return f"node {node} has vaekit {ours}, and what it is to work for is {wanted}: install the same on all nodes"
    task, work, names, folder = pickle.loads(packed)
    for place in {unit.path.parent for unit in task}:
        if not (place / LOGS).is_dir():
            return f"node {node} does not see {place}: name a folder that all nodes share (--out)"
    with suppress(OSError):
        os.chdir(folder)  # where relative paths of data and the user's own modules are
    torch.set_num_threads(cpus)
    try:
        bring_in(names)
    except InputError as error:
        return f"node {node}: {error}"
    with _signals() as (stopping, ended), _logged(task, node):
        finished = carry_out(task, work, stopping)
    if ended():
        sys.exit(1)  # the node is shut down: the task begins again on another one
    return [error for _, error in finished]


@contextmanager
def _signals() -> Iterator[tuple[Stopping, Stopping]]:
    """Say whether the work is to stop, and whether its process is to end, in place of an exception anywhere."""
    asked = list[int]()
    numbers = (signal.SIGINT, signal.SIGTERM)  # sent when a task is canceled, and when its node is shut down
    former = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in numbers}
    try:
        yield (lambda: bool(asked)), (lambda: signal.SIGTERM in asked)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _logged(task: Task, node: str) -> Iterator[None]:
    """Write what the library has to say into a file of each unit's name."""
    logger, form = logging.getLogger("vaekit"), logging.Formatter(f"%(asctime)s {node} %(levelname)s %(message)s")
    with ExitStack() as stack:
        for unit in task:
            handler = logging.FileHandler(unit.path.parent / LOGS / f"{unit.label}.log", encoding="utf-8")
            handler.setFormatter(form)
            stack.callback(handler.close)
            logger.addHandler(handler)
            stack.callback(logger.removeHandler, handler)
        logger.setLevel(logging.DEBUG)
        logger.info("begins, in process %d", os.getpid())
        yield
        logger.info("ends")


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray's own warning asks for
    try:
        import ray
    except ImportError:
        raise InputError("--engine ray needs Ray: run pip install 'vaekit[ray]'") from None
    return ray


JOIN = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False)"


def _join(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one on this machine; SIGTERM stays with who handles it."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address in (None, "local"):
        with _handlers():
            ray.init(address="local", include_dashboard=False, **quiet)
        return
    if "://" in str(address):
        raise InputError(
            f"address is {address}: give host:port of the cluster's head, and run this on one of its nodes"
        )
    try:  # in a process of its own, because Ray tries for more than a minute and cannot be interrupted
        tried = subprocess.run(
            [sys.executable, "-c", JOIN, str(address)], capture_output=True, text=True, timeout=SECONDS_TO_CONNECT
        )
        reason = tried.stderr.strip().rpartition("\n")[2] if tried.returncode else None
    except subprocess.TimeoutExpired:
        reason = f"no answer in {SECONDS_TO_CONNECT:.0f} seconds"
    if reason is not None:
        raise InputError(
            f"the Ray cluster at {address} cannot be joined ({reason}): check the address, whether 'ray status' "
            "answers there, and that this machine is one of its nodes ('ray start')"
        )
    with _handlers():
        ray.init(address=address, **quiet)


@contextmanager
def _handlers() -> Iterator[None]:
    """Give SIGTERM back to who handled it before, because Ray takes it; a training saves its state by it."""
    former: Callable[..., Any] | int | None = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(ValueError):  # in another thread than the first, where Ray does not take it
            signal.signal(signal.SIGTERM, former)
