"""One step of training as a module, and as quick as the device allows: eager or compiled."""

import logging

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.compiling import Compiled
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.objectives import Loss, Objective

log = logging.getLogger("vaekit")

WORTHWHILE = 20_000
"""steps from which compiled ones save more than the seconds that compiling takes"""


class Step(nn.Module):
    """The objective on a batch as one module: what is compiled, captured or distributed as a whole."""

    def __init__(self, vae: VAE, objective: Objective) -> None:
        super().__init__()
        self.vae = vae
        self.objective = objective

    def forward(self, x: Tensor, kl_weight: Tensor, *z: Tensor) -> Loss:
        return self.objective(self.vae, x, kl_weight, *z)


def refuse_unknown(choice: str) -> None:
    """Refuse a choice that is none of auto, on, off."""
    if choice not in ("auto", "on", "off"):
        raise InputError(f"compile {choice!r} is unknown: choose auto, on or off")


def wants_compiling(choice: str, steps: int, network: str, device: torch.device) -> bool:
    """Decide whether the steps of a training are compiled, and say so where it is decided for the user.

    The number of steps decides and no measurement, so that the same experiment gives the same bits again. On the CPU,
    where convolutions spend their time in oneDNN either way, theirs are not worth compiling.

    Raises:
        InputError: if the choice is none of auto, on, off.
    """
    refuse_unknown(choice)
    pays = steps >= WORTHWHILE and (network != "conv" or device.type != "cpu")
    if choice == "auto" and pays:
        log.info("chosen: compiled steps because there are %s of them; --compile off keeps them eager", f"{steps:,}")
    return choice == "on" or (choice == "auto" and pays)


def compiled(step: Step, x: Tensor, kl_weight: Tensor, asked: bool) -> Compiled[[Tensor, Tensor], Loss]:
    """Return the step that is compiled at its first call, with arguments like these.

    Args:
        step: the step.
        x, kl_weight: a batch, and the KL's weight.
        asked: whether the user asked for it.
    """
    with devices.seeded(0, x.device), torch.no_grad():
        step.eval()(x, kl_weight)  # torch looks for the closed form of a KL at its first use; compiled code cannot
    step.train()
    return Compiled(step, "steps", asked)
