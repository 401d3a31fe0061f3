"""Commands and imports, timed from the start to the end of a process."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.protocol import NotRunError

VAEKIT = str(Path(sys.executable).parent / "vaekit")
COMMANDS = {
    "vaekit --help": [VAEKIT, "--help"],
    "import vaekit": [sys.executable, "-c", "import vaekit"],
    "import vaekit; vaekit.train": [sys.executable, "-c", "import vaekit; vaekit.train"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import pythae.models": [sys.executable, "-c", "import pythae.models"],
    "import pyro": [sys.executable, "-c", "import pyro"],
}


def command_seconds(name: str) -> float:
    """Run a command to its end.

    Raises:
        NotRunError: if it fails, as it does where the package is not installed.
    """
    began = time.perf_counter()
    try:
        subprocess.run(COMMANDS[name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRunError(str(error)) from None
    return time.perf_counter() - began
