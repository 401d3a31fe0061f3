"""Verbs from examples to codes and back: encode, decode, reconstruct, interpolate."""

import logging
import re

import numpy as np
import torch
from torch import Tensor

from vaekit import devices
from vaekit.arguments import Place, to_path, to_whole
from vaekit.compatibility import lacking
from vaekit.data import read_examples
from vaekit.data.arrays import open_array
from vaekit.data.values import as_float32
from vaekit.errors import InputError, command
from vaekit.evaluations import current
from vaekit.measures import FACTORIZED
from vaekit.model import VAE
from vaekit.outputs import PAIRS, kind_of, pairs, what_of, write_codes, write_examples, write_strip
from vaekit.run import Run
from vaekit.verbs.reading import BATCH, SEED, example, examples

log = logging.getLogger("vaekit")


def encode(
    run: Run | Place,
    input: Place | np.ndarray | Tensor,
    *,
    units: str = "all",
    scale: bool = False,
    draws: int | None = None,
    seed: int = SEED,
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
        scale: whether to return the posteriors' standard deviations as well.
        draws: how many draws from each posterior to return in place of its mean; the same call gives the same draws.
        seed: of the draws.
        out: a file to write them to as well: .npy, with the files that the rows are from beside it in `.names.csv`; or
            .csv or .parquet, whose columns are the file or number of each row, z0, z1, ..., and the label where there
            are labels; scale0, scale1, ... follow the means, and draws have a row each, with its number in ``draw``.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.

    Returns:
        means (N, d); with ``scale`` means and standard deviations (N, 2, d); with ``draws`` draws (N, draws, d).

    Raises:
        InputError: if the input does not fit the model's data, the posterior has no standard deviations, or codes
            cannot be written to such a file.
    """
    kind_of(out, "codes")
    run, target = Run.of(run), devices.choose(device)
    if scale and draws is not None:
        raise InputError(f"scale is set, and draws is {draws}: ask for one of them")
    copies = None if draws is None else to_whole(draws, "draws")
    vae = run.vae(target)
    batches, origin = examples(run, input, data_root)
    chosen = list(range(vae.latent_dim)) if units == "all" else _active(run, units)
    with devices.seeded(to_whole(seed, "seed", 0), target):
        codes = torch.cat([_codes(vae, x.to(target), scale, copies).cpu() for x in batches]).numpy()[..., chosen]
    write_codes(codes, chosen, out, origin, scale)
    return codes


@torch.no_grad()
def _codes(vae: VAE, x: Tensor, scale: bool, draws: int | None) -> Tensor:
    """Return means (batch, d), means and standard deviations (batch, 2, d), or draws (batch, draws, d)."""
    if draws is not None:
        return vae.posterior(x).sample(torch.Size((draws,))).movedim(0, 1)
    means = vae.encode(x)
    if not scale:
        return means
    try:
        return torch.stack([means, vae.posterior(x).stddev], 1)
    except NotImplementedError:
        raise InputError("the posterior has no standard deviations in closed form: ask for draws (--draws)") from None


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
    parts = [vae.decode(part.to(target)).cpu() for part in z.split(BATCH)]
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
            original as the model reads it, whose missing pixels are those of the reconstruction.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.

    Raises:
        InputError: if the input does not fit the model's data, or examples cannot be written to such a file.
    """
    run, target = Run.of(run), devices.choose(device)
    kind = kind_of(out, what_of(run.space))
    most = None if n is None else to_whole(n, "n")
    vae = run.vae(target)
    batches, origin = examples(run, input, data_root)
    originals, found, count = [], [], 0
    for batch in batches:
        x = batch if most is None else batch[: most - count]
        count += len(x)
        found.append(vae.reconstruct(x.to(target)).cpu())
        if kind == "picture" and (most is not None or count - len(x) < PAIRS):
            originals.append(torch.where(x.isnan(), found[-1], x))
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
    ends = torch.cat([example(run, end, name, data_root, data) for end, name in ((a, "a"), (b, "b"))])
    first, last = codes = vae.encode(ends.to(target)).cpu()
    if run.space.missing:
        ends = torch.where(ends.isnan(), vae.decode(codes.to(target)).cpu(), ends)
    found = _decoded(run, vae, torch.lerp(first, last, torch.linspace(0, 1, steps)[:, None]), target)
    write_strip(found, run.space.restore(ends), run.space, out)
    return found
