"""How cost grows with the work: pixels, images, draws and latents, each alone, beside pythae where it can follow.

A size is a process of its own with one thread. Its processor time, which other work on the machine changes little, is
the median over rounds after one that does not count; its memory is the peak, with the libraries in it. The exponent
between two sizes is the slope of a log–log curve: 1 where twice the work costs twice as much.

Usage: python -m benchmarks.growth [--works pixels,draws] [--rounds 3] [--seconds 120] [--publish]
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks import machine, page
from benchmarks.protocol import Job, NotRunError, Runner
from vaekit.reporting.plots.style import MUTED, drawn, palette, place, save, sheet

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TITLE = "How cost grows with the work"
NOTE = "One thread of a CPU, 784-500-20-500-784, in batches of 100; dashed: twice the work costs twice as much."
IMAGES = Path(__file__).parent.parent / "docs" / "images"

RUNNERS = {"vaekit": ("vaekit_growth", ""), "pythae": ("pythae_growth", "")}


@dataclass(frozen=True)
class Work:
    """Work of growing size.

    Attributes:
        axis: what grows.
        unit: what is timed.
        task, facts: of each job.
        sizes: the sizes, and by which of a job's fields and which power of it they are reached.
        runners: who does it.
        reasons: of growth by more than the size, by runner.
    """

    axis: str
    unit: str
    task: str
    sizes: tuple[int, ...]
    by: str
    power: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    runners: Mapping[str, tuple[str, str]] = field(default_factory=lambda: RUNNERS)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def job(self, size: int, job: Job) -> Job:
        """Make the job of a size."""
        return replace(job, task=self.task, **{**self.facts, self.by: size})


STEP = {"images": 1000, "epochs": 1e6}
FULL = {"vaekit, full covariance": ("vaekit_growth", "full_gaussian")}
WORKS = {
    "pixels": Work(
        "pixels of an image",
        "a training step",
        "step",
        (28, 40, 56, 80, 112, 160, 256),
        "side",
        2,
        STEP,
        reasons={
            "vaekit": "from 25,600 pixels each gradient of a large layer takes more than 32 MiB, which glibc returns "
            "to the system and gets again, page by page, in each step; it keeps smaller ones. Beyond, it is linear."
        },
    ),
    "images": Work(
        "training images",
        "reading a file of images and training for an epoch",
        "epoch",
        (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
        "images",
        facts={"epochs": 1},
    ),
    "draws": Work(
        "draws K",
        "the evidence of 10 images",
        "draws",
        (1, 10, 100, 1000, 10_000, 100_000),
        "samples",
        facts={"images": 10, "epochs": 1},
    ),
    "latents": Work(
        "latents d",
        "a training step",
        "step",
        (2, 5, 10, 20, 50, 100, 200, 500, 1000),
        "latents",
        facts=STEP,
        runners=RUNNERS | FULL,
        reasons={
            "vaekit, full covariance": "its covariances have d(d + 1)/2 elements, for each of which the encoder has "
            "501 weights, and products with them take d³: 250 million weights at d = 1,000. A state of 3 GiB is "
            "written every 30 seconds, which that last size takes for a step or two, and which is counted."
        },
    ),
}


def grown(work: Work, job: Job, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure all sizes; a runner that fails, or whose rounds take too long, says why it goes no further."""
    curves: dict[str, Any] = {name: {"sizes": [], "seconds": [], "mib": []} for name in work.runners}
    for size in work.sizes:
        for name, (module, variant) in work.runners.items():
            curve = curves[name]
            if "stopped" in curve:
                continue
            try:
                spent, mib = measured(module, replace(work.job(size, job), variant=variant), rounds)
            except NotRunError as error:
                curve["stopped"] = str(error)
                continue
            for key, value in (("sizes", size**work.power), ("seconds", spent), ("mib", mib)):
                curve[key].append(value)
            print(f"  {size**work.power:,} {work.axis}, {name}: {spent:.3g} s, {mib:,.0f} MiB", file=sys.stderr)
            if spent > seconds:
                curve["stopped"] = f"a round took more than {seconds:g} s"
    return {"axis": work.axis, "unit": work.unit, "reasons": work.reasons, "curves": curves}


