"""Verbs that use what was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Device, Float, Int, RunFolder, Switch, app, examples
from vaekit.display import Output
from vaekit.errors import InputError
from vaekit.folders import SWEEP_FILE

if TYPE_CHECKING:
    from vaekit import Annealing


@app.command(
    synonym=["eval", "test", "validate", "val"],
    help_epilogue=examples(
        "evaluate runs/first",
        "evaluate runs/first --metrics evidence,latents --split validation",
        "evaluate runs/first --samples 5000 --images 100",
    ),
)
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
    workers: Int = 1,
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Measure a trained model, each number with its standard error, and keep the results in results.json.

    Args:
        metrics: Groups of measures, separated by commas: evidence, samples (their quality, judged by a classifier),
            latents, ais.
        ais: Also estimate the log-evidence by annealed importance sampling.
        annealing: A setting of annealed importance sampling, which implies --ais; repeat it for more: start=better
            (or encoder or prior), schedule=sigmoid (or linear), temperatures=500, chains=16, leapfrog=4,
            acceptance=0.65.
        full: Measure all groups on all images, with 5000 posterior samples per image.
        split: Part of the data to measure on: train, validation or test.
        samples: Posterior samples per image used for the log-evidence; 1000 if left out.
        images: Number of images, from the start of the split; 1000 if left out, all with --full.
        precision: Precision of the matrix products behind the log-evidence: fp32, or tf32 (on CUDA) and bf16, which are
            faster and slightly less accurate.
        workers: Processes that share the images, with the same numbers; on CUDA, one per device.
    """
    groups = metrics.split(",") + ["ais"] * (ais or bool(annealing))
    with display.messages(output):
        trained = vaekit.load(run)
        with display.doing("evaluating", output.silent) as track:
            found = vaekit.evaluate(
                trained, metrics=groups, split=split, samples=samples, images=images, full=full,
                annealing=_annealing(annealing or []), precision=precision, device=device, data_root=data_root,
                data=data, workers=workers, track=track,
            )  # fmt: skip

    def show() -> None:
        display.evaluation(found)
        display.say(trained.path)

    display.emit(found, output, show, display.headline(found))


def _annealing(settings: Sequence[str]) -> "Annealing":
    from vaekit import Annealing, choices

    return Annealing(**choices.fields(settings))


@app.command(
    help_epilogue=examples(
        "compare runs/first runs/second",
        "compare runs/first runs/second --out comparison",
        "compare sweeps/first --by latent_dim,beta --out table.md",
    ),
)
def compare(
    *runs: RunFolder, by: str | None = None, split: str = "test", out: Path | None = None, output: Output = LOUD
) -> None:
    """Compare evaluated runs, image by image, or the combinations of a sweep over their seeds; name sure differences.

    Args:
        runs: Folders of two or more runs that were evaluated on the same images; the others are compared with the
            first. Or the folder of one sweep.
        by: Fields that tell the rows of a sweep's table apart, separated by commas; all that it varies if left out.
        split: Part of the data whose evaluations are compared: train, validation or test.
        out: Folder for figures of their training curves and of rate against distortion. Of a sweep: a file for its
            table, .csv, .json, .md or .tex, or a folder for all of them and figures.
    """
    with display.messages(output):
        if len(runs) == 1 and (Path(runs[0]) / SWEEP_FILE).is_file():
            table = vaekit.tabulate(runs[0], by=by, split=split, out=out)
            display.emit(table.json(), output, lambda: display.tabulated(table))
            return
        if by is not None:
            raise InputError(f"--by {by} is for the table of a sweep: name one sweep's folder, or leave it out")
        found = vaekit.compare([vaekit.load(run) for run in runs], split=split, out=out)
    display.emit(found, output, lambda: display.comparison(found))


