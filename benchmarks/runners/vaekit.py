"""vaekit, training. Variant: precision and compile, such as "fp32 auto"."""

import tempfile
from pathlib import Path

import torch

import vaekit
from benchmarks import nets
from benchmarks.protocol import Job, serve
from vaekit.presets import PRESETS
from vaekit.training import loop


def experiment(job: Job) -> vaekit.Experiment:
    """The preset of the network, for the data and length of the job."""
    preset = PRESETS["aevb-mnist" if job.net == "mlp" else job.net]
    unit = {"model.likelihood.fixed_scale": 1.0} if job.net == "aragam" else {}
    latents = {"model.latent_dim": 20} if job.net == "mlp" else {}
    settings = {
        "data.binarization": job.binarization,
        "batch_size": job.batch,
        "seed": job.seed,
        "epochs": job.epochs,
        "evaluate_every": job.epochs,
        "precision": job.variant.split()[0] if job.variant else "fp32",
    }
    source = vaekit.Source(name="mnist", split="60k/10k")
    return vaekit.Experiment(data=source).replace_all({**preset, **unit, **latents, **settings})


def begin(job: Job, folder: Path):
    """``vaekit.train``, not yet advanced."""
    root = Path(job.root) if job.root else None
    compile = job.variant.split()[1]
    return vaekit.train(experiment(job), folder, device=job.device, data_root=root, compile=compile)


class Train:
    """Rounds end at the first report after their steps; reports come ten times a second."""

    def __init__(self, job: Job) -> None:
        begun: list[loop.Training] = []

        class Watched(loop.Training):
            """The training itself, for its weights: ``train`` yields progress only."""

            def __init__(self, *args, **options) -> None:
                super().__init__(*args, **options)
                begun.append(self)

        loop.Training = Watched
        self.job = job
        self.reports = begin(job, Path(tempfile.mkdtemp(dir=job.folder)) / "run")
        self.progress = next(self.reports)
        self.training, self.total = begun[0], (0, 0.0)

    def round(self) -> dict[str, float]:
        first = self.progress.step
        while self.progress.step < first + self.job.steps:
            self.progress = next(self.reports)
        steps, (_, before) = self.progress.step - first, self.total
        self.total = self.progress.step, self.progress.step * self.progress.terms["loss"]
        return {"steps": steps, "loss": (self.total[1] - before) / steps}

    def save(self, path: str) -> None:
        nets.save(path, nets.arrays(self.training.vae.parameters()))


class Finish:
    """A training to its end, as a user runs it; the weights are those of the run's folder."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def save(self, path: str) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.job.folder)) / "run"
        for _ in begin(self.job, folder):
            pass
        nets.save(path, nets.arrays(vaekit.load(folder).vae(torch.device("cpu")).parameters()))


if __name__ == "__main__":
    serve(Train, Finish)
