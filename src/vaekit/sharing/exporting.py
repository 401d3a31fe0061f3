"""A trained model in a form that other software runs, in a folder of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vaekit.arguments import Place, to_path
from vaekit.errors import InputError, nearest
from vaekit.files import disk_errors, is_file, status, write
from vaekit.run import Run, make
from vaekit.sharing import graphs

FACTS = "export.json"
"""what was exported; where it lies, a later export may replace the files"""

Format = Callable[[Run], tuple[Mapping[str, bytes], dict[str, Any]]]
"""from a run to the files of a folder, by name, and what is to be said of them"""

FORMATS: Mapping[str, Format] = {"onnx": graphs.to_onnx, "torch": graphs.to_torch}


def export(run: Run | Place, out: Place, *, to: str = "onnx") -> dict[str, Any]:
    """Write a trained model into a folder, in a form that other software runs; the run is not needed afterwards.

    Args:
        run: the run, or the path of its folder.
        out: a new or empty folder, or that of an earlier export, whose files are replaced.
        to: onnx, for onnxruntime and others; or torch, programs of ``torch.export``.

    Returns:
        what was written and how it is used; export.json says the same, and how the columns of a table are read.

    Raises:
        InputError: if the format is unknown, its package is missing, the folder holds anything else, or the model
            cannot be exported.
        RunError: if what was exported computes something else than the model; then nothing is written.
    """
    if to not in FORMATS:
        raise InputError(f"the format {to!r} is unknown: {nearest(str(to), FORMATS)}")
    run, folder = Run.of(run), to_path(out, "out")
    refuse_others(folder)
    contents, facts = FORMATS[to](run)
    facts = {"path": str(folder), "to": to, "files": [*contents], **facts}
    make(folder)
    with disk_errors(folder):
        for name, content in contents.items():
            write(folder / name, content)
        columns = [asdict(column) for column in run.space.columns or ()]
        write(folder / FACTS, f"{json.dumps({**facts, 'path': '.', 'columns': columns}, indent=2)}\n".encode())
    return facts


def refuse_others(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export."""
    if status(folder) is None or is_file(folder / FACTS):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InputError(f"{folder} exists and is not an earlier export: name another folder (--out)")