def measured(module: str, job: Job, rounds: int) -> tuple[float, float]:
    """Return the processor time of a unit of work and the peak memory, of a process of its own."""
    with closing(Runner(module, job)) as runner:
        replies = [runner.ask("round")]
        while len(replies) <= rounds and replies[-1]["processor_seconds"] < 20:  # else its first is as good
            replies.append(runner.ask("round"))
    times = [reply["processor_seconds"] / reply["units"] for reply in replies]
    return statistics.median(times[1:] or times), replies[-1]["memory_mib"]


def power(value: float, position: int) -> str:
    """Write a tick: powers of ten as such from 10⁴ on and below 0.1, others in full.

    Example:
        >>> power(1e6, 0), power(0.001, 0), power(2000, 0)
        ('10⁶', '10⁻³', '2,000')
    """
    exponent = round(math.log10(value))
    if 0.1 <= value < 10_000:
        return f"{value:,g}"
    return "10" + str(exponent).translate(SUPERSCRIPT)


@drawn
def drawing(works: Mapping[str, Any]) -> Figure:
    """Draw time and memory against size on logarithmic axes: a row per work, with a dashed line of exponent 1."""
    wide, high, gap, step = 1.6, 1.15, 0.85, 1.15 + 0.62
    figure = sheet(len(works) * step + 0.1, TITLE, NOTE)
    colors = palette(list(dict.fromkeys(name for work in works.values() for name in work["curves"])))
    for row, work in enumerate(reversed(list(works.values()))):
        for column, (key, label) in enumerate((("seconds", "processor s"), ("mib", "peak MiB"))):
            axes = place(figure, 0.62 + column * (wide + gap), 0.42 + row * step, wide, high)
            axes.set(xscale="log", yscale="log", xlabel=work["axis"], ylabel=label)
            for name, curve in work["curves"].items():
                axes.plot(curve["sizes"], curve[key], color=colors[name], marker="o", markersize=2.5, label=name)
            sizes, values = (next(iter(work["curves"].values()))[each] for each in ("sizes", key))
            if key == "seconds":
                ends = (sizes[0], sizes[-1])
                axes.plot(ends, [values[-1] * n / sizes[-1] for n in ends], "--", color=MUTED, linewidth=0.8)
                axes.set_ylim(bottom=min(min(curve[key]) for curve in work["curves"].values()) / 2)
                axes.set_title(work["unit"], loc="left", fontsize=8, pad=4)
                axes.legend(loc="upper left")
            axes.grid()
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(power)
            if key == "mib":
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.minorticks_off()
    figure.set_label(f"{TITLE}: {', '.join(work['axis'] for work in works.values())}.")
    return figure


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="Measure how cost grows.")
    parser.add_argument("--works", default=",".join(WORKS), help="some of %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per size (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="rounds that take longer end a curve")
    parser.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    chosen.works = chosen.works.split(",")
    if unknown := set(chosen.works) - set(WORKS):
        parser.error(f"work {unknown.pop()!r} is unknown: choose from {', '.join(WORKS)}")
    return chosen


def main() -> None:
    """Measure the chosen works, and store them on request; works that are not chosen keep what is stored."""
    chosen = arguments()
    kept = page.stored().get(page.GROWTH, {}).get("works", {}) if chosen.publish else {}
    found = {}
    for name in chosen.works:
        print(name, file=sys.stderr)
        with tempfile.TemporaryDirectory() as scratch:
            found[name] = grown(WORKS[name], Job("", scratch, threads=1), chosen.rounds, chosen.seconds)
    result = {
        "command": f"python -m benchmarks.growth --works {','.join(chosen.works)} --rounds {chosen.rounds}",
        "machine": machine.describe("cpu"),
        "versions": machine.versions(),
        "works": {name: (kept | found)[name] for name in WORKS if name in kept | found},
    }
    print("\n".join(page.growth(result)))
    if chosen.publish:
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (page.RESULTS / f"{page.GROWTH}.json").write_text(text + "\n", encoding="utf-8")
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")
        save(drawing(result["works"]), IMAGES, page.GROWTH, ["svg"])


if __name__ == "__main__":
    main()
