"""What is done with distributions of any kind."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from vaekit.errors import InputError

Head = Literal["log_scale", "log_variance"]
"""what a network outputs for the scale of a Gaussian: log σ, or log σ²"""

LEAST_SCALE = 1e-3
"""standard deviation that is taken of a latent whose codes do not vary"""


def independent(distribution: Distribution, event_dims: int) -> Distribution:
    """Treat the last ``event_dims`` axes of ``distribution`` as one event, whose log-probabilities are summed."""
    return Independent(distribution, event_dims, validate_args=False)


def log_scale(raw: Float[Tensor, "*shape"], head: Head) -> Float[Tensor, "*shape"]:
    """Return log σ, given the output of a network and what it stands for."""
    return raw / 2 if head == "log_variance" else raw


def at_least_fp32(parameters: Tensor) -> Tensor:
    """Convert a network's half-precision outputs to fp32, in which densities are computed; fp64 stays."""
    return parameters if parameters.dtype.itemsize >= 4 else parameters.float()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Undo autocast inside the block: for densities that are computed by matrix products, as flows' are."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def rsample_and_log_prob(q: Distribution, n: int) -> tuple[Float[Tensor, "n *batch latent"], Float[Tensor, "n *batch"]]:
    """Draw n times from q, differentiably, and return the draws with their log-probabilities.

    A distribution that has both at one stroke, such as a flow, has a method ``rsample_and_log_prob(shape)``.
    """
    if hasattr(q, "rsample_and_log_prob"):
        return q.rsample_and_log_prob(torch.Size((n,)))
    z = q.rsample(torch.Size((n,)))
    return z, q.log_prob(z)


def transported_and_log_prob(
    q: Distribution, noise: Float[Tensor, "n _ latent"]
) -> tuple[Float[Tensor, "n *batch latent"], Float[Tensor, "n *batch"]]:
    """Return z as a function of standard normal noise, with log q(z): draws that all rows of a batch may share.

    With the same noise (n, 1, d) for every row, what is computed of a row does not depend on the other rows. A
    distribution that is neither a diagonal Gaussian nor a point has a method of the same name.

    Raises:
        InputError: if z is not known as a function of such noise.
    """
    if hasattr(q, "transported_and_log_prob"):
        return q.transported_and_log_prob(noise)
    normal = q.base_dist if isinstance(q, Independent) else None
    if not isinstance(normal, Normal):
        raise InputError(
            f"draws from {type(q).__name__} are not known as a function of standard normal noise: "
            "choose posterior gaussian, full_gaussian or flow, or define its method transported_and_log_prob(noise)"
        )
    z = normal.loc + normal.scale * noise
    return z, q.log_prob(z)


def transported(q: Distribution, noise: Float[Tensor, "n _ latent"]) -> Float[Tensor, "n *batch latent"]:
    """Return z as a function of standard normal noise, (n, 1, d) if all rows share it."""
    return transported_and_log_prob(q, noise)[0]


def element_log_prob(p: Distribution, x: Float[Tensor, "*value_shape"]) -> Float[Tensor, "*batch_and_event"]:
    """Return log p(x_i) of each element of x, for a p that is independent over them: (*batch, *event) nats.

    A distribution that is not torch's ``Independent`` has a method of the same name.

    Raises:
        InputError: if p is not known to be independent over the elements.
    """
    if hasattr(p, "element_log_prob"):
        return p.element_log_prob(x)
    if not (isinstance(p, Independent) and not p.base_dist.event_shape):
        raise InputError(
            f"{type(p).__name__} is not independent over the elements of x, so it has no log-probability of each: "
            "choose another likelihood, or define its method element_log_prob(x)"
        )
    found: Tensor = p.base_dist.log_prob(x)
    return found


def drawn(p: Distribution, n: int) -> Float[Tensor, "n *batch_and_event"]:
    """Draw n times from p, whose gradient is not asked for; torch's Gaussian would have the host look at its scales."""
    draw = p.rsample if p.has_rsample else p.sample
    with torch.no_grad():
        found: Tensor = draw(torch.Size((n,)))
    return found


def has_density(p: Distribution) -> bool:
    """Say whether p has a density; a distribution that has none, such as a point, says so as Delta does."""
    return getattr(p, "has_density", True)


def center(p: Distribution) -> Float[Tensor, "*batch latent"]:
    """Return what stands for p where one point is wanted: its mean, or its ``center`` if it defines one.

    A flow, which has no mean, defines the image of its base's mean; a categorical, its mode.
    """
    found: Tensor = p.center if hasattr(p, "center") else p.mean
    return found


def frozen_log_prob(q: Distribution, z: Float[Tensor, "n *batch latent"]) -> Float[Tensor, "n *batch"]:
    """Return log q(z), whose gradient reaches z and no weight of q, whoever owns it and whenever its networks run.

    The gradient at z is taken first, and log q(z) replaced by its tangent there, of the same value and gradient.
    """
    if not (torch.is_grad_enabled() and z.requires_grad):
        return q.log_prob(z).detach()
    point = z.view_as(z)
    log_prob = q.log_prob(point)
    (slope,) = torch.autograd.grad(log_prob.sum(), point, retain_graph=True)  # else it would not compile
    return log_prob.detach() + ((z - z.detach()) * slope.detach()).sum(-1)


def kl_parts(
    q: Distribution,
    p: Distribution,
    z: Float[Tensor, "n batch latent"],
    log_ratio: Float[Tensor, "n batch"] | None = None,
) -> Float[Tensor, "batch parts"]:
    """Return KL(q ‖ p) in parts that sum to it, (batch, parts) nats, estimated from draws z ~ q where it has to be.

    The parts are the units where both are independent over units, or what q defines by a method ``kl_parts(p, z)``,
    such as the levels of a chain; else there is one part, in closed form if torch has one. ``log_ratio`` is
    log q(z) − log p(z), if it is already known.
    """
    if hasattr(q, "kl_parts"):
        return q.kl_parts(p, z)
    if isinstance(q, Independent) and isinstance(p, Independent):
        units = analytic_kl(q.base_dist, p.base_dist)
        return (q.base_dist.log_prob(z) - p.base_dist.log_prob(z)).mean(0) if units is None else units
    whole = analytic_kl(q, p)
    if whole is None:
        whole = (q.log_prob(z) - p.log_prob(z) if log_ratio is None else log_ratio).mean(0)
    return whole[:, None]


def analytic_kl(q: Distribution, p: Distribution) -> Float[Tensor, "*batch"] | None:
    """KL(q ‖ p) in nats, or None where torch has no closed form for the pair."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def kl_per_unit(q: Distribution, p: Distribution) -> Float[Tensor, "batch latent"]:
    """KL(q_j ‖ p_j) of each unit, (batch, d), for distributions that are independent over units.

    Raises:
        InputError: if either is not factorized.
    """
    if not (isinstance(q, Independent) and isinstance(p, Independent)):
        raise InputError(f"the KL of each unit needs a factorized posterior and prior, not {q} and {p}")
    return kl_divergence(q.base_dist, p.base_dist)
