"""The explorer as one file that needs no server, no network and no vaekit: page, codes, pictures and weights."""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.arguments import Place, to_whole
from vaekit.explorer.atlas import POINTS, atlas, scores
from vaekit.explorer.portable import portable
from vaekit.explorer.view import View
from vaekit.run import Run

PAGE = files("vaekit.explorer") / "page"
MAIN = "main.js"
IMPORT = re.compile(r'^import \{ (?P<names>[\w, ]+) \} from "\./(?P<file>[\w.-]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (?P<name>\w+))", re.MULTILINE)
STYLE_LINK = '<link rel="stylesheet" href="page/style.css">'
MAIN_SCRIPT = '<script type="module" src="page/main.js"></script>'


def opened(run: Run, data: Any, root: Place | None, split: str, points: int) -> str:
    """Return the page of a run whose data are looked for.

    Args:
        run: the run.
        data: where its data are if they have moved, or the data themselves.
        root: folder of named sets.
        split: of which part examples are shown.
        points: how many at most.

    Raises:
        InputError: if the weights cannot be read, the data are not found, or there is no such split.
    """
    return page(View.of(run, run.data(root, data), split), to_whole(points, "points"))


def page(view: View, points: int = POINTS) -> str:
    """Return the explorer of a run as one HTML file.

    Its policy allows the script and the style inside it and nothing else, so it can reach no network.

    Args:
        view: of the run.
        points: how many examples are shown at most.
    """
    found = atlas(view, points)
    found["colorings"] |= scores(view, points)
    codes = found["codes"]
    known = np.frombuffer(b64decode(codes["data"]), codes["dtype"]).reshape(codes["shape"])
    return assembled({"atlas": found, "model": portable(view, known)})


def assembled(data: dict[str, Any]) -> str:
    """Put the page's files and data into one document; each entry of ``data`` becomes JSON in a script of that id."""
    style, script = (PAGE / "style.css").read_text("utf-8"), bundle()
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    meta = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    islands = "\n".join(
        f'<script type="application/json" id="{name}">{_embedded(value)}</script>' for name, value in data.items()
    )
    document = (PAGE / "index.html").read_text("utf-8")
    for part, whole in {
        '<meta charset="utf-8">': meta,
        STYLE_LINK: f"<style>{style}</style>",
        MAIN_SCRIPT: f'{islands}\n<script type="module">{script}</script>',
    }.items():
        assert document.count(part) == 1, part
        document = document.replace(part, whole)
    return document


def bundle(main: str = MAIN) -> str:
    """Join a module of the page and what it imports into one script, as functions that return what each exports.

    A module that is opened from a file cannot import another one.
    """
    joined: dict[str, str] = {}

    def add(file: str) -> None:
        text = (PAGE / file).read_text("utf-8")
        for found in IMPORT.finditer(text):
            if found["file"] not in joined:
                add(found["file"])
        joined[file] = _enclosed(file, text)

    add(main)
    return "".join(joined.values())


def _enclosed(file: str, text: str) -> str:
    names = [found["name"] for found in EXPORT.finditer(text)]
    body = IMPORT.sub(lambda found: f"const {{ {found['names']} }} = {_variable(found['file'])};\n", text)
    body = EXPORT.sub("", body)
    assert not re.search(r"^(import|export)\b", body, re.MULTILINE), f"{file} imports or exports in another form"
    assert not re.search(r"</script|<!--", body, re.IGNORECASE), f"{file} would end the script that it stands in"
    return f"const {_variable(file)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _variable(file: str) -> str:
    return "$" + re.sub(r"\W", "_", Path(file).stem)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(value: Any) -> str:
    """Write JSON that no text in it can end."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
