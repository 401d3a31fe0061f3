"""A model as the explorer's page computes it: layers, heads and weights as plain values, where the page knows them."""

from collections.abc import Callable, Mapping
from math import log, prod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.building import ObservedLikelihood
from vaekit.conditional import Conditional
from vaekit.data.columns import Scaling
from vaekit.distributions import Mixture
from vaekit.distributions.mixture import diagonal_gaussians
from vaekit.explorer.atlas import packed
from vaekit.explorer.view import BATCH, View
from vaekit.features import Features
from vaekit.likelihoods.bernoulli import BernoulliLikelihood
from vaekit.likelihoods.categorical import CategoricalLikelihood
from vaekit.likelihoods.columns import Bits, Choices, ColumnsLikelihood, Levels, Numbers, Reals
from vaekit.likelihoods.continuous_bernoulli import ContinuousBernoulliLikelihood
from vaekit.likelihoods.discretized_logistic import DiscretizedLogisticLikelihood
from vaekit.likelihoods.gaussian import GaussianLikelihood
from vaekit.linear import Linear
from vaekit.networks import ConvTranspose2d, OnImages
from vaekit.networks.layers import Crop, Gated
from vaekit.posteriors.delta import DeltaPosterior
from vaekit.posteriors.full_gaussian import FullGaussianPosterior
from vaekit.posteriors.gaussian import GaussianPosterior
from vaekit.priors import StandardNormalPrior

MOST = 2**23
"""weights of an encoder or a decoder at most: 32 MB"""
STORED = 2**21
"""numbers at most that are stored of decoded examples where the page cannot decode"""
LEVEL = 255
KINDS = {"i": np.int32, "b": np.uint8}
"""types in which the page reads whole numbers and truth values"""

T = TypeVar("T")
Part = dict[str, Any]


class NotPortableError(Exception):
    """The page does not know a part of a model: the message is a clause whose subject is the page."""


def portable(view: View, codes: np.ndarray) -> Part:
    """Describe a model for the page's own forward pass, ready for JSON; arrays are as of ``packed``.

    Args:
        view: of the run.
        codes: what is stored with its pictures if the page does not know the decoder, (N, d).

    Returns:
        ``space`` (from the model's values to those that are shown), ``decoder`` (``layers`` and ``head``), ``encoder``
        (``layers`` and ``posterior``) and ``prior``; None for those that the page does not know, with a clause among
        ``reasons`` that says why; and without a decoder ``stored``, codes and what they decode to.
    """
    parts = {
        "decoder": (_decoder, view.vae.likelihood),
        "encoder": (_encoder, view.vae.posterior),
        "prior": (_prior, view.vae.prior),
    }
    found: Part = {"space": _space(view), "stored": None, "reasons": {}}
    for name, (describe, part) in parts.items():
        try:
            found[name] = describe(part)
        except NotPortableError as reason:
            found |= {name: None, "reasons": found["reasons"] | {name: str(reason)}}
    if found["decoder"] is None:
        found["stored"] = _stored(view, codes)
    return found


def _space(view: View) -> Part:
    low, high = view.range
    columns = view.run.space.columns
    scaling = Scaling.of(columns)._asdict() if columns else {}
    return {
        "low": low,
        "high": high,
        "binary": view.run.space.support == "binary",
        "columns": {name: _array(values) for name, values in scaling.items()} or None,
    }


