"""The pages of the documentation that put each report's claims beside what was measured, from stored results only."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vaekit.errors import InputError
from vaekit.files import write
from vaekit.studies.catalog import STUDIES
from vaekit.studies.scale import SCALES
from vaekit.studies.study import NOT_RUN, RESULT, Artefact, Key, Result, Row, Study, Verdict, number

HEAD = """# Reproductions

Five published reports on variational auto-encoders, and what each of their tables, figures and claims comes to when it
is done again. These pages are written by `vaekit reproduce --report` from the results in `{results}/`; no number in
them is typed by hand.

`vaekit reproduce` lists all artefacts; `vaekit reproduce wei --scale laptop` runs those of a report and stores what is
found. The scale *laptop* is meant for two CPU cores and often trains for a shorter time than the report, which is said
beside each result; *full* trains for as long. Measured numbers are means over the seeds, ± their standard deviation
where there is more than one seed, else ± the standard error over test images. Minutes add up those of all trainings,
which artefacts may share, and of the measuring; trainings that run at once (`--jobs`) each take longer than alone.

| artefact | claim | published | measured | scale | verdict |
|---|---|---|---|---|---|
"""
VERDICTS = """
*Reproduced*: the claim holds within the tolerance that the artefact's section states. *Reproduced with a correction*:
it holds once an error of the report, which is named, is put right. *Not reproduced*: our numbers say otherwise. *Cannot
be tested*: why is said.
"""


def pages(results: Path) -> dict[str, str]:
    """Write the text of all pages, by file name."""
    found = {study.name: stored(study, results) for study in STUDIES}
    lines = [line for study in STUDIES for line in _lines(study, found[study.name])]
    head = HEAD.format(results=results.name)
    texts = {f"{study.name}.md": "".join(_page(study, found[study.name], results.name)) for study in STUDIES}
    return {"README.md": head + "".join(lines) + VERDICTS, **texts}


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


def stored(study: Study, results: Path) -> dict[str, Result]:
    """Read the results of a study, by artefact: of several scales the largest, and none of smoke."""
    found = {}
    for artefact in study.artefacts:
        for scale in SCALES[1:]:
            path = results / study.name / f"{artefact.name}-{scale}.json"
            if path.is_file():
                found[artefact.name] = read(path)
    return found


def read(path: Path) -> Result:
    """Read a stored result.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return RESULT.validate_json(path.read_bytes())
    except (ValidationError, OSError):
        raise InputError(f"{path} is no result of a study: remove it and run the artefact again") from None


def states(results: Path) -> list[dict[str, str]]:
    """Say of each artefact of each study what is known of it."""
    rows = []
    for study in STUDIES:
        found = stored(study, results)
        for artefact in study.artefacts:
            result = found.get(artefact.name)
            state = f"{artefact.judged(result).word} ({result.scale})" if result else NOT_RUN
            rows.append({"study": study.name, "artefact": artefact.name, "claim": artefact.claim, "state": state})
    return rows


def verdicts(found: Iterable[Result]) -> list[dict[str, Any]]:
    """Put each result under its claim and verdict, as plain values."""
    rows = []
    for result in found:
        study = next(study for study in STUDIES if study.name == result.study)
        artefact = next(artefact for artefact in study.artefacts if artefact.name == result.artefact)
        judged = {"claim": artefact.claim, **artefact.judged(result)._asdict()}
        rows.append({**judged, **RESULT.dump_python(result, mode="json")})
    return rows


def _lines(study: Study, found: Mapping[str, Result]) -> Iterator[str]:
    """A line of the table for each artefact."""
    for artefact in study.artefacts:
        link = f"[{study.name} {artefact.name}]({study.name}.md#{artefact.name.lower()})"
        if artefact.name not in found:
            yield _line(link, artefact.claim, "", "", "", NOT_RUN)
            continue
        result = found[artefact.name]
        value = artefact.published(result.size).get(artefact.headline)
        what = ", ".join(artefact.headline)
        measured = f"{_measured(result.row(*artefact.headline))} ({what})"
        word = artefact.judged(result).word
        yield _line(link, artefact.claim, "" if value is None else number(value), measured, result.scale, word)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _measured(row: Row) -> str:
    error = row.standard_error if row.deviation is None else row.deviation
    return number(row.value) + ("" if error is None else f" ± {error:.2g}")


def _page(study: Study, found: Mapping[str, Result], folder: str) -> Iterator[str]:
    """The page of a report."""
    yield f"# {study.title}\n\n{study.citation}\n"
    for artefact in study.artefacts:
        yield f'\n<a id="{artefact.name.lower()}"></a>\n## {artefact.name}: {artefact.claim}\n\n'
        yield f"In the report: {artefact.place}. "
        yield f"Published numbers: {artefact.source}. " if artefact.source else ""
        yield f"Tolerance: {artefact.tolerance}.\n\n"
        if artefact.name in found:
            yield from _section(artefact, found[artefact.name], folder)
        else:
            yield f"**{NOT_RUN.capitalize()}.** `vaekit reproduce {study.name} --only {artefact.name}`\n"
    yield "\n## What is wrong or left open in the report\n\n"
    for error, effect in study.errors.items():
        yield f"- **{error}**: {effect}\n"


def _section(artefact: Artefact, result: Result, folder: str) -> Iterator[str]:
    """What was found of an artefact."""
    verdict: Verdict = artefact.judged(result)
    yield f"**{verdict.word.capitalize()}**: {verdict.sentence}\n\n"
    yield from _table(result.rows, artefact.published(result.size))
    for name, caption in result.figures.items():
        yield f"\n![{caption}]({folder}/{result.study}/{name})\n\n*{caption}*\n"
    lengths = sorted({f"{epochs:g}" for epochs in result.epochs.values()}, key=float)
    seeds = f"{result.size.seeds} seed{'s' * (result.size.seeds > 1)}"
    minutes = (result.training_seconds + result.measuring_seconds) / 60
    yield (
        f"\n`{result.command}` · {', '.join(lengths)} epochs, {seeds}, at most {result.size.images:,} test images · "
        f"{'; '.join(result.data)} · {minutes:.1f} minutes on {result.machine} · "
        f"{', '.join(f'{name} {version}' for name, version in sorted(result.versions.items()))}\n"
    )


def _table(rows: Iterable[Row], published: Mapping[Key, float]) -> Iterator[str]:
    """Measured numbers beside the published ones, as long as there are some."""
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
