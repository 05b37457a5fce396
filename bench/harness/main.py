"""bench/run.sh without the build: see there."""
import argparse
import pathlib
import signal
import sys
import time

import budget
import images
import metrics
import report
from daemons import Arena, Failed

TOP = pathlib.Path(__file__).resolve().parents[2]


def parse():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures gantry beside its peers.")
    parser.add_argument("--quick", action="store_true", help="small sizes: under three minutes")
    parser.add_argument("--output", type=pathlib.Path, default=TOP / "build" / "bench-report",
                        help="directory of report.md, report.json and charts/")
    parser.add_argument("--docs", action="store_true",
                        help="write the results into docs/benchmarks.md, docs/charts and README.md as well")
    parser.add_argument("--no-build", action="store_true", help="use what was built before")
    parser.add_argument("--list", action="store_true", help="name the groups of metrics")
    parser.add_argument("names", nargs="*", metavar="NAME", help="groups to measure; all if none is given")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(metrics.GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(metrics.GROUPS)}")
    return arguments


def budget_of(bench):
    try:
        return budget.measure(bench, 10 if bench.quick else 40)
    except Failed as error:
        return f"failed: {error}"


def main():
    arguments = parse()
    if arguments.list:
        print("\n".join(metrics.GROUPS))
        return 0
    # So that an interrupt or a kill still cleans up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    board = metrics.Board()
    with Arena() as arena:
        archive = images.make_small(arena.disk)
        for daemon in arena.daemons:
            daemon.ctr("images", "import", str(archive))
        bench = metrics.Bench(arena, board, arguments.quick)
        for name, group in metrics.GROUPS.items():
            if arguments.names and name not in arguments.names:
                continue
            started = time.monotonic()
            try:
                group(bench)
            except Failed as error:
                print(f"{name}: {error}", file=sys.stderr)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
        table = budget_of(bench)
        versions = report.versions_of(arena.daemons)
    seconds = time.monotonic() - begun
    print(report.write(board, versions, table, arguments.quick, seconds, arguments.output))
    if arguments.docs:
        report.write_docs(board, versions, table, arguments.quick, seconds, TOP)
    return 1 if any(metric["failed"] for metric in board.metrics.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
