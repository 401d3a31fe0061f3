"""Verbs that look at data."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from vaekit import display
from vaekit.cli.app import LOUD, DataRoot, Device, Int, data_app
from vaekit.display import Output

KINDS = "data.columns."
"""the beginning of the path of a column's kind, which is listed with the columns"""


@data_app.command(name="list")
def data_list(*, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """List the named data sets and whether they are on this machine."""
    from vaekit.data import available

    with display.messages(output):
        found = list(available(data_root))
    columns = ("name", "title", "examples", "split", "binarization", "found")
    display.emit(found, output, lambda: display.table(found, columns), *(entry["name"] for entry in found))


@data_app.command(name="fetch")
def data_fetch(name: str, *, data_root: DataRoot = None, output: Output = LOUD) -> None:
    """Make sure that a named data set is on this machine, downloading and verifying it if need be.

    Args:
        name: The named set.
    """
    from vaekit.data import fetch

    with display.messages(output):
        paths = [str(path) for path in fetch(name, data_root)]
    places = paths or [f"{name} is built in"]
    display.emit(paths, output, lambda: display.say(*places), *places)


def looking(words: Sequence[str]) -> list[str]:
    """Read data with nothing but their name after it as data check.

    Example:
        >>> looking(["data", "digits", "--json"]), looking(["data", "lits"])
        (['data', 'check', 'digits', '--json'], ['data', 'lits'])
    """
    from vaekit.data.named import NAMED

    if words[:1] != ["data"] or len(words) == 1 or words[1] in data_app or words[1].startswith("-"):
        return list(words)
    known = words[1] in NAMED or Path(words[1]).expanduser().exists()
    return ["data", *["check"] * known, *words[1:]]


@data_app.command(name="check")
def data_check(
    name: str,
    *,
    split: str | None = None,
    image_size: Int | None = None,
    label: str | None = None,
    ignore: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Path | None = None,
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Look at data before training: what they are, what is odd, what vaekit would choose, and the command to type.

    Args:
        name: A named set, or the path of an image folder, an array (.npy, .npz, .mat) or a table (.csv, .parquet, ...).
        split: How to split the data; their own way if left out.
        image_size: Height and width to which an image folder is cropped and resized, or of images in rows of pixels.
        label: Column of a table that holds the labels; an empty word for none.
        ignore: Column of a table that is left out; repeat it for more.
        out: An .html file for a page with examples and histograms, or a folder for the page and its pictures.
    """
    from vaekit.reporting.datasheet import datasheet, summary

    with display.messages(output):
        found = datasheet(
            name, split=split, image_size=image_size, label=label, ignore=ignore or (), data_root=data_root, out=out,
            progress=partial(display.tracked, silent=output.silent, description="decoding"),
        )  # fmt: skip
    display.emit(found, output, lambda: _sheet(found, summary(found)), found.get("path", found["command"]))


def _sheet(found: Mapping[str, Any], summary: Mapping[str, str]) -> None:
    """Print a data sheet."""
    display.say(found["source"])
    display.say(*(f"  {name:<11} {text}" for name, text in summary.items()))
    display.say(*(f"  note        {note}" for note in found["notes"]), "")
    if "kinds" in found:
        columns = ("column", "kind", "values", "missing", "why")
        display.table([row | {"missing": f"{row['missing'] or ''}"} for row in found["kinds"]], columns)
        display.say("")
    fits = [
        {"likelihood": kind, "fits": "yes" if verdict["fits"] else "no", "why": verdict["why"]}
        for kind, verdict in found["likelihoods"].items()
    ]
    display.table(fits, ("likelihood", "fits", "why"))
    display.say("")
    chosen = [
        {"vaekit would choose": choice["path"], "value": choice["value"], "because": choice["reason"]}
        for choice in found["chosen"]
        if "kinds" not in found or not choice["path"].startswith(KINDS)
    ]
    display.table(chosen, ("vaekit would choose", "value", "because"))
    display.say("", "to train on these data:", f"    {found['command']}")
    if "path" in found:
        display.say(found["path"])


@data_app.command(name="classifier")
def data_classifier(
    name: str,
    *,
    split: str | None = None,
    image_size: Int | None = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Train the classifier that samples are judged by, or find it in the cache: accuracy, digest and folder.

    Args:
        name: A named set with labels, or the path of a labeled .npz file or of an image folder with sub-folders.
        split: How to split the data; their own way if left out.
        image_size: Height and width to which an image folder is cropped and resized.
    """
    from vaekit import devices
    from vaekit.data import Source
    from vaekit.evaluation.classifier import classifier_for

    with display.messages(output):
        data = Source(name=name, split=split, image_size=image_size).load(
            data_root, partial(display.tracked, silent=output.silent, description="decoding")
        )
        track = partial(display.tracked, silent=output.silent, description="training")
        found = classifier_for(data, device=devices.choose(device), track=track)
    value, error, images = found.accuracy
    facts = {"accuracy": found.accuracy._asdict(), "digest": found.digest, "path": str(found.path)}
    shown = {"accuracy": f"{100 * value:.2f} ± {100 * error:.2f} % of {images} test images", "digest": found.digest}

    def show() -> None:
        display.listing(shown)
        display.say(found.path)

    display.emit(facts, output, show, found.path)
