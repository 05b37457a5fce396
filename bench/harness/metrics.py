"""What is measured. A group measures all contestants, interleaved, and adds its figures to a Board."""
import json
import pathlib
import signal
import statistics
import time

import images
import proc
from daemons import BUILD, Failed, call

DRIVER = str(BUILD / "bench" / "gantry-driver")
FLOOR = str(BUILD / "bench" / "gantry-floor")


class Board:
    """Samples by metric and contestant, and what failed."""

    def __init__(self):
        self.metrics = {}

    def metric(self, key, title, unit, target=None, higher=False):
        """`target`: (kind, number), kind "ratio" (gantry to its peer) or "most" (gantry's own figure)."""
        return self.metrics.setdefault(key, {
            "title": title, "unit": unit, "target": target, "higher": higher, "samples": {}, "failed": {},
            "skipped": {}})

    def add(self, key, contestant, value):
        self.metrics[key]["samples"].setdefault(contestant, []).append(value)

    def fail(self, key, contestant, reason):
        self.metrics[key]["failed"][contestant] = str(reason)


class Bench:
    def __init__(self, arena, board, quick):
        self.arena = arena
        self.board = board
        self.quick = quick
        self.dead = {}

    def drive(self, daemon, *arguments, timeout=400):
        return json.loads(call(DRIVER, "--address", daemon.address, "--namespace", "bench", *arguments,
                               timeout=timeout))

    def interleaved(self, keys, rounds, measure, daemons=None):
        """Rounds of A B A B. measure(daemon) gives {key: value}; who fails once is left out from there on.

        On a slow machine there are fewer rounds, so that the whole run keeps its limit.
        """
        failed = set()
        begun = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() - begun > (8 if self.quick else 40):
                break
            for daemon in daemons or self.arena.daemons:
                if daemon.name in failed:
                    continue
                try:
                    for key, value in measure(daemon).items():
                        self.board.add(key, daemon.name, value)
                except (Failed, OSError, ValueError, KeyError) as error:
                    failed.add(daemon.name)
                    for key in keys:
                        self.board.fail(key, daemon.name, error)


def p50(result, lap="total"):
    return result["laps"][lap]["p50_us"] / 1000


def group_run(b):
    b.board.metric("run", "ctr run --rm", "ms", ("ratio", 0.25))
    numbers = iter(range(10_000))

    def measure(daemon):
        start = time.perf_counter()
        daemon.ctr("run", "--rm", images.SMALL, f"r{next(numbers)}", "true")
        return {"run": (time.perf_counter() - start) * 1000}
    b.interleaved(["run"], 6 if b.quick else 20, measure)


def group_start(b):
    b.board.metric("start", "create + start + wait + delete, one connection", "ms", ("ratio", 0.10))
    b.board.metric("start-own", "the same, gantry alone", "ms", ("most", 12))
    b.board.metric("byte", "first byte of output after Start", "ms", ("most", 8))
    b.board.metric("parallel", "100 starts from 16 clients", "containers/s", ("ratio", 5), higher=True)
    rounds, runs = (3, 4) if b.quick else (5, 8)

    def measure(daemon):
        value = p50(b.drive(daemon, "start", "--image", images.SMALL, "--runs", str(runs)))
        return {"start": value, **({"start-own": value} if daemon.name == "gantry" else {})}
    b.interleaved(["start"], rounds, measure)
    b.interleaved(["byte"], rounds, lambda d: {"byte": p50(
        b.drive(d, "start", "--image", images.SMALL, "--runs", "4", "--first-byte"), "first byte")})
    b.interleaved(["parallel"], 1 if b.quick else 2, lambda d: {"parallel": b.drive(
        d, "start", "--image", images.SMALL, "--runs", "40" if b.quick else "100", "--connections", "16")
        ["per_second"]})


def group_exec(b):
    b.board.metric("exec", "exec + start + wait + delete of a process", "ms", ("ratio", 0.10))
    b.board.metric("exec-own", "the same, gantry alone", "ms", ("most", 4))

    def measure(daemon):
        value = p50(b.drive(daemon, "exec", "--image", images.SMALL, "--runs", "10"))
        return {"exec": value, **({"exec-own": value} if daemon.name == "gantry" else {})}
    b.interleaved(["exec"], 3 if b.quick else 5, measure)


def group_calls(b):
    b.board.metric("call", "one call of Version", "µs")
    b.interleaved(["call"], 3, lambda d: {"call": 1000 * p50(b.drive(d, "calls", "--runs", "1000"))})
    b.board.metric("event", "an event from Publish to its subscriber", "µs")
    b.interleaved(["event"], 3, lambda d: {"event": 1000 * p50(b.drive(d, "events", "--runs", "200"))})


