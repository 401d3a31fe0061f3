"""Verbs that hand on what was trained."""

from pathlib import Path

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, RunFolder, Switch, app, examples
from vaekit.display import Output


@app.command(
    synonym=["deploy", "to-onnx"],
    help_epilogue=examples("export runs/first --to onnx --out exported", "export runs/first --to torch --out programs"),
)
def export(run: RunFolder, *, to: str = "onnx", out: Path, output: Output = LOUD) -> None:
    """Write a model into a folder in a form that other software runs, and compare it with the model.

    Args:
        to: onnx, an encoder and a decoder for onnxruntime and others; or torch, programs of torch.export.
        out: A new or empty folder, or that of an earlier export.
    """
    with display.messages(output):
        found = vaekit.export(vaekit.load(run), out, to=to)
    display.emit(found, output, lambda: display.listing(found), *(out / name for name in found["files"]))


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
