"""vaekit, training. Variant: precision, compile and a part other than the plain one, such as "fp32 auto vamp"."""

import tempfile
from pathlib import Path

import torch

import vaekit
from benchmarks import nets
from benchmarks.protocol import Job, serve
from vaekit.presets import PRESETS
from vaekit.training import loop

PARTS = {
    "full": {"model.posterior": "full_gaussian"},
    "iaf": {"model.posterior": "flow"},
    "mixture": {"model.prior": {"kind": "mixture", "components": 500}},
    "vamp": {"model.prior": {"kind": "vamp", "pseudo_inputs": 500}},
    "maf": {"model.prior": "flow"},
    "importance": {"objective": {"kind": "importance", "samples": 50}},
}


def experiment(job: Job) -> vaekit.Experiment:
    """The preset of the network, for the data and length of the job."""
    preset = PRESETS["aevb-mnist" if job.net.startswith("mlp") else job.net]
    unit = {"model.likelihood.fixed_scale": 1.0} if job.net == "aragam" else {}
    precision, _, *parts = job.variant.split() or ("fp32", "")
    own = {path: value for part in parts for path, value in PARTS[part].items()}
    settings = {
        "model.latent_dim": nets.LATENTS[job.net],
        "data.binarization": job.binarization,
        "batch_size": job.batch,
        "seed": job.seed,
        "epochs": job.epochs,
        "evaluate_every": job.epochs,
        "precision": precision,
    }
    source = vaekit.Source(name="mnist", split="60k/10k")
    return vaekit.Experiment(data=source).replace_all({**preset, **unit, **settings, **own})


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
