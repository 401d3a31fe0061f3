"""The command line: it parses, calls the function of the verb's name, and prints."""

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError
from cyclopts.exceptions import UnusedCliTokensError

from vaekit.cli import data, studies, training, using  # noqa: F401 (each adds its verbs to the application)
from vaekit.cli.app import app
from vaekit.cli.training import Stopped
from vaekit.errors import InputError, RunError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 if a run failed, 2 for wrong use, 130 if interrupted."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    # Threads that wait for each other spin for a millisecond: on a busy machine a training is then a hundred times
    # slower. So short a spin costs a twentieth where the machine is free; not to spin at all costs half.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_none")
        sys.stdout.flush()
    except Stopped as stopped:
        print(f"stopped; continue with: vaekit train --resume --run {stopped}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("vaekit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CycloptsError, InputError, RunError) as error:
        if "--debug" in words:
            traceback.print_exc()
        print(f"vaekit: {_sentence(error)}", file=sys.stderr)
        return 1 if isinstance(error, RunError) else 2
    return 0


def _sentence(error: Exception) -> str:
    """One line that says what is wrong and what would be right."""
    text = " ".join(str(error).split()).partition(" Available commands:")[0].rstrip(".")
    if not isinstance(error, CycloptsError):
        return text
    if isinstance(error, UnusedCliTokensError):
        text = f"{' '.join(error.unused_tokens or ())!r} is more than this command takes"
    verb = " ".join(["vaekit", *(error.command_chain or ())])
    return text if "Did you mean" in text or "give one" in text else f"{text}; see '{verb} --help'"
