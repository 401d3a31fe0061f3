"""Write what is generated: options.md and the package's options.json from the specs, images/ from the demo.

Usage: python docs/generate.py [--check]
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from vaekit import demo, settings
from vaekit.experiment import Experiment
from vaekit.specs import Option, options

DOCS = Path(__file__).parent
IMAGES = ("manifold", "latents-2d", "samples")

HEAD = """# Options

Every field of an experiment, generated from the specs (`make docs`). Each is set by `--set path=value`, in an
`experiment.json`, or by `experiment.replace(path, value)`; common ones have flags of their own (`vaekit train --help`).
A part that has several kinds is chosen by its kind, `--set model.likelihood=gaussian`; its own fields then apply. A
field that may be `none` is unset by `--set path=none` (in JSON and Python, `null` and `None`).

| path | of kind | type | default | meaning |
|---|---|---|---|---|
"""


def row(option: Option) -> str:
    """One line of the table."""
    kinds = [part for part in option.location if part not in option.path.split(".")]
    unset = "`none`" if option.type.endswith("none") else ""
    default = unset if option.default is None else f"`{json.dumps(option.default)}`"
    meaning = option.description.replace("|", r"\|")
    words = (f"`{option.path}`", " ".join(kinds), option.type.replace(" | ", ", "), default, meaning)
    return f"| {' | '.join(words)} |\n"


def options_page() -> str:
    """The page of all options."""
    return HEAD + "".join(map(row, options(Experiment)))


def options_file() -> str:
    """Return all options as JSON, which the command line reads without importing the specs."""
    found = ({**option._asdict(), "location": ".".join(option.location)} for option in options(Experiment))
    return "[\n" + ",\n".join(json.dumps(option, ensure_ascii=False) for option in found) + "\n]\n"


def pictures() -> None:
    """Run the demo and keep some of its figures."""
    with tempfile.TemporaryDirectory() as folder:
        demo(Path(folder) / "demo")
        for name in IMAGES:
            shutil.copy(Path(folder) / "demo" / "figures" / f"{name}.png", DOCS / "images" / f"{name}.png")


if __name__ == "__main__":
    pages = {DOCS / "options.md": options_page(), settings.FILE: options_file()}
    if "--check" in sys.argv:
        stale = [path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
        sys.exit(f"{' and '.join(stale)}: out of date, run 'make docs'" if stale else 0)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    pictures()
