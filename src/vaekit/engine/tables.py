"""The table of a sweep: the log-evidence of each combination over its seeds, and which of them is surely the best."""

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student_t

from vaekit import files
from vaekit.arguments import Place, to_path
from vaekit.engine.sweeps import opened, value_at
from vaekit.errors import InputError, nearest
from vaekit.estimates import mean_over_images
from vaekit.experiment import ADAPTER
from vaekit.folders import EXPERIMENT
from vaekit.reporting.comparison import measured, refuse_other_data
from vaekit.reporting.drawings import example, named
from vaekit.reporting.plots import curves, save
from vaekit.run import Run
from vaekit.settings import SHORT

log = logging.getLogger("vaekit")

ENDINGS = (".csv", ".json", ".md", ".tex")
LEVEL = 0.975
"""quantile of Student's t beyond which a difference over seeds is shown, at either side"""


@dataclass(frozen=True)
class Row:
    """A combination of values, over its seeds; nats per example.

    Attributes:
        values: of the fields that the sweep varies, by their dotted paths.
        seeds: of its trainings.
        log_evidence: mean over seeds and images.
        over_seeds: standard error of that mean over seeds; None of one seed.
        over_images: standard error over images, of the mean of the seeds at each image.
        elbo, kl: means over seeds and images.
        behind: log_evidence of the best combination less this one's; None of the best.
        behind_error: standard error of that difference over seeds, paired by seed where both have the same ones.
    """

    values: Mapping[str, Any]
    seeds: tuple[int, ...]
    log_evidence: float
    over_seeds: float | None
    over_images: float
    elbo: float
    kl: float
    behind: float | None = None
    behind_error: float | None = None


@dataclass(frozen=True)
class Table:
    """The combinations of a sweep, in the order of their values.

    Attributes:
        rows: one for each combination.
        best: number of the row that is better than every other by more than the error over seeds; None if there is
            none, or the spread over seeds is unknown.
        note: data, split, binarization, images and draws, and what is to be known of the errors.
    """

    rows: tuple[Row, ...]
    best: int | None
    note: str

    def columns(self) -> dict[str, list[Any]]:
        """Return the table by columns; ``pandas.DataFrame(table.columns())`` makes a data frame of it."""
        found: dict[str, list[Any]] = {short(path): [row.values[path] for row in self.rows] for path in self._paths}
        found["seeds"] = [len(row.seeds) for row in self.rows]
        for name in ("log_evidence", "over_seeds", "over_images", "elbo", "kl", "behind", "behind_error"):
            found[name] = [getattr(row, name) for row in self.rows]
        found["best"] = [k == self.best for k in range(len(self.rows))]
        return found

    @property
    def _paths(self) -> list[str]:
        return list(self.rows[0].values) if self.rows else []

    def cells(self, bold: str = "{}") -> tuple[list[str], list[list[str]]]:
        """Return header and rows as text; ``bold`` marks the best."""
        header = [*map(short, self._paths), "seeds", "log-evidence", "± over seeds", "± over images", "ELBO", "KL"]
        rows = []
        for k, row in enumerate(self.rows):
            spread = "unknown" if row.over_seeds is None else f"{row.over_seeds:.2f}"
            evidence = f"{row.log_evidence:.2f}"
            rows.append(
                [
                    *map(_word, row.values.values()),
                    str(len(row.seeds)),
                    bold.format(evidence) if k == self.best else evidence,
                    spread,
                    f"{row.over_images:.2f}",
                    f"{row.elbo:.2f}",
                    f"{row.kl:.2f}",
                ]
            )
        return header, rows

    def markdown(self) -> str:
        """Write the table as Markdown, with its note below."""
        header, rows = self.cells("**{}**")
        lines = [header, ["---"] * len(header), *rows]
        return (
            "\n".join(f"| {' | '.join(_escaped(cell, '|') for cell in line)} |" for line in lines)
            + f"\n\n{self.note}\n"
        )

    def latex(self) -> str:
        """Write the table as LaTeX (booktabs), with its note as a comment."""
        header, rows = self.cells(r"\textbf{{{}}}")
        lines = [" & ".join(line) + r" \\" for line in ([_tex(cell) for cell in header], *map(_tex_row, rows))]
        head, *body = lines
        columns = "l" * len(self._paths) + "r" * (len(header) - len(self._paths))
        top = [f"% {self.note}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}", ""])

    def csv(self) -> str:
        """Write the table as CSV, with numbers in full; what is unknown is left blank."""
        text, columns = StringIO(newline=""), self.columns()
        csv.writer(text, lineterminator="\n").writerows([list(columns), *zip(*columns.values(), strict=True)])
        return text.getvalue()

    def json(self) -> dict[str, Any]:
        """Return the table as JSON has it."""
        return {"columns": self.columns(), "note": self.note}


