"""The two errors of vaekit, and what their sentences are made of: the nearest right word, a value, a command."""

import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any


class InputError(ValueError):
    """Wrong use or bad input: one sentence that names the input, its value and the remedy (exit status 2)."""


class RunError(RuntimeError):
    """A run that began well and then failed, such as on a loss that is NaN (exit status 1)."""


def either(words: Sequence[str]) -> str:
    """Join words by commas, the last two by 'or'.

    Example:
        >>> either(["a", "b", "c"]), either(["a"])
        ('a, b or c', 'a')
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def nearest(word: str, words: Iterable[str]) -> str:
    """Name the word that was probably meant, or list them all: the end of an error's sentence.

    Example:
        >>> nearest("bernouli", ["bernoulli", "gaussian"])
        "did you mean 'bernoulli'?"
        >>> nearest("x", ["bernoulli", "gaussian"])
        'choose from bernoulli, gaussian'
    """
    known = sorted(words)
    if not known:
        return "there is none here"
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"


SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 80


def shown(value: Any) -> str:
    """Write a value, whatever it is, in a few words on one line, so that an error's sentence can hold it.

    Example:
        >>> shown([1, 2]), len(shown("a" * 1000))
        ('[1, 2]', 80)
    """
    return " ".join(SHORT.repr(value).split())


def command(*words: object) -> str:
    """Write a vaekit command so that it can be pasted into a shell.

    Example:
        >>> command("evaluate", "my run")
        "vaekit evaluate 'my run'"
    """
    return shlex.join(["vaekit", *map(str, words)])
