"""What can be done with a run: each verb of the command line that is not training, as a function of the same name.

Each call reads the model anew; for many small inputs keep it, ``vae = run.vae()``: ``vae.encode(x)`` takes little time.
"""

import logging
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_path, to_whole
from vaekit.choices import choose
from vaekit.compatibility import lacking
from vaekit.data import available, read_examples
from vaekit.data.arrays import open_array
from vaekit.data.fetching import data_roots
from vaekit.data.values import as_float32
from vaekit.errors import InputError, command
from vaekit.evaluations import current
from vaekit.measures import FACTORIZED
from vaekit.model import VAE
from vaekit.outputs import PAIRS, Origin, kind_of, pairs, what_of, write_codes, write_examples, write_strip
from vaekit.progress import Progress
from vaekit.reporting.measurement import IMAGES, evaluate
from vaekit.reporting.reports import report
from vaekit.run import EXPERIMENT, Run
from vaekit.subject import Track
from vaekit.training.loop import train

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
        out: a file to write them to as well: .npy, with the files that the rows are from beside it in `.names.csv`; or
            .csv, whose columns are the file or number of each row, z0, z1, ..., and the label where there are labels.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.

    Raises:
        InputError: if the input does not fit the model's data, or codes cannot be written to such a file.
    """
    kind_of(out, "codes")
    run, target = Run.of(run), devices.choose(device)
    vae = run.vae(target)
    examples, origin = _examples(run, input, data_root)
    chosen = list(range(vae.latent_dim)) if units == "all" else _active(run, units)
    codes = torch.cat([vae.encode(x.to(target)).cpu() for x in examples]).numpy()[:, chosen]
    write_codes(codes, chosen, out, origin)
    return codes


def _active(run: Run, units: str) -> list[int]:
    if units != "active":
        raise InputError(f"units {units!r} is unknown: choose all or active")
    if reason := lacking(FACTORIZED, run.experiment):
        raise InputError(f"units 'active' {reason}: choose all")
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
        z: latents (N, d); the path of a .npy file of them, or of a .csv file with columns z0, z1, ...; or the numbers
            of one latent as they are typed, "0.5,1.2".
        out: a file to write them to as well: .npy, a picture of image data, or .csv of a table's rows.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: if z has another number of latents, or values that are NaN or infinite, or examples cannot be
            written to such a file.
    """
    run, target = Run.of(run), devices.choose(device)
    kind_of(out, what_of(run.space))
    vae = run.vae(target)
    latents = _latents(z, vae.latent_dim)
    if latents.ndim != 2 or latents.shape[1] != vae.latent_dim or not np.isfinite(latents).all():
        raise InputError(
            f"z has shape {latents.shape}{'' if np.isfinite(latents).all() else ' and holds NaN or infinity'}; "
            f"{run.path} decodes finite latents of shape (N, {vae.latent_dim})"
        )
    found = _decoded(run, vae, torch.from_numpy(as_float32(latents, "z")), target)
    write_examples(found, run.space, out)
    return found


def _decoded(run: Run, vae: VAE, z: Tensor, target: torch.device) -> np.ndarray:
    """Decode latents (N, d) to means in the data's own units."""
    parts = [vae.decode(part.to(target)).cpu() for part in z.split(ENCODING_BATCH)]
    return run.space.generated(torch.cat(parts))


TYPED = re.compile(r"[-+\d.,eE\s]*\d[-+\d.,eE\s]*")
"""numbers with commas between them"""


def _latents(z: Place | np.ndarray | Tensor, d: int) -> np.ndarray:
    """Read latents from a file, or from the numbers of one as they are typed."""
    if not isinstance(z, Place):
        return np.asarray(z)
    path = to_path(z, "z")
    if path.suffix.lower() == ".csv":
        return read_examples(path, columns=[f"z{k}" for k in range(d)]).x
    if TYPED.fullmatch(str(z)) and not path.exists():
        try:
            return np.array([[float(word) for word in str(z).split(",")]])
        except ValueError:
            raise InputError(f"z {str(z)!r} is not numbers with commas between them, such as 0.5,-1.2") from None
    return open_array(path)


def reconstruct(
    run: Run | Place,
    input: Place | np.ndarray | Tensor,
    *,
    n: int | None = None,
    out: Place | None = None,
    device: str = "auto",
    data_root: Place | None = None,
) -> np.ndarray:
    """Encode and decode examples: the means of p(x | z) at their posterior means, in the data's own units.

    Args:
        run: the run, or the path of its folder.
        input: as for ``encode``.
        n: how many of the first examples; all if None, of which a picture shows the first 100.
        out: a file to write them to as well: .npy, .csv of a table's rows, or a picture of images, each beside its
            original as the model reads it.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.

    Raises:
        InputError: if the input does not fit the model's data, or examples cannot be written to such a file.
    """
    run, target = Run.of(run), devices.choose(device)
    kind = kind_of(out, what_of(run.space))
    most = None if n is None else to_whole(n, "n")
    vae = run.vae(target)
    examples, origin = _examples(run, input, data_root)
    originals, found, count = [], [], 0
    for batch in examples:
        x = batch if most is None else batch[: most - count]
        count += len(x)
        found.append(vae.reconstruct(x.to(target)).cpu())
        if kind == "picture" and (most is not None or count - len(x) < PAIRS):
            originals.append(x)
        if count == most:
            break
    values = run.space.generated(torch.cat(found))
    sheet = None
    if originals:
        drawn = run.space.restore(torch.cat(originals)[: most or PAIRS])
        sheet = pairs(drawn, values[: len(drawn)])
        if len(drawn) < len(values):
            log.info("%s shows the first %d of %s: ask for more with -n", out, len(drawn), f"{len(values):,}")
    write_examples(values, run.space, out, sheet, (origin.names or ())[:count])
    return values


