"""Verbs to begin with: open a run, try vaekit out, say what a bug report needs."""

import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vaekit.arguments import Place, to_path
from vaekit.choices import choose
from vaekit.data import available
from vaekit.data.fetching import data_roots
from vaekit.errors import InputError
from vaekit.progress import Progress
from vaekit.reporting.measurement import IMAGES, evaluate
from vaekit.reporting.reports import report
from vaekit.run import EXPERIMENT, Run
from vaekit.subject import Track
from vaekit.training.loop import train


def load(run: Run | Place) -> Run:
    """Open the run in a folder, or at an address: hf://user/name[@revision], s3://bucket/name.

    What is at an address is copied to a cache first. Only JSON, weights and pictures are taken; nothing is executed.

    Raises:
        InputError: if there is none, or it cannot be fetched.
    """
    return Run.of(run)


Doing = Callable[[str], AbstractContextManager[Track]]
"""shows what is being done meanwhile: a context that gives the wrapper of what the work consists of"""


def unseen(_: str) -> AbstractContextManager[Track]:
    """Show nothing of what is being done."""
    return nullcontext(iter)


def demo(
    run: Place, *, follow: Callable[[Iterator[Progress]], Iterable[Progress]] = iter, doing: Doing = unseen
) -> dict[str, Any]:
    """Train a model with two latents on digits, evaluate it, draw it and write its report: offline, within a minute.

    Args:
        run: a new or empty folder.
        follow: wraps the training's reports, to show them.
        doing: shows what is being done after the training.

    Returns:
        what ``evaluate`` returns.
    """
    if (to_path(run, "run") / EXPERIMENT).exists():
        raise InputError(f"{run} holds a run already: name a new folder (--run)")
    experiment = choose(
        "digits28", latent_dim=2, hidden=[200, 100], learning_rate=0.004, epochs=200, set={"evaluate_every": 20}
    )
    for _ in follow(train(experiment, run)):
        pass
    return conclude(load(run), doing)


def conclude(
    run: Run,
    doing: Doing = unseen,
    *,
    samples: int | None = None,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
) -> dict[str, Any]:
    """Evaluate up to 1,000 test examples of a trained run, draw and report; return what ``evaluate`` returns."""
    images = min(IMAGES, run.space.sizes["test"])
    with doing(f"evaluating {images:,} test {run.space.noun}") as track:
        found = evaluate(
            run, samples=samples, images=images, device=device, data_root=data_root, data=data, track=track
        )
    with doing("drawing figures") as track:
        report(run, data_root, data, track=track)
    return found


def doctor(data_root: Place | None = None) -> dict[str, Any]:
    """Say what a bug report needs: versions, device, threads, disk, and which named sets are at hand."""
    packages = (
        "torch",
        "numpy",
        "scipy",
        "scikit-learn",
        "polars",
        "zuko",
        "safetensors",
        "pydantic",
        "cyclopts",
        "matplotlib",
    )
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "vaekit": version("vaekit"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in packages},
        "device": cuda or "cpu",
        "threads": torch.get_num_threads(),
        "free disk": f"{shutil.disk_usage('.').free / 2**30:.0f} GiB",
        "data roots": [_without_home(folder) for folder in data_roots(data_root)],
        "data": {str(entry["name"]): "found" if entry["found"] else "not here" for entry in available(data_root)},
    }


def _without_home(path: Path) -> str:
    """Write a path that others may read: ~ stands for the user's own folder."""
    path, home = path.absolute(), Path.home()
    return str(Path("~", path.relative_to(home)) if path.is_relative_to(home) else path)
