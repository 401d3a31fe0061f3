"""Processes that work for this one: they share its threads, leave Ctrl-C to it, and end when it ends."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

CONTEXT = multiprocessing.get_context("spawn")


class _Process:
    """What a process of a pool knows: the line on which it is asked to stop, who asks, and whether it is at work.

    What is said on the line is never read, so all processes hear it; unlike an event, it has no lock that one of them
    could be killed with.
    """

    line: Connection
    caller: Any
    busy = threading.Lock()


@contextmanager
def pool(size: int, threads: int, begin: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Any]:
    """Give a pool of processes, with so many threads each; they are awaited at the end, and any exception stops them.

    Args:
        size: how many.
        threads: of torch, in each.
        begin: what each of them does first, with its arguments.
    """
    heard, said = CONTEXT.Pipe(duplex=False)
    with heard, said:
        executor = ProcessPoolExecutor(size, CONTEXT, _begin, (threads, heard, begin, arguments))
        try:
            yield executor
        except BaseException:
            said.send_bytes(b"stop")
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def stopping() -> bool:
    """Say, in a process of a pool, whether to stop: it was asked to, or there is nobody left to work for."""
    return _Process.line.poll() or not (_Process.caller and _Process.caller.is_alive())


def at_work() -> threading.Lock:
    """Return a lock to hold in a process of a pool during what is to be finished even if the caller is gone."""
    return _Process.busy


def leave_when_asked() -> None:
    """Let a process of a pool end as soon as it is asked to stop, whatever it is doing."""

    def leave() -> None:
        wait([_Process.line])
        os._exit(0)

    threading.Thread(target=leave, daemon=True).start()


def _begin(threads: int, line: Connection, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Process.line, _Process.caller = line, multiprocessing.parent_process()

    def end() -> None:
        if _Process.caller:
            _Process.caller.join()
        with _Process.busy:
            os._exit(1)  # the queues of the pool would wait for a caller that is gone

    threading.Thread(target=end, daemon=True).start()
    if begin:
        begin(*arguments)
