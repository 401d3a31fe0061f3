"""Verbs that use what was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Device, Int, RunFolder, Switch, app
from vaekit.display import Output

if TYPE_CHECKING:
    from vaekit import Annealing


@app.command
def evaluate(
    run: RunFolder,
    *,
    metrics: str = "evidence,latents",
    ais: Annotated[bool, Parameter(negative=())] = False,
    annealing: Annotated[list[str] | None, Parameter(negative=())] = None,
    full: Annotated[bool, Parameter(negative=())] = False,
    split: str = "test",
    samples: Int | None = None,
    images: Int | None = None,
    precision: str = "fp32",
    device: Device = "auto",
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Measure a trained model, each number with its standard error; kept in results.json.

    Args:
        metrics: Groups: evidence, samples (quality, by a classifier), latents, ais; with commas between them.
        ais: Also estimate the evidence by annealed importance sampling.
        annealing: A setting of it, which implies --ais; repeat it for more: start=encoder (or prior),
            schedule=sigmoid (or linear), temperatures=500, chains=16, leapfrog=4, acceptance=0.65.
        full: All groups on all images, with 5000 draws.
        split: train, validation or test.
        samples: Posterior draws an image for the log-evidence; 1000 if left out.
        images: The first so many images of the split; 1000 if left out, all with --full.
        precision: Of the evidence's matrix products: fp32, or bf16, which is quicker and a little off.
    """
    groups = metrics.split(",") + ["ais"] * (ais or bool(annealing))
    with display.messages(output), display.doing("evaluating", output.silent) as track:
        folder = vaekit.load(run).path
        found = vaekit.evaluate(
            folder, metrics=groups, split=split, samples=samples, images=images, full=full,
            annealing=_annealing(annealing or []), precision=precision, device=device, data_root=data_root, data=data,
            track=track,
        )  # fmt: skip

    def show() -> None:
        display.evaluation(found)
        display.say(folder)

    display.emit(found, output, show, display.headline(found))


def _annealing(settings: Sequence[str]) -> "Annealing":
    from vaekit import Annealing, choices

    return Annealing(**choices.fields(settings))


@app.command
def compare(*runs: RunFolder, split: str = "test", out: Path | None = None, output: Output = LOUD) -> None:
    """Set evaluated runs side by side, and say which differences between them are shown image by image.

    Args:
        runs: Folders of two or more runs, evaluated on the same images; the first is what the others are compared with.
        split: Of which evaluations.
        out: A folder to draw their curves, and where they lie between rate and distortion, into.
    """
    with display.messages(output):
        found = vaekit.compare([vaekit.load(run) for run in runs], split=split, out=out)
    display.emit(found, output, lambda: display.comparison(found))


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
    with display.messages(output):
        z = vaekit.encode(vaekit.load(run), input, out=out, units=units, device=device, data_root=data_root)
    display.print_written(out, z.shape, output)


@app.command
def decode(run: RunFolder, z: Path, *, out: Path, device: Device = "auto", output: Output = LOUD) -> None:
    """Decode latents to means of p(x | z), in the data's own units.

    Args:
        z: A .npy file of latents, of shape (examples, latents).
        out: The file to write: .npy, or a picture such as .png.
    """
    with display.messages(output):
        x = vaekit.decode(vaekit.load(run), z, out=out, device=device)
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
    with display.messages(output):
        x = vaekit.reconstruct(vaekit.load(run), input, out=out, device=device, data_root=data_root)
    display.print_written(out, x.shape, output)


@app.command
def sample(
    run: RunFolder,
    *,
    n: Annotated[Int, Parameter(name=["-n", "--n"])] = 64,
    out: Path,
    seed: Int = 0,
    noise: Switch = False,
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
    with display.messages(output):
        x = vaekit.sample(vaekit.load(run), n, seed=seed, noise=noise, out=out, device=device)
    display.print_written(out, x.shape, output)


@app.command
def figures(
    run: RunFolder,
    *,
    format: str = "svg",
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Draw all figures of a run as .svg and .png files in its folder figures.

    Args:
        format: The files to print: svg, png, or pdf, which is written on request only.
    """
    with display.messages(output), display.doing("drawing figures", output.silent) as track:
        paths = vaekit.figures(run, data_root, data, format=format, track=track)
    display.emit([str(path) for path in paths], output, lambda: display.say(*paths), *paths)


@app.command
def report(run: RunFolder, *, data_root: DataRoot = None, data: Data = None, output: Output = LOUD) -> None:
    """Write report.html: experiment, numbers and figures on one page that needs no network."""
    with display.messages(output), display.doing("drawing figures", output.silent) as track:
        path = vaekit.report(run, data_root, data, track=track)
    display.emit({"path": str(path)}, output, lambda: display.say(path), path)


@app.command
def show(run: RunFolder, *, output: Output = LOUD) -> None:
    """Say what a run is, how far it is trained and what was measured."""
    with display.messages(output):
        facts = vaekit.show(vaekit.load(run))
    display.emit(facts, output, lambda: display.run(facts), facts["run"])


@app.command
def runs(folder: Path = Path("runs"), *, output: Output = LOUD) -> None:
    """List the runs in a folder, newest first.

    Args:
        folder: The folder of runs.
    """
    with display.messages(output):
        found = vaekit.runs(folder)
    display.emit(found, output, lambda: display.runs(found), *(facts["run"] for facts in found))


@app.command
def doctor(*, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Say what a bug report needs: versions, device, and which data sets are at hand."""
    with display.messages(output):
        facts = vaekit.doctor(data_root)
    display.emit(facts, output, lambda: display.listing(facts))


@app.command
def options(*, output: Output = LOUD) -> None:
    """List every field of an experiment, for --set, with type, default and meaning."""
    from vaekit.experiment import Experiment
    from vaekit.specs import options as fields

    found = [{**option._asdict(), "location": ".".join(option.location)} for option in fields(Experiment)]
    display.emit(found, output, lambda: display.options(found), *(option["path"] for option in found))
