"""The budget of a container start, from the trace of `gantryd --trace-start` and the floor program."""
import collections
import json
import statistics
import sys

import images
import metrics
from daemons import Arena, Failed, Gantry

# Which part of the budget a step belongs to: the first prefix that fits.
PARTS = [
    ("client:", "client"), ("change to the executor", "request"), ("receive", "request"), ("tell the daemon", "request"),
    ("publish", "request"), ("read the container", "metadata"), ("write the bundle", "metadata"),
    ("discard the bundle", "metadata"), ("watch", "metadata"), ("start and find", "fork of the shim"),
    ("fork", "fork of the shim"), ("read the spec", "specification"), ("plan", "specification"),
    ("make cgroups", "cgroups"), ("join cgroup", "cgroups"), ("remove cgroups", "cgroups"), ("born", "clone"),
    ("wait for the runtime", "clone"), ("unmount", "unmount"), ("pivot", "pivot"), ("enter the root", "pivot"),
    ("run and exit", "exec, run, exit"), ("take the mounts", "mounts"), ("mount", "mounts"), ("bind", "mounts"), ("mask", "mounts"), ("make", "mounts"),
    ("open the root", "mounts"), ("set the propagation", "mounts"), ("", "identity and the rest")]
FLOOR_PARTS = {"directories": "metadata", "cgroups": "cgroups", "clone": "clone", "enter cgroups": "cgroups",
               "overlay": "mounts", "other mounts": "mounts", "pivot": "pivot", "close": "identity and the rest",
               "exec, run, exit": "exec, run, exit", "remove cgroups": "cgroups", "remove directories": "metadata"}


def part_of(step):
    return next(part for prefix, part in PARTS if step.startswith(prefix))


def read_trace(path):
    """By container: (nanoseconds, who, step), in the order of time."""
    runs = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        nanos, who, name, step = line.split("\t")
        runs[name].append((int(nanos), who, step))
    return {name: sorted(marks) for name, marks in runs.items()}


def durations(runs):
    """Of each step, the microseconds since the one before it, over all containers; in the usual order."""
    steps, order = collections.defaultdict(list), []
    # Steps that some containers do not have would only stand in the way of reading.
    for name, marks in runs.items():
        before = marks[0][0]
        for nanos, who, step in marks[1:]:
            key = (who, shorten(step, name))
            if key not in steps:
                order.append(key)
            steps[key].append((nanos - before) / 1000)
            before = nanos
    return [(who, step, statistics.median(steps[who, step])) for who, step in order]


def shorten(step, name):
    """The same step has the same words in all containers."""
    words = []
    for word in step.split():
        if word.startswith("/sys/fs/cgroup/"):
            words.append(word.split("/")[4])
        elif word.endswith("/rootfs"):
            words.append("its root")
        else:
            words.append(word.replace(name, "ID"))
    return " ".join(words)


def table(steps, floor):
    total = sum(median for _, _, median in steps)
    floor_total = sum(step["median_us"] for step in floor["steps"])
    lines = [f"{'who':8} {'step':56} {'µs':>8} {'share':>6}"]
    for who, step, median in steps:
        lines.append(f"{who:8} {step:56} {median:8.0f} {median / total:6.1%}")
    ours, kernel = collections.Counter(), collections.Counter()
    for _, step, median in steps:
        ours[part_of(step)] += median
    for step in floor["steps"]:
        kernel[FLOOR_PARTS[step["name"]]] += step["median_us"]
    lines += ["", f"{'part':30} {'gantry µs':>10} {'share':>6} {'floor µs':>10}"]
    for part in list(dict.fromkeys([*ours, *kernel])):
        lines.append(f"{part:30} {ours[part]:10.0f} {ours[part] / total:6.1%} {kernel[part]:10.0f}")
    lines.append(f"{'sum':30} {total:10.0f} {'':6} {floor_total:10.0f}   ({total / floor_total:.2f} times the floor)")
    return "\n".join(lines)


class TracedGantry(Gantry):
    def command(self):
        return [*super().command(), "--trace-start", str(self.state / "trace")]


def measure(bench, runs):
    arena = bench.arena
    daemon = TracedGantry("traced", arena.disk, arena.tmpfs)
    daemon.start()
    try:
        daemon.ctr("images", "import", str(arena.disk / "busybox.tar"))
        bench.drive(daemon, "start", "--image", images.SMALL, "--runs", "3")  # warm
        (daemon.state / "trace").unlink()
        bench.drive(daemon, "start", "--image", images.SMALL, "--runs", str(runs))
    finally:
        daemon.stop()
    return table(durations(read_trace(daemon.state / "trace")), metrics.floor_steps(bench))


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with Arena([]) as arena:
        images.make_small(arena.disk)
        print(measure(metrics.Bench(arena, metrics.Board(), runs < 20), runs))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"budget: {error}")
