"""The rows of the benchmark: each lets its runners take turns and returns the resulting tables."""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import nets
from benchmarks.protocol import Job, NotRunError, Runner
from benchmarks.startup import COMMANDS, command_seconds
from benchmarks.tables import table

Table = dict[str, Any]
Replies = dict[str, list[dict[str, Any]] | str]

TRAINERS = {
    "plain torch": ("plain", "eager"),
    "plain torch, compiled, fused Adam": ("plain", "compiled"),
    "pythae": ("pythae", ""),
    "Pyro SVI": ("pyro", ""),
    "Keras, torch": ("keras", "torch"),
    "Keras, JAX": ("keras", "jax"),
    "JAX scan": ("jax", "fp32"),
    "vaekit fp32": ("vaekit", "fp32 auto"),
    "vaekit tf32": ("vaekit", "tf32 auto"),
    "vaekit bf16": ("vaekit", "bf16 auto"),
}
ON_IMAGES = {name: TRAINERS[name] for name in TRAINERS if TRAINERS[name][0] in ("plain", "pythae", "vaekit")}
USERS = {"plain torch": ("plain", ""), "pythae": ("pythae_use", ""), "vaekit fp32": ("vaekit_use", "fp32 auto")}
SAMPLERS = {**USERS, "vaekit bf16": ("vaekit_use", "bf16 auto"), "Pyro": ("pyro", "")}
PARTS = {
    "standard normal, Gaussian, ELBO": "",
    "full-covariance posterior": "full",
    "flow posterior (IAF)": "iaf",
    "mixture of 500 as prior": "mixture",
    "VampPrior, 500 pseudo-inputs": "vamp",
    "flow prior (MAF)": "maf",
    "importance, 50 draws": "importance",
}
"""what a model of vaekit is made of, and the word for it"""
SHARED = ("iaf", "vamp", "importance")
"""what pythae has as well"""
LONGER = 4
"""times as many steps a round on a GPU"""
EPOCH, BOUND, MOST_ROUNDS = 60_000, -110.0, 40


@dataclass(frozen=True)
class Settings:
    """What every row needs: the common part of all jobs, the number of rounds, and whether to be quick."""

    job: Job
    rounds: int
    quick: bool


def race(runners: dict[str, tuple[str, str]], job: Job, rounds: int) -> Replies:
    """Start all runners, let each warm up, then let them take turns; a runner that fails says why."""
    replies: Replies = {name: [] for name in runners}
    with ExitStack() as stack:
        started: dict[str, Runner] = {}
        for turn in range(-1, rounds):
            for name, (module, variant) in runners.items():
                kept = replies[name]
                if isinstance(kept, str):
                    continue
                try:
                    if turn < 0:
                        started[name] = Runner(module, replace(job, variant=variant))
                        stack.callback(started[name].close)
                    reply = started[name].ask("round")
                    kept += [reply] if turn >= 0 else []
                    progress(f"{name}, round {turn + 1} of {rounds}", reply["seconds"])
                except NotRunError as error:
                    replies[name] = str(error)
                    progress(f"{name} not run: {error}")
    return replies


def progress(what: str, duration: float | None = None) -> None:
    """Print what was done to standard error."""
    print(f"  {what}" + ("" if duration is None else f": {duration:.3g} s"), file=sys.stderr)


def pick(replies: Replies, value: Callable[[dict[str, Any]], float]) -> dict[str, list[float] | str]:
    """Return one number of each reply."""
    return {name: kept if isinstance(kept, str) else [value(reply) for reply in kept] for name, kept in replies.items()}


def last(replies: Replies, *names: str) -> dict[str, dict[str, float]]:
    """Return some numbers of each runner's last reply."""
    kept = {name: found for name, found in replies.items() if not isinstance(found, str)}
    return {name: {key: found[-1][key] for key in names} for name, found in kept.items()}


def training(
    net: str, batch: int, steps: int, runners: dict[str, tuple[str, str]]
) -> Callable[[Settings], list[Table]]:
    """Make a row that times training steps."""

    def row(settings: Settings) -> list[Table]:
        longer = LONGER if settings.job.device == "cuda" else 1
        job = replace(settings.job, task="train", net=net, batch=batch, steps=2 if settings.quick else longer * steps)
        replies = race(runners, job, settings.rounds)
        per_epoch, extra = net == "mlp", last(replies, "loss")
        scale, unit = (EPOCH / batch, "s per epoch") if per_epoch else (1000, "ms per step")
        gflop = nets.training_gflop(net, EPOCH if per_epoch else batch)
        values = pick(replies, lambda reply: reply["seconds"] / reply["steps"] * scale)
        title = f"training {net}, batch {batch}"
        memory = pick(replies, lambda reply: reply["memory_mib"])
        return [
            table(title, unit, values, extra=extra, gflop=gflop, seconds_a_unit=1.0 if per_epoch else 1e-3),
            table(f"peak memory, {title}", "MiB", memory),
        ]

    return row


