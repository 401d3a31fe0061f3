"""Linear layers that use the faster of two libraries for their matrix products on the CPU.

Torch's own fp32 products go through MKL, which leaves half the speed of non-Intel processors unused; oneDNN, which
torch also contains, does not. Which one is faster is measured once per process, in milliseconds, and never guessed from
the vendor's name. Both are strict fp32.
"""

import time
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaekit import devices

WIDE = 2**16
"""weights of a layer above which the choice of library matters more than the cost of the detour"""
MARGIN = 1.25
"""how much faster oneDNN must be to be chosen: a smaller gain could turn out otherwise tomorrow and change the bits"""
ROUNDS = 7


class Linear(nn.Linear):
    """W x + b, like ``torch.nn.Linear``, for x of shape (..., inputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.wide = inputs * outputs >= WIDE and onednn_is_quicker()

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        if not self.wide or x.numel() == self.in_features:  # a single row costs oneDNN half as much again
            return F.linear(x, self.weight, self.bias)
        fp32 = x.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not (fp32 and x.device.type == "cpu"):
            return F.linear(x, self.weight, self.bias)
        flat = torch.ops.vaekit.linear(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return flat.reshape(*x.shape[:-1], self.out_features)


def product(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], bias: Float[Tensor, "m"] | None = None) -> Tensor:
    """Return A Bᵀ + bias, computed by oneDNN, whatever the strides of both."""
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


def gradients(gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool, to_weight: bool) -> tuple[Tensor, Tensor]:
    """Return G W and Gᵀ X, each if it is wanted."""
    nothing = gradient.new_empty(0)
    return (
        product(gradient, weight.t()) if to_x else nothing,
        product(gradient.t(), x.t()) if to_weight else nothing,
    )


# Registered as torch operators, because compiled code takes those as they are, strides and all.
OPERATORS = torch.library.Library("vaekit", "DEF")
OPERATORS.define("linear(Tensor x, Tensor weight, Tensor bias) -> Tensor")
OPERATORS.define(
    "linear_backward(Tensor gradient, Tensor x, Tensor weight, bool to_x, bool to_weight) -> (Tensor, Tensor)"
)
OPERATORS.impl("linear", product, "CPU")
OPERATORS.impl("linear_backward", gradients, "CPU")


@torch.library.register_fake("vaekit::linear")
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])  # len() would fix the number of rows in compiled code


@torch.library.register_fake("vaekit::linear_backward")
def _(gradient: Tensor, x: Tensor, weight: Tensor, to_x: bool, to_weight: bool) -> tuple[Tensor, Tensor]:
    nothing = gradient.new_empty(0)
    return x.new_empty(x.shape) if to_x else nothing, weight.new_empty(weight.shape) if to_weight else nothing


def _keep(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
    x, weight = ctx.saved_tensors
    wanted = ctx.needs_input_grad
    products = torch.ops.vaekit.linear_backward(gradient, x, weight, *wanted[:2])
    found = (*products, gradient.sum(0) if wanted[2] else None)
    return tuple(each if want else None for each, want in zip(found, wanted, strict=True))


torch.library.register_autograd("vaekit::linear", _backward, setup_context=_keep)


@cache
def onednn_is_quicker() -> bool:
    """Tell whether oneDNN multiplies matrices of these layers' size at least ``MARGIN`` times as fast as torch."""
    if not torch.backends.mkldnn.is_available():
        return False
    with torch.device("cpu") as cpu, devices.restored(cpu):  # the first model may be built on the meta device
        x, weight, bias = torch.randn(100, 512), torch.randn(512, 512), torch.randn(512)
    ours: Callable[[], Tensor] = lambda: product(x, weight, bias)  # noqa: E731
    theirs: Callable[[], Tensor] = lambda: F.linear(x, weight, bias)  # noqa: E731
    rounds = [(_seconds(theirs), _seconds(ours)) for _ in range(ROUNDS)]
    slow, quick = (min(column) for column in zip(*rounds[2:], strict=True))
    return slow > MARGIN * quick


def _seconds(work: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
