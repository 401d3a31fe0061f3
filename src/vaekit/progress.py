"""What a training reports while it goes on."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Progress(NamedTuple):
    """Where a training stands.

    Attributes:
        epoch, epochs: passes over the training images, done and planned.
        step, steps: optimizer steps, done and planned.
        terms: the objective's terms, averaged since the last evaluation, in nats per image.
        row: the row just written to metrics.jsonl if this report comes from an evaluation, else None.
        images_per_second: speed of training since the last evaluation.
        seconds: time spent so far, over all sittings.
        noun: what the examples are called: images or examples.
        model: the model as it is now, a VAE in training mode, to look at and not to change.
    """

    epoch: float
    epochs: float
    step: int
    steps: int
    terms: Mapping[str, float]
    row: Mapping[str, Any] | None
    images_per_second: float
    seconds: float
    noun: str = "images"
    model: Any = None

    def __repr__(self) -> str:
        terms = "".join(f", {name} {value:.2f}" for name, value in self.terms.items())
        return f"<Progress: epoch {self.epoch:.4g} of {self.epochs:g}, step {self.step:,} of {self.steps:,}{terms}>"
