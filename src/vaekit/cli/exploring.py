"""Verbs that show a run in the browser."""

import webbrowser
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, Data, DataRoot, Int, RunFolder, app, examples
from vaekit.display import Output
from vaekit.errors import InputError


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
        try:
            from vaekit.explorer.server import serve
        except ModuleNotFoundError as error:
            raise InputError(
                f"{error.name} is not installed, which explore needs: pip install 'vaekit[explore]'"
            ) from None
        from vaekit.explorer.room import Room

        rooms = [Room(vaekit.load(each), split, points, data_root, data) for each in (run, other) if each is not None]
        for room in rooms:
            room.view()

        def ready(address: str) -> None:
            print(address if output.quiet else f"exploring {run} at {address} (Ctrl-C ends it)", flush=True)
            if browser:
                webbrowser.open(address)

        with suppress(KeyboardInterrupt):
            serve(rooms, port, ready)
