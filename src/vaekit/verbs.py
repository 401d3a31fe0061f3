"""What can be done with a run: each verb of the command line that is not training, as a function of the same name.

Each call reads the model anew; for many small inputs keep it, ``vae = run.vae()``: ``vae.encode(x)`` takes little time.
"""

import csv
import logging
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from io import StringIO
from math import ceil, prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_path, to_whole
from vaekit.choices import choose
from vaekit.data import available, read_examples
from vaekit.data.arrays import open_array
from vaekit.data.fetch import data_roots
from vaekit.data.values import as_float32
from vaekit.errors import InputError, command
from vaekit.evaluations import current
from vaekit.files import replacing, write
from vaekit.measurement import IMAGES, evaluate
from vaekit.model import VAE
from vaekit.progress import Progress
from vaekit.reports import report
from vaekit.run import EXPERIMENT, Run
from vaekit.subject import Track
from vaekit.training import train

log = logging.getLogger("vaekit")

ENCODING_BATCH = 1000
COPIES = 2
"""of samples: their batches, and all of them joined"""
SEED = 0


def load(run: Run | Place) -> Run:
    """Open the run in a folder.

    Raises:
        InputError: if there is none.
    """
    return Run.of(run)


Doing = Callable[[str], AbstractContextManager[Track]]
"""shows what is being done meanwhile: a context that gives the wrapper of what the work consists of"""


def unseen(_: str) -> AbstractContextManager[Track]:
    """Show nothing of what is being done."""
    return nullcontext(iter)


def demo(
    run: Place, *, follow: Callable[[Iterator[Progress]], Iterable[Progress]] = iter, doing: Doing = unseen
) -> dict[str, Any]:
    """Train a model with two latents on digits, evaluate it, draw it and write its report: offline, within a minute.

    Args:
        run: a new or empty folder.
        follow: wraps the training's reports, to show them.
        doing: shows what is being done after the training.

    Returns:
        what ``evaluate`` returns.
    """
    if (to_path(run, "run") / EXPERIMENT).exists():
        raise InputError(f"{run} holds a run already: name a new folder (--run)")
    experiment = choose(
        "digits28", latent_dim=2, hidden=[200, 100], learning_rate=0.004, epochs=200, set={"evaluate_every": 20}
    )
    for _ in follow(train(experiment, run)):
        pass
    return conclude(load(run), doing)


def conclude(
    run: Run,
    doing: Doing = unseen,
    *,
    samples: int | None = None,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
) -> dict[str, Any]:
    """Evaluate up to 1,000 test examples of a trained run, draw and report; return what ``evaluate`` returns."""
    images = min(IMAGES, run.space.sizes["test"])
    with doing(f"evaluating {images:,} test {run.space.noun}") as track:
        found = evaluate(
            run, samples=samples, images=images, device=device, data_root=data_root, data=data, track=track
        )
    with doing("drawing figures") as track:
        report(run, data_root, data, track=track)
    return found


def encode(
    run: Run | Place,
    input: Place | np.ndarray | Tensor,
    *,
    units: str = "all",
    out: Place | None = None,
    device: str = "auto",
    data_root: Place | None = None,
) -> np.ndarray:
    """Encode examples as their posterior means, (N, d): deterministic, and the same in any batch.

    Args:
        run: the run, or the path of its folder.
        input: a named set, the path of an image, a folder, an array or a table, an array, or a DataFrame; in the
            data's own units. Columns of a table are matched by their names.
        units: all, or active (those with more than 0.01 nats of KL at the last evaluation).
        out: a .npy file to write them to as well; `.names.csv` beside it names the files that the rows are from.
        device: auto, cpu or cuda.
        data_root: folder of named sets.

    Raises:
        InputError: if the input does not fit the model's data.
    """
    run, target = Run.of(run), devices.choose(device)
    vae = run.vae(target)
    examples, names = _examples(run, input, data_root)
    codes = torch.cat([vae.encode(x.to(target)).cpu() for x in examples]).numpy()
    if units != "all":
        codes = codes[:, _active(run, units)]
    return _written(codes, out, names)


