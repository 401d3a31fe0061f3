"""Wake–sleep."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.model import VAE
from vaekit.objectives.objective import Loss, reported
from vaekit.specs import spec


@spec
class WakeSleep:
    r"""Wake–sleep: a step of the decoder on data and a step of the encoder on dreams, in one loss.

    wake = −E_{q(z | x)} log p(x, z), whose gradient reaches the prior and the decoder only;
    sleep = −E_{p(x, z)} log q(z | x), whose gradient reaches the encoder only;  loss = wake + sleep.

    There is one dream (x, z) ~ p per image of the batch, with x drawn from p(x | z): bits for a Bernoulli. The two
    phases do not minimize a common function; the reported ``elbo`` is the bound that the same encoder gives.

    Reference: *The wake-sleep algorithm for unsupervised neural networks (Hinton, Dayan, Frey, Neal, 1995)*, Science
    268.
    """

    kind: Literal["wake_sleep"] = "wake_sleep"

    def kl_weight(self, epoch: float, epochs: float) -> float:
        return 1.0

    def __call__(self, vae: VAE, x: Float[Tensor, "batch *event"], kl_weight: Float[Tensor, ""]) -> Loss:
        with torch.no_grad():
            recognised = vae.posterior(x)
            dreamt_z = vae.prior().sample(torch.Size((len(x),)))
            dreamt_x = vae.likelihood(dreamt_z).sample()
        draws = vae.draw(x, 1, recognised)
        wake = -(draws.log_likelihood + draws.log_prior).mean()
        sleep = -vae.posterior(dreamt_x).log_prob(dreamt_z).mean()
        terms = reported(vae, draws)
        return Loss(wake + sleep, terms["elbo"], terms | {"sleep": sleep})
