"""Wake–sleep."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from vaekit.compatibility import Needs, Traits
from vaekit.data import Batch, Space
from vaekit.distributions import drawn
from vaekit.model import VAE
from vaekit.objectives.objective import Loss, Objective, reported
from vaekit.specs import spec


class WakeSleepObjective(Objective):
    """A step of the decoder on data and a step of the encoder on dreams, in one loss."""

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        with torch.no_grad():
            recognized = vae.posterior(batch.x)
            dreamt_z = drawn(vae.prior(), len(batch.x))
            dreamt_x = vae.likelihood(dreamt_z).sample()
        draws = vae.draw(batch.x, 1, recognized)
        wake = -(draws.log_likelihood + draws.log_prior).mean()
        sleep = -vae.posterior(dreamt_x).log_prob(dreamt_z).mean()
        terms = reported(vae, draws)
        return Loss(wake + sleep, terms["elbo"], terms | {"sleep": sleep})


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

    has: ClassVar[Traits] = {"judged", "generative"}
    needs: ClassVar[Needs] = {"posterior": {"encoder", "density"}}
    kind: Literal["wake_sleep"] = "wake_sleep"

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        return WakeSleepObjective()
