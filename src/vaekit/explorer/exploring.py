"""The verb that shows runs in the browser."""

import webbrowser
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec

from vaekit.arguments import Place, to_whole
from vaekit.data import Data
from vaekit.errors import InputError
from vaekit.explorer.atlas import POINTS
from vaekit.explorer.room import Room
from vaekit.run import Run


def explore(
    run: Run | Place,
    other: Run | Place | None = None,
    *,
    split: str = "test",
    points: int = POINTS,
    port: int = 0,
    browser: bool = True,
    data_root: Place | None = None,
    data: Place | Data | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the explorer of a run, or of two side by side, to this computer alone, until interrupted (Ctrl-C).

    Args:
        run: the run, or the path of its folder; also one that is being trained.
        other: a second run.
        split: part of the data that is shown.
        points: number of examples that are shown, evenly spaced over the split.
        port: where to listen; 0 takes any port that is free.
        browser: whether to open the address in the browser.
        data_root: folder of named sets.
        data: where the runs' data are if they have moved.
        ready: told the address, which holds a secret, as soon as it answers.

    Raises:
        InputError: if the extra ``explore`` is not installed, a run has no weights yet, its data are not found, or the
            port is taken.
    """
    refuse_without_extra()
    from vaekit.explorer.server import serve

    count = to_whole(points, "points")
    rooms = [Room(Run.of(each), split, count, data_root, data) for each in (run, other) if each is not None]
    for room in rooms:
        room.view()

    def answering(address: str) -> None:
        ready(address)
        if browser:
            webbrowser.open(address)

    with suppress(KeyboardInterrupt):
        serve(rooms, to_whole(port, "port", 0), answering)


def refuse_without_extra() -> None:
    """Refuse to explore where what serves the page is not installed."""
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise InputError(f"{name} is not installed, which the explorer needs: pip install 'vaekit[explore]'")
