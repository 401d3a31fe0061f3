"""vaekit, what comes after training."""

import tempfile
from pathlib import Path

import numpy as np
import torch

import vaekit
from benchmarks import nets
from benchmarks.protocol import Job, seconds, serve
from benchmarks.runners.vaekit import begin, experiment
from vaekit import devices
from vaekit.evaluation.evidence import evidence
from vaekit.evaluations import BATCH
from vaekit.sharding import compile_densities


class Evidence:
    """``vaekit evaluate``'s own function, in its batches, compiled as it is for so many draws."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.vae = experiment(job).model.build((1, 28, 28)).to(job.device).eval()
        nets.load(job.weights, self.vae.parameters())
        self.vae.requires_grad_(False)
        compile_densities(self.vae)
        self.x = torch.from_numpy(np.load(job.file("test"))[: job.images]).to(job.device)

    def round(self) -> dict[str, float]:
        with devices.autocast(torch.device(self.job.device), experiment(self.job).precision):
            parts = [evidence(self.vae, x, self.job.samples)["log_evidence"] for x in self.x.split(BATCH)]
        value = torch.cat(parts).mean().item()
        return {"log_evidence": value, "images": self.job.images, "samples": self.job.samples}


class Use:
    """One image through the model at hand; 10,000 through ``vaekit.encode`` and ``decode``, which read the weights."""

    def __init__(self, job: Job) -> None:
        folder = Path(tempfile.mkdtemp(dir=job.folder)) / "run"
        reports = begin(job, folder)
        next(reports)
        reports.close()
        self.run = vaekit.load(folder)
        self.vae = self.run.vae(torch.device(job.device))
        self.x = np.rint(np.load(job.file("test")) * 255).astype(np.uint8)
        self.device = job.device

    @torch.inference_mode()
    def round(self) -> dict[str, float]:
        z = vaekit.encode(self.run, self.x, device=self.device)
        one = torch.from_numpy(self.x[:1] / np.float32(255)).to(self.device)
        code = torch.from_numpy(z[:1]).to(self.device)
        return {
            "encode_one": seconds(lambda: self.vae.encode(one).cpu(), 200),
            "decode_one": seconds(lambda: self.vae.decode(code).cpu(), 200),
            "encode_all": seconds(lambda: vaekit.encode(self.run, self.x, device=self.device), 3),
            "decode_all": seconds(lambda: vaekit.decode(self.run, z, device=self.device), 3),
        }


if __name__ == "__main__":
    serve(Evidence, Use)