def group_memory(b):
    b.board.metric("pss", "proportional memory of an idle shim (of 10)", "KB", ("ratio", 0.10))
    b.board.metric("dirty", "private dirty memory of an idle shim (of 10)", "KB", ("ratio", 0.08))

    def measure(daemon):
        up = b.drive(daemon, "up", "--image", images.SMALL, "--runs", "10")
        try:
            time.sleep(2.5)  # until they idle
            sizes = [proc.smaps_kb(shim) for shim in proc.shims_of(up["pids"])]
        finally:
            b.drive(daemon, "down", "--runs", "10")
        return {"pss": statistics.mean(s[0] for s in sizes), "dirty": statistics.mean(s[1] for s in sizes)}
    b.interleaved(["pss", "dirty"], 1, measure)


def group_many(b):
    """What grows with the number of running containers, and what must not."""
    levels = {"gantry": [0, 40] if b.quick else [0, 100, 500], "containerd": [0, 10] if b.quick else [0, 100]}
    seconds = 5 if b.quick else 60
    for daemon in b.arena.daemons:
        peaks = levels[daemon.name]
        first = None
        have = 0
        pids = []
        keys = [f"{kind}-at-{n}" for n in peaks for kind in ("start", "exec", "memory")]
        for n in peaks:
            growth = ("growth", 1.25) if n else None
            b.board.metric(f"start-at-{n}", f"create + start + wait + delete beside {n} running", "ms", growth)
            b.board.metric(f"exec-at-{n}", f"exec beside {n} running", "ms", growth)
            if n:
                b.board.metric(f"memory-at-{n}", f"memory per container, daemon and shims, at {n}", "KB")
        b.board.metric("wakeups", f"wake-ups of daemon and shims while {peaks[1]} idle, per minute", "1/min",
                       ("most", 0))
        b.board.metric("restart", f"kill -9 and start beside {peaks[-1]} running, until all are listed", "ms",
                       ("most", 2000))
        try:
            for n in peaks:
                if n > have:
                    pids += b.drive(daemon, "up", "--image", images.SMALL, "--runs", str(n - have), "--connections",
                                    "4", "--prefix", f"many{have}-")["pids"]
                    have = n
                start = p50(b.drive(daemon, "start", "--image", images.SMALL, "--runs", "5" if b.quick else "20"))
                run = p50(b.drive(daemon, "exec", "--image", images.SMALL, "--runs", "5" if b.quick else "20"))
                b.board.add(f"start-at-{n}", daemon.name, start)
                b.board.add(f"exec-at-{n}", daemon.name, run)
                first = first or (start, run)
                if n:
                    time.sleep(2.5)
                    shims = proc.shims_of(pids)
                    total = sum(proc.smaps_kb(shim)[0] for shim in shims) + proc.smaps_kb(daemon.pid)[0]
                    b.board.add(f"memory-at-{n}", daemon.name, total / n)
                if n == peaks[1]:
                    watched = [daemon.pid, *proc.shims_of(pids)]
                    time.sleep(6)  # until the last containers' shims are not waited for any more
                    before = proc.switches(watched)
                    time.sleep(seconds)
                    b.board.add("wakeups", daemon.name, (proc.switches(watched) - before) * 60 / seconds)
            daemon.stop(signal.SIGKILL)
            begun = time.perf_counter()
            daemon.start()
            while daemon.ctr("tasks", "ls").count("RUNNING") < have:
                if time.perf_counter() - begun > 60:
                    raise Failed("not all containers were listed as running within 60 s")
            b.board.add("restart", daemon.name, (time.perf_counter() - begun) * 1000)
        except (Failed, OSError) as error:
            for key in [*keys, "wakeups", "restart"]:
                if key in b.board.metrics and daemon.name not in b.board.metrics[key]["samples"]:
                    b.board.fail(key, daemon.name, error)
        finally:
            begin = 0
            for n in peaks:
                if begin < n <= have:
                    try:
                        b.drive(daemon, "down", "--runs", str(n - begin), "--prefix", f"many{begin}-", "--connections",
                                "4")
                    except Failed as error:
                        b.board.fail("restart", daemon.name, f"after it: {error}")
                    begin = n


def group_content(b):
    big, count = (64 << 20, 200) if b.quick else (512 << 20, 2000)
    b.board.metric("ingest", f"ingest of one blob of {big >> 20} MB", "MB/s", ("ratio", 1.3), higher=True)
    b.board.metric("read", "reading it back", "MB/s", ("ratio", 2), higher=True)
    b.board.metric("small", f"ingest of {count} blobs of 4 KB", "blobs/s", ("ratio", 2), higher=True)
    b.board.metric("small-read", "reading them back", "blobs/s", higher=True)

    def measure_big(daemon):
        figures = b.drive(daemon, "content", "--runs", "1", "--size", str(big))
        return {"ingest": big / 1e3 / p50(figures["write"]),
                "read": big / 1e3 / p50(figures["read"])}
    b.interleaved(["ingest", "read"], 1 if b.quick else 3, measure_big)

    def measure_small(daemon):
        figures = b.drive(daemon, "content", "--runs", str(count), "--size", "4096")
        return {"small": 1000 / p50(figures["write"]), "small-read": 1000 / p50(figures["read"])}
    b.interleaved(["small", "small-read"], 1 if b.quick else 2, measure_small)