def interpolate(
    run: Run | Place,
    a: Place | int | np.ndarray | Tensor,
    b: Place | int | np.ndarray | Tensor,
    *,
    steps: int = 9,
    out: Place | None = None,
    device: str = "auto",
    data_root: Place | None = None,
    data: Place | None = None,
) -> np.ndarray:
    """Decode the straight line between the codes of two examples: means of p(x | z), (steps, *event).

    Args:
        run: the run, or the path of its folder.
        a: where the line begins: the path of a picture; a number k, which is example k of the test split, counted from
            0; "path#k", which is example k of a table, an array, a folder or a named set; or one example, an array in
            the data's own units.
        b: where it ends.
        steps: how many, both ends included.
        out: a file to write them to as well: .npy, .csv of a table's rows, or a picture with the originals at its ends.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: where the run's data are if they have moved.

    Returns:
        the decoded examples in the data's own units, from a's code to b's.

    Raises:
        InputError: if an end is not one example that fits the model's data, or there are fewer than 2 steps.
    """
    run, target, steps = Run.of(run), devices.choose(device), to_whole(steps, "steps", 2)
    kind_of(out, what_of(run.space))
    vae = run.vae(target)
    ends = torch.cat([_example(run, end, name, data_root, data) for end, name in ((a, "a"), (b, "b"))])
    first, last = vae.encode(ends.to(target)).cpu()
    found = _decoded(run, vae, torch.lerp(first, last, torch.linspace(0, 1, steps)[:, None]), target)
    write_strip(found, run.space.restore(ends), run.space, out)
    return found


def _example(
    run: Run, given: Place | int | np.ndarray | Tensor, name: str, root: Place | None, data: Place | None
) -> Tensor:
    """Return one example as the model reads it, (1, *event)."""
    number = int(given) if isinstance(given, str) and given.isdecimal() and not Path(given).exists() else given
    if isinstance(number, int | np.integer):
        test, row = run.data(root, data).fixed("test"), to_whole(number, name, 0)
        _refuse_beyond(row, len(test), f"{name} is {row}", "the test split")
        return test.batch(torch.tensor([row])).x
    if not isinstance(given, Place):
        array = np.asarray(given)
        alone = array.ndim >= len(run.space.event_shape) and len(array) == 1
        return run.space.encode_input(array if alone else array[None])
    path, _, end = str(given).rpartition("#")
    numbered = bool(path) and end.isdecimal() and not to_path(given, name).exists()
    row, count, found = int(end) if numbered else 0, 0, torch.empty(0)
    for batch in _examples(run, path if numbered else given, root)[0]:
        if count <= row < count + len(batch):
            found = batch[row - count : row - count + 1]
        count += len(batch)
    if not numbered and count > 1:
        raise InputError(f"{name} is {given}, which holds {count:,} examples: name one, as in {given}#0")
    _refuse_beyond(row, count, f"{name} is {given}", path)
    return found


def _refuse_beyond(row: int, size: int, what: str, where: str) -> None:
    if row >= size:
        raise InputError(f"{what}, but {where} has {size:,} examples: give a number from 0 to {size - 1}")


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
        out: a file to write them to as well: .npy, a picture of image data, or .csv of a table's rows.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: if so many samples exceed the memory, or examples cannot be written to such a file.
    """
    n, seed = to_whole(n, "n"), to_whole(seed, "seed", 0)
    run, target = Run.of(run), devices.choose(device)
    kind_of(out, what_of(run.space))
    taken, there = COPIES * 4 * n * prod(run.space.event_shape), devices.memory(torch.device("cpu"))
    if taken > there:
        raise InputError(
            f"n is {n}: so many samples take {taken / 2**30:,.1f} GiB of memory, and {there / 2**30:,.1f} GiB are "
            "available: ask for fewer at a time, with another seed each"
        )
    vae = run.vae(target)
    with devices.seeded(seed, target), devices.memory_errors(f"{n} samples", "ask for fewer at a time"):
        found = np.concatenate([run.space.generated(x) for x in _sampled(vae, n, noise)])
    write_examples(found, run.space, out)
    return found


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


def _examples(run: Run, input: Place | np.ndarray | Tensor, root: Place | None) -> tuple[Iterable[Tensor], Origin]:
    """Read examples in the model's space, in batches, and the files and classes of the rows, where known."""
    origin = Origin()
    if isinstance(input, Place):
        # Levels of 16-bit images are scaled as in training; where there were none, as they need.
        depth = {8: None, None: 16}.get(run.space.depth, run.space.depth)
        raw = read_examples(input, root, run.space.event_shape, depth, run.space.names)
        labels = None if raw.labels is None else raw.labels.tolist()
        if labels is not None and raw.classes:
            labels = [raw.classes[k] for k in labels]
        input, origin = raw.x, Origin(raw.names, labels)
    return run.space.encode_batches(input, ENCODING_BATCH), origin
