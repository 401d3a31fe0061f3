"""One step of training as a module, and as quick as the device allows: eager or compiled."""

import logging
import warnings
from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.objectives import Loss, Objective

log = logging.getLogger("vaekit")

WORTHWHILE = 6000
"""steps from which compiled ones save more than the seconds that compiling takes"""


class Step(nn.Module):
    """The objective on a batch as one module: what is compiled, captured or distributed as a whole."""

    def __init__(self, vae: VAE, objective: Objective) -> None:
        super().__init__()
        self.vae = vae
        self.objective = objective

    def forward(self, x: Tensor, kl_weight: Tensor) -> Loss:
        return self.objective(self.vae, x, kl_weight)


def wants_compiling(choice: str, steps: int) -> bool:
    """Decide whether the steps of a training are compiled, and say so where it is decided for the user.

    The number of steps decides and no measurement, so that the same experiment gives the same bits again.

    Raises:
        InputError: if the choice is none of auto, on, off.
    """
    if choice not in ("auto", "on", "off"):
        raise InputError(f"compile {choice!r} is unknown: choose auto, on or off")
    if choice == "auto" and steps >= WORTHWHILE:
        log.info("chosen: compiled steps because there are %s of them; --compile off keeps them eager", f"{steps:,}")
    return choice == "on" or (choice == "auto" and steps >= WORTHWHILE)


class Compiled:
    """A step that is compiled at its first call, draws the eager one's numbers, and rounds a little otherwise.

    Where it cannot be compiled (for want of a C++ compiler, say), the eager step takes its place with a notice.

    Args:
        step: the step.
        asked: whether the user asked for it: then there is an error in place of the notice.

    Raises:
        InputError: at the first call, if the user asked for it and it cannot be compiled.
    """

    def __init__(self, step: Step, asked: bool) -> None:
        self.step, self.asked = step, asked
        self.quick: Callable[[Tensor, Tensor], Loss] | None = None

    def __call__(self, x: Tensor, kl_weight: Tensor) -> Loss:
        if self.quick is not None:
            return self.quick(x, kl_weight)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of what it imports
            import_module("torch._inductor.compile_fx")
        torch.compiler.reset()  # else the ninth model of a process is not compiled any more
        with devices.seeded(0, x.device), torch.no_grad():
            self.step.eval()(x, kl_weight)  # torch finds the closed form of a KL at its first use, not while compiling
        self.step.train()
        quick = torch.compile(self.step, fullgraph=True, dynamic=False, options={"fallback_random": True})
        try:
            loss = quick(x, kl_weight)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).partition("\n")[0]
            if self.asked:
                raise InputError(f"compile 'on' is not possible here ({reason}): choose auto or off") from None
            log.info("chosen: eager steps because they cannot be compiled (%s)", reason)
            quick, loss = self.step, self.step(x, kl_weight)
        self.quick = quick
        return loss