def _active(run: Run, units: str) -> list[int]:
    if units != "active":
        raise InputError(f"units {units!r} is unknown: choose all or active")
    found = next((e["latents"] for e in reversed(current(run)) if "latents" in e), None)
    if found is None:
        again = command("evaluate", run.path)
        raise InputError(f"the active units of {run.path} were not measured since it was trained: run {again} first")
    if not found["active"]:
        total = sum(found["kl_per_unit"])
        raise InputError(
            f"{run.path} has no active units: its {len(found['kl_per_unit'])} latent units carry {total:.2g} nats "
            "per example in all; give --units all, or train with a smaller beta"
        )
    return found["active"]


def decode(
    run: Run | Place, z: Place | np.ndarray | Tensor, *, out: Place | None = None, device: str = "auto"
) -> np.ndarray:
    """Decode latents to the means of p(x | z), in the data's own units.

    Args:
        run: the run, or the path of its folder.
        z: latents (N, d), or the path of a .npy file of them.
        out: a .npy file, or a picture for image data, to write them to as well.
        device: auto, cpu or cuda.

    Raises:
        InputError: if z has another number of latents, or values that are no finite numbers.
    """
    run, target = Run.of(run), devices.choose(device)
    vae = run.vae(target)
    latents = _array(z)
    if latents.ndim != 2 or latents.shape[1] != vae.latent_dim or not np.isfinite(latents).all():
        raise InputError(
            f"z has shape {latents.shape}{'' if np.isfinite(latents).all() else ' and holds NaN or infinity'}; "
            f"{run.path} decodes finite latents of shape (N, {vae.latent_dim})"
        )
    parts = torch.from_numpy(as_float32(latents, "z")).split(ENCODING_BATCH)
    return _written(run.space.restore(torch.cat([vae.decode(part.to(target)).cpu() for part in parts])), out)


def reconstruct(
    run: Run | Place,
    input: Place | np.ndarray | Tensor,
    *,
    out: Place | None = None,
    device: str = "auto",
    data_root: Place | None = None,
) -> np.ndarray:
    """Encode and decode examples: the means of p(x | z) at their posterior means. Arguments as for ``encode``."""
    run, target = Run.of(run), devices.choose(device)
    vae = run.vae(target)
    examples, names = _examples(run, input, data_root)
    found = torch.cat([vae.reconstruct(x.to(target)).cpu() for x in examples])
    return _written(run.space.restore(found), out, names)


def sample(
    run: Run | Place,
    n: int = 64,
    *,
    seed: int = SEED,
    noise: bool = False,
    out: Place | None = None,
    device: str = "auto",
) -> np.ndarray:
    """Sample from the model: z from the prior, then the means of p(x | z), or draws from it with ``noise``.

    Args:
        run: the run, or the path of its folder.
        n: how many.
        seed: of the draws.
        noise: draw x from p(x | z) in place of its mean.
        out: a .npy file, or a picture for image data, to write them to as well.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: if so many samples exceed the memory.
    """
    n, seed = to_whole(n, "n"), to_whole(seed, "seed", 0)
    run, target = Run.of(run), devices.choose(device)
    taken, there = COPIES * 4 * n * prod(run.space.event_shape), devices.memory(torch.device("cpu"))
    if taken > there:
        raise InputError(
            f"n is {n}: so many samples take {taken / 2**30:,.1f} GiB of memory, and {there / 2**30:,.1f} GiB are "
            "available: ask for fewer at a time, with another seed each"
        )
    vae = run.vae(target)
    with devices.seeded(seed, target), devices.memory_errors(f"{n} samples", "ask for fewer at a time"):
        return _written(np.concatenate([run.space.restore(x) for x in _sampled(vae, n, noise)]), out)


@torch.no_grad()
def _sampled(vae: VAE, n: int, noise: bool) -> Iterator[Tensor]:
    """Samples in batches, (batch, *event) each, of latents that are drawn at once."""
    for z in vae.prior().sample(torch.Size((n,))).split(ENCODING_BATCH):
        likelihood = vae.likelihood(z)
        yield (likelihood.sample() if noise else likelihood.mean).cpu()


