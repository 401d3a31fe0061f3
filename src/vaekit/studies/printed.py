"""Faulty losses, as printed in reports and posts: objectives of their own, beside those of the core."""

from typing import ClassVar

from torch import Tensor
from torch.distributions import Normal

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import independent
from vaekit.model import VAE
from vaekit.objectives import Loss, Weighted, reported
from vaekit.objectives.objective import ENCODER


class Printed(Weighted):
    """A loss as printed, with the weight β on its KL.

    Args:
        beta: weight of the KL.
    """

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": ENCODER | {"gaussian"}}

    def __init__(self, vae: VAE, space: Space, beta: float = 1.0) -> None:
        super().__init__(beta)


class PrintedSampling(Printed):
    r"""Faulty, as printed in a report and a notebook: z = μ + σ² ε, where a draw from q(z | x) is μ + σ ε.

    loss = −E log p(x | μ + σ² ε) + β KL(N(μ, σ²) ‖ p).

    The noise has scale σ² while the KL is that of σ: where σ < 1, codes are more precise than the KL charges for, and
    −loss is not a bound. What is reported (``elbo``, ``reconstruction``, ``kl``) is right, from draws μ + σ ε of the
    same encoder; ``loss`` is as printed.

    As printed in: *Re-Auto-Encoding Variational Bayes (KTH, 2021)*, and *Deep learning with Python (Chollet, 2017)*,
    notebook 8.4, which *ECE 542 report (NCSU, 2018)* follows with β = 0.784/d.
    """

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws)
        q = draws.posterior
        printed = independent(Normal(q.mean, q.variance, validate_args=False), 1)
        reconstruction = -vae.draw(batch.x, 1, printed).log_likelihood.mean()
        return Loss(reconstruction + self.beta * terms["kl"], terms["elbo"], terms)


class PrintedKL(Printed):
    r"""Faulty, as printed in a post: a KL without its logarithm, ½ Σ_j (μ_j² + σ_j²).

    loss = −E_q log p(x | z) + β ½ Σ_j (μ_j² + σ_j²).

    The true KL, ½ Σ_j (μ_j² + σ_j² − 1 − log σ_j²), has its minimum at σ = 1; this one has it at σ = 0, which leaves a
    deterministic auto-encoder with a penalty on its codes. What is reported (``elbo``, ``reconstruction``, ``kl``) is
    right; ``loss`` is as printed.

    As printed in: *Variational autoencoders explained (Frans, 2016)*; the accompanying code has the logarithm.
    """

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        draws = vae.draw(batch.x)
        terms = reported(vae, draws)
        q = draws.posterior
        printed = 0.5 * (q.mean.square() + q.variance).sum(-1).mean()
        return Loss(terms["reconstruction"] + self.beta * printed, terms["elbo"], terms)
