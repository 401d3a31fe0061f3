"""Encoder and decoder as graphs of tensor operations, which take any number of rows and draw no random numbers."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vaekit import devices
from vaekit.distributions import center
from vaekit.errors import InputError, RunError
from vaekit.linear import Linear
from vaekit.model import VAE
from vaekit.run import Run
from vaekit.text import escaped

ROWS = (1, 7, 1000)
"""how many rows each exported graph is tried on"""
TOLERANCE = 1e-5
"""largest difference from the model that is accepted, relative to numbers beyond 1"""
EXAMPLE = 3
"""rows of the example that is traced: with one, some exporters fix the number of rows"""

Graph = Callable[[Tensor], Sequence[Tensor]]


class Encoder(nn.Module):
    """x (batch, *event) → the centers of the posteriors (batch, d), and their standard deviations if they have any."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.posterior = vae.posterior
        self.outputs: tuple[str, ...] = ("mean", "scale")
        try:
            self(torch.zeros(1, *vae.event_shape or ()))
        except NotImplementedError:
            self.outputs = ("mean",)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return mean and scale, or the mean alone."""
        q = self.posterior(x)
        return (center(q), q.stddev) if "scale" in self.outputs else (center(q),)


class Decoder(nn.Module):
    """z (batch, d) → the mean of p(x | z), (batch, *event)."""

    outputs = ("mean",)

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.likelihood = vae.likelihood

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the mean."""
        return (self.likelihood(z).mean,)


def to_onnx(run: Run) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return encoder.onnx and decoder.onnx, tried by onnxruntime.

    Raises:
        InputError: if a package is missing, or the model has an operation that ONNX lacks.
        RunError: if onnxruntime computes something else than the model.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (which torch's exporter needs)
    except ImportError as error:
        raise InputError(f"--to onnx needs the package {error.name}: pip install 'vaekit[onnx]'") from None

    def write(program: torch.export.ExportedProgram, module: Encoder | Decoder, name: str) -> tuple[bytes, Graph]:
        shapes = ({0: torch.export.Dim("batch")},)
        made = torch.onnx.export(
            program, (), dynamo=True, dynamic_shapes=shapes, verbose=False,
            input_names=[name], output_names=[*module.outputs],
        )  # fmt: skip
        assert made is not None
        content = made.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return content, lambda x: [torch.from_numpy(found) for found in session.run(None, {name: x.numpy()})]

    return _exported(run, "onnx", write)


def to_torch(run: Run) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return encoder.pt2 and decoder.pt2, which ``torch.export.load`` opens without vaekit.

    Raises:
        InputError: if the model cannot be exported.
        RunError: if they compute something else than the model.
    """

    def write(program: torch.export.ExportedProgram, module: nn.Module, name: str) -> tuple[bytes, Graph]:
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        return file.getvalue(), torch.export.load(file).module()

    return _exported(run, "pt2", write)


def _exported(
    run: Run, suffix: str, write: Callable[..., tuple[bytes, Graph]]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Trace encoder and decoder, write each, and compare what was written with the model."""
    model, plain, contents = run.vae(), _plain(run.vae()), dict[str, bytes]()
    inputs, outputs, differences = dict[str, list[Any]](), dict[str, list[str]](), dict[str, float]()
    for name, letter, kind in (("encoder", "x", Encoder), ("decoder", "z", Decoder)):
        file, module = f"{name}.{suffix}", kind(plain)
        with torch.no_grad(), _quietly():
            example = _rows(run, model, letter, EXAMPLE)
            try:
                program = torch.export.export(
                    module.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
                )
                contents[file], graph = write(program, module, letter)
            except Exception as error:  # the exporters have no error of their own
                reason = escaped(str(error.__cause__ or error).strip().partition("\n")[0])
                raise InputError(
                    f"the {name} of {run.path} cannot be exported ({reason}): choose another format"
                ) from error
            differences[file] = max(_difference(graph, kind(model), _rows(run, model, letter, n)) for n in ROWS)
        inputs[file] = [letter, "batch", *example.shape[1:]]
        outputs[file] = [*module.outputs]
        if not differences[file] <= TOLERANCE:
            raise RunError(
                f"{file} differs from the model of {run.path} by {differences[file]:.2g}, more than {TOLERANCE:g}: "
                "choose another format"
            )
    return contents, {
        "inputs": inputs, "outputs": outputs, "largest_difference": differences, "rows_tried": [*ROWS],
        "values": run.space.support,
    }  # fmt: skip


def _plain(vae: VAE) -> VAE:
    """Let a model's wide layers use torch's own products: exporters, and torch without vaekit, know no others."""
    for layer in vae.modules():
        if isinstance(layer, Linear):
            layer.wide = False
    return vae.requires_grad_(False)


def _rows(run: Run, vae: VAE, letter: str, n: int) -> Tensor:
    """Draw rows that a graph may be given: codes from a standard normal, or what the model decodes, with its holes."""
    with devices.seeded(n, torch.device("cpu")):
        z = torch.randn(n, vae.latent_dim)
        if letter == "z":
            return z
        x = vae.decode(z)
        return torch.where(torch.rand_like(x) < 0.2, torch.nan, x) if run.space.missing else x


def _difference(graph: Graph, module: Callable[[Tensor], Sequence[Tensor]], x: Tensor) -> float:
    """Return the largest difference of any output, relative to numbers beyond 1."""
    pairs = zip(graph(x), module(x), strict=True)
    return max(float(((found - right).abs() / right.abs().clamp_min(1)).max()) for found, right in pairs)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what torch has to say of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