def parts(settings: Settings) -> list[Table]:
    """Time steps of models with other parts and objectives: vaekit's among themselves, and beside pythae's.

    On the CPU it is the processor time of one thread, which other work on the machine changes little.
    """
    job = replace(settings.job, task="train", net="mlp-40", batch=100, steps=2 if settings.quick else 10, threads=1)
    runners = {name: ("vaekit", f"fp32 auto {word}") for name, word in PARTS.items()}
    replies = race(runners | {f"pythae {word}": ("pythae", word) for word in SHARED}, job, settings.rounds)
    clock = "processor_seconds" if job.device == "cpu" else "seconds"
    values = pick(replies, lambda reply: 1000 * reply[clock] / reply["steps"])
    extra = last(replies, "loss")
    title, unit = "a step of 784-500-40-500-784, batch 100", "ms per step" if job.device == "cuda" else "processor ms"
    beside = []
    for name in (name for name, word in PARTS.items() if word in SHARED):
        names = {"pythae": f"pythae {PARTS[name]}", "vaekit fp32": name}
        found = {runner: values[of] for runner, of in names.items()}
        told = {runner: {"loss": extra[of]["loss"]} for runner, of in names.items() if of in extra}
        beside.append(table(f"{name}, {title}", unit, found, extra=told))
    plain, *others = PARTS
    for name in others:
        if not isinstance(values[name], str) and not isinstance(values[plain], str):
            pairs = zip(values[name], values[plain], strict=True)
            extra[name]["over"] = statistics.median(a - b for a, b in pairs)
    return [table(f"vaekit, {title}", unit, {name: values[name] for name in PARTS}, extra=extra), *beside]


def bound(settings: Settings) -> list[Table]:
    """Time training until the bound on the test images reaches −110, on one fixed draw of bits."""
    job = replace(settings.job, task="train", binarization="static", steps=2 if settings.quick else 300, epochs=10)
    goal = -540.0 if settings.quick else BOUND
    found, extra = dict[str, list[float] | str](), dict[str, dict[str, float]]()
    judge = Runner("judge", replace(job, task="judge"))
    for name, (module, variant) in TRAINERS.items():
        try:
            spent, extra[name] = reach(goal, Runner(module, replace(job, variant=variant)), judge, job)
            found[name] = [spent]
        except NotRunError as error:
            found[name] = str(error)
        progress(f"{name}: {found[name]}")
    judge.close()
    return [table(f"time to test ELBO {goal:g}, compilation included, one seed", "s", found, extra=extra)]


def reach(goal: float, runner: Runner, judge: Runner, job: Job) -> tuple[float, dict[str, float]]:
    """Train until the bound passes the goal; between the last two measurements it is taken to grow evenly."""
    weights = str(Path(job.folder) / "candidate.npz")
    spent, steps, before, elbo = 0.0, 0, 0.0, -float("inf")
    with closing(runner):
        while elbo < goal:
            if steps > MOST_ROUNDS * job.steps:
                raise NotRunError(f"test ELBO {elbo:.2f} after {steps:,} steps")
            reply, before = runner.ask("round"), elbo
            spent, steps = spent + reply["seconds"], steps + reply["steps"]
            runner.ask("save", weights)
            elbo = judge.ask("elbo", weights)["elbo"]
    return spent - reply["seconds"] * (elbo - goal) / (elbo - before), {"steps": steps, "elbo": elbo}


def evidence(settings: Settings) -> list[Table]:
    """Time the 5000-sample evidence of 1,000 images on 100 of them; everyone has the same trained weights."""
    job = replace(settings.job, binarization="static", steps=2 if settings.quick else 600, variant="eager")
    weights = str(Path(job.folder) / "trained.npz")
    trainer = Runner("plain", job)
    trainer.ask("round")
    trainer.ask("save", weights)
    trainer.close()
    images, samples = (2, 200) if settings.quick else (100, 5000)
    job = replace(job, task="evidence", weights=weights, images=images, samples=samples)
    replies = race(SAMPLERS, job, min(settings.rounds, 3))
    values = pick(replies, lambda reply: reply["seconds"] * 1000 / reply["images"])
    extra = last(replies, "samples", "log_evidence")
    gflop = 1000 * samples * 2 * (20 * 500 + 500 * 784) / 1e9
    return [table(f"evidence of 1,000 images, K = {samples}", "s", values, extra=extra, gflop=gflop)]


