"""Optimizers: torch's, as specs. ``weight_decay`` adds λ θ to the gradient (AdamW shrinks the weights instead)."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.errors import InputError
from vaekit.specs import spec

Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Parameters = Iterable[nn.Parameter]
Moments = dict[str, Tensor]
"""what an optimizer keeps of a weight, by torch's names"""
Decayed = Literal["all", "matrices"]


def grouped(parameters: Parameters, weight_decay: float, decayed: Decayed) -> list[dict[str, Any]]:
    """Return torch's groups of parameters: one, or the matrices and kernels, which decay, apart from the rest.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> [(len(group["params"]), group["weight_decay"]) for group in grouped(layer.parameters(), 0.1, "matrices")]
        [(1, 0.1), (1, 0.0)]
    """
    weights = list(parameters)
    if decayed == "all":
        return [{"params": weights, "weight_decay": weight_decay}]
    halves = [w for w in weights if w.ndim > 1], [w for w in weights if w.ndim < 2]
    return [{"params": h, "weight_decay": d} for h, d in zip(halves, (weight_decay, 0.0), strict=True) if h]


@spec
class Adam:
    """Reference: *Adam: a method for stochastic optimization (Kingma, Ba, 2015)*, arXiv:1412.6980."""

    kind: Literal["adam"] = "adam"
    learning_rate: Rate = 1e-3
    """step size"""
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """decay rates of the running means of the gradient and of its square"""
    eps: Rate = 1e-8
    """small number added to the denominator"""
    weight_decay: Decay = 0.0
    """factor λ of the λ θ added to the gradient; 1/N for N training images is AEVB's N(0, I) prior on the weights"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.Adam(groups, self.learning_rate, self.betas, self.eps, fused=True)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, exp_avg: Tensor, exp_avg_sq: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after step t = 1, 2, ..., and what is kept of it."""
        return adam_update(self, w, gradient + decay * w, rate, t, exp_avg, exp_avg_sq)


@spec
class AdamW:
    """Reference: *Decoupled weight decay regularization (Loshchilov, Hutter, 2019)*, arXiv:1711.05101."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: Rate = 1e-3
    """step size"""
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """decay rates of the running means of the gradient and of its square"""
    eps: Rate = 1e-8
    """small number added to the denominator"""
    weight_decay: Decay = 0.01
    """shrinks the weights apart from the gradient: θ ← (1 − learning_rate · weight_decay) θ"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.AdamW(groups, self.learning_rate, self.betas, self.eps, fused=True)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, exp_avg: Tensor, exp_avg_sq: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after step t = 1, 2, ..., and what is kept of it."""
        return adam_update(self, w - rate * decay * w, gradient, rate, t, exp_avg, exp_avg_sq)


def adam_update(
    spec: Adam | AdamW, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor
) -> tuple[Tensor, Moments]:
    """Return a weight after step t of Adam, or of AdamW once the weight is shrunk, and what is kept of it."""
    beta, beta_sq = spec.betas
    mean = exp_avg.lerp(gradient, 1 - beta)
    square = beta_sq * exp_avg_sq + (1 - beta_sq) * gradient.square()
    denominator = (square / (1 - beta_sq**t)).sqrt() + spec.eps
    return w - rate / (1 - beta**t) * mean / denominator, {"exp_avg": mean, "exp_avg_sq": square}


@spec
class Adamax:
    """Reference: *Adam: a method for stochastic optimization (Kingma, Ba, 2015)*, arXiv:1412.6980, section 7.1."""

    kind: Literal["adamax"] = "adamax"
    learning_rate: Rate = 2e-3
    """step size"""
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """decay rates of the running means of the gradient and of its square"""
    eps: Rate = 1e-8
    """small number added to the denominator"""
    weight_decay: Decay = 0.0
    """factor λ of the λ θ added to the gradient"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.Adamax(groups, self.learning_rate, self.betas, self.eps)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, exp_avg: Tensor, exp_inf: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after step t = 1, 2, ..., and what is kept of it."""
        (beta, beta_inf), gradient = self.betas, gradient + decay * w
        mean = exp_avg.lerp(gradient, 1 - beta)
        largest = torch.maximum(beta_inf * exp_inf, gradient.abs() + self.eps)
        return w - rate / (1 - beta**t) * mean / largest, {"exp_avg": mean, "exp_inf": largest}


@spec
class Adagrad:
    """Reference: *Adaptive subgradient methods (Duchi, Hazan, Singer, 2011)*; AEVB used 0.01, 0.02 or 0.1."""

    kind: Literal["adagrad"] = "adagrad"
    learning_rate: Rate = 0.02
    """step size"""
    eps: Rate = 1e-10
    """small number added to the denominator"""
    weight_decay: Decay = 0.0
    """factor λ of the λ θ added to the gradient; 1/N for N training images is AEVB's N(0, I) prior on the weights"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.Adagrad(groups, self.learning_rate, eps=self.eps)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, sum: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after a step, and what is kept of it."""
        gradient = gradient + decay * w
        total = sum + gradient.square()
        return w - rate * gradient / (total.sqrt() + self.eps), {"sum": total}


