"""Importance-weighted bounds: the variance of their gradient estimators, and what a step costs.

The numbers are printed; only --publish replaces the published ones. Times are processor times of one thread.

Usage: python -m benchmarks.importance [--steps 600] [--draws 200] [--rounds 20] [--publish]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import page
from vaekit.data import Batch, Data, Source
from vaekit.experiment import Experiment
from vaekit.model import VAE, Model
from vaekit.objectives import ELBO, Importance
from vaekit.presets import PRESETS
from vaekit.training.steps import Descent, Step

BATCH, SAMPLES = 20, 50
ESTIMATORS = ("plain", "stl", "dreg")
CYCLES = 5  # steps or products per timing


def made() -> tuple[Experiment, Data]:
    """Return the experiment of the preset iwae-1l on the digits that are built in, and their images."""
    experiment = Experiment(data=Source(name="digits28")).replace_all(PRESETS["iwae-1l"])
    return experiment, experiment.data.load()


def descent(model: Model, data: Data, spec: ELBO | Importance) -> Descent:
    """Return steps of a new model."""
    torch.manual_seed(0)
    vae = model.build(data.space)
    return Descent(
        Step(vae, spec.build(vae, data.space)), torch.optim.Adam(vae.parameters(), 1e-3, eps=1e-4), "fp32", None
    )


def batches(data: Data, steps: int) -> list[Batch]:
    """Return batches of training images."""
    order = torch.randperm(data.space.sizes["train"], generator=torch.Generator().manual_seed(0)).repeat(steps)
    return [data.train.batch(order[i * BATCH : (i + 1) * BATCH]) for i in range(steps)]


def variance(vae: VAE, data: Data, batch: Batch, samples: int, draws: int) -> dict[str, Any]:
    """Return the variance of each estimator of the encoder's gradient, summed over weights, with standard errors."""
    weights, found = list(vae.posterior.parameters()), {}
    for estimator in ESTIMATORS:
        objective = Importance(samples=samples, estimator=estimator).build(vae, data.space)
        torch.manual_seed(1)
        all_draws = []
        for _ in range(draws):
            gradient = torch.autograd.grad(objective(vae, batch).value, weights)
            all_draws.append(torch.cat([part.flatten() for part in gradient]))
        squares = (torch.stack(all_draws) - torch.stack(all_draws).mean(0)).square().sum(1) * draws / (draws - 1)
        found[estimator] = squares.mean().item(), squares.std().item() / draws**0.5
    plain, error = found["plain"]
    return {
        name: {
            "variance": value,
            "standard_error": own,
            "of_plain": value / plain,
            "of_plain_standard_error": value / plain * ((own / value) ** 2 + (error / plain) ** 2) ** 0.5,
        }
        for name, (value, own) in found.items()
    }


def variances(steps: int, draws: int) -> dict[str, Any]:
    """Train by the plain bound of 50 draws, and compare the estimators before and after."""
    experiment, data = made()
    taken = descent(experiment.model, data, Importance(samples=SAMPLES))
    *rest, batch = batches(data, steps + 1)
    found = {}
    for stage in ("new", "trained"):
        vae = taken.step.vae
        found[stage] = {str(k): variance(vae, data, batch, k, draws) for k in (1, 5, SAMPLES)}
        if stage == "new":
            for seen in rest:
                taken(seen)
    return found


def seconds(function: Callable[[], Any]) -> float:
    """Return the processor time of a call, as the mean of some."""
    began = time.process_time()
    for _ in range(CYCLES):
        function()
    return (time.process_time() - began) / CYCLES


def products(network: nn.Module, rows: int, inputs: bool) -> Callable[[], None]:
    """Return the matrix products of a network's step on so many rows: forward, and both backward.

    Args:
        network: whose linear layers are multiplied by.
        rows: of the input.
        inputs: whether the first layer's input has a gradient as well.
    """
    weights = [layer.weight.detach() for layer in network.modules() if isinstance(layer, nn.Linear)]
    values = [torch.randn(rows, w.shape[1]) for w in weights]
    slopes = [torch.randn(rows, w.shape[0]) for w in weights]

    def run() -> None:
        for i, (w, x, slope) in enumerate(zip(weights, values, slopes, strict=True)):
            torch.mm(x, w.T)
            torch.mm(slope.T, x)
            if i or inputs:
                torch.mm(slope, w)

    return run


def costs(rounds: int) -> dict[str, Any]:
    """Time a step of 50 draws, compiled, beside the products of the plain step, in turns."""
    experiment, data = made()
    batch = batches(data, 1)[0]
    calls: dict[str, Callable[[], Any]] = {}
    for estimator in ESTIMATORS:
        taken = descent(experiment.model, data, Importance(samples=SAMPLES, estimator=estimator))
        taken.compile(batch, asked=True)
        taken(batch)
        calls[estimator] = lambda taken=taken: taken(batch)
    vae: VAE = taken.step.vae
    calls["decoder"] = products(vae.likelihood, BATCH, inputs=True)
    calls["encoder"] = products(vae.posterior, BATCH, inputs=False)
    calls["decoder, all rows"] = products(vae.likelihood, BATCH * SAMPLES, inputs=True)
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-1, rounds):
        for name, call in calls.items():
            spent = seconds(call)
            found[name] += [spent] if turn >= 0 else []
    plain = [SAMPLES * d + e for d, e in zip(found["decoder"], found["encoder"], strict=True)]
    dense = [d + e for d, e in zip(found["decoder, all rows"], found["encoder"], strict=True)]
    return {
        name: {
            "milliseconds": 1000 * statistics.median(found[name]),
            "of_products": statistics.median(a / b for a, b in zip(found[name], plain, strict=True)),
            "of_products_of_all_rows": statistics.median(a / b for a, b in zip(found[name], dense, strict=True)),
        }
        for name in ESTIMATORS
    }


def rounded(value: Any) -> Any:
    """Round all numbers to four digits."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}")


def main() -> None:
    """Measure, and store on request."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.importance", description="Measure importance-weighted bounds."
    )
    parser.add_argument("--steps", type=int, default=600, help="of training before the second comparison")
    parser.add_argument("--draws", type=int, default=200, help="of the gradient")
    parser.add_argument("--rounds", type=int, default=20, help="of timing")
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    numbers = rounded({"variances": variances(chosen.steps, chosen.draws), "costs": costs(chosen.rounds)})
    command = " ".join(["python -m benchmarks.importance", *sys.argv[1:]])
    text = json.dumps({"command": command, "steps": chosen.steps, "numbers": numbers}, indent=2)
    print(text)
    if chosen.publish:
        (page.RESULTS / f"{page.IMPORTANCE}.json").write_text(text + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
