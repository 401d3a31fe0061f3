"""A sweep of small units on a Ray cluster of this machine, whose driver and nodes are killed; and what Ray costs.

The cluster has a head without CPUs and two nodes with one each. First some units are worked on one after the other in
one process, and the same ones on the cluster, undisturbed: the times of a unit are compared after the first one has
ended, so that the start is apart. Then all units are worked on while the driver and nodes are killed. Only --publish
replaces the published numbers.

Usage: python -m benchmarks.ray_storm [--units 1000] [--kills 10] [--dead-nodes 2] [--calm 60] [--epochs 2]
    [--publish]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks import page
from vaekit import Experiment, choose, sweep
from vaekit.engine import sweeps
from vaekit.engine.units import listed
from vaekit.engine.work import Work, carry_out, done

SMALLEST = 20
"""batch size of the first unit, that of the others being one larger each: they do not stack"""
QUICK: dict[str, Any] = {"samples": 50, "images": 100}
SECONDS = 3600
"""until a storm is given up"""


def experiment(epochs: float) -> Experiment:
    return choose("digits", hidden=[32], epochs=epochs, latent_dim=2)


def grid(units: int) -> dict[str, list[int]]:
    return {"batch_size": list(range(SMALLEST, SMALLEST + units))}


def processor_seconds() -> float:
    """Return the processor time of this process and all that it has started, those that have ended included."""
    spent = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):
            spent += sum(process.cpu_times()[:4])
    return spent


class Clock:
    """Wall time and processor time for each unit after the first."""

    def __init__(self) -> None:
        self.began, self.first, self.last, self.count = time.perf_counter(), (0.0, 0.0), (0.0, 0.0), 0

    def ended(self, units: int) -> None:
        if units:
            self.count += units
            self.last = time.perf_counter(), processor_seconds()
            if self.first == (0.0, 0.0):
                self.first, self.before = self.last, self.count

    @property
    def numbers(self) -> dict[str, float]:
        wall, processor = ((b - a) / (self.count - self.before) for a, b in zip(self.first, self.last, strict=True))
        return {
            "seconds_until_the_first_unit": round(self.first[0] - self.began, 1),
            "seconds_of_a_unit": round(wall, 3),
            "processor_seconds_of_a_unit": round(processor, 3),
        }


def serial(units: int, folder: Path, epochs: float) -> dict[str, float]:
    """Work on units one after the other in this process."""
    asked = sweeps.specified(experiment(epochs), grid(units), **QUICK)
    clock = Clock()
    for unit in listed(asked.experiment, asked.points, 1, folder):
        assert [error for _, error in carry_out((unit,), Work("cpu", None, asked.measures))] == [None]
        clock.ended(1)
    return clock.numbers


def calm(units: int, folder: Path, address: str, epochs: float) -> dict[str, float]:
    """Work on units on the cluster, where nothing happens to them."""
    clock = Clock()
    for progress in sweep(experiment(epochs), grid(units), out=folder, engine="ray", address=address, **QUICK):
        clock.ended(len(progress.finished))
    assert progress.done == units
    return clock.numbers


def stamps(folder: Path) -> dict[Path, int]:
    """Return when the results of each unit were written, and the weights that they belong to."""
    found = folder.glob("*/results.json")
    return {path: path.stat().st_mtime_ns for each in found for path in (each, each.with_name("weights.safetensors"))}


def storm(units: int, kills: int, dead: int, folder: Path, cluster: Any, epochs: float) -> dict[str, float]:
    """Work on units while the driver is killed, and nodes are, evenly over the units; count what came of it."""
    asked = sweeps.specified(experiment(epochs), grid(units), **QUICK)
    sweeps.begin(asked, folder)
    words = [sys.executable, "-m", "vaekit", "sweep", "--out", str(folder), "--engine", "ray"]
    words += ["--address", cluster.address, "--quiet"]
    blows = sorted(
        [(units * (k + 1) / (kills + 1), "driver") for k in range(kills)]
        + [(units * (k + 0.5) / dead, "node") for k in range(dead)]
    )
    began, driver, failed = time.perf_counter(), None, 0
    kept, struck = dict[Path, int](), list[str]()
    while time.perf_counter() - began < SECONDS:
        if driver is None:
            driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if driver.poll() is not None:
            if driver.returncode == 0:
                break
            failed, driver = failed + 1, None
        elif blows and len(list(folder.glob("*/results.json"))) >= blows[0][0]:
            kept |= {path: stamp for path, stamp in stamps(folder).items() if path not in kept}
            struck.append(blows.pop(0)[1])
            if struck[-1] == "driver":
                driver.kill()
                driver.wait()
                driver = None
            else:
                cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
                cluster.add_node(num_cpus=1)
        time.sleep(0.1)
    work = Work("cpu", None, asked.measures)
    return {
        "units": units,
        "drivers_killed": struck.count("driver"),
        "nodes_killed": struck.count("node"),
        "seconds": round(time.perf_counter() - began, 1),
        "results": sum(done(unit, work) for unit in listed(asked.experiment, asked.points, 1, folder)),
        "written_twice": sum(path.stat().st_mtime_ns != stamp for path, stamp in kept.items()),
        "drivers_that_ended_with_a_failure": failed,
    }


def unlike(one: Path, others: Sequence[Path]) -> int:
    """Count the units of a folder whose weights are not the same bytes in the others."""
    weights = list(one.glob("*/weights.safetensors"))
    return sum(
        path.read_bytes() != (other / path.relative_to(one)).read_bytes() for path in weights for other in others
    )


def main() -> None:
    """Measure, rage, and store the numbers on request."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_storm", description="Kill a sweep on Ray.")
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10, help="of the driver (default %(default)s)")
    parser.add_argument("--dead-nodes", type=int, default=2, help="nodes that are killed (default %(default)s)")
    parser.add_argument("--calm", type=int, default=60, help="units whose time is measured (default %(default)s)")
    parser.add_argument("--epochs", type=float, default=2, help="of each unit (default %(default)s)")
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = serial(chosen.calm, folder / "serial", chosen.epochs)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        try:
            together = calm(chosen.calm, folder / "calm", cluster.address, chosen.epochs)
            raged = storm(chosen.units, chosen.kills, chosen.dead_nodes, folder / "storm", cluster, chosen.epochs)
        finally:
            cluster.shutdown()
        raged["weights_unlike_the_serial_run"] = unlike(folder / "serial", [folder / "calm", folder / "storm"])
    result = {
        "what": f"digits, 64-32-2-32-64, {chosen.epochs:g} epochs, evidence of 100 images by 50 draws",
        "command": " ".join(["python -m benchmarks.ray_storm", *sys.argv[1:]]),
        "calm": chosen.calm,
        "load": round(os.getloadavg()[0], 1),
        "serial": alone,
        "ray": together,
        "storm": raged,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.publish:
        (page.RESULTS / f"{page.STORM}.json").write_text(text + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
