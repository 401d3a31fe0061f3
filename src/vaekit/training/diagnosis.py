"""Why a loss is NaN or infinite: which term, which layer, on which batch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.building import ObservedLikelihood
from vaekit.data import Batch
from vaekit.errors import InputError
from vaekit.model import VAE, Draws
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


def try_out(vae: VAE, x: Tensor, draws: int = 1, own: Sequence[str] = ()) -> Draws:
    """Draw from the posterior and take all densities, which a part from outside may give in another shape.

    Args:
        vae: the model.
        x: examples (batch, *event).
        draws: n, for each.
        own: names of the parts from outside, which are blamed if anything fails.

    Raises:
        InputError: if a shape is not (n, batch), or a part from outside fails.
    """
    try:
        found = vae.draw(x, draws)
    except InputError:
        raise
    except Exception as error:
        if not own or devices.lacks_meta(error):
            raise
        parts, reason = " and ".join(own), f"{type(error).__name__}: {error}"
        raise InputError(f"the model with {parts} fails on {len(x)} examples ({reason}): mend it") from error
    shapes = {
        "a draw of the posterior": (found.z, (draws, len(x), vae.latent_dim)),
        "log_prob of the posterior": (found.log_posterior, (draws, len(x))),
        "log_prob of the prior": (found.log_prior, (draws, len(x))),
        "log_prob of the likelihood": (found.log_likelihood, (draws, len(x))),
    }
    for what, (number, shape) in shapes.items():
        if number.shape != shape:
            raise InputError(
                f"{what} has shape {tuple(number.shape)} for {draws} draws for each of {len(x)} examples, and not "
                f"{shape}: return distributions whose event is a whole example, by torch.distributions.Independent"
            )
    return found


@torch.no_grad()
def first_non_finite(step: nn.Module, batch: Batch) -> Cause:
    """Run a training step again and say what was not finite first: the data, a weight, a layer's output, or a term.

    Args:
        step: the objective on a batch as a module, batch → Loss.
        batch: the batch.
    """
    holes = any(isinstance(module, ObservedLikelihood) for module in step.modules())
    if not torch.isfinite(batch.x.nan_to_num(0.0) if holes else batch.x).all():
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
