"""Run the benchmarks, store each row as soon as it is done, and write docs/benchmarks.md.

Usage: python -m benchmarks [--rows mlp,evidence] [--rounds 7] [--quick] [--device cuda] [--data-root FOLDER]
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="vaekit beside its peers")
    parser.add_argument("--rows", default=",".join(ROWS), help="some of %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each runner takes (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="see whether all runs: the numbers mean nothing")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--data-root", type=Path, help="folder of MNIST's files")
    parser.add_argument(
        "--results", type=Path, default=page.RESULTS, help="where rows are stored (default %(default)s)"
    )
    chosen = parser.parse_args()
    chosen.rows = chosen.rows.split(",")
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"there is no row {unknown.pop()!r}: choose of {', '.join(ROWS)}")
    return chosen


def main() -> None:
    """Run the chosen rows."""
    chosen = arguments()
    stored = chosen.results / f"{machine.kind(chosen.device)}.json"
    result = json.loads(stored.read_text()) if stored.exists() else {"rows": {}}
    result |= {"kind": stored.stem, "machine": machine.describe(chosen.device)}
    line = f"python -m benchmarks --rows {','.join(chosen.rows)} --rounds {chosen.rounds} --device {chosen.device}"
    line += " --quick" * chosen.quick
    with tempfile.TemporaryDirectory() as folder:
        data.write(Path(folder), chosen.data_root)
        job = Job("train", folder, root=chosen.data_root and str(chosen.data_root), device=chosen.device)
        for name in chosen.rows:
            print(name, file=sys.stderr)
            try:
                tables = ROWS[name](Settings(job, 1 if chosen.quick else chosen.rounds, chosen.quick))
            except NotRunError as error:
                print(f"{name} not run: {error}", file=sys.stderr)
                continue
            result["rows"][name] = {
                "date": datetime.date.today().isoformat(),
                "command": line,  # without the folder of data, which is this machine's
                "versions": machine.versions(),
                "tables": tables,
            }
            chosen.results.mkdir(exist_ok=True)
            stored.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
            print("\n".join(page.tables(result, name)))
    if chosen.results == page.RESULTS:
        page.PAGE.write_text(page.text(page.stored()))


if __name__ == "__main__":
    main()
