"""Verbs that train."""

import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, DataRoot, Device, Float, Int, Switch, app
from vaekit.display import Output
from vaekit.errors import InputError

if TYPE_CHECKING:
    from vaekit.progress import Progress


class Stopped(Exception):  # noqa: N818 (no error)
    """A training was interrupted; its state is saved in the folder."""


SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""those that end a training with its state saved; Windows has no SIGHUP"""


def _stoppable(reports: Iterator["Progress"], path: Path) -> Iterator["Progress"]:
    """Pass on the reports of a training; Ctrl-C, a polite kill or a closed terminal ends it at the next one.

    Its state is then saved. A second signal ends it at once; one that the process was told to ignore, as nohup does, is
    ignored.
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
        cast("Generator[Progress]", reports).close()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped:
        raise Stopped(path)


def _follow(reports: Iterator["Progress"], path: Path, output: Output) -> Iterator["Progress"]:
    return display.follow(_stoppable(reports, path), output.silent)


@app.command
def train(
    data: str | None = None,
    *,
    preset: str | None = None,
    network: str | None = None,
    latent_dim: Int | None = None,
    hidden: str | None = None,
    likelihood: str | None = None,
    beta: Float | None = None,
    epochs: Float | None = None,
    batch_size: Int | None = None,
    optimizer: str | None = None,
    learning_rate: Float | None = None,
    seed: Int | None = None,
    precision: str | None = None,
    binarize: str | None = None,
    image_size: Int | None = None,
    label: str | None = None,
    ignore: Annotated[list[str] | None, Parameter(negative=())] = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    run: Path | None = None,
    resume: Switch = False,
    overwrite: Switch = False,
    device: Device = "auto",
    compile: str = "auto",
    data_root: DataRoot = None,
    tensorboard: Switch = False,
    report: bool = True,
    output: Output = LOUD,
) -> None:
    """Train a model on a named data set, an image folder, an array or a table.

    Args:
        data: A named set (vaekit data list), or the path of an image folder, .npy, .npz, .csv or .tsv file; with
            --resume, where the run's data are, if they have moved.
        preset: A published set-up: aevb-mnist, aevb-frey, wei, ncsu, aragam, frans.
        network: mlp or conv.
        latent_dim: Number of latents.
        hidden: Widths of the hidden layers, such as 500 or 300,300.
        likelihood: bernoulli, continuous_bernoulli, gaussian, discretized_logistic or categorical.
        beta: Weight of the KL.
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: adam, adamw, adamax, adagrad, rmsprop or sgd.
        learning_rate: Step size of the optimizer.
        seed: Seed of weights, order and noise.
        precision: fp32 or bf16.
        binarize: none, dynamic, static or threshold.
        image_size: Height and width to which an image folder is cropped and resized.
        label: Column of a table that holds the labels; an empty word for none.
        ignore: Column of a table that is left out; repeat it for more.
        set: Any other field, path=value; repeat it for more (vaekit options lists them).
        config: An experiment.json to start from.
        run: Folder of the run; runs/<data>-<preset or network>-<n> if left out.
        resume: Continue the run in --run, or the latest one.
        overwrite: Replace the run in --run.
        compile: auto, on or off: compiled steps are quicker, but take some seconds to compile.
        tensorboard: Also write TensorBoard event files into the run.
        report: Evaluate 1000 images and write figures and report.html at the end.
    """
    from vaekit import choices, devices
    from vaekit.data.named import NAMED
    from vaekit.run import new_path, refuse_taken
    from vaekit.tensorboard import record
    from vaekit.verbs import conclude

    short: dict[str, Any] = {
        "network": network,
        "latent_dim": latent_dim,
        "hidden": hidden and choices.widths(hidden),
        "likelihood": likelihood,
        "beta": beta,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "seed": seed,
        "precision": precision,
        "binarize": binarize,
        "image_size": image_size,
        "label": label,
        "ignore": ignore,
    }
    fields, place = choices.fields(set or []), None
    with display.messages(output), ExitStack() as reserved:
        if resume:
            if overwrite or config:
                raise InputError(
                    f"--resume and --{'overwrite' if overwrite else 'config'} exclude each other: drop one"
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
            compile=compile,
        )  # fmt: skip
        for _ in _follow(record(reports, path) if tensorboard else reports, path, output):
            pass
        found = None
        if report:
            found = conclude(
                vaekit.load(path), partial(display.doing, silent=output.silent), samples=100, device=device,
                data_root=data_root, data=place,
            )  # fmt: skip

    def show() -> None:
        if found:
            display.evaluation(found)
        display.say(path)

    display.emit({"path": str(path), "evaluation": found}, output, show, path)


@app.command
def demo(*, run: Path | None = None, output: Output = LOUD) -> None:
    """Train a model with two latents on scikit-learn's digits in a minute, offline, and show what comes out.

    Args:
        run: Folder of the run; runs/demo-<n> if left out.
    """
    from vaekit.run import new_path

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