@spec
class RMSprop:
    """Reference: *Lecture 6.5: RMSprop (Tieleman, Hinton, 2012)*; smoothing 0.9 as in Keras, where torch has 0.99."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Rate = 1e-3
    """step size"""
    smoothing: Momentum = 0.9
    """decay rate of the running mean of the squared gradient"""
    momentum: Momentum = 0.0
    """share of the previous step that is added to the next"""
    eps: Rate = 1e-7
    """small number added to the denominator"""
    weight_decay: Decay = 0.0
    """factor λ of the λ θ added to the gradient"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.RMSprop(groups, self.learning_rate, self.smoothing, self.eps, momentum=self.momentum)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, square_avg: Tensor, **kept: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after a step, and what is kept of it."""
        gradient = gradient + decay * w
        square = self.smoothing * square_avg + (1 - self.smoothing) * gradient.square()
        move = gradient / (square.sqrt() + self.eps)
        if not self.momentum:
            return w - rate * move, {"square_avg": square}
        buffer = self.momentum * kept["momentum_buffer"] + move
        return w - rate * buffer, {"square_avg": square, "momentum_buffer": buffer}


@spec
class SGD:
    """Stochastic gradient descent with optional momentum."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: Rate = 1e-4
    """step size"""
    momentum: Momentum = 0.0
    """share of the previous step that is added to the next"""
    nesterov: bool = False
    """whether the momentum looks ahead"""
    weight_decay: Decay = 0.0
    """factor λ of the λ θ added to the gradient"""
    decayed: Decayed = "all"
    """what weight_decay acts on: all weights, or matrices and kernels only, without biases and shared scales"""

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise InputError("nesterov is true and momentum is 0: give a momentum, such as 0.9")

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Return torch's optimizer over the parameters."""
        groups = grouped(parameters, self.weight_decay, self.decayed)
        return torch.optim.SGD(groups, self.learning_rate, self.momentum, nesterov=self.nesterov)

    def update(
        self, w: Tensor, gradient: Tensor, rate: Tensor, t: Tensor, decay: float, **kept: Tensor
    ) -> tuple[Tensor, Moments]:
        """Return a weight after a step, and what is kept of it."""
        gradient = gradient + decay * w
        if not self.momentum:
            return w - rate * gradient, {}
        buffer = self.momentum * kept["momentum_buffer"] + gradient
        move = gradient + self.momentum * buffer if self.nesterov else buffer
        return w - rate * move, {"momentum_buffer": buffer}


def moments(optimizer: "Optimizer") -> dict[str, bool]:
    """Return the names of what torch's optimizer keeps per weight, and whether each has the weight's shape.

    Example:
        >>> moments(SGD(momentum=0.9)), moments(Adagrad())
        ({'momentum_buffer': True}, {'step': False, 'sum': True})
    """
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.zeros(2)
    built = optimizer.build([weight])
    built.step()
    return {name: bool(value.shape) for name, value in built.state[weight].items() if isinstance(value, Tensor)}


# Torch's compiler stops at torch's optimizers, and what it makes of their formulas is slower than torch's fused kernel.
# That kernel is therefore an operator here: a step of Adam, or of AdamW if decoupled, unless ``failed`` is one.
OPERATORS = torch.library.Library("vaekit", "FRAGMENT")
OPERATORS.define(
    "adam(Tensor(a!)[] weights, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, Tensor(d!)[] steps, "
    "Tensor learning_rate, Tensor failed, float beta1, float beta2, float eps, float weight_decay, bool decoupled) "
    "-> ()"
)


def adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    learning_rate: Tensor,
    failed: Tensor,
    *settings: float,
) -> None:
    """Take the step, in place."""
    alike = [
        g if g.stride() == w.stride() else torch.empty_like(w).copy_(g) for w, g in zip(weights, gradients, strict=True)
    ]
    beta1, beta2, eps, weight_decay, decoupled = settings
    torch._foreach_add_(steps, [1 - failed] * len(steps))  # the host would have to read a single number
    (torch._fused_adamw_ if decoupled else torch._fused_adam_)(
        weights, alike, means, squares, [], steps, lr=learning_rate, found_inf=failed, amsgrad=False, maximize=False,
        beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
    )  # fmt: skip


OPERATORS.impl("adam", adam, "CompositeExplicitAutograd")


@torch.library.register_fake("vaekit::adam")
def _(*_: object) -> None: ...


Optimizer = Annotated[Adam | AdamW | Adamax | Adagrad | RMSprop | SGD, Field(discriminator="kind")]