def use(settings: Settings) -> list[Table]:
    """Time encoding and decoding one image, and 10,000."""
    trainer = Runner("plain", replace(settings.job, task="train", variant="eager"))
    weights = str(Path(settings.job.folder) / "initial.npz")
    trainer.ask("save", weights)
    trainer.close()
    replies = race(USERS, replace(settings.job, task="use", weights=weights), settings.rounds)
    tables = []
    for verb in ("encode", "decode"):
        one = pick(replies, lambda reply, verb=verb: 1000 * reply[f"{verb}_one"])
        every = pick(replies, lambda reply, verb=verb: reply[f"{verb}_all"])
        tables += [table(f"{verb} one image", "ms", one), table(f"{verb} 10,000 images", "s", every)]
    return tables


def startup(settings: Settings) -> list[Table]:
    """Time commands, imports, and a process from its start to the end of its first step, with empty caches."""
    job = replace(settings.job, task="train", epochs=10)
    rounds = 1 if settings.quick else min(settings.rounds, 3)
    commands = {name: partial(command_seconds, name) for name in COMMANDS}
    steps = {name: partial(first_step, module, replace(job, variant=way)) for name, (module, way) in TRAINERS.items()}
    return [
        table("start-up", "s", in_turn(commands, rounds)),
        table("from process start to the end of the first step", "s", in_turn(steps, rounds)),
    ]


def in_turn(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float] | str]:
    """Let calls that return their duration take turns."""
    found: dict[str, list[float] | str] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            durations = found[name]
            if isinstance(durations, str):
                continue
            try:
                durations.append(call())
                progress(name, durations[-1])
            except NotRunError as error:
                found[name] = str(error)
    return found


def first_step(module: str, job: Job) -> float:
    """Return the seconds until a fresh process has taken a step."""
    began = time.perf_counter()
    with closing(Runner(module, job)) as runner:
        runner.ask("round")
        return time.perf_counter() - began


def gemm(settings: Settings) -> list[Table]:
    """Measure the speed of matrix products."""
    replies = race({"gemm": ("gemm", "")}, replace(settings.job, task="gemm"), settings.rounds)["gemm"]
    if isinstance(replies, str):
        raise NotRunError(replies)
    return [
        table(
            f"matrix product {shape}",
            "GFLOP/s",
            {name: [reply[shape][name] for reply in replies] for name in replies[0][shape]},
            larger_is_better=True,
        )
        for shape in replies[0]
        if "×" in shape
    ]


def accuracy(settings: Settings) -> list[Table]:
    """Measure the test ELBO of vaekit's ways to train after equal epochs, over seeds, by one evaluator."""
    epochs, seeds = (0.01, 2) if settings.quick else (3, 3)
    job = replace(settings.job, task="finish", binarization="static", epochs=epochs)
    judge = Runner("judge", replace(job, task="judge"))
    weights, values = str(Path(job.folder) / "finished.npz"), dict[str, list[float]]()
    for variant in ("fp32 off", "fp32 on", "bf16 on"):
        for seed in range(seeds):
            runner = Runner("vaekit", replace(job, variant=variant, seed=seed))
            runner.ask("save", weights)
            runner.close()
            elbo = judge.ask("elbo", weights)["elbo"]
            name = variant.replace(" off", ", eager").replace(" on", ", compiled")
            values.setdefault(f"vaekit {name}", []).append(elbo)
            progress(f"{name}, seed {seed}: {elbo:.3f}")
    judge.close()
    extra = {name: {"standard_error": statistics.stdev(found) / len(found) ** 0.5} for name, found in values.items()}
    title = f"test ELBO after {epochs:g} epochs, {seeds} seeds"
    return [table(title, "nats per image", values, larger_is_better=True, extra=extra)]


ROWS: dict[str, Callable[[Settings], list[Table]]] = {
    "gemm": gemm,
    "mlp": training("mlp", 100, 150, TRAINERS),
    "aragam": training("aragam", 256, 6, ON_IMAGES),
    "ncsu": training("ncsu", 16, 20, ON_IMAGES),
    "parts": parts,
    "bound": bound,
    "evidence": evidence,
    "startup": startup,
    "use": use,
    "accuracy": accuracy,
}
