"""Keras 3: ``fit``; the sampling layer adds the KL, as in its documentation. Variant: the backend."""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = json.loads(sys.argv[1])["variant"]

import keras
import numpy as np
from keras import ops

from benchmarks import nets
from benchmarks.protocol import Job, serve

IMAGES = 60_000


class Sample(keras.layers.Layer):
    """z ~ N(μ, σ²) from (μ, log σ); adds KL to the loss."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        loc, log_scale = ops.split(inputs, 2, axis=-1)
        kl = 0.5 * (ops.square(loc) + ops.exp(2 * log_scale) - 1) - log_scale
        self.add_loss(ops.mean(ops.sum(kl, axis=-1)))
        return loc + ops.exp(log_scale) * keras.random.normal(ops.shape(loc), seed=self.generator)


def dense(inputs: int, outputs: int, activation: str | None = None) -> keras.layers.Dense:
    """A layer with torch's initial weights, U(±1/√inputs)."""
    uniform = keras.initializers.RandomUniform(-(inputs**-0.5), inputs**-0.5)
    bias = keras.initializers.RandomUniform(-(inputs**-0.5), inputs**-0.5)
    return keras.layers.Dense(outputs, activation, kernel_initializer=uniform, bias_initializer=bias)


def distortion(x, logits):
    """Return the cross-entropy of an image in nats."""
    return ops.sum(keras.ops.binary_crossentropy(x, logits, from_logits=True), axis=-1)


class Train:
    """Each round fits a part of the images; the parts are views, so nothing is copied."""

    def __init__(self, job: Job) -> None:
        keras.utils.set_random_seed(job.seed)
        self.job, self.position = job, 0
        x = np.load(job.file("train")).reshape(IMAGES, 784)
        self.x = x[np.random.default_rng(job.seed).permutation(IMAGES)]
        inputs = keras.Input((784,))
        features = dense(500, 40)(dense(784, 500, "tanh")(inputs))
        logits = dense(500, 784)(dense(20, 500, "tanh")(Sample(job.seed)(features)))
        self.model = keras.Model(inputs, logits)
        self.model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=distortion)

    def round(self) -> dict[str, float]:
        size = self.job.steps * self.job.batch
        part = self.x[self.position : self.position + size]
        self.position = (self.position + size) % (IMAGES - size + 1) if size < IMAGES else 0
        history = self.model.fit(part, part, batch_size=self.job.batch, verbose=0)
        return {"steps": self.job.steps, "loss": float(history.history["loss"][0])}

    def save(self, path: str) -> None:
        weights = [ops.convert_to_numpy(weight) for weight in self.model.trainable_weights]
        nets.save(path, [weight.T for weight in weights])


if __name__ == "__main__":
    serve(Train)
