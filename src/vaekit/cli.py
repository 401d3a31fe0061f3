"""The command line: it parses, calls the function of the verb's name, and prints."""

import json as json_format
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import App, CycloptsError, Parameter

from vaekit import display
from vaekit.display import Output
from vaekit.errors import InputError, RunError

if TYPE_CHECKING:
    from vaekit.run import Run
    from vaekit.training import Progress

EXAMPLES = """Examples:

    vaekit demo
    vaekit train digits --latent-dim 2 --epochs 50 --run runs/first
    vaekit evaluate runs/first
    vaekit sample runs/first -n 64 --out samples.png
    vaekit encode runs/first digits --out z.npy
    vaekit runs
"""


class Stopped(Exception):  # noqa: N818 (no error)
    """A training was interrupted; its state is saved in the folder."""


app = App(
    name="vaekit",
    help="Variational auto-encoders: train them, evaluate them honestly, look at what they learnt.",
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=lambda: version("vaekit"),
)
data_app = App(name="data", help="List, fetch and check data sets.")
app.command(data_app)


LOUD = Output()
DataRoot = Annotated[Path | None, Parameter(help="Folder of named data sets, looked at first.")]
Device = Annotated[str, Parameter(help="auto, cpu or cuda.")]
RunFolder = Annotated[Path, Parameter(help="Folder of a run.")]
Out = Annotated[Path | None, Parameter(help="File to write: .npy, or a picture such as .png.")]


def _load(run: Path) -> "Run":
    from vaekit.verbs import load

    return load(run)


def _widths(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"--hidden {text!r} is no list of widths: give whole numbers such as 500 or 300,300") from None


def _fields(settings: Sequence[str]) -> dict[str, Any]:
    """Parse path=value; a value is JSON where it reads as such, a list where it has commas, else a word."""
    fields = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting!r} has no value: write path=value, such as model.latent_dim=20")
        fields[path] = _value(text)
    return fields


def _value(text: str) -> Any:
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json_format.loads(candidate)
        except ValueError:
            continue
    return text


