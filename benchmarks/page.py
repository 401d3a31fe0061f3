"""docs/benchmarks.md, generated from the stored results. Usage: python -m benchmarks.page"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import exponents

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "benchmarks.md"

HEAD = """# Benchmarks

Generated from `benchmarks/results/`. `make bench` runs vaekit and its peers in turn on the same machine, with the same
data, network and batch, and keeps medians along with the smallest and largest round; `--publish` stores them. A ratio
says how many times faster (or smaller) a runner is than the baseline in the same round: the median over the rounds, and
the range. [benchmarks/README.md](../benchmarks/README.md) describes the rows, what is fair and what is not.
"""

ROWS = {
    "gemm": "Ceilings: matrix products",
    "mlp": "MLP-500: one epoch of 60,000 images",
    "aragam": "Convolutions: `aragam`",
    "ncsu": "Convolutions: `ncsu`",
    "parts": "Priors, posteriors and objectives",
    "bound": "Time to a bound",
    "evidence": "Evidence",
    "startup": "Start-up",
    "use": "Encode and decode",
    "accuracy": "The same results, however they are computed",
}
EXTRA = {
    "over": ("over the first, ms", ".2f"),
    "loss": ("loss, nats", ".2f"),
    "elbo": ("test ELBO", ".2f"),
    "steps": ("steps", ","),
    "samples": ("true K", ","),
    "log_evidence": ("log p(x), nats", ".2f"),
    "standard_error": ("standard error", ".3f"),
}
MAP, IMPORTANCE, EVIDENCE, STORM, GROWTH = "memory-map", "importance", "evidence-memory", "ray-storm", "growth"
RATES = "gpu-rates"
KINDS = ("cpu-2-cores", "cuda-nvidia-h200")
"""kinds of machine that the page lists even before anything has been run there"""

Result = Mapping[str, Any]


def stored() -> dict[str, Result]:
    """Return all stored results, by the name of their file: a kind of machine, memory-map, ..."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def text(results: Mapping[str, Result]) -> str:
    """Write the page."""
    kinds = dict.fromkeys([*KINDS, *results])
    for other in (MAP, IMPORTANCE, EVIDENCE, STORM, GROWTH, RATES):
        kinds.pop(other, None)
    sections = [line for kind in kinds for line in section(kind, results.get(kind))]
    rest = (
        *rates(results.get(RATES)),
        *growth(results.get(GROWTH)),
        *memory_map(results.get(MAP)),
        *importance(results.get(IMPORTANCE)),
        *evidence(results.get(EVIDENCE)),
        *storm(results.get(STORM)),
    )
    return "\n".join([HEAD, *sections, *rest])


def growth(result: Result | None) -> Iterator[str]:
    """Write about how cost grows with the work: benchmarks/growth.py."""
    yield "## How cost grows\n"
    if result is None:
        yield "Not run.\n"
        return
    yield (
        f"`{result['command']}`, {result['machine']['processor']}: processor time of one thread and peak memory of a "
        "process that has nothing else to do, libraries included. The exponent is the slope of the log–log curve from "
        "the size above: 1 where twice the work costs twice as much.\n"
    )
    yield f"![Processor time and peak memory against size](images/{GROWTH}.svg)\n"
    for work in result["works"].values():
        yield f"### {work['axis'][0].upper()}{work['axis'][1:]}: {work['unit']}\n"
        curves = work["curves"]
        head = [f"{name}, processor s | exponent | MiB | exponent" for name in curves]
        yield f"| {work['axis']} | {' | '.join(head)} |\n|--:{'|--:' * (4 * len(curves))}|"
        sizes = sorted({size for curve in curves.values() for size in curve["sizes"]})
        columns = [dict(zip(curve["sizes"], points(curve), strict=True)) for curve in curves.values()]
        for size in sizes:
            yield f"| {size:,} | {' | '.join(column.get(size, ' | | | ') for column in columns)} |"
        for name, curve in curves.items():
            if "stopped" in curve:
                yield f"\n{name} goes no further: {curve['stopped']}."
            if name in work["reasons"]:
                yield f"\n{name}: {work['reasons'][name]}"
        yield ""


def points(curve: Result) -> Iterator[str]:
    """Write the cells of each size: time and memory, each with its exponent."""
    columns = []
    for key in ("seconds", "mib"):
        slopes = ["", *(f"{slope:.2f}" for slope in exponents(curve["sizes"], curve[key]))]
        columns += [map(number, curve[key]), slopes]
    return map(" | ".join, zip(*columns, strict=True))


