"""Peak memory of the evidence of 10,000 images by 5,000 draws each, under priors with many components or transforms.

Images and draws are cut into the same pieces whatever their number, so the peak is reached in the first batches: after
some of them, each evaluation is broken off. Only --publish replaces the published numbers.

Usage: python -m benchmarks.evidence_memory [--batches 3] [--publish]
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

import vaekit
from benchmarks import page
from benchmarks.protocol import peak_memory
from vaekit.data import Space
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.priors import Flow, Mixture, StandardNormal, Vamp

PRIORS = {
    "standard_normal": StandardNormal(),
    "mixture of 500": Mixture(components=500),
    "vamp of 500": Vamp(pseudo_inputs=500),
    "flow": Flow(),
}
IMAGES, SAMPLES = 10_000, 5000


class EnoughError(Exception):
    """Breaks an evaluation off."""


def peak(prior: str, batches: int) -> float:
    """Evaluate a new model, and return the peak memory of this process in MiB."""

    def some(items: Iterable[Any]) -> Iterator[Any]:
        for i, item in enumerate(items):
            if i == batches:
                raise EnoughError
            yield item

    torch.manual_seed(0)
    vae = Model(latent_dim=40, network=MLP(hidden=(300, 300)), prior=PRIORS[prior]).build(Space.of((1, 28, 28)))
    bits = np.random.default_rng(0).integers(0, 2, (IMAGES, 28, 28), dtype=np.uint8) * np.uint8(255)
    try:
        vaekit.evaluate(vae, bits, metrics="evidence", samples=SAMPLES, images=IMAGES, device="cpu", track=some)
    except EnoughError:
        return peak_memory()
    raise RuntimeError(f"there are no more than {batches} batches")


def main() -> None:
    """Measure each prior in a process of its own, and store the numbers on request."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence_memory", description="Measure memory.")
    parser.add_argument("--batches", type=int, default=3, help="of 100 images, after which an evaluation is broken off")
    parser.add_argument("--prior", choices=PRIORS, help="measure this one here, and print its peak")
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    if chosen.prior:
        print(peak(chosen.prior, chosen.batches))
        return
    start = [sys.executable, "-m", "benchmarks.evidence_memory", "--batches", str(chosen.batches), "--prior"]
    found = {prior: float(subprocess.check_output([*start, prior], text=True).split()[-1]) for prior in PRIORS}
    command = " ".join(["python -m benchmarks.evidence_memory", *sys.argv[1:]])
    result = {"command": command, "images": IMAGES, "samples": SAMPLES, "batches": chosen.batches, "peak_mib": found}
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.publish:
        (page.RESULTS / f"{page.EVIDENCE}.json").write_text(text + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
