"""Comparing runs: numbers side by side, differences image by image, curves and rate–distortion points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student_t
from torch import Tensor

from vaekit.arguments import Place, to_path
from vaekit.errors import InputError, command, shown
from vaekit.estimates import mean_over_images
from vaekit.evaluations import evaluations, numbers
from vaekit.records import plain
from vaekit.reporting.drawings import example, named
from vaekit.reporting.plots import Figure, curves, rate_distortion, save
from vaekit.run import Run

PANELS = {"loss": "Held-out loss", "reconstruction": "Held-out reconstruction", "kl": "Held-out KL"}


NUMBERS = ("log_evidence", "elbo", "kl", "reconstruction")
ANOTHER_SEED = "another seed of the same experiment: no better or worse"


def compare(runs: Sequence[Run | Place], *, split: str = "test", out: Place | None = None) -> dict[str, Any]:
    """Set evaluated runs side by side, with differences to the first image by image, and over seeds.

    Runs whose experiments differ by nothing but the seed are one configuration. Two of them are never better or worse
    than each other; configurations with two seeds or more each are judged by the spread over seeds (Welch's t-test),
    others by their images alone, which says nothing about other seeds.

    Args:
        runs: two or more, or the paths of their folders, evaluated on the same images.
        split: of which evaluations.
        out: a folder to draw into: the runs' curves, comparison.svg, and where they lie between rate (KL) and
            distortion (reconstruction), rate-distortion.svg; each also as .png.

    Returns:
        ``rows``, one per run: its numbers of the split, its seed and the number of its configuration, and
        ``difference``, the mean over images of its log-evidence less that of the first run, with standard error, images
        and a verdict in words, and a note where its likelihood is not a density of such data; ``configurations``, the
        mean log-evidence of each over its seeds, with their standard deviation; ``seeds``, what is not known of the
        spread over seeds, if anything; split and binarization.

    Raises:
        InputError: if a run was not evaluated since it was trained, or if data, split or binarization differ: such
            numbers have no order.
    """
    if isinstance(runs, Place):
        raise InputError(f"runs is {shown(runs)}: give a list of two or more, or tabulate a sweep")
    opened = [Run.of(run) for run in runs]
    if len(opened) < 2:
        raise InputError(f"{len(opened)} run was given to compare: name at least 2")
    refuse_other_data(opened)
    found_of = [measured(run, split) for run in opened]
    numbers = _numbered([_configuration(run, opened[0]) for run in opened])
    configurations = _over_seeds(opened, numbers, [values for _, values in found_of])
    rows: list[dict[str, Any]] = []
    for run, number, (found, values) in zip(opened, numbers, found_of, strict=True):
        row = {name: found[name] for name in NUMBERS}
        row |= {"run": str(run.path), "latent_dim": run.experiment.model.latent_dim}
        row |= {"seed": run.experiment.seed, "configuration": number}
        if "note" in found:
            row["note"] = found["note"]
        if rows:
            row["difference"] = difference(values, found_of[0][1])
            if row.get("note") != rows[0].get("note"):
                row["difference"]["verdict"] = "not comparable, see the notes"
            elif number == 1 and row["seed"] != rows[0]["seed"]:
                row["difference"]["verdict"] = ANOTHER_SEED
            elif number > 1:
                judged = configurations[number - 1]["difference"]["verdict"]
                row["difference"]["verdict"] = judged or _on_these_images(row["difference"]["verdict"])
        rows.append(row)
    if out is not None:
        folder = to_path(out, "out")
        save(curves_of(opened), folder, "comparison")
        save(plane_of(opened, rows, split), folder, "rate-distortion")
    found = {
        "split": split,
        "binarization": opened[0].space.binarization,
        "rows": rows,
        "configurations": configurations,
    }
    single = [str(each["configuration"]) for each in configurations if len(each["seeds"]) == 1]
    if len(configurations) > 1 and single:
        which = "each configuration" if len(single) == len(configurations) else f"configuration {', '.join(single)}"
        found["seeds"] = f"{which} has one seed only: the spread over seeds is unknown, train more with other --seed"
    return plain(found)


def refuse_other_data(runs: Sequence[Run]) -> None:
    """Refuse to rank runs whose data, binarization or split differ."""
    first = runs[0]
    for run in runs[1:]:
        for what in ("digest", "binarization", "split"):
            ours, theirs = getattr(first.space, what), getattr(run.space, what)
            if ours != theirs:
                named = (first.space.title, run.space.title)
                words = f"in {what} ({ours} and {theirs})"
                if what == "digest":
                    same = f"both are called {named[0]} but hold other examples"
                    words = f"({same if named[0] == named[1] else ' and '.join(named)})"
                raise InputError(
                    f"{first.path} and {run.path} cannot be ranked, their data differ {words}: "
                    "compare runs on the same data"
                )


def measured(run: Run, split: str) -> tuple[dict[str, Any], Tensor]:
    """Return the last evaluation of a split with a log-evidence, of the weights that the run has, and each image's.

    Raises:
        InputError: if there is none.
    """
    of_split = [e for e in evaluations(run) if e["split"] == split and {"per_image", *NUMBERS} <= e.keys()]
    found = next((e for e in reversed(of_split) if "stale" not in e), None)
    if found is None:
        why = f"was {of_split[-1]['stale']}" if of_split else "is missing"
        again = of_split[-1]["command"] if of_split else command("evaluate", run.path, "--split", split)
        raise InputError(f"the log-evidence of {split} images of {run.path} {why}: run {again} first")
    values = numbers(run, found, "log_evidence", split)
    if values is None:
        raise InputError(
            f"{run.path} lacks the log-evidence of each image, {found['per_image']}: "
            f"copy the folder measured along, or run {found['command']} again"
        )
    return found, values


def _configuration(run: Run, first: Run) -> str:
    """The digest of an experiment without its seed, and without the place of its data, which are those of the first."""
    return run.experiment.replace_all({"seed": 0, "data.name": first.experiment.data.name}).digest


def _numbered(keys: Sequence[str]) -> list[int]:
    """Number different keys from 1, in the order in which they appear.

    Example:
        >>> _numbered(["a", "b", "a"])
        [1, 2, 1]
    """
    order = list(dict.fromkeys(keys))
    return [1 + order.index(key) for key in keys]


def _over_seeds(runs: Sequence[Run], numbers: Sequence[int], values: Sequence[Tensor]) -> list[dict[str, Any]]:
    """Mean log-evidence of each configuration over its seeds, on the images that all runs have."""
    images = min(map(len, values))
    found: list[dict[str, Any]] = []
    for number in sorted(set(numbers)):
        members = [k for k, each in enumerate(numbers) if each == number]
        by_seed = {runs[k].experiment.seed: float(values[k][:images].double().mean()) for k in members}
        means = np.array([*by_seed.values()])
        deviation = float(means.std(ddof=1)) if len(means) > 1 else None
        row = {"configuration": number, "runs": [str(runs[k].path) for k in members], "seeds": [*by_seed]}
        row |= {"mean": float(means.mean()), "standard_deviation": deviation, "images": images}
        if found:
            row["difference"] = _between(row, found[0])
        found.append(row)
    return found


def _between(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Difference of two configurations by their seeds (Welch's t-test); no verdict where one has a single seed."""
    found: dict[str, Any] = {"value": ours["mean"] - theirs["mean"], "standard_error": None, "verdict": None}
    if ours["standard_deviation"] is None or theirs["standard_deviation"] is None:
        return found
    parts = [(each["standard_deviation"] ** 2 / len(each["seeds"]), len(each["seeds"])) for each in (ours, theirs)]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / (n - 1) for part, n in parts) if variance else 1.0
    error = variance**0.5
    shown = abs(found["value"]) > float(student_t.ppf(0.975, freedom)) * error
    word = ("better" if found["value"] > 0 else "worse") if shown else "no difference shown"
    return found | {"standard_error": error, "verdict": f"{word} over seeds"}