def rates(result: Result | None) -> Iterator[str]:
    """Write about how fast a GPU trains one model and stacks: benchmarks/gpu.py."""
    yield "## One model and stacks on a GPU\n"
    if result is None:
        yield "Not run.\n"
        return
    torch = result["versions"]["torch"]
    yield (
        f"{result['date']}, `{result['command']}`, {result['gpu']}, torch {torch}: 784-500-20-500-784, MNIST, "
        "batches of 100, Adam. A rate is that of the steps, compiled and captured as graphs, without evaluations; the "
        f"seconds before the first report are for reading, compiling and capturing. {result.get('note', '')}\n"
    )
    yield "| setting | images/s | µs per step | seconds before |\n|---|--:|--:|--:|"
    for name, found in result["rates"].items():
        models = int(name.split()[2].rstrip(",")) if name.startswith("stack") else 1
        step = 1e6 * models * 100 / found["images_per_second"]
        yield f"| {name} | {found['images_per_second']:,.0f} | {step:,.0f} | {found['before']:.0f} |"
    yield (
        "\nSome 30 kernels of 1 to 5 µs make a step of one model, and memory bounds that of a stack: Adam moves "
        "351 MB for each of the two large layers of 32 models in 84.7 µs, 4.1 TB/s, and the products of batches of 100 "
        "take 190 µs, about three times as long as their bytes need.\n"
    )


def memory_map(result: Result | None) -> Iterator[str]:
    """Write about training from a memory map larger than the allowed memory: benchmarks/memory_map.py."""
    yield "## Training from a memory map\n"
    if result is None:
        yield "Not run.\n"
        return
    numbers = result["numbers"]
    grown = numbers["anonymous_bytes_in_training"] - numbers["anonymous_bytes_at_start"]
    yield f"`{result['command']}`: {result['what']}, a file of {numbers['file_bytes'] / 1e9:.0f} GB.\n"
    yield f"Memory grew by {grown / 2**20:.0f} MiB during training.\n"
    yield "| images from | images/s | relative to memory |\n|---|--:|--:|"
    for name, speed in numbers["images_per_second"].items():
        yield f"| {name} | {speed:,} | {numbers['speed_beside_memory'][name]:.1%} |"
    yield ""


def importance(result: Result | None) -> Iterator[str]:
    """Write about importance-weighted bounds: benchmarks/importance.py."""
    yield "## Importance-weighted bounds\n"
    if result is None:
        yield "Not run.\n"
        return
    numbers = result["numbers"]
    yield (
        f"`{result['command']}`: the network of preset `iwae-1l` on `digits28`, batch 20. The variance is that of the "
        f"encoder's gradient for one batch, summed over weights, relative to `plain`; new and after {result['steps']} "
        "steps.\n"
    )
    yield "| weights | draws K | plain | stl | dreg |\n|---|--:|--:|--:|--:|"
    for stage, by_draws in numbers["variances"].items():
        for draws, found in by_draws.items():
            cells = [f"{f['of_plain']:.2g} ± {f['of_plain_standard_error']:.1g}" for f in found.values()]
            yield f"| {stage} | {draws} | 1 | {' | '.join(cells[1:])} |"
    yield (
        "\nA compiled step of 50 draws, as a multiple of matrix products alone: those of 50 decoders and one encoder "
        "in a step of one draw, and those of one decoder on all rows at once and one encoder. They are timed by "
        "`torch.mm`, and a step takes the faster of two libraries.\n"
    )
    yield "| estimator | ms | of the plain step's products | of the same products at once |\n|---|--:|--:|--:|"
    for name, cost in numbers["costs"].items():
        each = f"{cost['of_products']:.2f} | {cost['of_products_of_all_rows']:.2f}"
        yield f"| {name} | {cost['milliseconds']:.1f} | {each} |"
    yield ""


def evidence(result: Result | None) -> Iterator[str]:
    """Write about the memory of an evidence: benchmarks/evidence_memory.py."""
    yield "## Memory of the evidence\n"
    if result is None:
        yield "Not run.\n"
        return
    yield (
        f"`{result['command']}`: {result['samples']:,} draws for each of {result['images']:,} images, 784-300-300-40 "
        f"and back. The peak of a process that is broken off after {result['batches']} batches of 100 images; later "
        "ones take no more.\n"
    )
    yield "| prior | peak, MiB |\n|---|--:|"
    for prior, peak in result["peak_mib"].items():
        yield f"| {prior} | {peak:,.0f} |"
    yield ""


