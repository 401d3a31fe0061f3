"""pythae: its VAE with the same networks, its own trainer."""

import tempfile

import numpy as np
import torch
from pythae.data.datasets import BaseDataset, collate_dataset_output
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch.utils.data import DataLoader, RandomSampler

from benchmarks import nets
from benchmarks.protocol import Job, serve


class Encoder(BaseEncoder):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        loc, log_scale = self.net(x).chunk(2, -1)
        return ModelOutput(embedding=loc, log_covariance=2 * log_scale)


class Decoder(BaseDecoder):
    def __init__(self, net: torch.nn.Module, logits: bool) -> None:
        super().__init__()
        self.net, self.logits = net, logits

    def forward(self, z):
        output = self.net(z)
        return ModelOutput(reconstruction=output.sigmoid() if self.logits else output)


def build(net: str) -> VAE:
    """pythae's VAE around the networks of the benchmarks."""
    encoder, decoder = nets.NETS[net]()
    loss = "mse" if net == "aragam" else "bce"
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20 if net == "mlp" else 2, reconstruction_loss=loss)
    return VAE(config, Encoder(encoder), Decoder(decoder, logits=loss == "bce"))


def parameters(vae: VAE) -> list[torch.Tensor]:
    """Encoder first."""
    return [*vae.encoder.parameters(), *vae.decoder.parameters()]


class Train:
    """The trainer's own epoch over a random part of the images."""

    def __init__(self, job: Job) -> None:
        torch.manual_seed(job.seed)
        vae = build(job.net)
        self.job, self.epoch = job, 0
        data = BaseDataset(torch.from_numpy(np.load(job.file("train"))), torch.zeros(60_000))
        optimizer, rate, options = nets.OPTIMIZERS[job.net]
        config = BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(dir=job.folder),
            per_device_train_batch_size=job.batch,
            optimizer_cls=optimizer,
            optimizer_params=options or None,
            learning_rate=rate,
            seed=job.seed,
            no_cuda=job.device == "cpu",
        )
        self.trainer = BaseTrainer(vae, data, training_config=config)
        part = RandomSampler(data, num_samples=job.steps * job.batch)
        self.trainer.train_loader = DataLoader(data, job.batch, sampler=part, collate_fn=collate_dataset_output)
        self.trainer.prepare_training()

    def round(self) -> dict[str, float]:
        self.epoch += 1
        loss = self.trainer.train_step(self.epoch)
        return {"steps": self.job.steps, "loss": float(loss) + nets.CONSTANT[self.job.net]}

    def save(self, path: str) -> None:
        nets.save(path, nets.arrays(parameters(self.trainer.model)))


if __name__ == "__main__":
    serve(Train)
