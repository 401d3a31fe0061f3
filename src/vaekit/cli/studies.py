"""The verb that reproduces published reports."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vaekit
from vaekit import display
from vaekit.cli.app import LOUD, DataRoot, Device, Int, Switch, app, examples
from vaekit.display import Output
from vaekit.errors import InputError

if TYPE_CHECKING:
    from vaekit.studies.study import Result

OUT = Path("runs/reproduced")


@app.command(
    synonym=["study", "benchmark"],
    help_epilogue=examples(
        "reproduce",
        "reproduce wei --dry-run",
        "reproduce wei --scale smoke",
    ),
)
def reproduce(
    study: str | None = None,
    *,
    only: str = "",
    scale: str = "laptop",
    seeds: Int | None = None,
    jobs: Int = 1,
    measure_only: Switch = False,
    out: Path = OUT,
    results: Path | None = None,
    dry_run: Switch = False,
    report: Switch = False,
    device: Device = "auto",
    data_root: DataRoot = None,
    output: Output = LOUD,
) -> None:
    """Reproduce a published report: train its experiments, measure, and check its claims; or list all reports.

    Args:
        study: Name of the report: kth2021, ncsu2018, aragam2024, wei or frans2016; all are listed if left out.
        only: Artifacts to reproduce, separated by commas; all of the study if left out.
        scale: How much to train: smoke (seconds, to try it), laptop (for two CPU cores) or full (as published).
        seeds: Number of trainings per experiment; the scale decides if left out.
        jobs: Number of trainings that run at the same time.
        measure_only: Train nothing: measure the artifacts whose trainings are finished, and leave out the others.
        out: Folder of the trainings. Finished ones are not repeated, and interrupted ones are resumed.
        results: Folder of the results; docs/reproductions/results if it exists, otherwise <out>/results.
        dry_run: List the trainings with their expected times without training.
        report: Write the pages of all studies next to the folder of results.
    """
    from vaekit.studies import findings, pages, planning, running

    names = [name for name in only.split(",") if name]
    with display.messages(output):
        if report:
            written = pages.write_pages(running.results_folder(results, out))
            display.emit([str(path) for path in written], output, lambda: display.say(*written), *written)
        elif study is None:
            if names or dry_run:
                raise InputError(f"{'--only' if names else '--dry-run'} needs a study: name one")
            rows = findings.states(running.results_folder(results, out))
            display.emit(rows, output, lambda: display.table(rows, tuple(rows[0])))
        elif dry_run:
            planned = planning.dry_run(study, only=names, scale=scale, seeds=seeds, out=out, data_root=data_root)
            display.emit(planned, output, lambda: _print_plan(planned, planning.OPERATIONS_A_SECOND))
        else:
            found = vaekit.reproduce(
                study, only=names, scale=scale, seeds=seeds, jobs=jobs, measure_only=measure_only, out=out,
                results=results, device=device, data_root=data_root,
                follow=partial(display.follow, quiet=output.silent),
                track=partial(display.tracked, silent=output.silent, description="measuring"),
            )  # fmt: skip
            verdicts = findings.verdicts(found)
            display.emit(verdicts, output, lambda: _print_results(found, verdicts))


def _print_plan(planned: list[dict[str, Any]], rate: float) -> None:
    rows = [
        {
            "artifact": row["artifact"],
            "training": row["label"],
            "seed": str(row["seed"]),
            "weights": f"{row['weights']:,}",
            "images": f"{row['images']:,}",
            "expected": "finished" if row["finished"] else f"{row['seconds']:,.0f} s",
        }
        for row in planned
    ]
    display.table(rows, tuple(rows[0]))
    left = sum(row["seconds"] for row in planned)
    display.say(f"{left / 60:,.1f} minutes of training at {rate / 1e9:g} billion operations a second, one at a time")


def _print_results(found: "list[Result]", verdicts: list[dict[str, Any]]) -> None:
    for result, verdict in zip(found, verdicts, strict=True):
        rows = [
            {
                "of": row.label,
                "quantity": row.quantity,
                "measured": f"{row.value:.5g}",
                "± over seeds": "" if row.deviation is None else f"{row.deviation:.2g}",
                "± over images": "" if row.standard_error is None else f"{row.standard_error:.2g}",
            }
            for row in result.rows
        ]
        display.say(f"{result.artifact}: {verdict['claim']}")
        display.table(rows, tuple(rows[0]))
        display.say(f"{verdict['word']}: {verdict['sentence']}", "")
