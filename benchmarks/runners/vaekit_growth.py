"""vaekit, one size of growing work. Variant: the posterior."""

import tempfile
import time
from pathlib import Path

import torch

import vaekit
from benchmarks.data import TESTED, noise
from benchmarks.protocol import Job, serve
from vaekit.evaluation.evidence import evidence


class Grown:
    """An experiment on noise: 784-500-20-500-784, with another number of pixels, images or latents."""

    def __init__(self, job: Job) -> None:
        self.job, self.folder = job, Path(tempfile.mkdtemp(dir=job.folder)) / "run"
        data = vaekit.Source(name=str(noise(job)), split=f"{job.images}/{TESTED}")
        settings = {
            "model.latent_dim": job.latents,
            "model.network.hidden": (500,),
            "model.posterior": job.variant or "gaussian",
            "batch_size": job.batch,
            "epochs": job.epochs,
            "evaluate_every": job.epochs,
        }
        self.experiment = vaekit.Experiment(data=data).replace_all(settings)


class Step(Grown):
    """Training steps, compiled as those of a long training are; a round lasts at least half a second."""

    LEAST = 0.5

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.reports = vaekit.train(self.experiment, self.folder)
        self.progress = next(self.reports)

    def round(self) -> dict[str, float]:
        first, began = self.progress.step, time.monotonic()
        while time.monotonic() < began + self.LEAST or self.progress.step < first + 2:
            self.progress = next(self.reports)
        return {"units": self.progress.step - first}


class Epoch(Grown):
    """A whole training of one epoch: the file is read, and the weights are saved."""

    def round(self) -> dict[str, float]:
        for _ in vaekit.train(self.experiment, self.folder, compile="off", overwrite=True):
            pass
        return {"units": 1}


class Draws(Grown):
    """The evidence of some images by importance sampling, with new weights."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.vae = self.experiment.model.build((1, job.side, job.side)).eval().requires_grad_(False)
        self.x = torch.rand(job.images, 1, job.side, job.side).round()

    def round(self) -> dict[str, float]:
        evidence(self.vae, self.x, self.job.samples)
        return {"units": 1}


if __name__ == "__main__":
    serve(Step, Epoch, Draws)
