"""The network of the ECE 542 report, its trainings, and the table of its layers (figures 2 and 3)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.experiment import Experiment
from vaekit.presets import PRESETS
from vaekit.studies.lab import Lab, exact
from vaekit.studies.scale import SMOKE, Scale
from vaekit.studies.study import FAILED, REPRODUCED, UNTESTABLE, Key, Numbers, Result, Verdict

FULL = Scale(epochs=50)
THREE = Scale(epochs=50, seeds=3)
BRIEF = Scale(epochs=0.01, seeds=3)
"""enough to count the weights of a trained model"""
SCALES = {"smoke": SMOKE, "laptop": FULL, "full": FULL}
"""the report's length at either scale, because shorter trainings do not show what it claims"""
LATENTS = (2, 10, 20)
PIXELS, WEIGHT = 784, 1e-3
"""the notebook's loss: the mean over pixels plus 0.0005 times the mean over latents of twice the KL"""


def hidden_beta(d: int) -> float:
    """Return the β of the notebook's loss with d latents."""
    return PIXELS * WEIGHT / d


def experiment(scale: Scale, d: int, objective: Mapping[str, Any], data: str = "mnist") -> Experiment:
    """Return the report's network with d latents."""
    changes = {**PRESETS["ncsu"], "model.latent_dim": d, "epochs": scale.epochs, "objective": dict(objective)}
    return Experiment(data=scale.source(data)).replace_all(changes)


NOTEBOOK, PLAIN = "d = 2, as in the notebook", "d = 2, β = 1"


def notebook(scale: Scale) -> dict[str, Experiment]:
    """Return two latents with the loss of the notebook's code, including z = μ + σ² ε."""
    return {NOTEBOOK: experiment(scale, 2, {"kind": "printed_sampling", "beta": hidden_beta(2)})}


def planes(scale: Scale) -> dict[str, Experiment]:
    """Return two latents with the notebook's loss and with the report's."""
    return {**notebook(scale), PLAIN: experiment(scale, 2, {"kind": "elbo"})}


def one(d: int) -> str:
    """Return the label of d latents at β = 1."""
    return f"d = {d}, β = 1"


def weighted(d: int) -> str:
    """Return the label of d latents at the notebook's β."""
    return f"d = {d}, β = {hidden_beta(d):.3g}"


BETAS = {"the notebook's β": weighted, "β = 1": one}
"""labels by number of latents: the β that the report trained with, and the one that it prints"""


def grid(scale: Scale) -> dict[str, Experiment]:
    """Return each number of latents at β = 1 and at the notebook's."""
    return {
        label(d): experiment(scale, d, {"kind": "elbo", "beta": beta})
        for d in LATENTS
        for label, beta in ((one, 1.0), (weighted, hidden_beta(d)))
    }


ALL = "all weights"
PRINTED = {
    "encoder 1: convolution to 28×28×32": 320,
    "encoder 2: convolution to 14×14×64": 18_496,
    "encoder 3: convolution to 14×14×64": 36_928,
    "encoder 4: convolution to 14×14×64": 36_928,
    "encoder 5: flattened to 12544": 0,
    "encoder 6: dense to 32": 401_440,
    "encoder 7: dense to 4": 66 + 66,
    "decoder 1: dense to 12544": 37_632,
    "decoder 2: reshaped to 14×14×64": 0,
    "decoder 3: transposed convolution to 28×28×32": 18_464,
    "decoder 4: convolution to 28×28×1": 289,
    ALL: 550_629,
}
"""weights by layer: those of the encoder and all are in the notebook's table, where the two dense layers to μ and
log σ² stand apart; those of the decoder, of which it prints the sum of 56,385, follow from its code"""
NAMES: dict[type[nn.Module], str] = {
    nn.Conv2d: "convolution",
    nn.ConvTranspose2d: "transposed convolution",
    nn.Flatten: "flattened",
    nn.Unflatten: "reshaped",
    nn.Linear: "dense",
}


def layers(lab: Lab) -> Numbers:
    """Count the weights of each layer of a trained model, named with the shape that an image has after it."""
    vae = lab.runs[NOTEBOOK].vae()
    x = lab.test_images(NOTEBOOK)[:1]
    encoder, decoder = traced(vae.posterior, x), traced(vae.likelihood, vae.encode(x))
    found = {
        (NOTEBOOK, f"{part} {k}: {name}"): exact(weights)
        for part, passed in (("encoder", encoder), ("decoder", decoder[:-1]))  # its last only adds an axis
        for k, (name, weights) in enumerate(passed, 1)
    }
    return {**found, (NOTEBOOK, ALL): exact(sum(p.numel() for p in vae.parameters()))}


@torch.no_grad()
def traced(network: nn.Module, x: Tensor) -> list[tuple[str, int]]:
    """Return kind with shape, and number of weights, of each layer that x (1, ...) passes, in order.

    Example:
        >>> traced(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), torch.zeros(1, 1, 5, 5))
        [('convolution to 3×3×2', 20), ('flattened to 18', 0)]
    """
    found = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        name = next((name for kind, name in NAMES.items() if isinstance(layer, kind)), None)
        if name is not None:
            channels, *sides = output.shape[1:]
            shape = "×".join(map(str, (*sides, channels)))
            found.append((f"{name} to {shape}", sum(map(Tensor.numel, layer.parameters()))))

    hooks = [layer.register_forward_hook(note) for layer in network.modules()]
    network(x)
    for hook in hooks:
        hook.remove()
    return found


def printed_layers(scale: Scale) -> dict[Key, float]:
    """Return the notebook's weights by layer, which are for images of 28×28."""
    return {} if scale.digits else {(NOTEBOOK, name): weights for name, weights in PRINTED.items()}


def judge_layers(result: Result) -> Verdict:
    """Judge whether the layers, their shapes and weights are exactly those printed."""
    known = printed_layers(result.size)
    if not known:
        return Verdict(UNTESTABLE, "the printed shapes are of images of 28×28.")
    ours = {(row.label, row.quantity): row.value for row in result.rows}
    unlike = [name for label, name in known | ours if known.get((label, name)) != ours.get((label, name))]
    if unlike:
        return Verdict(FAILED, f"unlike the printed table: {'; '.join(unlike)}.")
    words = f"all {len(known) - 1} layers have the printed shapes and weights, {known[NOTEBOOK, ALL]:,} in all"
    return Verdict(REPRODUCED, f"{words}.")
