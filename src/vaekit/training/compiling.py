"""Functions compiled by torch, or left as they are if they cannot be compiled."""

import logging
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Generic, ParamSpec, TypeVar

import torch

from vaekit.errors import InputError

log = logging.getLogger("vaekit")

P = ParamSpec("P")
T = TypeVar("T")


class Compiled(Generic[P, T]):
    """A function that is compiled at its first call; it draws the eager one's numbers and rounds slightly differently.

    If it cannot be compiled (because there is no C++ compiler, say), it stays as it is, with a notice.

    Args:
        function: a module, or a function of tensors.
        what: its name in the notice, in the plural.
        asked: whether the user asked for it; then there is an error instead of the notice.

    Raises:
        InputError: at the first call, if the user asked for it and it cannot be compiled.
    """

    def __init__(self, function: Callable[P, T], what: str, asked: bool = False) -> None:
        self.function, self.what, self.asked = function, what, asked
        self.quick: Callable[P, T] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        if self.quick is not None:
            return self.quick(*args, **kwargs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of what it imports
            import_module("torch._inductor.compile_fx")
        torch._dynamo.config.trace_autograd_ops = True  # otherwise a function must not differentiate inside
        torch.compiler.reset()  # otherwise the ninth model of a process would not be compiled
        quick = torch.compile(self.function, fullgraph=True, options={"fallback_random": True})
        try:
            result = quick(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).partition("\n")[0]
            if self.asked:
                raise InputError(f"compile 'on' does not work on this machine ({reason}): choose auto or off") from None
            log.info("chosen: eager %s because they cannot be compiled (%s)", self.what, reason)
            quick, result = self.function, self.function(*args, **kwargs)
        self.quick = quick
        return result

    @property
    def failed(self) -> bool:
        """Whether compiling failed."""
        return self.quick is self.function
