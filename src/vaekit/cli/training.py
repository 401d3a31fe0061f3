"""Verbs that train."""

import logging
import signal
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Device, Float, Int, RunFolder, Switch, app, examples
from vaekit.cli.exploring import exploring
from vaekit.display import Output
from vaekit.errors import InputError, RunError, command, either
from vaekit.presets import PRESETS
from vaekit.settings import SHORT, options, with_short_names

if TYPE_CHECKING:
    from vaekit.progress import Progress


T = TypeVar("T")

log = logging.getLogger("vaekit")


class Stopped(Exception):  # noqa: N818 (not an error)
    """Training that was interrupted; its state is saved, and a command continues it."""


SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""those that end a training and save its state; Windows has no SIGHUP"""


def stoppable(reports: Iterator[T], again: str) -> Iterator[T]:
    """Pass on the reports of what trains; Ctrl-C, SIGTERM or a closed terminal ends it at the next one.

    Its state is then saved. A second signal ends it at once; a signal that the process was told to ignore, as nohup
    does, stays ignored.
    """
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        signal.signal(number, previous[number])

    numbers = (getattr(signal, name) for name in SIGNALS if hasattr(signal, name))
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    previous: dict[int, Any] = {number: signal.signal(number, stop) for number in heeded}
    try:
        for report in reports:
            if stopped:
                break
            yield report
        cast("Generator[T]", reports).close()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped:
        raise Stopped(again)


def _follow(reports: Iterator["Progress"], path: Path, output: Output) -> Iterator["Progress"]:
    again = command("train", "--resume", "--run", path)
    return display.follow(stoppable(reports, again), output.silent)


def flag(name: str) -> Any:
    """Return the type and the help of a flag by the field that it is short for: what it means, and its words."""
    field = next(option for option in options() if option["path"] == SHORT[name])
    kind, meaning = field["type"].removesuffix(" | none"), field["description"].rstrip(".")
    words = [] if kind in FLAGS else kind.split(" | ")
    if kind == "list of int":
        meaning += ", such as 300,300"
    choice = "" if all(word in meaning for word in words) else f": {either(words)}"
    about = Parameter(help=f"{meaning[0].upper()}{meaning[1:]}{choice}.", negative=())
    return Annotated[FLAGS.get(kind, str) | None, about]


FLAGS: Mapping[str, Any] = {
    "int": Int,
    "float": Float,
    "str": str,
    "list of str": list[str],
    "list of int": str,
    "int | list of int": Int,
}
"""types of flags by those of fields; other fields take one of some words"""


@app.command(
    synonym=["fit", "run", "continue", "resume"],
    help_epilogue=examples(
        "train digits --latent-dim 2 --epochs 20 --run runs/first",
        "train digits --latent-dim 2 --epochs 20 --beta 4 --run runs/second",
        "train digits --epochs 20 --set objective.free_bits=0.1 --set ema=0.99",
        "train --resume --run runs/first --epochs 30",
    ),
)
@with_short_names({name: flag(name) for name in SHORT})
def train(
    data: str | None = None,
    *,
    preset: Annotated[str | None, Parameter(help=f"Settings of a published experiment: {', '.join(PRESETS)}.")] = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    run: Path | None = None,
    resume: Switch = False,
    overwrite: Switch = False,
    device: Device = "auto",
    compile: str = "auto",
    workers: Int | None = None,
    data_root: DataRoot = None,
    tensorboard: Switch = False,
    track: str | None = None,
    explore: Switch = False,
    report: bool = True,
    output: Output = LOUD,
    **short: Any,
) -> None:
    """Train a model on a named data set, an image folder, an array or a table.

    Args:
        data: A named set (vaekit data list), or the path of an image folder, an array or a table; with
            --resume, where the run's data are now, if they were moved.
        set: Any other field as path=value; repeat it for more (vaekit options lists them all).
        config: Start from the experiment in this experiment.json.
        run: Folder of the run; runs/<data>-<preset or network>-<n> if left out.
        resume: Continue the run in --run, or the latest one.
        overwrite: Replace the run in --run.
        compile: Whether to compile the training step: auto, on or off. Compiled steps are faster, but compiling takes
            some seconds.
        workers: Processes that train the model together, each on its share of every batch, on this machine; those
            that torchrun started if left out.
        tensorboard: Also write TensorBoard event files to the run's folder.
        track: Also write numbers, samples and figures to a tracker: tensorboard, mlflow, wandb (offline) or trackio.
        explore: Show the run in the browser while it is being trained, and afterwards until Ctrl-C.
        report: At the end, evaluate 1000 images and write the figures and report.html.
    """
    from vaekit import choices, devices
    from vaekit.data.named import NAMED
    from vaekit.folders import new_path
    from vaekit.run import refuse_taken
    from vaekit.tracking.tracker import record, tracker
    from vaekit.training.following import follow
    from vaekit.training.gathering import environment
    from vaekit.verbs.starting import conclude

    rank, size = environment() or (0, 1)
    if rank:
        with display.messages(replace(output, quiet=True)):
            sys.exit(follow())
    if short.get("hidden"):
        short["hidden"] = choices.widths(short["hidden"])
    trackers = [name for name in ("tensorboard" if tensorboard else None, track) if name]
    for name in trackers:
        tracker(name)  # before anything begins
    fields, place = choices.fields(set or []), None
    with display.messages(output), ExitStack() as reserved:
        if resume:
            if overwrite or config:
                raise InputError(
                    f"--resume and --{'overwrite' if overwrite else 'config'} exclude each other: leave one out"
                )
            path = vaekit.load(run or Path("runs/latest")).path
            if data not in NAMED:
                data, place = None, data
            asked = choices.by_path(data=data, preset=preset, **short) | fields
            experiment = choices.extend(vaekit.load(path).experiment, asked)
        else:
            devices.choose(device)
            if run:
                refuse_taken(run, overwrite)
            experiment = choices.choose(
                data, preset=preset, set=fields, config=config, data_root=data_root, **short,
                track=partial(display.tracked, silent=output.silent, description="decoding"),
            )  # fmt: skip
            name = f"{Path(experiment.data.name).stem}-{preset or experiment.model.network.kind}"
            path = run or reserved.enter_context(new_path(Path("runs"), name))
        reports = vaekit.train(
            experiment, path, device=device, data_root=data_root, data=place, resume=resume, overwrite=overwrite,
            compile=compile, workers=size if workers is None else workers,
        )  # fmt: skip
        for name in dict.fromkeys(trackers):
            reports = record(reports, path, name, draw=name == track)
        place_of = [*(("--data-root", data_root) if data_root else ()), *(("--data", place) if place else ())]
        show_live = reserved.enter_context(exploring(path, *place_of)) if explore else lambda: None
        for _ in _follow(reports, path, output):
            show_live()
        found = None
        if report:
            found = conclude(
                vaekit.load(path), partial(display.doing, silent=output.silent), samples=100, device=device,
                data_root=data_root, data=place,
            )  # fmt: skip
        if track:
            try:
                vaekit.track(path, to=track)
            except (InputError, RunError) as error:  # which is no failure of the training
                log.warning("%s", error)

        def show() -> None:
            if found:
                display.evaluation(found)
            display.say(path)

        display.emit({"path": str(path), "evaluation": found}, output, show, path)


@app.command(synonym=["quickstart", "example", "tutorial"], help_epilogue=examples("demo", "demo --run runs/digits"))
def demo(*, run: Path | None = None, output: Output = LOUD) -> None:
    """Train a model with two latents on scikit-learn's digits, offline and in a minute, and report on it.

    Args:
        run: Folder of the run; runs/demo-<n> if left out.
    """
    from vaekit.folders import new_path

    with display.messages(output), ExitStack() as reserved:
        path = run or reserved.enter_context(new_path(Path("runs"), "demo"))
        found = vaekit.demo(
            path,
            follow=lambda reports: _follow(reports, path, output),
            doing=partial(display.doing, silent=output.silent),
        )
    page = path / "report.html"

    def show() -> None:
        display.evaluation(found)
        display.say(page)

    display.emit({"path": str(page), "evaluation": found}, output, show, page)


@app.command(
    synonym=["rescue", "fit-prior", "refit"],
    help_epilogue=examples(
        "refit-prior runs/first --run runs/refit",
        "refit-prior runs/first --run runs/few --set model.prior.components=9",
    ),
)
def refit_prior(
    source: RunFolder,
    *,
    run: Path,
    prior: str = "mixture",
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    epochs: Float | None = None,
    learning_rate: Float = 0.005,
    seed: Int = 0,
    samples: Int | None = None,
    images: Int = 1000,
    resume: Switch = False,
    overwrite: Switch = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Fit a prior to the codes of a trained run, in a new run, and say what evidence and samples gain.

    Args:
        run: Folder of the new run, which has the encoder and decoder of the trained one.
        prior: Kind of prior.
        set: A field of the prior as path=value; repeat it for more (vaekit options model.prior lists them).
        epochs: Number of passes over the training images; 3000 steps if left out.
        learning_rate: Step size at the beginning.
        seed: Seed of the initial weights, the order of the images and the draws.
        samples: Posterior samples per image used for the log-evidence; 1000 if left out.
        images: Number of test images that both runs are measured on.
        resume: Continue a fit in --run that was interrupted.
        overwrite: Replace the run in --run.
    """
    from vaekit import choices

    with display.messages(output):
        found = vaekit.refit_prior(
            source, run, prior, set=choices.fields(set or []), epochs=epochs, learning_rate=learning_rate, seed=seed,
            samples=samples, images=images, resume=resume, overwrite=overwrite, device=device,
            data_root=data_root, data=data,
            follow=lambda reports: _follow(reports, run, output),
            doing=partial(display.doing, silent=output.silent),
        )  # fmt: skip

    def show() -> None:
        display.refit(found)
        display.say(run)

    display.emit(found, output, show, run)
