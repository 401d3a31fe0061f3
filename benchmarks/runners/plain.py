"""Plain torch: a loop over batches of a tensor in memory, as one would write it by hand."""

import math

import numpy as np
import torch

from benchmarks import nets
from benchmarks.protocol import Job, seconds, serve


class Train:
    """Variant eager: torch's default Adam. Variant compiled: fused Adam, the loss compiled."""

    def __init__(self, job: Job) -> None:
        torch.manual_seed(job.seed)
        self.job = job
        self.x = torch.from_numpy(np.load(job.file("train"))).to(job.device)
        self.vae = nets.VAE(job.net).to(job.device)
        compiled = job.variant == "compiled"
        name, rate, options = nets.OPTIMIZERS[job.net]
        fused = {"fused": True} if compiled and name == "Adam" else {}
        self.optimizer = getattr(torch.optim, name)(self.vae.parameters(), lr=rate, **options, **fused)
        self.loss = torch.compile(self.vae) if compiled else self.vae
        self.batches = self.epochs()

    def epochs(self):
        """Yield batches in random order, endlessly."""
        while True:
            for rows in torch.randperm(len(self.x)).split(self.job.batch):
                if len(rows) == self.job.batch:
                    yield self.x[rows.to(self.x.device)]

    def round(self) -> dict[str, float]:
        total = torch.zeros((), device=self.x.device)
        for _ in range(self.job.steps):
            loss = self.loss(next(self.batches))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return {"steps": self.job.steps, "loss": total.item() / self.job.steps + nets.CONSTANT[self.job.net]}

    def save(self, path: str) -> None:
        nets.save(path, nets.arrays(self.vae.parameters()))


class Trained:
    """A model with given weights, and images."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.vae = nets.VAE(job.net).to(job.device).eval()
        nets.load(job.weights, self.vae.parameters())
        self.x = torch.from_numpy(np.load(job.file("test"))).to(job.device)


class Evidence(Trained):
    """Importance sampling, image by image."""

    @torch.inference_mode()
    def round(self) -> dict[str, float]:
        values = [self.log_evidence(x) for x in self.x[: self.job.images].split(1)]
        return {"log_evidence": torch.stack(values).mean().item(), "images": len(values), "samples": self.job.samples}

    def log_evidence(self, x: torch.Tensor) -> torch.Tensor:
        """Return log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x)."""
        loc, log_scale = self.vae.encoder(x).chunk(2, -1)
        noise = torch.randn(self.job.samples, loc.shape[-1], device=x.device)
        z = loc + log_scale.exp() * noise
        distortion = self.vae.distortion(self.vae.decoder(z), x.expand(len(z), *x.shape[1:])).flatten(1).sum(1)
        log_ratio = (0.5 * noise.square() - 0.5 * z.square() + log_scale).sum(1)
        return (log_ratio - distortion).logsumexp(0) - math.log(len(z))


class Use(Trained):
    """Encode and decode."""

    @torch.inference_mode()
    def round(self) -> dict[str, float]:
        z = self.vae.encoder(self.x).chunk(2, -1)[0]
        return {
            "encode_one": seconds(lambda: self.vae.encoder(self.x[:1]).chunk(2, -1)[0].cpu(), 200),
            "decode_one": seconds(lambda: self.vae.decoder(z[:1]).sigmoid().cpu(), 200),
            "encode_all": seconds(lambda: self.vae.encoder(self.x).chunk(2, -1)[0].cpu(), 3),
            "decode_all": seconds(lambda: self.vae.decoder(z).sigmoid().cpu(), 3),
        }


if __name__ == "__main__":
    serve(Train, Evidence, Use)
