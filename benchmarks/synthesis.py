"""The quality of sampled rows, by SDMetrics' own report, of vaekit and of ctgan's TVAE, on three tables.

Neither ctgan nor SDMetrics is a dependency: they need an environment of their own, `benchmarks/synthesis.txt`. The
numbers are printed; only --publish stores them in docs/tables.json, from which docs/tables.md is written.

Usage: python -m benchmarks.synthesis [--seeds 5] [--publish]
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from palmerpenguins import load_penguins
from sklearn.datasets import load_diabetes, load_wine

import vaekit
from docs import tables

Table = pd.DataFrame


def _wine() -> Table:
    data = load_wine(as_frame=True)
    return data.data.assign(kind=data.target_names[data.target])


def _diabetes() -> Table:
    data = load_diabetes(as_frame=True, scaled=False)
    return data.data.assign(sex=data.data["sex"].map({1.0: "one", 2.0: "two"}), progression=data.target)


TABLES: dict[str, Callable[[], Table]] = {"penguins": load_penguins, "wine": _wine, "diabetes": _diabetes}


def _words(rows: Table) -> list[str]:
    """Return the names of the columns that hold words."""
    return [name for name in rows if rows[name].dtype == object]


def ours(rows: Table, seed: int) -> Table:
    """Return as many rows that vaekit sampled, with what it chooses by itself."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        for _ in vaekit.train(vaekit.choose(rows, label="", seed=seed), run, data=rows):
            pass
        return Table(vaekit.sample(run, len(rows), seed=seed))


def tvae(rows: Table, seed: int) -> Table:
    """Return as many rows that ctgan's TVAE sampled, with its defaults; it takes no blanks, so it gets whole rows."""
    from ctgan import TVAE

    model = TVAE(enable_gpu=False)
    model.set_random_state(seed)
    model.fit(rows.dropna(), _words(rows))
    return model.sample(len(rows))


def quality(real: Table, sampled: Table) -> float:
    """Return the score of SDMetrics' quality report, from 0 to 1: the mean of column shapes and pair trends."""
    from sdmetrics.reports.single_table import QualityReport

    kinds = {name: {"sdtype": "categorical" if name in _words(real) else "numerical"} for name in real}
    report = QualityReport()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report.generate(real, sampled[list(real)], {"columns": kinds}, verbose=False)
    return float(report.get_score())


WHO: dict[str, Callable[[Table, int], Table]] = {"vaekit": ours, "ctgan's TVAE": tvae}


def synthesis(seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train on all rows of each table, sample as many, and judge them beside the rows."""
    for name, load in TABLES.items():
        rows = cache(load)()
        yield name, {who: quality(rows, sampled(rows, seed)) for who, sampled in WHO.items()}


def main() -> None:
    """Measure, and publish on request."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description="Judge sampled rows.")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default %(default)s)")
    parser.add_argument("--publish", action="store_true", help="store in docs/tables.json, write docs/tables.md")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python -m benchmarks.synthesis --seeds {chosen.seeds}"
    tables.measured("synthesis", synthesis, command, chosen.seeds, chosen.publish)


if __name__ == "__main__":
    main()
