"""Published setups by name: what each changes in an experiment."""

from collections.abc import Mapping
from typing import Any

Preset = Mapping[str, Any]

PRESETS: dict[str, Preset] = {
    # Auto-encoding variational Bayes (Kingma, Welling, 2013), arXiv:1312.6114. The paper trains with Adagrad, has the
    # prior N(0, I) on its matrices, outputs log σ², and draws the weights from N(0, 0.01), where 0.01 may be a variance
    # or a standard deviation: studies/aevb.py has all of it. Adam and torch's weights are faster and the default.
    "aevb-mnist": {
        "model.network": {"kind": "mlp", "hidden": [500], "activation": "tanh"},
        "model.likelihood": {"kind": "bernoulli"},
        "batch_size": 100,
    },
    "aevb-frey": {
        "model.network": {"kind": "mlp", "hidden": [200], "activation": "tanh"},
        "model.likelihood": {"kind": "gaussian", "scale": "pixel", "mean": "sigmoid"},
        "batch_size": 100,
    },
    # VAE with a VampPrior (Tomczak, Welling, 2018), arXiv:1705.07120, one level of latents; its table 1 has −85.57 nats
    # on Larochelle's MNIST, by 5,000 samples. It trains until 50 epochs have found no better bound, 2,000 at most
    # (--epochs 2000 --set early_stopping=50 --set data.split=50k/10k/10k). The paper draws Glorot's weights; its code
    # (jmtomczak/vae_vampprior) draws He's, bounds log σ² to [−6, 2], and divides each gradient by its norm before Adam.
    "vampprior": {
        "model.latent_dim": 40,
        "model.network": {"kind": "mlp", "hidden": [300, 300], "gated": True, "initialization": "glorot"},
        "model.prior": {"kind": "vamp", "pseudo_inputs": 500},
        "model.posterior": {"kind": "gaussian", "head": "log_variance"},
        "model.likelihood": {"kind": "bernoulli"},
        "objective": {"kind": "elbo", "beta_schedule": {"kind": "warm_up", "epochs": 100}},
        "optimizer": {"kind": "adam", "learning_rate": 5e-4},
        "batch_size": 100,
    },
    # Importance weighted autoencoders (Burda, Grosse, Salakhutdinov, 2016), arXiv:1509.00519, table 1: one stochastic
    # layer on MNIST with bits drawn anew, k = 50: −log p(x) = 84.78 nats by 5,000 draws, with 25 active units. The
    # learning rate is 0.001 · 10^(−i/7) for 3^i passes, i = 0, ..., 7. With k = 5 (objective.samples) it is 85.54 nats,
    # with k = 1 86.76. Its code (yburda/iwae) rounds these rates to 0.0001, has β₁ = 0.99 where the paper has 0.9, and
    # lets the decoder's last biases begin at the log-odds of the pixels' means.
    "iwae-1l": {
        "data.binarization": "dynamic",
        "model.latent_dim": 50,
        "model.network": {"kind": "mlp", "hidden": [200, 200], "activation": "tanh", "initialization": "glorot"},
        "model.likelihood": {"kind": "bernoulli"},
        "objective": {"kind": "importance", "samples": 50},
        "optimizer": {"kind": "adam", "learning_rate": 1e-3, "eps": 1e-4},
        "schedule": {"kind": "milestones", "at": [1, 4, 13, 40, 121, 364, 1093], "decay": 10 ** (-1 / 7)},
        "batch_size": 20,
        "epochs": 3280,
    },
    # A note on variational auto-encoders (Wei), after a well-known Keras example; Keras draws Glorot's weights.
    "wei": {
        "data.binarization": "none",
        "model.latent_dim": 2,
        "model.network": {"kind": "mlp", "hidden": [512], "activation": "relu", "initialization": "glorot"},
        "model.likelihood": {"kind": "bernoulli"},
        "batch_size": 50,
        "epochs": 10,
    },
    # ECE 542 report (NCSU, 2018) after Deep learning with Python (Chollet, 2017), notebook 8.4: 550,629 weights, d = 2.
    # Keras pads strided convolutions on the right only, torch on both sides; sizes and counts are the same. Its encoder
    # outputs log σ²: with log σ, the first steps of RMSprop make σ² overflow for some seeds. Its ε of 1e-7 goes with
    # gradients of a mean over 784 pixels, whereas ours are of the sum.
    "ncsu": {
        "data.binarization": "none",
        "model.latent_dim": 2,
        "model.posterior": {"kind": "gaussian", "head": "log_variance"},
        "model.network": {
            "kind": "conv",
            "channels": [32, 64, 64, 64],
            "strides": [1, 2, 1, 1],
            "hidden": [32],
            "activation": "relu",
            "decoder_layers": [{"channels": 32, "stride": 2}, {"transposed": False}],
            "initialization": "glorot",
        },
        "model.likelihood": {"kind": "bernoulli"},
        "optimizer": {"kind": "rmsprop", "learning_rate": 1e-3, "eps": 784e-7},
        "batch_size": 16,
        "epochs": 50,
    },
    # Benchmark report (Aragam, 2024) after STAT 453, lecture 17 (Raschka, 2021): the sum of squared errors plus the KL.
    "aragam": {
        "data.binarization": "none",
        "model.latent_dim": 2,
        "model.network": {
            "kind": "conv",
            "channels": [32, 64, 64, 64],
            "strides": [1, 2, 2, 1],
            "activation": "leaky_relu",
            "linear_code": True,
            "decoder_layers": [
                {"channels": 64, "padding": 1},
                {"channels": 64, "stride": 2, "padding": 1},
                {"channels": 32, "stride": 2, "padding": 0},
                {"padding": 0},
            ],
        },
        "model.likelihood": {"kind": "gaussian", "scale": "fixed", "mean": "sigmoid"},
        "optimizer": {"kind": "adam", "learning_rate": 5e-4},
        "batch_size": 256,
        "epochs": 10,
    },
    # Variational autoencoders explained (Frans, 2016) and its code: kernels of 5, weights from N(0, 0.02²), 20 latents.
    "frans": {
        "data.binarization": "none",
        "model.latent_dim": 20,
        "model.network": {
            "kind": "conv",
            "channels": [16, 32],
            "strides": [2, 2],
            "kernel": 5,
            "activation": "leaky_relu_0.2",
            "decoder_activation": "relu",
            "initialization": 0.02,
        },
        "model.likelihood": {"kind": "bernoulli"},
        "batch_size": 100,
        "epochs": 10,
    },
    # Disentangling by factorising (Kim, Mnih, 2018), arXiv:1802.05983, appendix A: dSprites for 300,000 steps (--set
    # training_samples=19200000), judged by the paper's own disentanglement metric beside the reconstruction error.
    # dSprites is not among the named sets, nor that metric among the measures. The paper's kernels are 4×4. Nothing
    # stops it early by itself, because the bound by which weights are judged is not what it minimizes.
    "factorvae": {
        "model.latent_dim": 10,
        "model.network": {
            "kind": "conv",
            "channels": [32, 32, 64, 64],
            "strides": [2, 2, 2, 2],
            "kernel": 5,
            "hidden": [128],
            "activation": "relu",
        },
        "model.likelihood": {"kind": "bernoulli"},
        "objective": {
            "kind": "factor",
            "gamma": 35.0,
            "critic": {"hidden": [1000, 1000, 1000, 1000, 1000, 1000], "learning_rate": 1e-4, "betas": [0.5, 0.9]},
        },
        "optimizer": {"kind": "adam", "learning_rate": 1e-4},
        "batch_size": 64,
    },
    # Adversarial autoencoders (Makhzani et al., 2016), arXiv:1511.05644, appendix A. Its table of log-likelihoods of
    # MNIST has Parzen windows on samples (340 ± 2 nats with 10,000 of them), which are not among the measures. The
    # paper's prior has a standard deviation of 5 and its optimizer is SGD with momentum; here N(0, I) and Adam.
    "aae": {
        "data.binarization": "none",
        "model.latent_dim": 8,
        "model.posterior": {"kind": "delta"},
        "model.network": {"kind": "mlp", "hidden": [1000, 1000], "activation": "relu", "initialization": 0.01},
        "model.likelihood": {"kind": "gaussian", "scale": "fixed", "mean": "sigmoid"},
        "objective": {"kind": "adversarial", "critic": {"hidden": [1000, 1000], "activation": "relu"}},
        "batch_size": 100,
    },
    # Isolating sources of disentanglement (Chen, Li, Grosse, Duvenaud, 2018), arXiv:1802.04942, and its code
    # (rtqichen/beta-tcvae): dSprites, judged by the mutual information gap (MIG) beside the ELBO. dSprites is not among
    # the named sets, nor MIG among the measures. The paper's decoder has three layers of 1200 with tanh.
    "beta-tcvae": {
        "model.latent_dim": 10,
        "model.network": {"kind": "mlp", "hidden": [1200, 1200], "activation": "relu"},
        "model.likelihood": {"kind": "bernoulli"},
        "objective": {"kind": "beta_tc", "beta": 6.0, "sampling": "weighted"},
        "optimizer": {"kind": "adam", "learning_rate": 1e-3},
        "batch_size": 2048,
        "epochs": 50,
    },
    # Wasserstein auto-encoders (Tolstikhin, Bousquet, Gelly, Schoelkopf, 2018), arXiv:1711.01558: MNIST, by the
    # settings of its code (tolstikhin/wae), with narrower and fewer convolutions, whose kernels there are 4×4. The code
    # weighs Σ (x − x̂)² by 0.05 and the MMD by the paper's λ = 10, hence the MMD by 200 where Σ (x − x̂)² is not weighed.
    # It adds noise of 0.01 to the images, and divides the learning rate by 2 after 30 epochs and by 5 after 50: here by
    # √10 at both. The paper's table 1 has a Fréchet distance of 55 on CelebA (64 latents, λ = 100), which is not among
    # the named sets.
    "wae-mmd": {
        "data.binarization": "none",
        "model.latent_dim": 8,
        "model.posterior": {"kind": "delta"},
        "model.network": {
            "kind": "conv",
            "channels": [32, 64, 128],
            "strides": [2, 2, 2],
            "kernel": 5,
            "batch_norm": True,
            "activation": "relu",
            "initialization": 0.01,
        },
        "model.likelihood": {"kind": "gaussian", "scale": "fixed", "mean": "sigmoid"},
        "objective": {"kind": "info", "alpha": 1.0, "weight": 200.0, "kernel": "inverse_multiquadratic"},
        "optimizer": {"kind": "adam", "learning_rate": 1e-3, "betas": [0.5, 0.999]},
        "schedule": {"kind": "milestones", "at": [30, 50], "decay": 10**-0.5},
        "batch_size": 100,
        "epochs": 100,
    },
}
