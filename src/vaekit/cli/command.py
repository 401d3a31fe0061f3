"""A command from its words to its exit status: what goes wrong on the way becomes one sentence."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import CycloptsError
from cyclopts.exceptions import UnknownOptionError, UnusedCliTokensError

from vaekit import display
from vaekit.cli import data, exploring, sharing, studies, sweeping, training, using  # noqa: F401 (each adds its verbs)
from vaekit.cli.app import app
from vaekit.cli.training import Stopped
from vaekit.cli.words import meant, understand
from vaekit.errors import InputError, RunError
from vaekit.text import escaped


def execute(words: Sequence[str]) -> int:
    """Run a command and return its exit status; an interrupt is passed on."""
    # Threads that wait for each other spin for a millisecond: on a busy machine a training is then a hundred times
    # slower. So short a spin costs a twentieth where the machine is free; not to spin at all costs half.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    with display.any_encoding():
        words, said = understand(words)
        if said and not {"--quiet", "--json"} & set(words):
            print(f"understood: {', '.join(said)}", file=sys.stderr)
        try:
            app(data.looking(words), exit_on_error=False, print_error=False, result_action="return_none")
            sys.stdout.flush()
        except Stopped as stopped:
            return _ended(130, f"stopped; continue with: {stopped}")
        except BrokenPipeError:  # whoever read the output has seen enough
            display.discard()
        except (CycloptsError, InputError, RunError, OSError) as error:
            if "--debug" in words:
                traceback.print_exc()
            if isinstance(error, OSError):
                display.discard()
            return _ended(1 if isinstance(error, RunError | OSError) else 2, f"vaekit: {_sentence(error)}")
    return 0


def _ended(status: int, sentence: str) -> int:
    with suppress(OSError):  # where stderr takes no more, the status says it alone
        print(escaped(sentence), file=sys.stderr)
    return status


def _sentence(error: Exception) -> str:
    """Say in one line what is wrong and what would be right."""
    if isinstance(error, OSError):
        return f"{error.filename or 'the output'}: {error.strerror}: make room, or name another place"
    text = " ".join(str(error).split()).partition(" Available commands:")[0].rstrip(".")
    if not isinstance(error, CycloptsError):
        return text
    if isinstance(error, UnusedCliTokensError):
        text = f"{' '.join(error.unused_tokens or ())!r} is more than this command takes"
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        known = {name for argument in error.argument_collection for name in argument.names}
        if own := meant(option, known):
            return f"Unknown option: {option}. Did you mean {own}?"
    verb = " ".join(["vaekit", *(error.command_chain or ())])
    return text if "Did you mean" in text or "give one" in text else f"{text}; see '{verb} --help'"
