"""Where the arithmetic runs, in which precision, and with how much memory."""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from vaekit.errors import InputError, RunError

Precision = Literal["fp32", "bf16"]


def choose(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` into a device that this machine has.

    Raises:
        InputError: if the name means none, or the machine lacks it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is unknown: choose auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r} is not supported: choose auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"{torch.cuda.device_count()} CUDA devices"
        raise InputError(f"device {name!r} was asked for, this machine has {found}: choose auto or cpu")
    return device


def refuse_unknown(precision: str) -> None:
    """Refuse a precision that is none of fp32, bf16."""
    if precision not in get_args(Precision):
        raise InputError(f"precision {precision!r} is unknown: choose {' or '.join(get_args(Precision))}")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """bf16 for the matrix products of the networks; densities, losses and optimiser state stay in fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of the generators that a computation on ``device`` draws from."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set what ``random_state`` returned, perhaps on another device."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from ``seed`` inside, and leave the generators outside as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def memory(device: torch.device) -> int:
    """Return the bytes of memory that ``device`` has."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def keep_freed_memory() -> None:
    """Let the C library keep freed memory, up to 2 GiB, for the next step, which else gets it from the system anew.

    Getting it page by page is a good part of a convolutional network's step. For the whole process; glibc.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        trim_threshold, mmap_threshold = -1, -3  # the names of malloc.h, M_...
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)


MEMORY_ERRORS = ("allocate memory", "Storage size calculation overflowed", "could not create a memory object")


@contextmanager
def memory_errors(what: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory, of whichever library, into a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error) for words in MEMORY_ERRORS):
            raise
        raise RunError(f"memory ran out at {what}: {remedy}") from None
