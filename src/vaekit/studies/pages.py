"""The documentation pages that compare each report's claims with what was measured, from stored results only."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vaekit.files import write
from vaekit.studies import lessons
from vaekit.studies.catalog import STUDIES
from vaekit.studies.findings import findings, stored, verdict
from vaekit.studies.study import OUTDATED, Artifact, Findings, Key, Result, Row, Study, counted, number, written

HEAD = """# Reproductions

Five published reports on variational auto-encoders, and what becomes of each of their tables, figures and claims when
it is reproduced. `vaekit reproduce --report` writes these pages from the results in `{results}/`: every number that
was measured here comes from there, also in prose; all others are settings, or those of the reports and of their code.
The short version is [what we learned](what-we-learned.md).

`vaekit reproduce` lists all artifacts; `vaekit reproduce wei --scale laptop` runs those of one report and stores the
results. The scale *laptop* is meant for two CPU cores and often trains for less time than the report did, which is
stated with each result; *full* trains for as long. Measured numbers are means over seeds, ± their standard deviation if
there is more than one seed, otherwise ± the standard error over test images. Minutes are the total of all trainings,
which artifacts may share, and of measuring; trainings that run at once (`--jobs`) each take longer than alone.

| artifact | claim | published | measured | scale | support | verdict |
|---|---|---|---|---|---|---|
"""
VERDICTS = """
*Reproduced*: the claim holds within the tolerance stated in the artifact's section. *Reproduced with a correction*: it
holds once a named error in the report is corrected. *Better than published*: no number is worse than the report's by
more than the tolerance, but some are better. *Not reproduced*: our numbers say otherwise. *Cannot be tested*: the
section says why. *Run again*: the experiment was changed after its result was stored.

*Support* says on how many trainings with different seeds and on how many test images a verdict rests, and what judges.
"""
LESSONS = "what-we-learned.md"
UNKNOWN = "the numbers for this are not measured yet."


def pages(results: Path) -> dict[str, str]:
    """Write the text of all pages, by file name."""
    known = findings(results)
    found = {study.name: stored(study, results) for study in STUDIES}
    lines = [line for study in STUDIES for line in _lines(study, found[study.name])]
    head = HEAD.format(results=results.name)
    texts = {f"{study.name}.md": "".join(_page(study, found[study.name], known, results.name)) for study in STUDIES}
    return {"README.md": head + "".join(lines) + VERDICTS, LESSONS: lessons.page(known), **texts}


def write_pages(results: Path) -> list[Path]:
    """Write all pages beside the folder of results, and return their paths.

    Raises:
        InputError: if a result is damaged.
    """
    written = []
    for name, text in pages(results).items():
        path = results.parent / name
        write(path, text.encode())
        written.append(path)
    return written


def _lines(study: Study, found: Mapping[str, Result]) -> Iterator[str]:
    """Write a line of the table for each artifact."""
    for artifact in study.artifacts:
        link = f"[{study.name} {artifact.name}]({study.name}.md#{artifact.name.lower()})"
        result = found.get(artifact.name)
        word = verdict(artifact, result).word
        if result is None or word == OUTDATED:
            yield _line(link, artifact.claim, "", "", "", "", word)
            continue
        value = artifact.published(result.size).get(artifact.headline)
        what = ", ".join(artifact.headline)
        measured = f"{_measured(result.row(*artifact.headline))} ({what})"
        printed = "" if value is None else number(value)
        yield _line(link, artifact.claim, printed, measured, result.scale, support(artifact, result), word)


def support(artifact: Artifact, result: Result) -> str:
    """Say what a verdict rests on: seeds, test images, and what judges."""
    return f"{counted(result.size.seeds, 'seed')}, at most {result.size.images:,} images, {artifact.judged_by}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _measured(row: Row) -> str:
    error = row.standard_error if row.deviation is None else row.deviation
    return number(row.value) + ("" if error is None else f" ± {error:.2g}")


def _page(study: Study, found: Mapping[str, Result], known: Findings, folder: str) -> Iterator[str]:
    """Write the page of a report."""
    yield f"# {study.title}\n\n{study.citation}\n"
    for artifact in study.artifacts:
        yield f'\n<a id="{artifact.name.lower()}"></a>\n## {artifact.name}: {artifact.claim}\n\n'
        yield f"In the report: {artifact.place}. "
        yield f"Published numbers: {artifact.source}. " if artifact.source else ""
        yield f"Tolerance: {artifact.tolerance}.\n\n"
        result = found.get(artifact.name)
        word, sentence = verdict(artifact, result)
        yield f"**{word.capitalize()}**: {sentence}\n\n"
        if result is None or word == OUTDATED:
            yield f"`vaekit reproduce {study.name} --only {artifact.name}`\n"
        else:
            yield from _section(artifact, result, folder)
    yield "\n## What is wrong or left open in the report\n\n"
    for error, effect in study.errors.items():
        yield f"- **{error}**: {written(effect, known) or UNKNOWN}\n"


def _section(artifact: Artifact, result: Result, folder: str) -> Iterator[str]:
    """Write what was found for an artifact."""
    yield from _table(result.rows, artifact.published(result.size))
    for name, caption in result.figures.items():
        at, numbers = f"{folder}/{result.study}", Path(name).with_suffix(".csv").name
        table = f" ([numbers]({at}/{numbers}))" if numbers in result.tables else ""
        yield f"\n![{caption}]({at}/{name})\n\n*{caption}*{table}\n"
    lengths = sorted({f"{epochs:g}" for epochs in result.epochs.values()}, key=float)
    minutes = (result.training_seconds + result.measuring_seconds) / 60
    yield (
        f"\n`{result.command}` · {', '.join(lengths)} epochs, {counted(result.size.seeds, 'seed')}, at most "
        f"{result.size.images:,} test images · "
        f"{'; '.join(result.data)} · {minutes:.1f} minutes on {result.machine} · "
        f"{', '.join(f'{name} {version}' for name, version in sorted(result.versions.items()))}\n"
    )


def _table(rows: Iterable[Row], published: Mapping[Key, float]) -> Iterator[str]:
    """Write measured numbers next to the published ones, if there are any."""
    columns = ["of", "quantity", "measured", "± over seeds", "± over images"]
    columns += ["published", "difference"] if published else []
    yield _line(*columns) + "|---" * len(columns) + "|\n"
    for row in rows:
        cells = [row.label, row.quantity, number(row.value), _error(row.deviation), _error(row.standard_error)]
        if published:
            value = published.get((row.label, row.quantity))
            cells += ["", ""] if value is None else [f"{value:g}", f"{row.value - value:+.2g}"]
        yield _line(*cells)


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