def _on_these_images(word: str) -> str:
    return f"{word} on these images" if word in ("better", "worse") else word


def difference(ours: Tensor, theirs: Tensor) -> dict[str, Any]:
    """Mean of ours − theirs over the images that both have, with standard error, and what it shows at two of them.

    Example:
        >>> import torch
        >>> difference(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.1, 2.0, 3.8]))["verdict"]
        'no difference shown'
    """
    images = min(len(ours), len(theirs))
    found = mean_over_images(ours[:images] - theirs[:images], 1)
    shown = abs(found.value) > 1.96 * found.standard_error
    word = ("better" if found.value > 0 else "worse") if shown else "no difference shown"
    return {"value": found.value, "standard_error": found.standard_error, "images": images, "verdict": word}


def curves_of(runs: Sequence[Run]) -> Figure:
    """Draw the held-out terms of several runs over their epochs."""
    rows = dict(zip(_names(runs), (run.metrics() for run in runs), strict=True))
    epochs = sorted({row["epoch"] for each in rows.values() for row in each})

    def values(name: str, term: str) -> np.ndarray:
        found = {row["epoch"]: (row.get("validation") or row.get("test") or {}).get(term) for row in rows[name]}
        return np.array([found.get(epoch, np.nan) for epoch in epochs], dtype=float)

    panels = {title: {name: values(name, term) for name in rows} for term, title in PANELS.items()}
    space = runs[0].space
    return curves(np.array(epochs), panels, title="Runs compared", note=named(space))


def plane_of(runs: Sequence[Run], rows: Sequence[Mapping[str, Any]], split: str) -> Figure:
    """Draw where several runs lie between rate and distortion."""
    rates, distortions = (
        np.array([[row[name]["value"], row[name]["standard_error"]] for row in rows], dtype=float)
        for name in ("kl", "reconstruction")
    )
    space = runs[0].space
    note = f"{named(space)}, {split} {example(space)}s; bars: two standard errors"
    return rate_distortion(_names(runs), rates, distortions, title="Rate and distortion", note=note)


def _names(runs: Sequence[Run]) -> list[str]:
    """The names of the runs' folders, or their paths where two have one name."""
    names = [run.path.name for run in runs]
    return names if len(set(names)) == len({run.path for run in runs}) else [str(run.path) for run in runs]
