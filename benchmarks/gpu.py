"""How fast a GPU trains: one model and stacks, by precision. Usage: python -m benchmarks.gpu [--seconds 4] [--publish]

The network is 784-500-20-500-784 on MNIST in memory, batches of 100, Adam. The rate is that of the steps alone, by the
reports of a training that is stopped after some seconds; compiling and capturing come before.
"""

import argparse
import datetime
import itertools
import json
import tempfile
import time
from pathlib import Path

import torch

import vaekit
from benchmarks import machine, page
from vaekit.presets import PRESETS

SETTINGS = {
    "one model, fp32, not compiled": (1, "fp32", "off"),
    "one model, fp32": (1, "fp32", "on"),
    "one model, tf32": (1, "tf32", "on"),
    "one model, bf16": (1, "bf16", "on"),
    "stack of 32, tf32": (32, "tf32", "on"),
    "stack of 32, bf16": (32, "bf16", "on"),
    "stack of 128, tf32": (128, "tf32", "on"),
}
"""models, precision, compile"""
BATCH = 100


def experiment(precision: str) -> vaekit.Experiment:
    """What is trained, longer than anyone waits."""
    own = {"model.latent_dim": 20, "batch_size": BATCH, "epochs": 1e5, "evaluate_every": 1e5, "precision": precision}
    source = vaekit.Source(name="mnist", split="60k/10k")
    return vaekit.Experiment(data=source).replace_all({**PRESETS["aevb-mnist"], "optimizer": "adam", **own})


def measure(models: int, precision: str, compile: str, seconds: float, device: str) -> dict[str, float]:
    """Train for some seconds; return images per second and the seconds before the first step was reported."""
    base, began = experiment(precision), time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / str(i) for i in range(models)]
        if models == 1:
            reports = ([each] for each in vaekit.train(base, paths[0], device=device, compile=compile))
        else:
            members = [base.replace("seed", i) for i in range(models)]
            reports = vaekit.train_stack(members, paths, device=device, compile=compile)
        marks: list[tuple[float, int]] = []
        for progress in reports:
            marks.append((time.perf_counter(), progress[0].step))
            if len(marks) > 4 and marks[-1][0] - marks[2][0] > seconds:
                break
        reports.close()
    (first, before), (last, after) = marks[len(marks) // 3], marks[-1]
    return {"images_per_second": models * BATCH * (after - before) / (last - first), "before": marks[1][0] - began}


def main() -> None:
    """Measure all settings, print a table, and store it if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="How fast a GPU trains.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each setting (default %(default)s)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", type=int, help="so many settings, from the first")
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    rates = {}
    for name, setting in itertools.islice(SETTINGS.items(), chosen.only):
        rates[name] = measure(*setting, chosen.seconds, chosen.device)
        print(f"{name}: {rates[name]['images_per_second']:,.0f} images/s, first after {rates[name]['before']:.1f} s")
    if chosen.publish:
        found = {
            "command": "python -m benchmarks.gpu",
            "date": datetime.date.today().isoformat(),
            "gpu": torch.cuda.get_device_name(),
            "versions": machine.versions(),
            "rates": rates,
        }
        path = page.RESULTS / f"{page.RATES}.json"
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
