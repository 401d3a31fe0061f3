"""Store small runs of a release, for later ones to load, evaluate, resume and train again.

``python tests/golden/store.py`` writes a folder named after the installed version; a stored one is never written again.
Each experiment is stored as it was stopped in the middle of an epoch (``run``, with its state and an evaluation), and
as it ended without interruption (``end``).
"""

import json
import os
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import vaekit.training.loop
from vaekit import Experiment, Source, evaluate, train

HERE = Path(__file__).parent
FACTS = "facts.json"
SMALL: dict[str, Any] = {"model.latent_dim": 2, "model.network.hidden": [10], "batch_size": 100, "epochs": 2}
DYNAMIC = {"data.binarization": "dynamic"}
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "elbo": {},
    "monte_carlo": {"objective.kl": "monte_carlo", "objective.samples": 2},
    "averaged": {
        **DYNAMIC,
        "objective.beta": 2.0,
        "objective.beta_schedule": "warm_up",
        "ema": 0.9,
        "gradient_norm": 5.0,
        "schedule": "cosine",
    },
    "wake_sleep": {**DYNAMIC, "objective": "wake_sleep"},
    "monte_carlo_em": {**DYNAMIC, "objective": "monte_carlo_em", "model.posterior": "standard_normal"},
    "auto_encoder": {"objective": "reconstruction", "model.posterior": "delta"},
    "conv": {
        "model.network": {"kind": "conv", "channels": [3, 4], "strides": [2, 2], "batch_norm": True},
        "model.likelihood": {"kind": "gaussian", "scale": "pixel"},
    },
    "printed_sampling": {"objective": "printed_sampling"},
    "printed_kl": {"objective": "printed_kl", "objective.beta": 0.5},
    "adagrad": {"optimizer": "adagrad", "early_stopping": 2, "evaluate_every": 0.5, "objective.free_bits": 0.1},
}
STEP = 18
"""at which a run is stopped: between two evaluations, and after the first"""
MEASURED: dict[str, Any] = {"metrics": "evidence,latents", "samples": 20, "images": 40, "device": "cpu"}


def machine() -> dict[str, str]:
    """What bits depend on besides the experiment."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": next(iter(names), platform.processor()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def stopped(experiment: Experiment, folder: Path, step: int) -> None:
    """Train into a folder and stop after some steps."""
    reports = train(experiment, folder, device="cpu", compile="off")
    next(progress for progress in reports if progress.step == step)
    reports.close()


def store(folder: Path, changes: dict[str, Any]) -> str:
    """Write the run and the end of one experiment; return its digest."""
    small = {path: value for path, value in SMALL.items() if path.rpartition(".")[0] not in changes}
    experiment = Experiment(data=Source(name="digits")).replace_all(small | changes)
    stopped(experiment, folder / "run", STEP)
    evaluate(folder / "run", **MEASURED)
    shutil.rmtree(folder / "run" / "measured", ignore_errors=True)  # so that it is measured again
    for lock in (folder / "run").glob(".*.lock"):
        lock.unlink()
    for _ in train(experiment, folder / "whole", device="cpu", compile="off"):
        pass
    (folder / "end").mkdir()
    for name in ("metrics.jsonl", "weights.safetensors"):
        (folder / "whole" / name).rename(folder / "end" / name)
    shutil.rmtree(folder / "whole")
    return experiment.digest


def main() -> None:
    """Store all experiments, trained on one thread."""
    torch.set_num_threads(1)
    vaekit.training.loop.SECONDS_BETWEEN_REPORTS = -1.0  # report every step
    folder = HERE / version("vaekit")
    if folder.exists():
        sys.exit(f"{folder} is stored already")
    folder.mkdir()
    os.chdir(folder)  # so that commands name no folder of this machine
    digests = {name: store(Path(name), changes) for name, changes in EXPERIMENTS.items()}
    Path(FACTS).write_text(json.dumps({"machine": machine(), "digests": digests}, indent=2) + "\n")


if __name__ == "__main__":
    main()
