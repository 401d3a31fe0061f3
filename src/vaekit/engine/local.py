"""The engine of one machine: processes that share its threads and outlive neither the caller nor a unit's failure."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

import torch

from vaekit import processes
from vaekit.engine.units import Unit
from vaekit.engine.work import Finished, Task, Work, carry_out
from vaekit.errors import RunError
from vaekit.modules import bring_in
from vaekit.own import modules

AHEAD = 2
"""tasks that are given out for each process, so that none waits for the caller"""
SECONDS = 1.0
"""between two reports at most"""


def local(tasks: Sequence[Task], work: Work, jobs: int = 1) -> Generator[list[Finished], None, None]:
    """Work on tasks in ``jobs`` processes, each with its share of the threads; an ``Engine``.

    A process that is killed, as by a system without memory, takes down no other unit: what was going on is done again,
    alone, and a task that ends its process then, too, has failed.
    """
    left, broken = deque(tasks), list[Task]()
    while left:
        yield from _together(left, broken, work, jobs, jobs)
        while broken:
            suspect, again = broken.pop(), list[Task]()
            yield from _together(deque([suspect]), again, work, 1, jobs)
            yield [Finished(unit, _killed(unit)) for task in again for unit in task]


def _together(left: deque[Task], broken: list[Task], work: Work, size: int, shares: int) -> Iterator[list[Finished]]:
    """Work on tasks in one pool until there are none, or a process is killed.

    Args:
        left: the tasks; what is given out is taken from it.
        broken: where tasks go that were under way as a process was killed.
        work: how.
        size: number of processes.
        shares: number of parts into which the threads are divided.
    """
    running = dict[Future[list[Finished]], Task]()
    with processes.pool(size, max(1, torch.get_num_threads() // shares)) as pool:
        while (left or running) and not broken:
            while left and len(running) < AHEAD * size:
                names = modules(unit.experiment for unit in left[0])
                running[pool.submit(_work, left[0], work, names)] = left[0]
                left.popleft()
            finished = list[Finished]()
            for future in wait(running, SECONDS, FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    finished += future.result()
                except BrokenProcessPool:
                    broken.append(task)
            yield finished
    broken.extend(running.values())


def _killed(unit: Unit) -> RunError:
    return RunError(
        f"{unit.path}: its process was killed twice, perhaps because memory ran out: choose a smaller batch_size or "
        "model, or fewer --jobs"
    )


def _work(task: Task, work: Work, names: Sequence[str]) -> list[Finished]:
    with processes.at_work():
        bring_in(names)
        return carry_out(task, work, processes.stopping)
