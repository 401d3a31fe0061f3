"""What the numbers were measured on and with."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

PACKAGES = ("torch", "vaekit", "pythae", "pyro-ppl", "keras", "jax", "numpy")


def kind(device: str) -> str:
    """Return a name for the kind of machine: cpu-2-cores, cuda-nvidia-h200."""
    if device == "cpu":
        return f"cpu-{os.cpu_count()}-cores"
    return "cuda-" + re.sub("[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")


def describe(device: str) -> dict[str, str]:
    """Return processor, cores, vector instructions, memory, and the GPU if it is measured."""
    cpus = Path("/proc/cpuinfo")  # of Linux
    text = cpus.read_text(encoding="utf-8") if cpus.exists() else ""
    facts = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.MULTILINE))
    memory = psutil.virtual_memory().total / 2**30
    words = {
        "processor": facts.get("model name", platform.processor()),
        "cores": str(os.cpu_count()),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16 instructions": "yes" if "avx512_bf16" in facts.get("flags", "") else "no",
        "memory": f"{memory:.0f} GiB",
    }
    return words | ({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {})


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
