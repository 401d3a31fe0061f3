"""Stacks on a CUDA device: a step of all models is one captured whole, with its own noise and updates."""

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from vaekit import devices
from vaekit.training.captured import (
    Ahead,
    Graphs,
    Pace,
    Weights,
    can_be_captured,
    cast_to,
    scheduled,
    scheduled_buffers,
)
from vaekit.training.compiling import Compiled
from vaekit.training.noise import keys, normal, places_of, uniform
from vaekit.training.stacked import Member, Stacked, compiling


def capturing(members: Sequence[Member]) -> bool:
    """Whether the steps of a stack are captured."""
    return can_be_captured(members[0]) and not members[0].experiment.ema


class CapturedStack(Stacked):
    """A stack that takes its steps without the host, as ``Captured`` does for one training.

    Bits and noise are functions of a training's seed, the step, and the place, so that a training draws the same
    whichever others are in its stack. They are not the numbers that it would draw alone. When the loss of a training is
    NaN or infinite, all of them stop before that step, and it leaves.

    Args:
        members: the trainings.
        compile: auto, on or off.
    """

    def __init__(self, members: Sequence[Member], compile: str) -> None:
        super().__init__(members)
        first, device = members[0], self.device
        experiment, batch = first.experiment, first.batch_size
        self.split, self.gradient_norm = first.data.train, experiment.gradient_norm
        self.cast = cast_to(experiment.precision)
        self.spec, self.event_shape = experiment.optimizer, first.data.space.event_shape
        self.key = keys([member.experiment.seed for member in members]).to(device)
        self.pixels = torch.arange(batch * math.prod(first.data.space.event_shape), device=device)
        self.places = places_of(max(1, self.samples), batch, self.widest, device)
        self.buffers = [f"objective.{name}" for name in scheduled_buffers(first.objective)]
        self.gather_moments()
        self.masks = self.masked()

        numbers = [scheduled(member) for member in members]
        self.ahead = Ahead(
            lambda step, n: torch.stack([member.order.batches(step, n) for member in members], 1),
            lambda step, n: torch.stack([each(step, n) for each in numbers], 1),
            first.step,
            device,
        )
        self.failed = torch.zeros((), device=device)
        self.bad = torch.zeros(len(members), device=device)
        _, named = self.found(*self.drawn(*self.ahead.now()))  # torch looks up the closed form of a KL
        self.names = tuple(named)
        self.totals = torch.zeros(len(members), len(self.names), dtype=torch.float64, device=device)
        self.set_totals()
        take = Compiled(self.take, "steps", compile == "on") if compiling(first, compile) else self.take
        changed = [self.steps, self.ahead.place, self.ahead.step, self.failed, self.bad, self.totals]
        changed += [
            *self.stacked.values(),
            *(moment for moments in self.moments.values() for moment in moments.values()),
        ]
        self.graphs = Graphs(take, changed, device, experiment.precision)
        self.pace = Pace()

    def gather_moments(self) -> None:
        """Stack what the optimizers keep of the weights, beside the weights, and remember what goes where."""
        weights = [Weights(member.optimizer, self.spec, member.step) for member in self.members]
        states = [{id(w): state for w, state in zip(each.tensors, each.states, strict=True)} for each in weights]
        decays = dict(zip(map(id, weights[0].tensors), weights[0].decays, strict=True))
        self.decays = {name: decays[id(column[0])] for name, column in self.weights.items()}
        self.steps = torch.full((), float(self.members[0].step), device=self.device)
        self.counters = [state["step"] for each in weights for state in each.states if "step" in state]
        kept = [name for name, shaped in weights[0].kept.items() if shaped]
        self.moments = {name: {key: torch.zeros_like(w) for key in kept} for name, w in self.stacked.items()}
        for key in kept:
            self.inside += self.parts({name: moments[key] for name, moments in self.moments.items()})
            own = [
                state[id(w)][key] for column in self.weights.values() for state, w in zip(states, column, strict=True)
            ]
            self.values += [o.view(p.shape) for o, p in zip(own, self.inside[-len(own) :], strict=True)]
        torch._foreach_copy_(self.inside, self.values)

    def masked(self) -> dict[str, Tensor]:
        """Return which entries of stacked weights belong to a model, of those weights that have others."""
        ones = {name: torch.zeros_like(w) for name, w in self.stacked.items()}
        for part in self.parts(ones):
            part.fill_(1)
        return {name: mask for name, mask in ones.items() if not bool(mask.all())}

    def take(self) -> None:
        """Take a step of every training, with nothing but tensors on the device."""
        rows, numbers = self.ahead.now()
        gradients, named = self.found(*self.drawn(rows, numbers))
        with torch.no_grad():
            wrong = (~named["loss"].isfinite()).float()
            self.bad.copy_(torch.where(self.failed > 0, self.bad, wrong))
            self.failed.copy_(torch.maximum(self.failed, wrong.amax()))
            self.update({n: g * self.masks[n] if n in self.masks else g for n, g in gradients.items()}, numbers[:, 0])
            found = torch.stack(list(named.values()), 1).double()
            self.totals += torch.where(self.failed > 0, torch.zeros_like(found), found)
            self.ahead.advance((1 - self.failed).long())

    def drawn(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return noise and images of a step, each with an axis over models, and what is scheduled for it."""
        models, batch = rows.shape
        step = self.ahead.step
        bits = uniform(self.key, step, 0, self.pixels) if self.split.dynamic else None
        bits = bits if bits is None else bits.view(models * batch, *self.event_shape)
        x = self.split.seen(self.split.stored(rows.flatten()), bits).x.view(models, batch, *self.event_shape)
        noise = normal(self.key, step, self.places).view(models, -1, batch, self.widest)
        return noise, x, dict(zip(self.buffers, numbers[:, 1:].unbind(1), strict=True))

    def found(
        self, noise: Tensor, x: Tensor, buffers: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return gradients, and loss and terms."""
        with devices.autocast(self.device, self.cast):
            return self.differentiated(self.stacked, noise, x, buffers)

    def update(self, gradients: Mapping[str, Tensor], rates: Tensor) -> None:
        """Change weights, and what is kept of them, in place, unless a loss was NaN or infinite."""
        failed, factor = self.failed > 0, self.shrinking(gradients)
        self.steps += 1 - self.failed
        for name, w in self.stacked.items():
            shape = (-1, *[1] * (w.ndim - 1))
            g, moments = gradients[name], self.moments[name]
            g = g if factor is None else g * factor.view(shape)
            weight, moved = self.spec.update(w, g, rates.view(shape), self.steps, self.decays[name], **moments)
            w.copy_(torch.where(failed, w, weight))
            for key, tensor in moved.items():
                moments[key].copy_(torch.where(failed, moments[key], tensor))

    def shrinking(self, gradients: Mapping[str, Tensor]) -> Tensor | None:
        """Return by what the gradients of each model are multiplied so that their norm is small enough, (models,)."""
        if not self.gradient_norm:
            return None
        squares = torch.stack([g.square().view(len(self.members), -1).sum(1) for g in gradients.values()]).sum(0)
        return (self.gradient_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)

    def take_steps(self) -> None:
        """Have some steps of every training taken, which end before an evaluation."""
        began, first = time.perf_counter(), self.members[0]
        if not first.counted:
            self.set_totals()
        steps = min(self.pace.steps, *(member.evaluated_after(member.step) - member.step for member in self.members))
        self.ahead.through(self.graphs, steps)
        for member in self.members:
            member.step, member.counted = member.step + steps, member.counted + steps
        if first.evaluation_due:
            self.hand_back()
        for member in self.members:
            member.busy += time.perf_counter() - began

    def hand_back(self) -> None:
        self.settle()
        self.hand_back_weights(self.members[0].step)

    def hand_back_weights(self, step: int) -> None:
        """Copy weights, and what is kept of them, to the trainings, which took so many steps."""
        torch._foreach_copy_(self.values, self.inside)
        for counter in self.counters:
            counter.fill_(step)

    def set_totals(self) -> None:
        """Set the sums of losses and terms on the device to those of the trainings."""
        sums = [[member.totals.get(name, 0.0) for name in self.names] for member in self.members]
        self.totals.copy_(torch.tensor(sums, dtype=torch.float64))

    def settle(self) -> None:
        began = time.perf_counter()
        facts = torch.cat([self.ahead.step[None].double(), self.bad.double(), self.totals.flatten()]).tolist()
        step, bad, totals = int(facts[0]), facts[1 : 1 + len(self.members)], facts[1 + len(self.members) :]
        self.pace.read()
        for i, member in enumerate(self.members):
            member.counted += step - member.step
            member.step = step
            sums = totals[i * len(self.names) : (i + 1) * len(self.names)]
            member.totals = dict(zip(self.names, sums, strict=True)) if member.counted else {}
            member.busy += time.perf_counter() - began
        if any(bad):
            self.hand_back_weights(step)
        for member, wrong in zip(self.members, bad, strict=True):
            if wrong and not member.error:
                stored = self.split.stored(member.order.rows(step))
                member.attempt(partial(member.explain, stored))
