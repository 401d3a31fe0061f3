"""pythae, one size of growing work."""

import tempfile

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from benchmarks import nets
from benchmarks.data import TESTED, noise
from benchmarks.protocol import Job, serve
from benchmarks.runners.pythae import Decoder, Encoder


def build(job: Job) -> VAE:
    """784-500-20-500-784, with another number of pixels or latents."""
    encoder, decoder = nets.mlp(job.latents, job.side)
    config = VAEConfig(input_dim=(1, job.side, job.side), latent_dim=job.latents, reconstruction_loss="bce")
    return VAE(config, Encoder(encoder), Decoder(decoder, logits=True))


def trainer(job: Job) -> BaseTrainer:
    """pythae's trainer, of an epoch over the training images of the file."""
    x = torch.from_numpy(np.load(noise(job))[:-TESTED, None] / np.float32(255))
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(dir=job.folder), per_device_train_batch_size=job.batch, no_cuda=True
    )
    found = BaseTrainer(build(job), BaseDataset(x, torch.zeros(len(x))), training_config=config)
    found.prepare_training()
    return found


class Step:
    """Training steps: epochs over as many images as the job has."""

    def __init__(self, job: Job) -> None:
        self.trainer, self.epoch = trainer(job), 0

    def round(self) -> dict[str, float]:
        self.epoch += 1
        self.trainer.train_step(self.epoch)
        return {"units": len(self.trainer.train_loader)}


class Epoch:
    """A training of one epoch, the file read."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def round(self) -> dict[str, float]:
        trainer(self.job).train_step(1)
        return {"units": 1}


class Draws:
    """The evidence of some images: ``get_nll``, in its batches of 100 draws."""

    def __init__(self, job: Job) -> None:
        self.job, self.vae = job, build(job).eval()
        self.x = torch.rand(job.images, 1, job.side, job.side).round()

    @torch.no_grad()
    def round(self) -> dict[str, float]:
        self.vae.get_nll(self.x, n_samples=self.job.samples, batch_size=min(100, self.job.samples))
        return {"units": 1}


if __name__ == "__main__":
    serve(Step, Epoch, Draws)
