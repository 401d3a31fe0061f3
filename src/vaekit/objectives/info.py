"""InfoVAE and the Wasserstein auto-encoder: the codes of all images are held to the prior by their MMD."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import drawn, full_precision
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.objectives.objective import ENCODER, Loss, Objective, known
from vaekit.specs import spec

Kernel = Literal["inverse_multiquadratic", "gaussian"]

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""factors on 2 d in the inverse multiquadratic kernel, as in the code of WAE"""


class InfoObjective(Objective):
    """The reconstruction, plus 1 − α of the KL and α + λ − 1 of the MMD; ``spec`` says which, and with which kernel."""

    def __init__(self, spec: "Info") -> None:
        super().__init__()
        self.kl, self.mmd, self.kernel = 1 - spec.alpha, spec.alpha + spec.weight - 1, spec.kernel

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        bound, terms = known(vae, draws)
        (z,) = draws.z
        with torch.no_grad():
            prior = drawn(draws.prior, len(z))
        mmd = discrepancy(z, prior, self.kernel)
        value = terms["reconstruction"] + self.mmd * mmd
        return Loss(value + self.kl * terms["kl"] if self.kl else value, bound, terms | {"mmd": mmd})


@spec
class Info:
    r"""InfoVAE with the maximum mean discrepancy (MMD), which is a Wasserstein auto-encoder (WAE-MMD) for α = 1.

    loss = −E_q log p(x | z) + (1 − α) KL(q(z | x) ‖ p(z)) + (α + λ − 1) MMD²(q(z), p(z)).

    MMD² = E k(z, z') − 2 E k(z, p) + E k(p, p') compares the codes z of all images with draws p of the prior. It is
    estimated from a batch and as many draws without bias, hence 0 on average if q(z) = p(z), and negative at times;
    ``mmd`` is this estimate. The kernels, of the squared distance r² in d dimensions, are

    inverse multiquadratic: Σ_s 2 s d / (2 s d + r²), s = 0.1, 0.2, 0.5, 1, 2, 5, 10;  gaussian: exp(−r² / 2d).

    Where α = 1 there is no KL, and q(z | x) may be a point; nothing then says which weights are best, so there is no
    early stopping. The reported ``elbo`` has neither α nor λ and remains a bound.

    Reference: *InfoVAE: information maximizing variational autoencoders (Zhao, Song, Ermon, 2017)*, arXiv:1706.02262;
    *Wasserstein auto-encoders (Tolstikhin, Bousquet, Gelly, Schoelkopf, 2018)*, arXiv:1711.01558.
    """

    kind: Literal["info"] = "info"
    alpha: Annotated[float, Field(le=1)] = 1.0
    """α of the paper: the KL has the weight 1 − α"""
    weight: Annotated[float, Field(ge=0)] = 10.0
    """λ of the papers: the MMD has the weight α + λ − 1"""
    kernel: Kernel = "inverse_multiquadratic"
    """kernel of the MMD"""

    def __post_init__(self) -> None:
        if self.alpha + self.weight < 1:
            raise InputError(
                f"objective.weight {self.weight:g} gives the MMD a negative weight, alpha + weight − 1: "
                f"give at least {1 - self.alpha:g}"
            )

    @property
    def has(self) -> Traits:
        """Without a KL, the ELBO is not what is minimized."""
        return {"judged", "generative"} if self.alpha < 1 else {"generative"}

    @property
    def needs(self) -> Needs:
        """Only the KL needs densities."""
        if self.alpha < 1:
            return {"posterior": ENCODER, "prior": {"real"}}
        return {"posterior": {"encoder", "pathwise"}, "prior": {"real", "standard"}}

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return InfoObjective(self)


def discrepancy(z: Float[Tensor, "n latent"], p: Float[Tensor, "n latent"], kernel: Kernel) -> Float[Tensor, ""]:
    """Estimate MMD² between the distributions of two samples without bias; a sample of one has no pairs of its own."""
    n, latents = z.shape
    others = 1 - torch.eye(n, device=z.device, dtype=z.dtype)  # torch's compiler has wrong gradients for diagonal()
    within = [(similarity(squared_distances(each, each), latents, kernel) * others).sum() for each in (z, p)]
    return (
        torch.stack(within).sum() / (n * max(n - 1, 1))
        - 2 * similarity(squared_distances(z, p), latents, kernel).mean()
    )


def squared_distances(a: Float[Tensor, "n latent"], b: Float[Tensor, "m latent"]) -> Float[Tensor, "n m"]:
    """Return |a_i − b_j|², by a matrix product."""
    with full_precision(a.device):
        products = a @ b.T
    return (a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * products).clamp(min=0)


def similarity(squared: Float[Tensor, "..."], latents: int, kernel: Kernel) -> Float[Tensor, "..."]:
    """Return the kernel of squared distances between vectors of so many latents."""
    if kernel == "gaussian":
        return (-squared / (2 * latents)).exp()
    widths = [2 * latents * scale for scale in SCALES]
    return torch.stack([width / (width + squared) for width in widths]).sum(0)