def _stored(view: View, codes: np.ndarray) -> Part:
    """Decode as many codes as a page can hold."""
    codes = codes[: max(1, STORED // prod(view.run.space.event_shape))]
    decoded = np.concatenate([view.decode(part) for part in np.array_split(codes, -(-len(codes) // BATCH))])
    levels = decoded if view.is_table else np.rint(np.nan_to_num(decoded).clip(0, 1) * LEVEL).astype(np.uint8)
    return {"codes": packed(codes), "decoded": packed(levels), "divisor": 1 if view.is_table else LEVEL}


def _decoder(likelihood: Conditional) -> Part:
    inner: Any = likelihood.likelihood if isinstance(likelihood, ObservedLikelihood) else likelihood
    head = _known(HEADS, inner, "likelihood")
    _refuse_large(inner)
    return {"head": head(inner), "layers": _layers(inner.network)}


def _encoder(posterior: Any) -> Part:
    kind = _known(POSTERIORS, posterior, "posterior")
    _refuse_large(posterior)
    halved = getattr(posterior, "emits", None) == "log_variance"
    return {"posterior": {"kind": kind, "halved": halved}, "layers": _layers(posterior.trunk) + _layers(posterior.head)}


@torch.no_grad()
def _prior(prior: Conditional) -> Part:
    if type(prior) is StandardNormalPrior:
        return {"kind": "standard_normal"}
    mixture = prior()
    components = diagonal_gaussians(mixture.components) if isinstance(mixture, Mixture) else None
    if not isinstance(mixture, Mixture) or components is None:
        raise NotPortableError(f"does not know the prior {type(prior).__name__}")
    arrays = {"logWeights": mixture.log_weights, "loc": components.loc, "scale": components.scale}
    return {"kind": "mixture", **{name: _array(tensor) for name, tensor in arrays.items()}}


def _refuse_large(part: Conditional) -> None:
    weights = sum(weight.numel() for weight in part.parameters())
    if weights > MOST:
        raise NotPortableError(f"would be too large with {weights:,} weights")


def _known(table: Mapping[type, T], part: nn.Module, role: str) -> T:
    """Look a module up by its very class, because a subclass may compute something else."""
    if type(part) not in table:
        raise NotPortableError(f"does not know the {role} {type(part).__name__}")
    return table[type(part)]


def _array(values: Tensor | np.ndarray) -> Part:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return packed(array.astype(KINDS.get(array.dtype.kind, array.dtype)))


def _layers(module: nn.Module) -> list[Part]:
    """Describe a network layer by layer."""
    return _known(LAYERS, module, "layer")(module)


def _chained(module: nn.Module) -> list[Part]:
    return [layer for child in module.children() for layer in _layers(child)]


def _weights(module: nn.Module) -> Part:
    return {name: _array(tensor) for name, tensor in module.named_parameters(recurse=False)}


def _linear(module: nn.Linear) -> list[Part]:
    sizes = {"inputs": module.in_features, "outputs": module.out_features}
    return [{"kind": "linear", **sizes, **_weights(module)}]


def _gated(module: Gated) -> list[Part]:
    return [{"kind": "gated", "linear": _linear(module.linear)[0], "gate": _linear(module.gate)[0]}]


def _convolution(module: nn.Conv2d | nn.ConvTranspose2d) -> list[Part]:
    square = all(len({*sides}) == 1 for sides in (module.kernel_size, module.stride, module.padding))
    plain = module.groups == 1 and {*module.dilation} == {1} and module.padding_mode == "zeros"
    if not (square and plain) or isinstance(module.padding, str):
        raise NotPortableError(f"does not know the layer {module}")
    sizes = {
        "outputs": module.out_channels,
        "kernel": module.kernel_size[0],
        "stride": module.stride[0],
        "padding": module.padding[0],
        "extra": list(module.output_padding),
    }
    return [
        {
            "kind": "convolution",
            "transposed": isinstance(module, nn.ConvTranspose2d),
            **sizes,
            **_weights(module),
        }
    ]


def _normalization(module: nn.BatchNorm2d) -> list[Part]:
    if module.running_mean is None or module.running_var is None:
        raise NotPortableError(f"does not know the layer {module}")
    scale = (module.running_var.double() + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight
    shift = -module.running_mean * scale
    shift = shift if module.bias is None else shift + module.bias
    return [{"kind": "affine", "scale": _array(scale), "shift": _array(shift)}]


def _unflattened(module: nn.Unflatten) -> list[Part]:
    if module.dim not in (1, -1):
        raise NotPortableError(f"does not know the layer {module}")
    return [{"kind": "unflatten", "sizes": list(module.unflattened_size), "last": module.dim == -1}]


def _features(module: Features) -> list[Part]:
    names = ("numbers", "counts", "shift", "scale", "owner", "code") if module.mixed else ()
    arrays = {name: _array(getattr(module, name)) for name in names}
    return [{"kind": "features", "mixed": module.mixed, "masked": module.masked, **arrays}]


def _gelu(module: nn.GELU) -> list[Part]:
    if module.approximate != "none":
        raise NotPortableError(f"does not know the layer {module}")
    return [{"kind": "gelu"}]


def _elu(module: nn.ELU) -> list[Part]:
    if module.alpha != 1:
        raise NotPortableError(f"does not know the layer {module}")
    return [{"kind": "elu"}]


LAYERS: dict[type, Callable[[Any], list[Part]]] = {
    nn.Sequential: _chained,
    OnImages: _chained,
    Linear: _linear,
    nn.Linear: _linear,
    Gated: _gated,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _convolution,
    ConvTranspose2d: _convolution,
    nn.BatchNorm2d: _normalization,
    Features: _features,
    nn.Unflatten: _unflattened,
    nn.Flatten: lambda module: [],
    nn.Identity: lambda module: [],
    nn.Dropout: lambda module: [],
    Crop: lambda module: [{"kind": "crop", "height": module.height, "width": module.width}],
    nn.Tanh: lambda module: [{"kind": "tanh"}],
    nn.Sigmoid: lambda module: [{"kind": "sigmoid"}],
    nn.ReLU: lambda module: [{"kind": "relu"}],
    nn.LeakyReLU: lambda module: [{"kind": "leaky_relu", "slope": module.negative_slope}],
    nn.ELU: _elu,
    nn.SiLU: lambda module: [{"kind": "silu"}],
    nn.GELU: _gelu,
}
"""layers that the page knows, and how they are described"""


@torch.no_grad()
def _gaussian(likelihood: GaussianLikelihood) -> Part:
    spec = likelihood.spec
    logs = {"fixed": log(spec.fixed_scale), "shared": float(getattr(likelihood, "log_scale", 0))}
    return {
        "kind": "gaussian",
        "outputs": 2 if spec.scale in ("pixel", "image") else 1,
        "squashed": spec.mean == "sigmoid",
        "scale": {"of": spec.scale, "log": logs.get(spec.scale)},
        "minimum": spec.minimum_scale,
        "halved": spec.head == "log_variance",
    }


def _columns(likelihood: ColumnsLikelihood) -> Part:
    places = likelihood.places.tolist()
    groups = []
    for group, outputs in zip(likelihood.groups, likelihood.sizes, strict=True):
        found = _known(GROUPS, group, "kind of column")(group)
        own = len(found["sizes"]) if "sizes" in found else outputs
        groups.append({**found, "outputs": outputs, "places": places[:own]})
        places = places[own:]
    return {"kind": "columns", "groups": groups}


def _counts(group: Numbers) -> Part:
    return {"kind": "count", "shift": group.shift.tolist(), "scale": group.scale.tolist()}


def _choices(group: Choices) -> Part:
    return {"kind": "category", "sizes": (group.picked < group.outputs).sum(1).tolist()}


@torch.no_grad()
def _ordered(group: Levels) -> Part:
    sizes = group.sizes[:, 0].tolist()
    gaps = nn.functional.softplus(group.gaps.double()).split([size - 2 for size in sizes])
    cuts = [torch.cat([first, first + gap.cumsum(0)]) for first, gap in zip(group.first.double(), gaps, strict=True)]
    return {"kind": "ordinal", "sizes": sizes, "cuts": _array(torch.cat(cuts))}


GROUPS: dict[type, Callable[[Any], Part]] = {
    Reals: lambda group: {"kind": "real"},
    Bits: lambda group: {"kind": "binary"},
    Numbers: _counts,
    Choices: _choices,
    Levels: _ordered,
}
HEADS: dict[type, Callable[[Any], Part]] = {
    BernoulliLikelihood: lambda likelihood: {"kind": "bernoulli", "outputs": 1},
    ContinuousBernoulliLikelihood: lambda likelihood: {"kind": "continuous_bernoulli", "outputs": 1},
    GaussianLikelihood: _gaussian,
    DiscretizedLogisticLikelihood: lambda likelihood: {
        "kind": "discretized_logistic",
        "outputs": 2,
        "minimum": likelihood.minimum_scale,
    },
    CategoricalLikelihood: lambda likelihood: {"kind": "categorical", "outputs": 256},
    ColumnsLikelihood: _columns,
}
POSTERIORS = {GaussianPosterior: "gaussian", FullGaussianPosterior: "full_gaussian", DeltaPosterior: "delta"}
