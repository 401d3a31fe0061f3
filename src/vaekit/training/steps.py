"""One step of training as a module, as fast as the device allows: eager or compiled."""

import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.data import Batch
from vaekit.devices import Precision
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.objectives import Loss, Objective
from vaekit.training.compiling import Compiled
from vaekit.training.ranks import Alone

log = logging.getLogger("vaekit")

WORTHWHILE = 20_000
"""steps from which compiled ones save more time than compiling takes"""
ALONE = Alone()


class Step(nn.Module):
    """The objective on a batch as one module, which can be compiled, captured or distributed as a whole."""

    def __init__(self, vae: VAE, objective: Objective) -> None:
        super().__init__()
        self.vae = vae
        self.objective = objective

    def forward(self, batch: Batch, *prepared: Tensor) -> Loss:
        return self.objective(self.vae.given(batch), batch, *prepared)

    def prepare(self, batch: Batch) -> tuple[Tensor, ...]:
        """Do for a batch what the objective does before the compiled part of a step."""
        return self.objective.prepare(self.vae.given(batch), batch)


def refuse_unknown(choice: str) -> None:
    """Refuse any choice but auto, on and off."""
    if choice not in ("auto", "on", "off"):
        raise InputError(f"compile {choice!r} is unknown: choose auto, on or off")


def wants_compiling(choice: str, steps: int, matrices: bool, device: torch.device) -> bool:
    """Decide whether the steps of a training are compiled, and log the decision if it is not the user's.

    It depends on the number of steps and not on a measurement, so that the same experiment gives the same bits again.
    On the CPU, convolutions spend their time in oneDNN either way and are not worth compiling.

    Args:
        choice: auto, on or off.
        steps: number of steps.
        matrices: whether the networks consist of matrix products.
        device: where the steps are taken.

    Raises:
        InputError: if the choice is not auto, on or off.
    """
    refuse_unknown(choice)
    pays = steps >= WORTHWHILE and (matrices or device.type != "cpu")
    if choice == "auto" and pays:
        log.info("chosen: compiled steps because there are %s of them; --compile off keeps them eager", f"{steps:,}")
    return choice == "on" or (choice == "auto" and pays)


class Descent:
    """Steps down the gradient of the objective: forward, backward and the optimizer's update.

    With a second player there are two gradients, both at the weights before the step: that of the loss, for the weights
    of the model alone, and that of the adversary's loss, for the objective's own weights alone.

    Args:
        step: the objective as a module.
        optimizer: of the weights of its model.
        precision: of the forward pass.
        gradient_norm: longer gradients of the model are scaled down to it; None leaves them.
        second: optimizer of the objective's own weights, if it has a second player.
        ranks: the processes that take the steps together.
    """

    def __init__(
        self,
        step: Step,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        gradient_norm: float | None,
        second: torch.optim.Optimizer | None = None,
        ranks: Alone = ALONE,
    ) -> None:
        self.step, self.optimizer, self.precision, self.gradient_norm = step, optimizer, precision, gradient_norm
        self.second, self.ranks = second, ranks
        self.forward: Callable[..., Loss] = ranks.wrapped(step)
        self.whole: Callable[..., Loss] | None = None

    @property
    def compiled(self) -> bool:
        """Whether steps are compiled."""
        function = self.whole or self.forward
        return isinstance(function, Compiled) and not function.failed

    def compile(self, batch: Batch, asked: bool) -> None:
        """Have the steps compiled at the first one: a whole step as one function if the optimizer is Adam or AdamW.

        Args:
            batch: of any size.
            asked: whether the user asked for it.
        """
        # Torch looks up the closed form of a KL at its first use; compiled code cannot.
        with devices.seeded(0, batch.x.device), torch.no_grad():
            self.step.eval()(batch)
        self.step.train()
        if isinstance(self.optimizer, torch.optim.Adam) and not self.gradient_norm and self.second is None:
            self.whole = Compiled(whole(self.step, self.optimizer), "steps", asked)
        else:
            self.forward = Compiled(self.step, "steps", asked)

    def __call__(self, batch: Batch, *prepared: Tensor) -> dict[str, float]:
        """Take a step, and return losses and terms; no weight changes if a loss is NaN or infinite."""
        with devices.autocast(batch.x.device, self.precision):
            if self.whole:
                rate = torch.tensor(self.optimizer.param_groups[0]["lr"], device=batch.x.device)
                return self.whole(batch, rate, *prepared).numbers()
            with self.ranks.drawing(self.step.vae):
                loss = self.forward(batch, *prepared)
            numbers = self.ranks.mean(loss.numbers())
        if math.isfinite(numbers["loss"]) and math.isfinite(numbers.get("adversary", 0.0)):
            self.optimizer.zero_grad()
            if self.second is None:
                self.ranks.weighted(loss.value).backward()
            else:
                self.differentiate(loss, self.second)
                self.second.step()
            self.update()
        return numbers

    def differentiate(self, loss: Loss, second: torch.optim.Optimizer) -> None:
        """Give each player's weights the gradient of its own loss."""
        assert loss.adversary is not None
        second.zero_grad()
        loss.value.backward(inputs=list(self.step.vae.parameters()), retain_graph=True)
        loss.adversary.backward(inputs=list(self.step.objective.parameters()))

    def update(self) -> None:
        """Update the model's weights with the gradients that they hold."""
        if self.gradient_norm:
            nn.utils.clip_grad_norm_(self.step.vae.parameters(), self.gradient_norm)
        self.optimizer.step()


def whole(step: Step, optimizer: torch.optim.Adam) -> Callable[..., Loss]:
    """Return a function that takes a step of Adam or AdamW, which is a single graph for the compiler.

    Its arguments are those of the step, with the learning rate, a scalar, after the batch. It works on the state of the
    optimizer, which starts at zero.
    """
    weights: list[Tensor] = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        if not (state := optimizer.state[weight]):
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    groups = [
        (
            [(w, *(optimizer.state[w][name] for name in ("exp_avg", "exp_avg_sq", "step"))) for w in group["params"]],
            (*group["betas"], group["eps"], group["weight_decay"], group["decoupled_weight_decay"]),
        )
        for group in optimizer.param_groups
    ]

    def take(batch: Batch, learning_rate: Tensor, *prepared: Tensor) -> Loss:
        loss: Loss = step(batch, *prepared)
        gradients = iter(torch.autograd.grad(loss.value, weights, allow_unused=True))
        failed = (~loss.value.detach().isfinite()).float()
        with torch.no_grad():  # otherwise the compiler copies the weights back and forth
            for kept, settings in groups:
                rows = [(w.detach(), g, *m) for (w, *m), g in zip(kept, gradients, strict=False) if g is not None]
                torch.ops.vaekit.adam(*map(list, zip(*rows, strict=True)), learning_rate, failed, *settings)
        return loss.detach()

    return take
