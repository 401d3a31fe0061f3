"""Importance-weighted bounds of several draws."""

from math import log
from typing import Annotated, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import frozen_log_prob
from vaekit.model import VAE, Draws
from vaekit.objectives.objective import ENCODER, Loss, Objective, reported
from vaekit.specs import Count, spec


class ImportanceObjective(Objective):
    """The negative bound of K draws; ``spec`` says of how many, of which order α, and how it is differentiated."""

    def __init__(self, spec: "Importance") -> None:
        super().__init__()
        self.samples, self.estimator, self.alpha = spec.samples, spec.estimator, spec.alpha

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = self.drawn(vae, batch.x)
        terms = reported(vae, draws, analytic=False)
        bound = terms["elbo"] + jensen_gap(draws.log_weight, self.alpha).mean()
        return Loss(-bound, bound, {"bound": bound, **terms})

    def drawn(self, vae: VAE, x: Float[Tensor, "batch *event"]) -> Draws:
        """Draw z ~ q(z | x), such that the gradient of the bound is that of the estimator."""
        draws = vae.draw(x, self.samples)
        if self.estimator == "plain":
            return draws
        draws = draws._replace(log_posterior=frozen_log_prob(draws.posterior, draws.z))
        if self.estimator == "dreg" and draws.z.requires_grad:
            share = self.alpha + (1 - self.alpha) * normalized(draws.log_weight.detach(), self.alpha)
            draws.z.register_hook(lambda gradient: share[..., None] * gradient)
        return draws


@spec
class Importance:
    r"""The negative importance-weighted bound of K draws, tighter than the ELBO; or the Rényi bound of order α.

    L_α = 1/(1 − α) log (1/K) Σ_k w_k^(1−α),  w_k = p(x, z_k) / q(z_k | x),  z_k ~ q(z | x),  loss = −L_α.

    α = 0 is the importance-weighted bound log (1/K) Σ_k w_k, and α → 1 the ELBO, the mean of log w_k. L_α never
    grows with α; for α ≥ 0, its expectation is at most log p(x) for any K, and for α = 0 it grows with K.

    With weights v_k ∝ w_k^(1−α) that sum to 1, the gradient is Σ_k v_k ∇ log w_k. In the weights φ of q it has three
    estimators. With z_k = z(ε_k, φ):

    - ``plain``:  Σ_k v_k (∂ log w_k/∂z_k ∂z_k/∂φ − ∂ log q(z_k | x)/∂φ);
    - ``stl``:  Σ_k v_k ∂ log w_k/∂z_k ∂z_k/∂φ, without the second term. Its expectation is that of ``plain`` for K = 1
      and for α = 1, where the second term has mean 0, and is biased otherwise;
    - ``dreg``:  Σ_k (α v_k + (1 − α) v_k²) ∂ log w_k/∂z_k ∂z_k/∂φ, where the second term is written as a gradient
      through z_k as well. Its expectation is that of ``plain`` for any K and α.

    At the exact posterior, w_k is the same for all z_k, so the last two have no variance. The weights of prior and
    likelihood get the same gradient from all three. If they are weights of q as well, the estimators differ in what
    they get as weights of q.

    The reported ``elbo`` and ``kl`` are means over the same draws, and the reported ``bound`` is L_α.

    Reference: *Importance weighted autoencoders (Burda, Grosse, Salakhutdinov, 2016)*, arXiv:1509.00519; ``stl``:
    *Sticking the landing (Roeder, Wu, Duvenaud, 2017)*, arXiv:1703.09194; ``dreg``: *Doubly reparameterized gradient
    estimators for Monte Carlo objectives (Tucker, Lawson, Gu, Maddison, 2019)*, arXiv:1810.04152, whose derivation
    gives the one for α > 0 too; α: *Rényi divergence variational inference (Li, Turner, 2016)*, arXiv:1602.02311.

    Example:
        >>> from torch import zeros
        >>> from vaekit.data import Batch, Space
        >>> from vaekit.model import Model
        >>> space = Space.of((1, 8, 8))
        >>> vae = Model().build(space)
        >>> loss = Importance(samples=50, estimator="dreg").build(vae, space)(vae, Batch(zeros(5, 1, 8, 8)))
        >>> bool(loss.terms["bound"] >= loss.terms["elbo"])
        True
    """

    has: ClassVar[Traits] = {"judged", "direct", "rowwise"}
    needs: ClassVar[Needs] = {"posterior": ENCODER}
    kind: Literal["importance"] = "importance"
    samples: Count = 5
    """posterior draws per image, K; the decoder costs K times as much"""
    estimator: Literal["plain", "stl", "dreg"] = "plain"
    """of the encoder's gradient; stl is biased unless K or α is 1; dreg and stl vary less"""
    alpha: Annotated[float, Field(ge=0)] = 0.0
    """order α of the Rényi bound: 0 is the importance-weighted bound, 1 the ELBO"""

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return ImportanceObjective(self)


def jensen_gap(log_weight: Float[Tensor, "n batch"], alpha: float) -> Float[Tensor, "batch"]:
    """Return what the bound of order α gains over the mean of log w, (batch,) nats: exactly 0 for one draw or α = 1."""
    above = log_weight - log_weight.mean(0)
    if alpha == 1:
        return above.new_zeros(above.shape[1:])
    return (((1 - alpha) * above).logsumexp(0) - log(len(above))) / (1 - alpha)


def normalized(log_weight: Float[Tensor, "n batch"], alpha: float) -> Float[Tensor, "n batch"]:
    """Return w_k^(1−α), (n, batch), divided by its sum over the draws."""
    return ((1 - alpha) * log_weight).softmax(0)
