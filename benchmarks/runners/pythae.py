"""pythae: its models with the same networks, its own trainer. Variant: a part other than the plain one, or none."""

import tempfile

import numpy as np
import torch
from pythae.data.datasets import BaseDataset, collate_dataset_output
from pythae.models import IWAE, VAE, VAE_IAF, VAMP, IWAEConfig, VAE_IAF_Config, VAEConfig, VAMPConfig
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


MODELS = {
    "": (VAE, VAEConfig, {}),
    "iaf": (VAE_IAF, VAE_IAF_Config, {"n_made_blocks": 2, "n_hidden_in_made": 2, "hidden_size": 64}),
    "vamp": (VAMP, VAMPConfig, {"number_components": 500}),
    "importance": (IWAE, IWAEConfig, {"number_samples": 50}),
}


def build(net: str, part: str = "") -> VAE:
    """pythae's VAE, or its variant with some part, around the networks of the benchmarks."""
    encoder, decoder = nets.NETS[net]()
    loss = "mse" if net == "aragam" else "bce"
    model, config, options = MODELS[part]
    shared = {"input_dim": (1, 28, 28), "latent_dim": nets.LATENTS[net], "reconstruction_loss": loss}
    return model(config(**shared, **options), Encoder(encoder), Decoder(decoder, logits=loss == "bce"))


def parameters(vae: VAE) -> list[torch.Tensor]:
    """Encoder first."""
    return [*vae.encoder.parameters(), *vae.decoder.parameters()]


class Train:
    """The trainer's own epoch over a random part of the images."""

    def __init__(self, job: Job) -> None:
        torch.manual_seed(job.seed)
        vae = build(job.net, job.variant)
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
