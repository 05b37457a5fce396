"""The report of a run: Markdown with charts, and the same figures as JSON."""
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess

from charts import bar_chart, number

ORDER = ["gantry", "gantry-oci", "containerd", "runc", "floor"]


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    cgroup = "v1" if " - cgroup cgroup " in mounts else "v2"
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_gib": round(int(memory.group(1)) / 2**20, 1), "kernel": platform.release(), "cgroups": cgroup,
            "load": os.getloadavg()[0]}


def spread(samples):
    ordered = sorted(samples)
    if len(ordered) < 4:
        return ordered[0], ordered[-1]
    quarter = len(ordered) // 4
    return ordered[quarter], ordered[-1 - quarter]


def summary(metric):
    return {name: {"median": statistics.median(samples), "low": spread(samples)[0], "high": spread(samples)[1],
                   "samples": len(samples)} for name, samples in metric["samples"].items()}


def ours_and_peer(figures):
    ours = figures.get("gantry") or figures.get("gantry-oci")
    peer = figures.get("containerd") or figures.get("runc")
    return ours, peer


def verdict(key, metric, figures, board):
    """(ratio, target, met or missed), as text."""
    ours, peer = ours_and_peer(figures)
    ratio = ours["median"] / peer["median"] if ours and peer and peer["median"] else None
    ratio_text = f"{ratio:.3f}" if ratio is not None and ratio < 10 else (f"{ratio:.0f}" if ratio else "")
    if metric["target"] is None or not ours:
        return ratio_text, "", ""
    kind, limit = metric["target"]
    if kind == "ratio":
        if ratio is None:
            return ratio_text, "", ""
        good = ratio >= limit if metric["higher"] else ratio <= limit
        return ratio_text, f"{'≥' if metric['higher'] else '≤'} {limit:.3g} of the peer's", "met" if good else "missed"
    if kind == "most":
        return ratio_text, f"≤ {limit} {metric['unit']}", "met" if ours["median"] <= limit else "missed"
    base = board.metrics.get(re.sub(r"\d+$", "0", key))
    nothing = base["samples"].get("gantry") if base else None
    if not nothing:
        return ratio_text, "", ""
    growth = ours["median"] / statistics.median(nothing)
    return ratio_text, f"≤ {limit} of that at 0 (it is {growth:.2f})", "met" if growth <= limit else "missed"


def cell(name, metric, figures):
    if name in figures:
        one = figures[name]
        text = number(one["median"])
        if one["samples"] > 1:
            text += f" ({number(one['low'])} to {number(one['high'])})"
        return text + (" *failed later*" if name in metric["failed"] else "")
    if name in metric["failed"]:
        return "**failed**"
    return "skipped" if name in metric["skipped"] else ""


def slug(key):
    return re.sub(r"[^a-z0-9]+", "-", key.lower())


def bars_of(figures, suffix=""):
    return [(name + suffix, name, one["median"], one["low"], one["high"])
            for name, one in sorted(figures.items(), key=lambda item: ORDER.index(item[0]))]


def charts_of(board):
    """One chart a metric as (name, title, SVG); the levels of what may grow with their number share one."""
    together = {}
    for key, metric in board.metrics.items():
        figures = summary(metric)
        if not figures or key.endswith("-own"):
            continue
        kind, _, level = key.partition("-at-")
        title = re.sub(r"(beside|, at) \d+", r"\1 N", metric["title"]) if level else metric["title"]
        kind += "-at" if level else ""
        chart = together.setdefault(kind, (title, metric, []))
        chart[2].extend(bars_of(figures, f", {level}" if level else ""))
    for kind, (title, metric, bars) in together.items():
        better = "more" if metric["higher"] else "less"
        bars.sort(key=lambda bar: ORDER.index(bar[1]))
        yield slug(kind), title, bar_chart(title, f"{metric['unit']}, {better} is better", bars)


def describe(about, quick, seconds):
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return (f"Of {day}; {about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']}, "
            f"cgroup {about['cgroups']}, load {about['load']:.1f} at the end. "
            f"{'A quick run' if quick else 'A whole run'} of {seconds / 60:.1f} minutes by `bench/run.sh"
            f"{' --quick' if quick else ''}`.")