def _stoppable(reports: Iterator["Progress"], path: Path) -> Iterator["Progress"]:
    """Pass on the reports of a training; Ctrl-C or a polite kill ends it at the next one, its state saved."""
    stopped: list[int] = []
    previous = {s: signal.signal(s, lambda number, _: stopped.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        for report in reports:
            if stopped:
                break
            yield report
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped:
        cast("Generator[Progress]", reports).close()
        raise Stopped(path)


def _follow(reports: Iterator["Progress"], path: Path, output: Output) -> Iterator["Progress"]:
    return display.follow(_stoppable(reports, path), output.silent)


@app.command
def train(
    data: str | None = None,
    *,
    preset: str | None = None,
    network: str | None = None,
    latent_dim: int | None = None,
    hidden: str | None = None,
    likelihood: str | None = None,
    beta: float | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    precision: str | None = None,
    binarize: str | None = None,
    image_size: int | None = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    config: Path | None = None,
    run: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    tensorboard: Annotated[bool, Parameter(negative=())] = False,
    report: bool = True,
    output: Output = LOUD,
) -> None:
    """Train a model on a named data set, an image folder, an array or a table.

    Args:
        data: A named set (vaekit data list), or the path of an image folder, .npy, .npz, .csv or .tsv file.
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
        set: Any other field, path=value; repeat it for more (vaekit options lists them).
        config: An experiment.json to start from.
        run: Folder of the run; runs/<data>-<preset or network>-<n> if left out.
        resume: Continue the run in --run, or the latest one.
        overwrite: Replace the run in --run.
        tensorboard: Also write TensorBoard event files into the run.
        report: Evaluate 1000 images and write figures and report.html at the end.
    """
    from vaekit import choices, verbs
    from vaekit.reports import report as write
    from vaekit.run import latest, new_path
    from vaekit.tensorboard import record
    from vaekit.training import train as training

    short: dict[str, Any] = {
        "network": network,
        "latent_dim": latent_dim,
        "hidden": _widths(hidden),
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
    }
    fields = _fields(set or [])
    with display.messages(output):
        if resume:
            path = run or latest(Path("runs"))
            experiment = choices.extend(_load(path).experiment, choices.by_path(**short) | fields)
        else:
            experiment = choices.choose(
                data, preset=preset, set=fields, config=config, data_root=data_root, **short,
                track=partial(display.tracked, silent=output.silent, description="decoding"),
            )  # fmt: skip
            name = f"{Path(experiment.data.name).stem}-{preset or experiment.model.network.kind}"
            path = run or new_path(Path("runs"), name)
        reports = training(experiment, path, device=device, data_root=data_root, resume=resume, overwrite=overwrite)
        for _ in _follow(record(reports, path) if tensorboard else reports, path, output):
            pass
        if report:
            trained = _load(path)
            found = verbs.evaluate(trained, samples=100, images=1000, device=device, data_root=data_root)
            write(trained, data_root)
    if report and not output.silent:
        display.evaluation(found)
    display.print_path(path, output)


@app.command
def demo(*, run: Path | None = None, output: Output = LOUD) -> None:
    """Train a model with two latents on scikit-learn's digits in a minute, offline, and show what comes out.

    Args:
        run: Folder of the run; runs/demo-<n> if left out.
    """
    from vaekit import verbs
    from vaekit.run import new_path

    path = run or new_path(Path("runs"), "demo")
    with display.messages(output):
        track = partial(display.tracked, silent=output.silent, description="evaluating")
        found = verbs.demo(path, follow=lambda reports: _follow(reports, path, output), track=track)
    display.emit(found, output, lambda: display.evaluation(found))
    if not output.json:
        print(path / "report.html")


@app.command
def evaluate(
    run: RunFolder,
    *,
    split: str = "test",
    samples: int = 1000,
    images: int | None = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Estimate ELBO, KL, reconstruction and log-evidence, each with its standard error; kept in results.json.

    Args:
        split: train, validation or test.
        samples: Posterior draws an image for the log-evidence.
        images: The first so many images of the split; all if left out.
    """
    from vaekit import verbs

    with display.messages(output):
        found = verbs.evaluate(
            _load(run), split=split, samples=samples, images=images, device=device, data_root=data_root,
            track=partial(display.tracked, silent=output.silent, description="evaluating"),
        )  # fmt: skip
    display.emit(found, output, lambda: display.evaluation(found))


@app.command
def encode(
    run: RunFolder,
    input: str,
    *,
    out: Path,
    units: str = "all",
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Encode examples as posterior means.

    Args:
        input: A named set, or the path of an image, an image folder, .npy, .npz, .csv or .tsv file.
        out: The .npy file to write, of shape (examples, latents).
        units: all, or active: those that carry information by the last evaluation.
    """
    from vaekit import verbs

    with display.messages(output):
        z = verbs.encode(_load(run), input, out=out, units=units, device=device, data_root=data_root)
    display.print_written(out, z.shape, output)


@app.command
def decode(run: RunFolder, z: Path, *, out: Path, device: Device = "auto", output: Output = LOUD) -> None:
    """Decode latents to means of p(x | z), in the data's own units.

    Args:
        z: A .npy file of latents, of shape (examples, latents).
        out: The file to write: .npy, or a picture such as .png.
    """
    from vaekit import verbs

    with display.messages(output):
        x = verbs.decode(_load(run), z, out=out, device=device)
    display.print_written(out, x.shape, output)


@app.command
def reconstruct(
    run: RunFolder, input: str, *, out: Path, device: Device = "auto", data_root: DataRoot = None, output: Output = LOUD
) -> None:
    """Encode and decode examples.

    Args:
        input: A named set, or the path of an image, an image folder, .npy, .npz, .csv or .tsv file.
        out: The file to write: .npy, or a picture such as .png.
    """
    from vaekit import verbs

    with display.messages(output):
        x = verbs.reconstruct(_load(run), input, out=out, device=device, data_root=data_root)
    display.print_written(out, x.shape, output)


@app.command
def sample(
    run: RunFolder,
    *,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 64,
    out: Path,
    seed: int = 0,
    noise: Annotated[bool, Parameter(negative=())] = False,
    device: Device = "auto",
    output: Output = LOUD,
) -> None:
    """Draw samples from the prior and decode them.

    Args:
        n: How many.
        out: The file to write: .npy, or a picture such as .png.
        seed: Seed of the draws.
        noise: Draw x from p(x | z) in place of its mean.
    """
    from vaekit import verbs

    with display.messages(output):
        x = verbs.sample(_load(run), n, seed=seed, noise=noise, out=out, device=device)
    display.print_written(out, x.shape, output)


@app.command
def figures(run: RunFolder, *, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Draw all figures of a run, as .svg and .png, into its folder figures."""
    from vaekit.reports import figures as draw

    with display.messages(output):
        paths = draw(_load(run), data_root)
    display.emit([str(path) for path in paths], output, lambda: print("\n".join(map(str, paths))))


@app.command
def report(run: RunFolder, *, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Write report.html: experiment, numbers and figures on one page that needs no network."""
    from vaekit.reports import report as write

    with display.messages(output):
        path = write(_load(run), data_root)
    display.print_path(path, output)


@app.command
def show(run: RunFolder, *, output: Output = LOUD) -> None:
    """Say what a run is, how far it is trained and what was measured."""
    from vaekit import verbs

    with display.messages(output):
        facts = verbs.show(_load(run))
    display.emit(facts, output, lambda: display.run(facts))


@app.command
def runs(folder: Path = Path("runs"), *, output: Output = LOUD) -> None:
    """List the runs in a folder, newest first.

    Args:
        folder: The folder of runs.
    """
    from vaekit import verbs

    with display.messages(output):
        found = verbs.runs(folder)
    display.emit(found, output, lambda: display.runs(found))


@app.command
def doctor(*, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Say what a bug report needs: versions, device, and which data sets are at hand."""
    from vaekit import verbs

    with display.messages(output):
        facts = verbs.doctor(data_root)
    display.emit(facts, output, lambda: display.listing(facts))


@app.command
def options(*, output: Output = LOUD) -> None:
    """List every field of an experiment, for --set, with type, default and meaning."""
    from vaekit.experiment import options as fields

    with display.messages(output):
        found = [
            {"path": o.path, "where": ".".join(o.location), "type": o.type, "default": o.default, "meaning": o.description}
            for o in fields()
        ]
    display.emit(found, output, lambda: display.options(found))


@data_app.command(name="list")
def data_list(*, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """List the named data sets and whether they are on this machine."""
    from vaekit.data import available

    with display.messages(output):
        found = list(available(data_root))
    display.emit(found, output, lambda: display.table(found, tuple(found[0])))


@data_app.command(name="fetch")
def data_fetch(name: str, *, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Make sure that a named data set is on this machine, downloading and verifying it if need be.

    Args:
        name: The named set.
    """
    from vaekit.data import fetch

    with display.messages(output):
        paths = [str(path) for path in fetch(name, data_root)]
    display.emit(paths, output, lambda: print("\n".join(paths)))


@data_app.command(name="check")
def data_check(
    name: str,
    *,
    split: str | None = None,
    image_size: int | None = None,
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Look at data before training: shape, range, classes, duplicates, and which likelihoods fit.

    Args:
        name: A named set, or the path of an image folder, .npy, .npz, .csv or .tsv file.
        split: How to split the data; their own way if left out.
        image_size: Height and width to which an image folder is cropped and resized.
    """
    from vaekit.data import check
    from vaekit.likelihoods import SUPPORTS

    with display.messages(output):
        facts = check(
            name, data_root, split=split, image_size=image_size, likelihoods=SUPPORTS,
            progress=partial(display.tracked, silent=output.silent, description="decoding"),
        )  # fmt: skip
    display.emit(facts, output, lambda: display.listing(facts))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 if a run failed, 2 for wrong use, 130 if interrupted."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_none")
    except Stopped as stopped:
        print(f"stopped; continue with: vaekit train --resume --run {stopped}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        return 130
    except (CycloptsError, InputError, RunError) as error:
        if "--debug" in words:
            raise
        print(f"vaekit: {' '.join(str(error).split())}", file=sys.stderr)
        return 1 if isinstance(error, RunError) else 2
    return 0