def storm(result: Result | None) -> Iterator[str]:
    """Write about a sweep on Ray whose driver and nodes are killed: benchmarks/ray_storm.py."""
    yield "## A sweep on Ray in a storm\n"
    if result is None:
        yield "Not run.\n"
        return
    found = result["storm"]
    yield (
        f"`{result['command']}`: {result['what']}; two nodes with one CPU each on one machine of two cores, which "
        f"other work shared (load average {result['load']}).\n"
    )
    yield (
        f"{found['units']:,} units, the driver killed {found['drivers_killed']} times and a node "
        f"{found['nodes_killed']} times: {found['results']:,} results in {found['seconds']:,.0f} s, "
        f"{found['written_twice']} files written again after they were complete, "
        f"{found['drivers_that_ended_with_a_failure']} drivers that ended with a failure. The {result['calm']} units "
        f"of the table below were also trained one after the other: the weights of "
        f"{found['weights_unlike_the_serial_run']} differ in any byte.\n"
    )
    yield f"What Ray costs, by {result['calm']} units that nothing happens to, those after the first:\n"
    yield "| | s until the first unit has ended | s per unit | processor s per unit |\n|---|--:|--:|--:|"
    for name, key in (("one process", "serial"), ("Ray, two nodes", "ray")):
        yield f"| {name} | {' | '.join(format(value, '.3g') for value in result[key].values())} |"
    serial, ray = (result[key]["processor_seconds_of_a_unit"] for key in ("serial", "ray"))
    beyond = ray - serial
    yield (
        f"\nThe cluster, its driver and daemons included, spends {beyond:.2f} s more processor time per unit than one "
        f"process does, {beyond / serial:.0%}: what Ray takes, and what two units at once take from each other and "
        "from other work, which were not told apart. It says nothing about units of other lengths.\n"
    )


def section(kind: str, result: Result | None) -> Iterator[str]:
    """Write all rows on one kind of machine."""
    yield f"## {kind}\n"
    if result is None:
        yield "Not run.\n"
        return
    yield ", ".join(f"{name} {value}" for name, value in result["machine"].items()) + ".\n"
    for name, title in ROWS.items():
        yield f"### {title}\n"
        if name not in result["rows"]:
            yield "Not run.\n"
            continue
        row = result["rows"][name]
        versions = ", ".join(f"{package} {version}" for package, version in row["versions"].items())
        yield f"{row['date']}, `{row['command']}`; {versions}.\n"
        yield from tables(result, name)


def tables(result: Result, name: str) -> Iterator[str]:
    """Write the tables of a row."""
    for table in result["rows"][name]["tables"]:
        yield f"{table['title'][0].upper()}{table['title'][1:]}:\n"
        yield from grid(table, ceilings(result))
        yield ""


def ceilings(result: Result) -> dict[str, float]:
    """Return the fastest product of each precision in GFLOP/s, if it was measured."""
    found: dict[str, float] = {}
    for table in result["rows"].get("gemm", {}).get("tables", []):
        for name, line in table["lines"].items():
            precision = name.split(", ")[-1]
            found[precision] = max(found.get(precision, 0.0), line["median"])
    return found


def grid(table: Mapping[str, Any], ceiling: Mapping[str, float]) -> Iterator[str]:
    """Write one table in Markdown."""
    lines = table["lines"].values()
    baselines = dict.fromkeys(name for line in lines for name in line.get("ratios", {}))
    extra = [name for name in EXTRA if any(name in line for line in lines)]
    head = ["runner", table["unit"], "range", *(f"× {name}" for name in baselines), *(EXTRA[name][0] for name in extra)]
    head += ["GFLOP/s", "of the ceiling"] if "gflop" in table else []
    yield f"| {' | '.join(head)} |"
    yield f"|---{'|--:' * (len(head) - 1)}|"
    for name, line in table["lines"].items():
        yield f"| {' | '.join(pad(cells(name, line, table, baselines, extra, ceiling), len(head)))} |"


def cells(
    name: str,
    line: Mapping[str, Any],
    table: Mapping[str, Any],
    baselines: Iterable[str],
    extra: Sequence[str],
    ceiling: Mapping[str, float],
) -> Iterator[str]:
    """Write the cells of one runner."""
    yield name
    if "not_run" in line:
        yield f"not run: {line['not_run']}"
        return
    yield number(line["median"])
    yield f"{number(line['min'])}–{number(line['max'])}"
    for baseline in baselines:
        ratio = line.get("ratios", {}).get(baseline)
        yield f"{ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})" if ratio else ""
    for key in extra:
        yield format(line[key], EXTRA[key][1]) if key in line else ""
    if "gflop" in table:
        speed = table["gflop"] / (line["median"] * table.get("seconds_a_unit", 1.0))
        limit = ceiling.get("bf16" if "bf16" in name else "fp32")
        yield f"{speed:.0f}"
        yield f"{speed / limit:.0%}" if limit else ""


def pad(found: Iterable[str], length: int) -> list[str]:
    """Fill up with empty cells."""
    short = list(found)
    return short + [""] * (length - len(short))


def number(value: float) -> str:
    """Write a number to three digits.

    Example:
        >>> number(0.01234), number(1234.5), number(-109.87)
        ('0.0123', '1,234', '-109.87')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(text(stored()), encoding="utf-8")