def doctor(data_root: Place | None = None) -> dict[str, Any]:
    """Say what a bug report needs: versions, device, threads, disk, and which named sets are at hand."""
    packages = ("torch", "numpy", "scipy", "scikit-learn", "zuko", "safetensors", "pydantic", "cyclopts", "matplotlib")
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "vaekit": version("vaekit"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in packages},
        "device": cuda or "cpu",
        "threads": torch.get_num_threads(),
        "free disk": f"{shutil.disk_usage('.').free / 2**30:.0f} GiB",
        "data roots": [_without_home(folder) for folder in data_roots(data_root)],
        "data": {str(entry["name"]): "found" if entry["found"] else "not here" for entry in available(data_root)},
    }


def _without_home(path: Path) -> str:
    """Write a path that others may read: ~ stands for the user's own folder."""
    path, home = path.absolute(), Path.home()
    return str(Path("~", path.relative_to(home)) if path.is_relative_to(home) else path)


def _examples(
    run: Run, input: Place | np.ndarray | Tensor, root: Place | None
) -> tuple[Iterable[Tensor], Sequence[str] | None]:
    """Examples in the model's space, in batches, and the names of the files they are from."""
    names = None
    if isinstance(input, Place):
        # Levels of 16-bit images are scaled as in training; where there were none, as they need.
        depth = {8: None, None: 16}.get(run.space.depth, run.space.depth)
        raw = read_examples(input, root, run.space.event_shape, depth, run.space.columns)
        input, names = raw.x, raw.names
    return run.space.encode_batches(input, ENCODING_BATCH), names


def _array(z: Place | np.ndarray | Tensor) -> np.ndarray:
    return open_array(to_path(z, "z")) if isinstance(z, Place) else np.asarray(z)


def _written(values: np.ndarray, out: Place | None, names: Sequence[str] | None = None) -> np.ndarray:
    """Write values to ``out`` if there is one, as .npy or as one picture of all, and return them."""
    if out is None:
        return values
    out = to_path(out, "out")
    kind = None if out.suffix == ".npy" else Image.registered_extensions().get(out.suffix.lower(), "")
    if kind is not None and kind not in Image.SAVE:
        raise InputError(f"{out} is no kind of file that can be written: give it a name that ends in .npy or .png")
    try:
        with replacing(out.resolve()) as file:
            if kind is None:
                np.save(file, values, allow_pickle=False)
            else:
                picture(values).save(file, kind)
        if kind is None:
            _name_rows(out.with_suffix(".names.csv"), names)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error}): choose another place (--out)") from None
    return values


NAMES = ("row", "file")


def _name_rows(path: Path, names: Sequence[str] | None) -> None:
    """Write which file each row is from; without names, remove what an earlier output of the same name left."""
    if names is not None:
        text = StringIO(newline="")
        csv.writer(text).writerows([NAMES, *enumerate(names)])
        write(path.resolve(), text.getvalue().encode())
        log.info("%s says which file each row is from", path)
    elif path.is_file() and path.read_bytes().startswith(",".join(NAMES).encode()):
        path.unlink()


def picture(images: np.ndarray) -> Image.Image:
    """Lay images (N, C, H, W), 8-bit or in [0, 1], on one sheet that is about square, in reading order."""
    if images.ndim != 4:
        raise InputError(f"examples of shape {images.shape[1:]} are no images: write them to a .npy file")
    levels = images if images.dtype == np.uint8 else np.rint(images.clip(0, 1) * 255).astype(np.uint8)
    n, channels, height, width = levels.shape
    columns = ceil(sqrt(n))
    sheet = np.zeros((ceil(n / columns) * columns, channels, height, width), np.uint8)
    sheet[:n] = levels
    rows = sheet.reshape(-1, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = rows.reshape(rows.shape[0] * height, columns * width, channels)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
