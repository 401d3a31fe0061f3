"""Where the arithmetic runs, at which precision, and with how much memory."""

import ctypes
import logging
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import RLock
from typing import Literal, TypeVar, get_args

import psutil
import torch
from torch import Tensor

from vaekit.errors import InputError, RunError

log = logging.getLogger("vaekit")

T = TypeVar("T")
Precision = Literal["fp32", "tf32", "bf16"]

GENERATORS = RLock()
"""held by whoever seeds or draws from torch's global generators, so that threads do not take each other's numbers"""


def choose(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that this machine has.

    ``auto`` is CUDA or the CPU; Apple's MPS is used on request only.

    Raises:
        InputError: if the name is unknown, or the machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is unknown: choose auto, cpu, cuda or mps") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {name!r} is not supported: choose auto, cpu, cuda or mps")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise InputError(
                f"device {name!r} is not available, because this machine has no Apple GPU: choose auto or cpu"
            )
        log.warning("device mps has been tested little: compare its results with those of --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"{torch.cuda.device_count()} CUDA devices"
        raise InputError(f"device {name!r} is not available, because this machine has {found}: choose auto or cpu")
    return device


def places(name: str, workers: int, here: bool = True) -> list[torch.device]:
    """Return where each of several processes computes: on CUDA on a device of its own each, else all on the CPU.

    Args:
        name: as for ``choose``.
        workers: how many.
        here: whether all of them are on this machine.

    Raises:
        InputError: if the device is a single one, or there are fewer than processes.
    """
    device = choose(name)
    if workers > 1 and (device.type == "mps" or device.index is not None):
        raise InputError(f"device {name} is a single one for {workers} workers: choose auto, cpu or cuda")
    if workers == 1 or device.type != "cuda":
        return [device] * workers
    if here and workers > torch.cuda.device_count():
        raise InputError(
            f"{workers} workers need a CUDA device each, and this machine has {torch.cuda.device_count()}: choose fewer"
        )
    return [torch.device("cuda", k) for k in range(workers)]


def refuse_unknown(precision: str) -> None:
    """Refuse any precision that is not known."""
    if precision not in get_args(Precision):
        raise InputError(f"precision {precision!r} is unknown: choose fp32, tf32 or bf16")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Use TF32 or bf16 for the networks' matrix products, if asked; all else stays in fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return products("tf32") if precision == "tf32" else nullcontext()


@contextmanager
def products(precision: Precision) -> Iterator[None]:
    """Let CUDA devices round the factors of products and convolutions to TF32 inside the block if asked, else never."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of the generators that a computation on ``device`` draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore what ``random_state`` returned, perhaps on another device."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def set_seed(seed: int, device: torch.device) -> None:
    """Seed the generators that a computation on ``device`` draws from, and no others.

    Raises:
        InputError: if the seed does not fit into 64 bits.
    """
    if not -(2**63) <= seed < 2**64:
        raise InputError(f"seed is {seed}: give a whole number below 2**63")
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def restored(device: torch.device) -> Iterator[None]:
    """Work in strict single precision inside the block; leave default precision and generators as they were.

    Only one thread at a time may be inside, because all threads draw from the same generators.
    """
    with GENERATORS:
        state, precision = random_state(device), torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            with products("fp32"):
                yield
        finally:
            torch.set_default_dtype(precision)
            set_random_state(state, device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from ``seed`` inside the block; otherwise like ``restored``."""
    with restored(device):
        set_seed(seed, device)
        yield


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Allow gradients inside the block, even if the caller switched them off; otherwise like ``restored``."""
    with torch.inference_mode(False), restored(device):
        yield


def in_turns(reports: Generator[T], device: torch.device) -> Generator[T]:
    """Yield what ``reports`` yields, while it and its consumer each have generators and defaults of their own.

    At the consumer's turn, torch is as the consumer left it, and its threads may draw; ``reports`` finds its own random
    state again and draws the numbers that it would draw alone. Closing the result closes ``reports``.
    """
    own: dict[str, Tensor] = {}

    @contextmanager
    def turn() -> Iterator[None]:
        nonlocal own
        with isolated(device):
            if own:
                set_random_state(own, device)
            try:
                yield
            finally:
                own = random_state(device)

    try:
        while True:
            with turn():
                try:
                    report = next(reports)
                except StopIteration:
                    return
            yield report
    finally:
        with turn():
            reports.close()


def without_memory(compute: Callable[[], T]) -> T:
    """Compute what follows from shapes on torch's meta device, whose tensors take no memory, or else on the CPU.

    The meta device lacks some operators, and all values; what needs them takes memory. Tensors are made on the default
    device inside.
    """
    cpu = torch.device("cpu")
    try:
        with torch.device("meta"), isolated(cpu):
            return compute()
    except (RuntimeError, TypeError) as error:
        if not lacks_meta(error):
            raise
    with cpu, isolated(cpu):
        return compute()


def lacks_meta(error: Exception) -> bool:
    """Say whether an error is that of an operator, or of a value, that torch's meta device does not have."""
    return isinstance(error, RuntimeError | TypeError) and "meta" in str(error).lower()


def memory(device: torch.device) -> int:
    """Return the bytes of memory that are available on ``device``."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


@cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 2 GiB of freed memory for the next step instead of returning it to the system.

    Getting it back page by page is a good part of a convolutional network's step. For the whole process; glibc only.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        trim_threshold, mmap_threshold = -1, -3  # the names of malloc.h, M_...
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)


MEMORY_ERRORS = ("allocate memory", "verflow", "could not create a memory object")
"""words of errors that say that there is too little memory, or none that is large enough"""


def is_memory_error(error: Exception) -> bool:
    """Whether an error, of whichever library, means too little memory."""
    if isinstance(error, RunError):  # whose sentence may hold any words, such as those of a path
        return False
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in MEMORY_ERRORS)


@contextmanager
def memory_errors(what: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory, in whichever library, into a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        raise RunError(f"memory ran out with {what}: {remedy}") from None
