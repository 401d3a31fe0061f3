"""How the driver and a runner talk: by lines of JSON, so that one runner works while the others wait for a line."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Job:
    """What a runner is asked to do.

    Attributes:
        task: train, evidence, use, ...: the name of a class of the runner.
        variant: which of the runner's ways of doing it.
        net, binarization: which network on which data.
        folder, root: of the arrays, and of the files that they were made from.
        batch, steps, seed: images per step, steps per round, and the seed of weights and order.
        images, samples, weights: of an evidence: how many images, draws per image, and an .npz of weights.
        side, latents: of images of noise, and of a model of them.
        epochs: of a complete training.
        device: cpu or cuda.
        threads: of a runner; all cores if None.
    """

    task: str
    folder: str
    root: str | None = None
    variant: str = ""
    net: str = "mlp"
    binarization: str = "none"
    batch: int = 100
    steps: int = 1
    seed: int = 0
    images: int = 100
    samples: int = 5000
    weights: str = ""
    side: int = 28
    latents: int = 20
    epochs: float = 1e6
    device: str = "cpu"
    threads: int | None = None

    def file(self, part: str) -> Path:
        """Read the images of a part as float32 in [0, 1], (N, 1, 28, 28)."""
        return Path(self.folder) / f"{self.binarization}-{part}.npy"


def serve(*tasks: Callable[[Job], Any]) -> None:
    """Do the job named by the first argument, one call for each line ``[method, *arguments]`` on standard input."""
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not a reply
    job = Job(**json.loads(sys.argv[1]))
    work = next(task for task in tasks if task.__name__.lower() == job.task)(job)
    replies.write("{}\n")
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        began, began_processor = time.perf_counter(), time.process_time()
        result = getattr(work, method)(*arguments) or {}
        facts = {"seconds": time.perf_counter() - began, "memory_mib": peak_memory()}
        facts |= {"processor_seconds": time.process_time() - began_processor}
        replies.write(json.dumps({**facts, **result}) + "\n")


def peak_memory() -> float:
    """Return this process's peak resident memory so far in MiB; ru_maxrss would start with that of its parent."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def seconds(call: Callable[[], object], times: int) -> float:
    """Return the median duration of a call."""
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


class NotRunError(Exception):
    """A runner that is not installed, or that failed; the message says why."""


class Runner:
    """The driver's end of a runner's process, which cannot reuse code that an earlier one compiled."""

    def __init__(self, module: str, job: Job) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        threads = {name: str(os.cpu_count()) for name in names}
        asked = {name: str(job.threads) for name in names if job.threads}
        cache = {"TORCHINDUCTOR_CACHE_DIR": tempfile.mkdtemp(dir=job.folder)}
        cache["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # else JAX takes the GPU's memory from the others
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the runner)
        command = [sys.executable, "-m", f"benchmarks.runners.{module}", json.dumps(asdict(job))]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**threads, **os.environ, **asked, **cache},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        try:
            self.reply()
        except NotRunError:
            self.close()
            raise

    def ask(self, method: str, *arguments: object) -> dict[str, Any]:
        """Have the runner call one of its methods; return its reply, with its duration in seconds."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # the reply says why
            self.process.stdin.write(json.dumps([method, *arguments]) + "\n")
            self.process.stdin.flush()
        return self.reply()

    def reply(self) -> dict[str, Any]:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.process.wait()
        self.log.seek(0)
        lines = [line for line in self.log.read().splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)] or lines
        raise NotRunError(errors[-1] if errors else f"exit status {self.process.returncode}")

    def close(self) -> None:
        """End the process and wait for it."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()
