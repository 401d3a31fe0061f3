"""Verbs that look at data."""

from functools import partial
from typing import Annotated

from cyclopts import Parameter

from vaekit import display
from vaekit.cli.app import LOUD, DataRoot, Device, Int, data_app
from vaekit.display import Output


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


@data_app.command(name="check")
def data_check(
    name: str,
    *,
    split: str | None = None,
    image_size: Int | None = None,
    label: str | None = None,
    ignore: Annotated[list[str] | None, Parameter(negative=())] = None,
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Look at data before training: shape, range, classes, duplicates, and which likelihoods fit.

    Args:
        name: A named set, or the path of an image folder, .npy, .npz, .csv or .tsv file.
        split: How to split the data; their own way if left out.
        image_size: Height and width to which an image folder is cropped and resized.
        label: Column of a table that holds the labels; an empty word for none.
        ignore: Column of a table that is left out; repeat it for more.
    """
    from vaekit.data import check
    from vaekit.likelihoods import SUPPORTS

    with display.messages(output):
        facts = check(
            name, data_root, split=split, image_size=image_size, label=label, ignore=ignore or (),
            likelihoods=SUPPORTS,
            progress=partial(display.tracked, silent=output.silent, description="decoding"),
        )  # fmt: skip
    display.emit(facts, output, lambda: display.listing(facts))


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
        name: A named set with labels, or the path of a labelled .npz file or of an image folder with sub-folders.
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