def tables(board, versions):
    """The figures, and what there is to say of them, as lines of Markdown."""
    lines = [f"- {name}: {version}" for name, version in versions.items()]
    lines += ["", "Medians, with the middle half of the samples in brackets. The ratio is gantry's figure to its "
              "peer's.", "", "| metric | unit | gantry | peer | floor | ratio | target | |",
              "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    notes = []
    for key, metric in board.metrics.items():
        figures = summary(metric)
        ratio, target, met = verdict(key, metric, figures, board)
        ours = cell("gantry", metric, figures) or cell("gantry-oci", metric, figures)
        peer = cell("containerd", metric, figures) or cell("runc", metric, figures)
        lines.append(f"| {metric['title']} | {metric['unit']} | {ours} | {peer} | {cell('floor', metric, figures)} "
                     f"| {ratio} | {target} | {met} |")
        for kind in ("failed", "skipped"):
            notes += [f"- {metric['title']}: {name} {kind}: {reason}" for name, reason in metric[kind].items()]
    return lines + (["", "Failed or skipped:", "", *notes] if notes else [])


def write(board, versions, budget, quick, seconds, output):
    charts = output / "charts"
    charts.mkdir(parents=True, exist_ok=True)
    about = machine()
    lines = ["# Benchmark report", "", describe(about, quick, seconds), "", *tables(board, versions)]
    if budget:
        lines += ["", "## The budget of a container start", "", "```", budget.rstrip(), "```"]
    lines += ["", "## Charts", ""]
    for name, title, picture in charts_of(board):
        (charts / f"{name}.svg").write_text(picture)
        lines.append(f"![{title}](charts/{name}.svg)")
    (output / "report.md").write_text("\n".join(lines) + "\n")
    data = {"machine": about, "versions": versions, "quick": quick, "seconds": seconds, "metrics": {},
            "budget": budget}
    for key, metric in board.metrics.items():
        figures = summary(metric)
        ratio, _, met = verdict(key, metric, figures, board)
        data["metrics"][key] = {**metric, "figures": figures, "ratio": ratio, "verdict": met}
    (output / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    return output / "report.md"


def replace_between(path, name, lines):
    """The lines of a file between the comments `NAME: begin` and `NAME: end` become `lines`."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    text = path.read_text()
    head, found, rest = text.partition(begin)
    tail = rest.partition(end)[2]
    if not found or end not in rest:
        raise ValueError(f"{path} has no place for {name}")
    path.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


def write_docs(board, versions, budget, quick, seconds, top):
    """The results into docs/benchmarks.md, their charts into docs/charts, and the one of all ratios into README.md."""
    charts = top / "docs" / "charts"
    shutil.rmtree(charts, ignore_errors=True)
    charts.mkdir()
    lines = [describe(machine(), quick, seconds), "", *tables(board, versions), ""]
    if budget:
        # Of the two tables the one by parts; the other has a line for each of a hundred steps.
        parts = budget.rstrip().split("\n\n")[-1]
        lines += ["Where the time of a container start goes (`bench/budget` tells it step by step):", "", "```", parts,
                  "```", ""]
    for name, title, picture in charts_of(board):
        (charts / f"{name}.svg").write_text(picture)
        lines.append(f"![{title}](charts/{name}.svg)")
    replace_between(top / "docs" / "benchmarks.md", "results", lines)
    (charts / "summary.svg").write_text(summary_chart(board))
    replace_between(top / "README.md", "chart", [
        "![gantry's share of what containerd and runc need](docs/charts/summary.svg)"])


SUMMARY = {"run": "ctr run --rm", "start": "container start", "exec": "exec", "oci": "command line alone",
           "pss": "memory of a shim", "unpack-gzip": "unpacking, gzip", "snapshots-100": "snapshot", "list": "image list"}


def summary_chart(board):
    bars = []
    for key, label in SUMMARY.items():
        ours, peer = ours_and_peer(summary(board.metrics[key])) if key in board.metrics else (None, None)
        if ours and peer and peer["median"]:
            share = 100 * ours["median"] / peer["median"]
            bars.append((label, "gantry", share, share, share))
    return bar_chart("gantry's share of what containerd and runc need", "per cent of time or memory, less is better",
                     [*bars, ("containerd, runc", "containerd", 100, 100, 100)])


def versions_of(daemons):
    found = {}
    for daemon in daemons:
        found[daemon.name] = daemon.version()
    runc = subprocess.run(["runc", "--version"], capture_output=True, text=True, check=False).stdout
    found["runc"] = " ".join(runc.split("\n")[0:1])
    return found
