"""The guide of own parts is what the code does: its file of parts is trained, and read in other processes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vaekit import Run

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "own-parts.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_guide_of_own_parts_runs(tmp_path: Path) -> None:
    for block in blocks("python"):
        name, _, code = block.partition("\n")
        (tmp_path / name.removeprefix("# ")).write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (commands,) = blocks("bash")
    for line in commands.splitlines():
        run("-m", *shlex.split(line))  # each in a process of its own
    all_of_them = Run(tmp_path / "runs" / "all")
    paths = [
        getattr(all_of_them.experiment.model, part).path for part in ("network", "prior", "posterior", "likelihood")
    ]
    assert paths == ["parts:Shallow", "parts:LaplacePrior", "parts:SharedScale", "parts:NoisyBits"]
    assert all_of_them.metrics()[-1]["epoch"] == pytest.approx(3, abs=0.1)
    assert len(list((all_of_them.path / "figures").glob("*.svg"))) >= 3
    assert np.load(tmp_path / "samples.npy").shape == (4, 1, 8, 8)
    assert Run(tmp_path / "runs" / "loss").experiment.objective.settings == (("weight", 0.8),)
    for script in ("use.py", "memory.py", "model.py"):
        assert "'value': " in run(script) or "±" in run(script)
    assert Run(tmp_path / "runs" / "memory").experiment.data.name.startswith("memory:")