def group_images(b):
    count = 500 if b.quick else 10_000
    b.board.metric("list", f"list of {count} image records", "ms", ("ratio", 1 / 3))
    b.interleaved(["list"], 1, lambda d: {"list": p50(
        b.drive(d, "images", "--runs", str(count), "--connections", "8")["list"])})


def group_collect(b):
    count = 300 if b.quick else 10_000
    b.board.metric("collect", f"collection of {count} blobs", "ms")

    def measure(daemon):
        figures = b.drive(daemon, "collect", "--runs", str(count), "--connections", "16")
        if "skipped" in figures:
            b.board.metrics["collect"]["skipped"][daemon.name] = figures["skipped"]
            return {}
        return {"collect": figures["wall_ms"]}
    b.interleaved(["collect"], 1, measure)


def group_layers(b):
    size = 40 if b.quick else 400
    for kind, factor in (("gzip", 2.5), ("zstd", 1.5)):
        key = f"unpack-{kind}"
        b.board.metric(key, f"unpacking {size} MB in 5 layers, {kind}", "ms", ("ratio", 1 / factor))
        try:
            name = images.make_layered(b.arena.disk, kind, size)
        except Failed as error:
            for daemon in b.arena.daemons:
                b.board.fail(key, daemon.name, error)
            continue
        archive = b.arena.disk / f"{kind}.tar"
        for daemon in b.arena.daemons:
            try:
                daemon.ctr("images", "import", "--no-unpack", str(archive))
            except Failed as error:
                b.board.fail(key, daemon.name, error)
        archive.unlink()
        b.interleaved([key], 1 if b.quick else 3,
                      lambda d, name=name, key=key: {key: p50(b.drive(d, "unpack", "--image", name, "--runs", "1"))})
    much = 30 if b.quick else 300
    b.board.metric("compare", f"compare of a layer of {much} MB", "ms", ("ratio", 0.5))
    b.interleaved(["compare"], 1 if b.quick else 2, lambda d: {"compare": p50(
        b.drive(d, "compare", "--image", images.SMALL, "--size", str(much * 1_000_000), "--runs", "1"))})


def group_snapshots(b):
    for existing in ([10, 100] if b.quick else [10, 100, 1000]):
        key = f"snapshots-{existing}"
        b.board.metric(key, f"prepare + mounts + remove beside {existing} snapshots", "ms", ("ratio", 1 / 3))
        b.interleaved([key], 1 if b.quick else 2, lambda d, e=existing, k=key: {k: p50(
            b.drive(d, "snapshots", "--image", images.SMALL, "--existing", str(e), "--runs", "20"))})


def group_oci(b):
    """The command lines: a whole container run by each, without a daemon."""
    b.board.metric("oci", "a container run by the command line alone", "ms", ("ratio", 0.5))
    ours = BUILD / "cli" / "gantry-oci"
    bundle = images.make_bundle(b.arena.disk)
    tools = {"runc": "runc"}
    if ours.exists():
        tools["gantry-oci"] = str(ours)
    else:
        b.board.metrics["oci"]["skipped"]["gantry-oci"] = "not built yet"
    state = b.arena.tmpfs / "oci"
    for number in range(5 if b.quick else 20):
        for name, tool in sorted(tools.items()):
            if name in b.board.metrics["oci"]["failed"]:
                continue
            start = time.perf_counter()
            try:
                call(tool, "--root", str(state / name), "run", "--bundle", str(bundle), f"bench-oci-{number}")
                b.board.add("oci", name, (time.perf_counter() - start) * 1000)
            except Failed as error:
                b.board.fail("oci", name, error)


def group_floor(b):
    b.board.metric("floor", "the kernel's own share of a container", "ms")
    b.board.metric("floor-no-net", "the same without a network namespace", "ms")
    for key, more in (("floor", []), ("floor-no-net", ["--no-net"])):
        try:
            b.board.metrics[key]["detail"] = floor = floor_steps(b, more)
            b.board.add(key, "floor", floor["total"]["p50_us"] / 1000)
        except Failed as error:
            b.board.fail(key, "floor", error)


def floor_steps(b, more=()):
    root = images.make_bundle(b.arena.disk) / "rootfs"
    work = b.arena.disk / "floor"
    bundles = b.arena.tmpfs / "floor"
    work.mkdir(exist_ok=True)
    bundles.mkdir(exist_ok=True)
    return json.loads(call(FLOOR, "--rootfs", str(root), "--work", str(work), "--tmpfs", str(bundles), "--runs",
                           "10" if b.quick else "40", *more))


def group_after(b):
    b.board.metric("rss", "resident memory of the daemon after all of this", "MB", ("most", 60))
    for daemon in b.arena.daemons:
        b.board.add("rss", daemon.name, proc.rss_kb(daemon.pid) / 1024)


GROUPS = {"floor": group_floor, "run": group_run, "start": group_start, "exec": group_exec, "calls": group_calls,
          "memory": group_memory, "snapshots": group_snapshots, "content": group_content, "images": group_images,
          "collect": group_collect, "layers": group_layers, "oci": group_oci, "many": group_many,
          "after": group_after}
