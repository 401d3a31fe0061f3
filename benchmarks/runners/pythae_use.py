"""pythae, what comes after training: its own ``get_nll``, encoder and decoder."""

import numpy as np
import torch

from benchmarks import nets
from benchmarks.protocol import Job, seconds, serve
from benchmarks.runners.pythae import build, parameters


class Trained:
    """A model with given weights, and images."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.vae = build(job.net).to(job.device).eval()
        nets.load(job.weights, parameters(self.vae))
        self.x = torch.from_numpy(np.load(job.file("test"))).to(job.device)


class Evidence(Trained):
    """``get_nll`` returns log p(x), draws n_samples // batch_size batches, and one whole batch if n_samples is less."""

    BATCH = 100

    @torch.no_grad()
    def round(self) -> dict[str, float]:
        value = self.vae.get_nll(self.x[: self.job.images], n_samples=self.job.samples, batch_size=self.BATCH)
        drawn = self.job.samples // self.BATCH * self.BATCH
        return {"log_evidence": float(value), "images": self.job.images, "samples": drawn}


class Use(Trained):
    """Encode and decode through the model's encoder and decoder: its ``embed`` would do both, and draw."""

    @torch.no_grad()
    def round(self) -> dict[str, float]:
        z = self.vae.encoder(self.x).embedding
        return {
            "encode_one": seconds(lambda: self.vae.encoder(self.x[:1]).embedding.cpu(), 200),
            "decode_one": seconds(lambda: self.vae.decoder(z[:1]).reconstruction.cpu(), 200),
            "encode_all": seconds(lambda: self.vae.encoder(self.x).embedding.cpu(), 3),
            "decode_all": seconds(lambda: self.vae.decoder(z).reconstruction.cpu(), 3),
        }


if __name__ == "__main__":
    serve(Evidence, Use)
