"""The command line: it parses, calls the function of the verb's name, and prints."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 if a run failed, 2 for wrong use, 130 if interrupted."""
    try:
        from vaekit.cli.command import execute  # an interrupt during its imports is answered below

        return execute(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        print("vaekit: interrupted", file=sys.stderr)
        return 130
