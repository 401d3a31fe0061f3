"""Why a loss is NaN or infinite: which term, which layer, on which batch."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaekit.data import Batch
from vaekit.objectives import Loss

REMEDY = (
    "usually helps: a smaller --learning-rate, --set gradient_norm=10, a larger minimum_scale of the likelihood, "
    "or --precision fp32"
)

DATA_REMEDY = "mend the data: fill or remove values that are NaN or infinite, and scale those that are very large"


class Cause(NamedTuple):
    """What was NaN or infinite first, and what usually helps."""

    first: str
    remedy: str


def non_finite_weight(module: nn.Module) -> str | None:
    """Return the name of the first weight that is NaN or infinite, or None."""
    return next((name for name, p in module.named_parameters() if not torch.isfinite(p).all()), None)


@torch.no_grad()
def first_non_finite(step: nn.Module, batch: Batch) -> Cause:
    """Run a training step again and say what was not finite first: the data, a weight, a layer's output, or a term.

    Args:
        step: the objective on a batch as a module, batch → Loss.
        batch: the batch.
    """
    if not torch.isfinite(batch.x).all():
        return Cause("the data of the batch", DATA_REMEDY)
    if weight := non_finite_weight(step):
        return Cause(f"weight {weight}, since the update before", REMEDY)
    layers: list[str] = []

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                layers.append(name)

        return module.register_forward_hook(hook)

    handles = [watch(name, module) for name, module in step.named_modules() if not list(module.children())]
    try:
        loss: Loss = step(batch)
    finally:
        for handle in handles:
            handle.remove()
    terms = [name for name, term in loss.terms.items() if name != "elbo" and not torch.isfinite(term)]
    terms += ["adversary"] if loss.adversary is not None and not torch.isfinite(loss.adversary) else []
    layer = f"the output of layer {layers[0]}, then" if layers else "with every layer's output finite,"
    return Cause(f"{layer} the term {terms[0] if terms else 'loss'}", REMEDY)