@app.command(
    synonym=["embed", "transform"],
    help_epilogue=examples(
        "encode runs/first digits --out z.csv",
        "encode runs/first digits --out z.npy",
        "encode runs/first digits --units active --out active.npy",
        "encode runs/first digits --scale --out z.parquet",
    ),
)
def encode(
    run: RunFolder,
    input: str,
    *,
    out: Path,
    units: str = "all",
    scale: Switch = False,
    draws: Int | None = None,
    seed: Int = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Encode examples as posterior means.

    Args:
        input: A named set, or the path of an image, an image folder, an array or a table.
        out: The file to write: .csv or .parquet, with the file or number of each row and its label, or .npy.
        units: all, or active: those that carry information by the last evaluation.
        scale: Also write the standard deviation of each posterior.
        draws: Number of draws from each posterior to write in place of its mean.
        seed: Seed of the draws.
    """
    with display.messages(output):
        z = vaekit.encode(
            vaekit.load(run), input, units=units, scale=scale, draws=draws, seed=seed, out=out, device=device,
            data_root=data_root,
        )  # fmt: skip
    display.print_written(out, z.shape, output)


@app.command(
    synonym=["inverse-transform"],
    help_epilogue=examples(
        "decode runs/first z.npy --out decoded.png",
        "decode runs/first 0.5,-1.2 --out decoded.png",
    ),
)
def decode(
    run: RunFolder,
    z: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    out: Path,
    device: Device = "auto",
    output: Output = LOUD,
) -> None:
    """Decode latents to means of p(x | z), in the data's own units.

    Args:
        z: The numbers of one latent, such as 0.5,-1.2, or a .npy or .csv file of latents.
        out: The file to write: .npy, a picture such as .png, or .csv or .parquet for rows of a table.
    """
    with display.messages(output):
        x = vaekit.decode(vaekit.load(run), z, out=out, device=device)
    display.print_written(out, x.shape, output)


@app.command(synonym=["predict"], help_epilogue=examples("reconstruct runs/first digits --out reconstructed.png"))
def reconstruct(
    run: RunFolder,
    input: str,
    *,
    n: Annotated[Int | None, Parameter(name=["-n", "--n"])] = None,
    out: Path,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Encode and decode examples; a picture shows each original beside its reconstruction.

    Args:
        input: A named set, or the path of an image, an image folder, an array or a table.
        n: How many of the first examples; all if left out, of which a picture shows 100.
        out: The file to write: .npy, a picture such as .png, or .csv or .parquet for rows of a table.
    """
    with display.messages(output):
        x = vaekit.reconstruct(vaekit.load(run), input, n=n, out=out, device=device, data_root=data_root)
    display.print_written(out, x.shape, output)


@app.command(
    help_epilogue=examples(
        "interpolate runs/first 3 17 --out between.png",
        "interpolate runs/first digits#0 digits#9 --steps 15 --out between.npy",
    ),
)
def interpolate(
    run: RunFolder,
    a: str,
    b: str,
    *,
    steps: Int = 9,
    out: Path,
    device: Device = "auto",
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Decode the straight line between the codes of two examples; a picture has the originals at its ends.

    Args:
        a: Where it begins: a picture; a number, such as 3, of a test example; or path#3, a row of a file or a set.
        b: Where it ends.
        steps: How many examples to decode, both ends included.
        out: The file to write: a picture such as .png, .npy, or .csv for rows of a table.
    """
    with display.messages(output):
        x = vaekit.interpolate(
            vaekit.load(run), a, b, steps=steps, out=out, device=device, data_root=data_root, data=data
        )
    display.print_written(out, x.shape, output)


@app.command(
    synonym=["generate"],
    help_epilogue=examples(
        "sample runs/first -n 64 --out samples.png",
        "sample runs/first -n 1000 --noise --seed 1 --out samples.npy",
    ),
)
def sample(
    run: RunFolder,
    *,
    n: Annotated[Int, Parameter(name=["-n", "--n"])] = 64,
    out: Path,
    seed: Int = 0,
    noise: Annotated[bool | None, Parameter(negative="--no-noise")] = None,
    device: Device = "auto",
    output: Output = LOUD,
) -> None:
    """Draw samples from the prior and decode them.

    Args:
        n: Number of samples.
        out: The file to write: .npy, a picture such as .png, or .csv or .parquet for rows of a table.
        seed: Seed of the random numbers.
        noise: Sample x from p(x | z) or, with --no-noise, take its mean; if left out, rows of tables are sampled, and
            images are means.
    """
    with display.messages(output):
        x = vaekit.sample(vaekit.load(run), n, seed=seed, noise=noise, out=out, device=device)
    display.print_written(out, x.shape, output)


@app.command(
    synonym=["anomalies", "outliers", "score-samples"],
    help_epilogue=examples(
        "score runs/first digits --out scores.csv",
        "score runs/first digits --by elbo --quantile 0.99 --out scores.csv",
        "score runs/first digits --out scores.parquet --parts pixels.npy",
    ),
)
def score(
    run: RunFolder,
    input: str,
    *,
    out: Path,
    by: str = "evidence",
    draws: Int = 64,
    quantile: Float = 0.95,
    units: str = "model",
    parts: Path | None = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Score rows by how probable they are to the model, and flag the least probable ones.

    A row's score depends on no other row: the same row has the same score in any file.

    Args:
        input: A named set, or the path of an image, a folder of images, an array or a table.
        out: The file to write, .csv or .parquet: of each row its score in nats, the score's standard error, the share
            of training rows that score lower, and whether it is flagged.
        by: evidence, log p(x) by importance sampling; elbo, its lower bound; or reconstruction, E log p(x | z).
        draws: Draws of the latents for each row.
        quantile: A row is flagged if its score is among the lowest 1 - quantile of the training rows' scores.
        units: model, densities of standardized values; or file, of the values as the file has them.
        parts: A file for what each column or pixel contributes to the score: .csv or .parquet for tables, or .npy.
    """
    with display.messages(output):
        trained = vaekit.load(run)
        with display.doing("scoring", output.silent) as track:
            found = vaekit.score(
                trained, input, by=by, draws=draws, quantile=quantile, units=units,
                out=out, parts=parts or False, device=device, data_root=data_root, data=data, track=track,
            )  # fmt: skip
    rows, flagged = len(found.score), int(found.flag.sum())
    facts = {"path": str(out), "parts": parts and str(parts), "rows": rows, "flagged": flagged, "quantile": quantile}
    sentence = f"{flagged:,} of {rows:,} rows are less probable than {100 * quantile:.4g} % of the training rows:"
    if not (found.share_lower == found.share_lower).all():  # NaN, as the training data were not found
        sentence = f"{rows:,} rows are scored:"
    display.emit(facts, output, lambda: display.say(sentence, out, *([parts] if parts else [])), out)


@app.command(
    synonym=["fill", "fillna", "complete", "inpaint"],
    help_epilogue=examples(
        "impute runs/first digits --mask hidden.png --out filled.png",
    ),
)
def impute(
    run: RunFolder,
    input: str,
    *,
    out: Path,
    draws: Int | None = None,
    samples: Int | None = None,
    mask: Path | None = None,
    seed: Int = 0,
    scales: Path | None = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Fill in what is missing of each row: means given what is observed, modes of categories, or draws.

    Args:
        input: A table or array with missing values (blanks, NA or NaN), or images with a mask.
        out: The file to write: .csv, .parquet, .npy or a picture; what was observed stays as it is.
        draws: Number of copies with draws in place of means, for multiple imputation; a table numbers them in its first
            column, draw.
        samples: Draws of the latents for each row, which are weighted; 1000 for tables and 100 for images if left out.
        mask: A picture whose light pixels are missing from all images.
        seed: Seed of the draws.
        scales: A file for the standard deviations of what was filled in: .csv, .parquet or .npy.
    """
    with display.messages(output):
        trained = vaekit.load(run)
        with display.doing("imputing", output.silent) as track:
            found = vaekit.impute(
                trained, input, draws=draws, samples=samples, mask=mask, seed=seed, out=out, scales=scales,
                device=device, data_root=data_root, track=track,
            )  # fmt: skip
    missing = int((found.scale == found.scale).sum())
    facts = {"path": str(out), "scales": scales and str(scales), "rows": len(found.values), "missing": missing}
    sentence = f"{missing:,} missing values of {len(found.values):,} rows are filled in:"
    display.emit(facts, output, lambda: display.say(sentence, out, *([scales] if scales else [])), out)


@app.command(synonym=["plot", "draw"], help_epilogue=examples("figures runs/first", "figures runs/first --format pdf"))
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
        format: The files whose paths are printed: svg, png, or pdf, which is only written when asked for.
    """
    with display.messages(output):
        trained = vaekit.load(run)
        with display.doing("drawing figures", output.silent) as track:
            paths = vaekit.figures(trained, data_root, data, format=format, track=track)
    display.emit([str(path) for path in paths], output, lambda: display.say(*paths), *paths)


@app.command(help_epilogue=examples("report runs/first"))
def report(run: RunFolder, *, data_root: DataRoot = None, data: Data = None, output: Output = LOUD) -> None:
    """Write report.html: the experiment, its numbers and its figures on one page that needs no network."""
    with display.messages(output):
        trained = vaekit.load(run)
        with display.doing("drawing figures", output.silent) as track:
            path = vaekit.report(trained, data_root, data, track=track)
    display.emit({"path": str(path)}, output, lambda: display.say(path), path)


@app.command(synonym=["info", "describe"], help_epilogue=examples("show runs/first", "show runs/latest --json"))
def show(run: RunFolder, *, output: Output = LOUD) -> None:
    """Show what a run is, how far it is trained, and what was measured."""
    with display.messages(output):
        facts = vaekit.show(run)
    display.emit(facts, output, lambda: display.run(facts), facts["run"])


@app.command(synonym=["list", "ls"], help_epilogue=examples("runs", "runs runs --quiet"))
def runs(folder: Path = Path("runs"), *, output: Output = LOUD) -> None:
    """List the runs in a folder, newest first.

    Args:
        folder: The folder of runs.
    """
    with display.messages(output):
        found = vaekit.runs(folder)
    display.emit(found, output, lambda: display.runs(found), *(facts["run"] for facts in found))


@app.command(synonym=["checks", "version"], help_epilogue=examples("doctor"))
def doctor(*, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Print what a bug report needs: versions, device, and which data sets are on this machine."""
    with display.messages(output):
        facts = vaekit.doctor(data_root)
    display.emit(facts, output, lambda: display.listing(facts))


@app.command(
    synonym=["settings", "cfg", "config"],
    help_epilogue=examples(
        "options",
        "options objective",
        "options learning_rate",
    ),
)
def options(filter: str = "", *, output: Output = LOUD) -> None:
    """List the fields of an experiment, which --set takes, with type, default and meaning.

    Args:
        filter: The beginning of a path, such as objective or model.likelihood, or a part of one, such as learning; all
            fields are listed if left out.
    """
    with display.messages(output):
        found = vaekit.options(filter)
    display.emit(found, output, lambda: display.options(found), *(option["path"] for option in found))
