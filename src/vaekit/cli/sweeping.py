"""The verb that trains a grid of experiments."""

import sys
from contextlib import redirect_stdout
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from vaekit import display
from vaekit.cli.app import LOUD, DataRoot, Device, Int, Switch, app, examples
from vaekit.cli.training import flag, stoppable
from vaekit.display import Output
from vaekit.errors import InputError, RunError, command
from vaekit.presets import PRESETS
from vaekit.settings import SHORT, with_short_names

if TYPE_CHECKING:
    from vaekit.engine.grids import Sweep


@app.command(
    synonym=["grid", "tune", "search", "multirun"],
    help_epilogue=examples(
        "sweep digits28 --grid latent_dim=2,5,10 --seeds 3 --out sweeps/first",
        "sweep digits28 --grid beta=0.1:10:log --random 20 --out sweeps/drawn",
        "sweep digits28 --grid beta=0.1:10 --optimize elbo --out sweeps/best",
        "sweep --out sweeps/first",
    ),
)
@with_short_names({name: flag(name) for name in SHORT})
def sweep(
    data: str | None = None,
    *,
    preset: Annotated[str | None, Parameter(help=f"Settings of a published experiment: {', '.join(PRESETS)}.")] = None,
    grid: Annotated[list[str] | None, Parameter(negative=())] = None,
    seeds: Int = 1,
    random: Int | None = None,
    optimize: str | None = None,
    trials: Int = 50,
    out: Path,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    evaluate: str = "evidence",
    split: str = "test",
    samples: Int = 1000,
    images: Int = 1000,
    engine: str = "auto",
    jobs: Int | None = None,
    only: str | None = None,
    address: str | None = None,
    per_gpu: Int = 1,
    dry_run: Switch = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
    **short: Any,
) -> None:
    """Train and measure an experiment for all values of a grid, each with several seeds.

    Each unit has a folder of its own in --out. The same command again continues what was interrupted; more values or
    seeds train what is missing. 'vaekit compare' makes a table of it.

    Args:
        data: A named set (vaekit data list), or the path of an image folder, an array or a table; if left out, the
            sweep in --config or --out is continued.
        grid: Values of a field as path=1,2,4 or, with --random or --optimize, its range as path=low:high or
            path=low:high:log; repeat it for more fields (vaekit options lists them all).
        seeds: Number of trainings for each combination of values.
        random: Number of combinations to draw; all are trained if left out.
        optimize: Search for the largest log_evidence, elbo, linear_probe or nearest_neighbors on validation examples;
            the best combination is measured on test examples, once, at the end.
        trials: Number of combinations that a search tries.
        out: Folder of the sweep.
        set: Any other field as path=value; repeat it for more.
        config: Start from the sweep in this sweep.json, or the experiment in this experiment.json.
        evaluate: Groups of measures after each training, separated by commas, or none.
        split: Part of the data to measure on: train, validation or test.
        samples: Posterior samples per image used for the log-evidence.
        images: Number of images to measure on, from the start of the split.
        engine: How units are worked on: local, in processes; stack, as one model where experiments stack; ray, on the
            nodes of a Ray cluster; or auto.
        jobs: Number of processes; as many as there are threads, or CPUs or shares of GPUs in a cluster, if left out.
        only: A part of the units, such as 1/4, so that jobs of a cluster share a sweep on one disk.
        address: Head of a Ray cluster as host:port, or auto; $RAY_ADDRESS, or Ray on this machine alone, if left out.
        per_gpu: Tasks of Ray that share a GPU.
        dry_run: List the units with their expected times without training.
    """
    from vaekit.engine import sweeps

    with display.messages(output):
        asked = _asked(
            data, preset, grid, set, config, out, short, seeds=seeds, random=random, optimize=optimize, trials=trials,
            evaluate=None if evaluate == "none" else evaluate, split=split, samples=samples, images=images,
            data_root=data_root, silent=output.silent,
        )  # fmt: skip
        if dry_run:
            if asked.optimize:
                raise InputError("--dry-run needs a grid, and a search finds its combinations: leave out --optimize")
            rows = sweeps.planned(asked, out, only, data_root)
            display.emit(rows, output, lambda: display.planned(rows))
            return
        how: dict[str, Any] = {
            "engine": engine, "jobs": jobs, "only": only, "address": address, "per_gpu": per_gpu, "device": device,
            "data_root": data_root,
        }  # fmt: skip
        defaults = {"engine": "auto", "per_gpu": 1, "device": "auto"}
        given = {f"--{name.replace('_', '-')}": value for name, value in how.items() if value != defaults.get(name)}
        again = command("sweep", "--out", out, *chain.from_iterable(given.items()))
        reports = sweeps.run_sweep(asked, out, **how)
        with redirect_stdout(sys.stderr):  # to which Ray tells of nodes that died, too
            *_, last = display.swept(stoppable(reports, again), output.silent)
    failed = sweeps.failures(out)
    facts = {"path": str(out), "units": last.total, "finished": last.done, "failures": failed}

    def show() -> None:
        display.say(*(f"{unit} failed: {sentence}" for unit, sentence in failed.items()), out)

    display.emit(facts, output, show, out)
    if last.failed:
        raise RunError(f"{last.failed} of {last.total} units failed, the others are finished: see {out}/failures")


def _asked(
    data: str | None, preset: str | None, grid: list[str] | None, set: list[str] | None, config: Path | None, out: Path,
    short: dict[str, Any], *, data_root: Path | None, silent: bool, **asked: Any,
) -> "Sweep":  # fmt: skip
    """Make the sweep that is asked for, or read the one that is continued."""
    from vaekit import choices
    from vaekit.engine import grids, sweeps

    if short.get("hidden"):
        short["hidden"] = choices.widths(short["hidden"])
    values = grids.by_path(grids.parsed(grid or []))
    whole = (config is None and data is None) or (config is not None and config.name == sweeps.SWEEP_FILE)
    if whole:
        given = [name for name, value in short.items() if value is not None]
        if data or preset or set or given or values:
            raise InputError(
                "a sweep that is continued keeps its settings: leave them out, or name the data to begin another"
            )
        return sweeps.opened((config or out / sweeps.SWEEP_FILE).parent)
    for path in values:
        for name, value in short.items():
            if value is not None and SHORT[name] == path:
                raise InputError(f"--{name.replace('_', '-')} {value} is also in the grid: give it once")
    fields = choices.fields(set or [])
    experiment = choices.choose(
        data, preset=preset, set=fields, config=config, data_root=data_root, **short,
        track=partial(display.tracked, silent=silent, description="decoding"),
    )  # fmt: skip
    return sweeps.specified(experiment, values, **asked)