def tabulate(
    sweep: Place, *, by: Sequence[str] | str | None = None, split: str = "test", out: Place | None = None
) -> Table:
    """Make the table of a sweep: each combination over its seeds, compared with the best one seed by seed.

    Args:
        sweep: its folder.
        by: fields that tell rows apart, by path or short name; all that the sweep varies if None. Where others vary,
            too, a row is their average.
        split: of which evaluations.
        out: a file to write it to as well, .csv, .json, .md or .tex; or a folder for all four and a figure.

    Raises:
        InputError: if the folder is not a sweep's, nothing in it is evaluated, its runs were trained on unlike data,
            or ``by`` names a field that the sweep does not vary.
    """
    folder = to_path(sweep, "sweep")
    varied = [path for path in opened(folder).grid if path != "seed"]
    paths = _asked(by, varied)
    target = None if out is None else to_path(out, "out")
    if target is not None and target.suffix and target.suffix.lower() not in ENDINGS:
        raise InputError(f"{target} cannot hold a table: give it a name that ends in {', '.join(ENDINGS)} (--out)")
    found, missing = _evaluated(folder, split)
    if not found:
        raise InputError(f"no run in {folder} was evaluated on {split} examples: run the sweep again")
    if missing:
        log.warning("left out, because they are not trained and evaluated: %s", ", ".join(missing))
    refuse_other_data([run for run, *_ in found])
    rows, images = _rows(found, paths)
    best = max(range(len(rows)), key=lambda k: rows[k][0].log_evidence)
    compared = tuple(_behind(row, values, *rows[best]) for row, values in rows)
    others = [row for k, row in enumerate(compared) if k != best]
    table = Table(compared, best if others and all(map(_surely, others)) else None, "")
    table = Table(table.rows, table.best, _note(found, split, images, table, set(varied) - set(paths)))
    if target is not None:
        _write(table, target, paths, found[0][0])
    return table


def short(path: str) -> str:
    """Return the short name of a field, or its path."""
    return next((name for name, full in SHORT.items() if full == path), path)


Evaluated = tuple[Run, dict[str, Any], np.ndarray]
"""a run, its evaluation, and the log-evidence of each image"""


def _asked(by: Sequence[str] | str | None, varied: Sequence[str]) -> list[str]:
    names = by.split(",") if isinstance(by, str) else by
    if names is None:
        return list(varied)
    paths = [SHORT.get(name.strip(), name.strip()) for name in names]
    for path in paths:
        if path not in varied:
            raise InputError(f"the sweep does not vary {path!r}: {nearest(path, [*map(short, varied)])}")
    return paths


def _evaluated(folder: Path, split: str) -> tuple[list[Evaluated], list[str]]:
    """Read the evaluated runs of a sweep, and name those that are not."""
    found, missing = [], []
    for path in sorted(folder.glob(f"*/{EXPERIMENT}")):
        try:
            run = Run(path.parent)
            evaluation, values = measured(run, split)
        except InputError:
            missing.append(path.parent.name)
            continue
        found.append((run, evaluation, values.double().numpy()))
    return found, missing


def _rows(found: Sequence[Evaluated], paths: Sequence[str]) -> tuple[list[tuple[Row, dict[int, np.ndarray]]], int]:
    """Group runs by the values of some fields: rows, each image's log-evidence by seed, and the number of images."""
    images = min(len(values) for _, _, values in found)
    groups = dict[str, list[Evaluated]]()
    for each in found:
        tree = ADAPTER.dump_python(each[0].experiment, mode="json")
        groups.setdefault(json.dumps([value_at(tree, path) for path in paths]), []).append(each)
    rows = []
    for key in sorted(groups, key=_order):
        members = groups[key]
        by_seed = {
            seed: np.mean([v[:images] for run, _, v in members if run.experiment.seed == seed], axis=0)
            for seed in sorted({run.experiment.seed for run, *_ in members})
        }
        means = np.array([values.mean() for values in by_seed.values()])
        over_images = mean_over_images(torch.from_numpy(np.mean([*by_seed.values()], axis=0)), 1).standard_error
        elbo, kl = (float(np.mean([e[name]["value"] for _, e, _ in members])) for name in ("elbo", "kl"))
        values = dict(zip(paths, json.loads(key), strict=True))
        row = Row(values, tuple(by_seed), float(means.mean()), _error(means), float(over_images), elbo, kl)
        rows.append((row, by_seed))
    return rows, images


