"""Pyro: stochastic variational inference with the closed-form KL, and its importance-weighted bound."""

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, RenyiELBO, TraceMeanField_ELBO
from pyro.optim import Adam

from benchmarks import nets
from benchmarks.protocol import Job, serve


class Work:
    """Model and guide as in Pyro's own tutorial."""

    def __init__(self, job: Job) -> None:
        pyro.set_rng_seed(job.seed)
        pyro.enable_validation(False)  # gray levels are not values of a Bernoulli
        pyro.clear_param_store()
        self.job = job
        self.vae = nets.VAE("mlp").to(job.device)

    def model(self, x):
        pyro.module("decoder", self.vae.decoder)
        with pyro.plate("images", len(x)):
            zeros = x.new_zeros(len(x), 20)
            z = pyro.sample("z", dist.Normal(zeros, torch.ones_like(zeros)).to_event(1))
            logits = self.vae.decoder(z.reshape(-1, 20)).reshape(*z.shape[:-1], 784)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x.flatten(1))

    def guide(self, x):
        pyro.module("encoder", self.vae.encoder)
        with pyro.plate("images", len(x)):
            loc, log_scale = self.vae.encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


class Train(Work):
    """One step of SVI per batch."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.x = torch.from_numpy(np.load(job.file("train"))).to(job.device)
        self.svi = SVI(self.model, self.guide, Adam({"lr": 1e-3}), TraceMeanField_ELBO())
        self.batches = self.epochs()

    def epochs(self):
        """Yield batches in random order, endlessly."""
        while True:
            for rows in torch.randperm(len(self.x)).split(self.job.batch):
                yield self.x[rows.to(self.x.device)]

    def round(self) -> dict[str, float]:
        total = sum(self.svi.step(next(self.batches)) for _ in range(self.job.steps))
        return {"steps": self.job.steps, "loss": total / self.job.steps / self.job.batch}

    def save(self, path: str) -> None:
        nets.save(path, nets.arrays(self.vae.parameters()))


class Evidence(Work):
    """Minus the loss of RenyiELBO(α = 0), which is log (1/K) Σ w; image by image, all draws at once."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        nets.load(job.weights, self.vae.parameters())
        self.x = torch.from_numpy(np.load(job.file("test"))).to(job.device)
        self.bound = RenyiELBO(alpha=0, num_particles=job.samples, vectorize_particles=True, max_plate_nesting=1)

    @torch.no_grad()
    def round(self) -> dict[str, float]:
        losses = [self.bound.loss(self.model, self.guide, x) for x in self.x[: self.job.images].split(1)]
        return {"log_evidence": -float(np.mean(losses)), "images": len(losses), "samples": self.job.samples}


if __name__ == "__main__":
    serve(Train, Evidence)
