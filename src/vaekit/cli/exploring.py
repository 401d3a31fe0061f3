"""Verbs that show a run in the browser."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Int, RunFolder, app, examples
from vaekit.display import Output
from vaekit.folders import WEIGHTS


@app.command(
    synonym=["explorer", "serve"],
    help_epilogue=examples("explore runs/latest", "explore runs/first runs/second", "explore runs/first --no-browser"),
)
def explore(
    run: RunFolder,
    other: Annotated[RunFolder | None, Parameter(help="Folder of a second run, to be shown beside the first.")] = None,
    *,
    split: str = "test",
    points: Int = 2000,
    port: Int = 0,
    browser: bool = True,
    data_root: DataRoot = None,
    data: Data = None,
    output: Output = LOUD,
) -> None:
    """Move through the latent space of a run in the browser, also while it is being trained; Ctrl-C ends it.

    The page is served to this computer alone, at an address that holds a secret.

    Args:
        split: Part of the data to show: train, validation or test.
        points: Number of examples to show, evenly spaced over the split.
        port: Port to listen on; 0 takes any that is free.
        browser: Open the address in the browser.
    """
    with display.messages(output):

        def ready(address: str) -> None:
            print(address if output.quiet else f"exploring {run} at {address} (Ctrl-C ends it)", flush=True)

        vaekit.explore(
            run, other, split=split, points=points, port=port, browser=browser, data_root=data_root, data=data,
            ready=ready,
        )  # fmt: skip


@contextmanager
def exploring(path: Path, *options: object) -> Iterator[Callable[[], None]]:
    """Give a function that shows a run in the browser from its first call on at which the run has weights.

    The page is served by another process until the caller has ended, and then until Ctrl-C.
    """
    from vaekit.explorer.exploring import refuse_without_extra

    refuse_without_extra()
    servers: list[subprocess.Popen[bytes]] = []

    def show() -> None:
        if not servers and (path / WEIGHTS).is_file():
            given = [str(option) for option in options]
            servers.append(subprocess.Popen([sys.executable, "-m", "vaekit", "explore", str(path), *given]))

    try:
        yield show
        show()
        for server in servers:
            with suppress(KeyboardInterrupt):
                server.wait()
    finally:
        for server in servers:
            server.terminate()
            server.wait()