def _order(key: str) -> list[tuple[int, float, str]]:
    """Order values: none first, numbers by size, then words."""
    values = json.loads(key)
    return [
        (0, 0.0, "") if v is None else (1, float(v), "") if isinstance(v, int | float) else (2, 0.0, json.dumps(v))
        for v in values
    ]


def _error(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


def _behind(row: Row, values: Mapping[int, np.ndarray], best: Row, theirs: Mapping[int, np.ndarray]) -> Row:
    """Say how far a row is behind the best one: seed by seed where both have the same, else by both spreads."""
    if row is best:
        return row
    behind = best.log_evidence - row.log_evidence
    if values.keys() == theirs.keys():
        error = _error(np.array([(theirs[seed] - values[seed]).mean() for seed in values]))
    else:
        known = row.over_seeds is not None and best.over_seeds is not None
        error = float(np.hypot(row.over_seeds or 0, best.over_seeds or 0)) if known else None
    return Row(**{**row.__dict__, "behind": behind, "behind_error": error})


def _surely(row: Row) -> bool:
    """Whether a row is behind the best by more than the error over seeds."""
    if row.behind is None or row.behind_error is None:
        return False
    return row.behind > float(student_t.ppf(LEVEL, len(row.seeds) - 1)) * row.behind_error


def _note(found: Sequence[Evaluated], split: str, images: int, table: Table, averaged: set[str]) -> str:
    run, evaluation, _ = found[0]
    draws = evaluation["log_evidence"].get("samples")
    parts = [
        f"{named(run.space)}; {images:,} {split} {example(run.space)}s"
        + (f", {draws:,} draws each" if draws else "")
        + ", in nats per example; ± are standard errors"
    ]
    if any(row.over_seeds is None for row in table.rows):
        parts.append("with one seed the spread over seeds is unknown, and no combination is called the best (--seeds)")
    elif table.best is None:
        parts.append("no combination is better than all others by more than the error over seeds")
    else:
        parts.append("the best is better than every other by more than its error over seeds (paired t-test, 95 %)")
    if averaged:
        parts.append(f"averaged over {', '.join(sorted(map(short, averaged)))}")
    return "; ".join(parts)


def _write(table: Table, out: Path, paths: Sequence[str], run: Run) -> None:
    texts = {
        ".csv": table.csv,
        ".json": lambda: json.dumps(table.json(), indent=2, ensure_ascii=False) + "\n",
        ".md": table.markdown,
        ".tex": table.latex,
    }
    with files.disk_errors(out):
        if out.suffix:
            files.write(out, texts[out.suffix.lower()]().encode())
            return
        out.mkdir(parents=True, exist_ok=True)
        for ending, text in texts.items():
            files.write(out / f"table{ending}", text().encode())
    _draw(table, out, paths, run)


def _draw(table: Table, out: Path, paths: Sequence[str], run: Run) -> None:
    """Draw the log-evidence over each field of numbers, a line for each combination of the others."""
    for path in paths:
        axis = sorted({row.values[path] for row in table.rows if isinstance(row.values[path], int | float)})
        if len(axis) < 2:
            continue
        lines: dict[str, np.ndarray] = {}
        errors: dict[str, np.ndarray] = {}
        for row in table.rows:
            others = [f"{short(p)} {_word(value)}" for p, value in row.values.items() if p != path]
            name, place = ", ".join(others) or "all", axis.index(row.values[path])
            lines.setdefault(name, np.full(len(axis), np.nan))[place] = row.log_evidence
            errors.setdefault(name, np.zeros(len(axis)))[place] = row.over_seeds or 0.0
        figure = curves(
            np.array(axis, float), {"log-evidence": lines}, title=f"Log-evidence over {short(path)}",
            note=f"{named(run.space)}; bars: standard errors over seeds", xlabel=short(path),
            errors={"log-evidence": errors},
        )  # fmt: skip
        save(figure, out, f"over-{short(path).replace('.', '-')}")


def _word(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _escaped(text: str, sign: str) -> str:
    return text.replace(sign, f"\\{sign}")


def _tex(text: str) -> str:
    """Write plain text for LaTeX."""
    for sign in "&%_#$":
        text = _escaped(text, sign)
    return text.replace("±", r"$\pm$").replace("−", "$-$")


def _tex_row(cells: Sequence[str]) -> list[str]:
    return [cell if cell.startswith(r"\textbf") else _tex(cell) for cell in cells]
