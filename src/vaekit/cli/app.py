"""The command line's frame: the application, and the kinds of arguments that its verbs share."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from vaekit.display import Output


def examples(*commands: str) -> str:
    """Write commands below the help."""
    return "".join(("Examples:\n\n", *(f"    vaekit {command}\n" for command in commands)))


EXAMPLES = examples(
    "demo",
    "train digits --latent-dim 2 --epochs 20 --run runs/first",
    "evaluate runs/first",
    "sample runs/first -n 64 --out samples.png",
    "encode runs/first digits --out z.npy",
    "runs",
)

app = App(
    name="vaekit",
    help="Variational auto-encoders: train them, evaluate them honestly, look at what they learned.",
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    version=lambda: version("vaekit"),
)
data_app = App(
    name="data",
    help="List, fetch and check data sets.",
    help_epilogue=examples("data list", "data fetch mnist", "data check digits", "data digits"),
)
app.command(data_app)


LOUD = Output()
DataRoot = Annotated[Path | None, Parameter(help="Folder of named data sets, searched before the cache.")]
Data = Annotated[str | None, Parameter(help="Where the run's data are now, if they were moved since it was trained.")]
Device = Annotated[str, Parameter(help="Device to compute on: auto, cpu, cuda or mps.")]
RunFolder = Annotated[
    str, Parameter(help="Folder of a run, runs/latest for the one begun or resumed last, or hf://user/name.")
]


def _number(kind: type, tokens: Sequence[Any]) -> Any:
    """Read a number as Python does: 1.5 is not a whole number."""
    try:
        return kind(tokens[0].value)
    except ValueError:
        example = "whole number: give one such as 10" if kind is int else "number: give one such as 0.5"
        raise ValueError(f"{tokens[0].value!r} is not a {example}") from None


Int = Annotated[int, Parameter(converter=_number)]
Float = Annotated[float, Parameter(converter=_number)]
Switch = Annotated[bool, Parameter(negative=())]
