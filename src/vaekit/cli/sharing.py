"""Verbs that hand on what was trained."""

from pathlib import Path

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, RunFolder, app, examples
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
