"""Schedules: factors in [0, 1] over the course of a training, for the learning rate and for β."""

from bisect import bisect_right
from math import cos, pi
from typing import Annotated, Literal

from pydantic import Field

from vaekit.specs import spec

Epochs = Annotated[float, Field(ge=0)]


@spec
class Constant:
    """Factor 1 throughout."""

    kind: Literal["constant"] = "constant"

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor after ``epoch`` of ``epochs`` epochs; both may be fractions."""
        return 1.0


@spec
class WarmUp:
    """A straight line from 0 to 1 over the first ``epochs`` epochs, then 1."""

    kind: Literal["warm_up"] = "warm_up"
    epochs: Epochs = 10
    """length of the rise, in epochs"""

    def factor(self, epoch: float, epochs: float) -> float:
        return min(1.0, epoch / self.epochs) if self.epochs else 1.0


@spec
class Milestones:
    """A factor that is multiplied by ``decay`` at each milestone."""

    kind: Literal["milestones"] = "milestones"
    at: tuple[Epochs, ...] = ()
    """epochs after which the factor shrinks"""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """number by which each milestone multiplies the factor"""

    def factor(self, epoch: float, epochs: float) -> float:
        return self.decay ** bisect_right(sorted(self.at), epoch)


@spec
class Cosine:
    """A linear warm-up, then half a cosine from 1 down to ``final`` at the end of training.

    Reference: *SGDR: stochastic gradient descent with warm restarts (Loshchilov, Hutter, 2017)*, arXiv:1608.03983.
    """

    kind: Literal["cosine"] = "cosine"
    warm_up: Epochs = 0
    """length of the linear rise before the descent, in epochs"""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """factor at the end of training"""

    def factor(self, epoch: float, epochs: float) -> float:
        if epoch < self.warm_up:
            return epoch / self.warm_up
        progress = min(1.0, (epoch - self.warm_up) / max(epochs - self.warm_up, 1e-12))
        return self.final + (1 - self.final) * (1 + cos(pi * progress)) / 2


@spec
class Cyclic:
    """A sawtooth: in each period, a straight line from 0 to 1 over the first part, then 1.

    Reference: *Cyclical annealing schedule (Fu, Li, Liu, Gao, Celikyilmaz, Carin, 2019)*, arXiv:1903.10145.

    Example:
        >>> cycle = Cyclic(period=4, rise=0.5)
        >>> [cycle.factor(epoch, epochs=10) for epoch in (0, 1, 2, 3, 4, 5)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]
    """

    kind: Literal["cyclic"] = "cyclic"
    period: Annotated[float, Field(gt=0)] = 10
    """length of one cycle, in epochs"""
    rise: Annotated[float, Field(gt=0, le=1)] = 0.5
    """share of each cycle during which the factor rises"""

    def factor(self, epoch: float, epochs: float) -> float:
        return min(1.0, (epoch % self.period) / (self.rise * self.period))


Schedule = Annotated[Constant | WarmUp | Milestones | Cosine | Cyclic, Field(discriminator="kind")]
