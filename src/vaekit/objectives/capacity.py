"""The KL held at a capacity that is scheduled."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.model import VAE
from vaekit.objectives.objective import ENCODER, Loss, Objective, reported
from vaekit.schedules import Schedule, WarmUp
from vaekit.specs import Count, spec


class CapacityObjective(Objective):
    """The reconstruction, and a weight on how far the KL is from its capacity; ``spec`` says which."""

    capacity: Tensor

    def __init__(self, spec: "Capacity") -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("capacity", torch.tensor(spec.nats), persistent=False)

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        terms = reported(vae, vae.draw(batch.x, self.spec.samples))
        value = terms["reconstruction"] + self.spec.gamma * (terms["kl"] - self.capacity).abs()
        return Loss(value, terms["elbo"], {**terms, "capacity": self.capacity.clone()})

    def advance(self, epoch: float, epochs: float) -> None:
        self.capacity.fill_(self.spec.nats * self.spec.nats_schedule.factor(epoch, epochs))


@spec
class Capacity:
    r"""A VAE whose KL is held at a capacity C(t) in nats, which usually grows during training.

    loss = −E_q log p(x | z) + γ \|KL(q(z | x) ‖ p(z)) − C(t)\|,

    where the KL is the mean over the batch. Codes thus take up information a little at a time, beginning with what
    helps reconstruction most, which tends to go to units of its own. The reported ``elbo`` contains neither γ nor C.

    Reference: *Understanding disentangling in β-VAE (Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner,
    2018)*, arXiv:1804.03599: γ = 1000, and C from 0 to 25 nats over the first 100,000 steps on dSprites.
    """

    has: ClassVar[Traits] = {"judged"}
    needs: ClassVar[Needs] = {"posterior": ENCODER}
    kind: Literal["capacity"] = "capacity"
    samples: Count = 1
    """posterior draws per image"""
    gamma: Annotated[float, Field(ge=0)] = 1000.0
    """weight γ of the distance between the KL and its capacity"""
    nats: Annotated[float, Field(ge=0)] = 25.0
    """capacity C of the KL, at the schedule's factor 1"""
    nats_schedule: Schedule = WarmUp()
    """factor on nats over the course of training"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return CapacityObjective(self)
