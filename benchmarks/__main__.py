"""Run the benchmarks and print each row as soon as it is done; only --publish changes the published results.

Usage: python -m benchmarks [--rows mlp,evidence] [--rounds 7] [--quick] [--device cuda] [--data-root FOLDER]
                            [--results FOLDER | --publish]
"""

import argparse
import datetime
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import data, machine, page
from benchmarks.protocol import Job, NotRunError
from benchmarks.rows import ROWS, Settings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare vaekit with its peers.")
    parser.add_argument("--rows", default=",".join(ROWS), help="some of %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per runner (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="check that everything runs; the numbers mean nothing")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--data-root", type=Path, help="folder with the files of MNIST")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--results", type=Path, help="folder of your own in which to store the rows as well")
    kept.add_argument("--publish", action="store_true", help="store in benchmarks/results, write docs/benchmarks.md")
    chosen = parser.parse_args()
    if chosen.publish and chosen.quick:
        parser.error("the numbers of --quick mean nothing: do not publish them")
    chosen.rows = chosen.rows.split(",")
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"row {unknown.pop()!r} is unknown: choose from {', '.join(ROWS)}")
    return chosen


def main() -> None:
    """Run the chosen rows."""
    chosen = arguments()
    kind = machine.kind(chosen.device)
    folder = page.RESULTS if chosen.publish else chosen.results
    stored = folder and folder / f"{kind}.json"
    result = json.loads(stored.read_text(encoding="utf-8")) if stored and stored.exists() else {"rows": {}}
    result |= {"kind": kind, "machine": machine.describe(chosen.device)}
    line = f"python -m benchmarks --rows {','.join(chosen.rows)} --rounds {chosen.rounds} --device {chosen.device}"
    line += " --quick" * chosen.quick
    with tempfile.TemporaryDirectory() as scratch:
        data.write(Path(scratch), chosen.data_root)
        job = Job("train", scratch, root=chosen.data_root and str(chosen.data_root), device=chosen.device)
        for name in chosen.rows:
            print(name, file=sys.stderr)
            try:
                tables = ROWS[name](Settings(job, 1 if chosen.quick else chosen.rounds, chosen.quick))
            except NotRunError as error:
                print(f"{name} not run: {error}", file=sys.stderr)
                continue
            result["rows"][name] = {
                "date": datetime.date.today().isoformat(),
                "command": line,  # without the data folder, which belongs to this machine
                "versions": machine.versions(),
                "tables": tables,
            }
            print("\n".join(page.tables(result, name)))
            if stored:
                stored.parent.mkdir(parents=True, exist_ok=True)
                stored.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if chosen.publish:
        page.PAGE.write_text(page.text(page.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
