"""JAX by hand: a whole round as one compiled ``lax.scan``, Adam included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import nets
from benchmarks.protocol import Job, serve

WIDTHS = ((784, 500), (500, 40), (20, 500), (500, 784))


def initial(key):
    """torch's initial weights, U(±1/√inputs)."""
    keys = jax.random.split(key, (len(WIDTHS), 2))
    return [
        (jax.random.uniform(a, shape, minval=-1, maxval=1) * shape[0] ** -0.5, bias * shape[0] ** -0.5)
        for (a, b), shape in zip(keys, WIDTHS, strict=True)
        for bias in [jax.random.uniform(b, shape[1:], minval=-1, maxval=1)]
    ]


def loss(weights, x, key):
    """Return the negative bound in nats per image."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = weights
    loc, log_scale = jnp.split(jnp.tanh(x @ w1 + b1) @ w2 + b2, 2, -1)
    z = loc + jnp.exp(log_scale) * jax.random.normal(key, loc.shape)
    logits = jnp.tanh(z @ w3 + b3) @ w4 + b4
    kl = 0.5 * (loc**2 + jnp.exp(2 * log_scale) - 1) - log_scale
    return (jnp.sum(jax.nn.softplus(logits) - x * logits) + jnp.sum(kl)) / len(x)


@partial(jax.jit, donate_argnums=0)
def scan(state, x, order):
    """Take one step of Adam per row of ``order``."""

    def step(state, rows):
        weights, first, second, count, key = state
        key, noise = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(weights, x[rows], noise)
        count += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate, correction = 1e-3 / (1 - 0.9**count), 1 - 0.999**count
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v / correction) + 1e-8), weights, first, second)
        return (weights, first, second, count, key), value

    state, losses = jax.lax.scan(step, state, order)
    return state, losses.mean()


class Train:
    def __init__(self, job: Job) -> None:
        if job.device == "cuda" and jax.default_backend() != "gpu":
            raise RuntimeError("JAX does not find a GPU")
        self.job = job
        self.x = jnp.asarray(np.load(job.file("train")).reshape(-1, 784))
        self.random, self.rows = np.random.default_rng(job.seed), np.empty(0, np.int64)
        key, weights = jax.random.key(job.seed), initial(jax.random.key(job.seed))
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = (weights, *zeros, jnp.zeros(()), key)

    def round(self) -> dict[str, float]:
        needed = self.job.steps * self.job.batch
        while len(self.rows) < needed:
            self.rows = np.concatenate([self.rows, self.random.permutation(len(self.x))])
        order, self.rows = self.rows[:needed], self.rows[needed:]
        self.state, value = scan(self.state, self.x, order.reshape(self.job.steps, self.job.batch))
        return {"steps": self.job.steps, "loss": float(value)}

    def save(self, path: str) -> None:
        nets.save(path, [np.asarray(array.T) for layer in self.state[0] for array in layer])


if __name__ == "__main__":
    serve(Train)
