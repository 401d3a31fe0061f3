"""Where the data of a run were when its training began, so that they are found again from another folder."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vaekit.arguments import Place, to_path
from vaekit.data.data import Data
from vaekit.data.named import NAMED
from vaekit.data.objects import PREFIX
from vaekit.data.source import Source
from vaekit.data.space import Space
from vaekit.errors import InputError
from vaekit.specs import spec

log = logging.getLogger("vaekit")


@spec
class Places:
    """The place of a run's own data. A file of the run's folder holds it, and nothing else does: it is private."""

    absolute: str
    """path of the data, links resolved"""
    relative: str | None = None
    """the way to them from the run's folder, where there is one: both may have moved together"""

    @classmethod
    def of(cls, name: str, folder: Path) -> "Places | None":
        """Return the place of the data called ``name`` by a run in ``folder``; only files and folders have one."""
        if name in NAMED or name.startswith(PREFIX):
            return None
        absolute = os.path.realpath(to_path(name, "data"))
        try:
            return cls(absolute=absolute, relative=os.path.relpath(absolute, os.path.realpath(folder)))
        except ValueError:  # another drive of Windows
            return cls(absolute=absolute)

    def seen_from(self, folder: Path) -> Iterator[str]:
        """Where the data may be if the run is in ``folder`` now, the likeliest place first."""
        if self.relative is not None:
            yield os.path.normpath(os.path.join(os.path.realpath(folder), self.relative))
        yield self.absolute


def search(source: Source, places: Iterable[str], space: Space, root: Place | None = None) -> Data:
    """Load the data of a space from the first of several places that holds them.

    Raises:
        InputError: If none does; it says what each holds.
    """
    passed: dict[str, str] = {}
    for place in places:
        where = place if place in NAMED else os.path.abspath(os.path.expanduser(place))
        if where in passed:
            continue
        try:
            data = source.load(root, place=place, columns=space.header or None, learned=space.names)
        except InputError as error:
            if place in NAMED:
                raise
            passed[where] = f"{place} does not fit ({error})" if os.path.exists(where) else f"{place} does not exist"
        else:
            if data.space.digest == space.digest:
                if passed:
                    log.info("the data %s were found at %s", source.name, place)
                return data
            passed[where] = f"{place} holds other data (digest {data.space.digest[:12]})"
    raise InputError(
        f"the data {source.name} of digest {space.digest[:12]} were not found: {', '.join(passed.values())}; "
        "restore them, or name their place with --data PATH"
    )
