"""A trained model in a form that other software runs: a folder of graphs, or a page for the browser."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vaekit.arguments import Place, to_path
from vaekit.errors import InputError, nearest
from vaekit.explorer.export import opened
from vaekit.files import disk_errors, is_file, status, write
from vaekit.folders import make
from vaekit.run import EXPLORER, Run
from vaekit.sharing import graphs

FACTS = "export.json"
"""what was exported; where it lies, a later export may replace the files"""

Format = Callable[[Run], tuple[Mapping[str, bytes], dict[str, Any]]]
"""from a run to the files of a folder, by name, and what is to be said of them"""

FORMATS: Mapping[str, Format] = {"onnx": graphs.to_onnx, "torch": graphs.to_torch}


PAGE = "html"


def export(
    run: Run | Place,
    out: Place | None = None,
    *,
    to: str = "onnx",
    split: str = "test",
    points: int = 2000,
    data_root: Place | None = None,
    data: Any = None,
) -> dict[str, Any]:
    """Write a trained model in a form that other software runs; the run is not needed afterwards.

    Args:
        run: the run, or the path of its folder.
        out: a new or empty folder, or that of an earlier export, whose files are replaced; of html, the file, which is
            explorer.html in the run's folder if left out.
        to: onnx, for onnxruntime and others; torch, programs of ``torch.export``; or html, the explorer as one file
            that needs no network, with the model inside it.
        split: of html, the part of the data whose examples are shown.
        points: of html, how many examples are shown at most.
        data_root: of html, folder of named sets.
        data: of html, where the run's data are if they have moved.

    Returns:
        what was written and how it is used; export.json says the same, and how the columns of a table are read.

    Raises:
        InputError: if the format is unknown, its package is missing, the folder holds anything else, or the model
            cannot be exported.
        RunError: if what was exported computes something else than the model; then nothing is written.
    """
    if to not in (PAGE, *FORMATS):
        raise InputError(f"the format {to!r} is unknown: {nearest(str(to), (PAGE, *FORMATS))}")
    run = Run.of(run)
    if to == PAGE:
        return _page(run, out, lambda: opened(run, data, data_root, split, points))
    if out is None:
        raise InputError(f"--to {to} writes several files: name a folder for them (--out)")
    folder = to_path(out, "out")
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


def _page(run: Run, out: Place | None, made: Callable[[], str]) -> dict[str, Any]:
    """Write the explorer's page, in the run's folder unless a file is named."""
    path = run.path / EXPLORER if out is None else to_path(out, "out")
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise InputError(f"{path} cannot hold a page: give it a name that ends in .html (--out)")
    content = made().encode()
    if out is None:
        run.write(EXPLORER, content)
    else:
        with disk_errors(path):
            write(path, content)
    return {"path": str(path), "to": PAGE, "bytes": len(content)}


def refuse_others(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export."""
    if status(folder) is None or is_file(folder / FACTS):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InputError(f"{folder} exists and is not an earlier export: name another folder (--out)")
