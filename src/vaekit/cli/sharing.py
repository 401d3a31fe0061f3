"""Verbs that hand on what was trained."""

from pathlib import Path

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Int, RunFolder, Switch, app, examples
from vaekit.display import Output


@app.command(
    synonym=["deploy", "to-onnx"],
    help_epilogue=examples(
        "export runs/first --to onnx --out exported",
        "export runs/first --to torch --out programs",
        "export runs/first --to html --out explorer.html",
    ),
)
def export(
    run: RunFolder,
    *,
    to: str = "onnx",
    out: Path | None = None,
    split: str = "test",
    points: Int = 2000,
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Write a model in a form that other software runs: graphs, or the explorer as one page without a network.

    Args:
        to: onnx, an encoder and a decoder for onnxruntime and others; torch, programs of torch.export; or html, the
            explorer as one file that can be mailed, with the model inside it.
        out: A new or empty folder, or that of an earlier export; with --to html the file, which is explorer.html in
            the run's folder if left out.
        split: Part of the data that --to html shows: train, validation or test.
        points: Number of examples that --to html shows, evenly spaced over the split.
    """
    with display.messages(output):
        found = vaekit.export(vaekit.load(run), out, to=to, split=split, points=points, data_root=data_root, data=data)
    written = [Path(found["path"]) / name for name in found.get("files", ["."])]
    display.emit(found, output, lambda: display.listing(found), *written)


@app.command(
    synonym=["upload", "publish", "share"],
    help_epilogue=examples("push runs/first shared", "push runs/first hf://me/digits"),
)
def push(run: RunFolder, place: str, *, figures: bool = True, public: Switch = False, output: Output = LOUD) -> None:
    """Share a trained run with its card, without any path of yours: on Hugging Face, in a folder, or elsewhere.

    Args:
        place: hf://user/name for Hugging Face, a folder, or another address such as s3://bucket/name.
        figures: Share figures, too, which show examples of the data.
        public: Let all read a new repository of Hugging Face; it is private if left out.
    """
    with display.messages(output):
        found = vaekit.push(vaekit.load(run), place, figures=figures, public=public)
    display.emit(found, output, lambda: display.say(f"{len(found['files'])} files are shared:", place), place)


@app.command(synonym=["bibtex", "citation"], help_epilogue=examples("cite runs/first"))
def cite(run: RunFolder, *, output: Output = LOUD) -> None:
    """Print BibTeX of vaekit, of the run by its digests, and of the papers behind its parts."""
    with display.messages(output):
        found = vaekit.cite(vaekit.load(run))
    lines = found.splitlines()
    display.emit({"bibtex": found}, output, lambda: display.say(*lines), *lines)


@app.command(help_epilogue=examples("track runs/first --to tensorboard"))
def track(run: RunFolder, *, to: str, output: Output = LOUD) -> None:
    """Write a run's experiment, metrics, results and figures into a tracker; once more writes the same run again.

    Args:
        to: tensorboard, mlflow, wandb (offline unless WANDB_MODE says otherwise) or trackio.
    """
    with display.messages(output):
        path = vaekit.track(vaekit.load(run), to=to)
    display.emit({"path": str(path), "to": to}, output, lambda: display.say(f"tracked in {to}:", path), path)
