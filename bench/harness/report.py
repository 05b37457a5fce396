"""The report of a run: Markdown with charts, and the same figures as JSON."""
import datetime
import json
import os
import pathlib
import platform
import re
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


def write(board, versions, budget, quick, seconds, output):
    output.mkdir(parents=True, exist_ok=True)
    charts = output / "charts"
    charts.mkdir(exist_ok=True)
    about = machine()
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    lines = ["# Benchmark report", "",
             f"Of {day}; {about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']}, "
             f"cgroup {about['cgroups']}, load {about['load']:.1f} at the end. "
             f"{'A quick run' if quick else 'A whole run'} of {seconds / 60:.1f} minutes by `bench/run.sh"
             f"{' --quick' if quick else ''}`; [the method](benchmarks.md).", ""]
    lines += [f"- {name}: {version}" for name, version in versions.items()]
    lines += ["", "Medians, with the middle half of the samples in brackets. The ratio is gantry's figure to its "
              "peer's.", "", "| metric | unit | gantry | peer | floor | ratio | target | |",
              "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    data = {"machine": about, "versions": versions, "quick": quick, "seconds": seconds, "metrics": {},
            "budget": budget}
    notes, pictures = [], []
    for key, metric in board.metrics.items():
        figures = summary(metric)
        ratio, target, met = verdict(key, metric, figures, board)
        ours = cell("gantry", metric, figures) or cell("gantry-oci", metric, figures)
        peer = cell("containerd", metric, figures) or cell("runc", metric, figures)
        lines.append(f"| {metric['title']} | {metric['unit']} | {ours} | {peer} | {cell('floor', metric, figures)} "
                     f"| {ratio} | {target} | {met} |")
        for kind in ("failed", "skipped"):
            notes += [f"- {metric['title']}: {name} {kind}: {reason}" for name, reason in metric[kind].items()]
        data["metrics"][key] = {**metric, "figures": figures, "ratio": ratio, "verdict": met}
        if figures and not key.endswith("-own"):
            bars = [(name, name, one["median"], one["low"], one["high"])
                    for name, one in sorted(figures.items(), key=lambda item: ORDER.index(item[0]))]
            picture = charts / f"{slug(key)}.svg"
            picture.write_text(bar_chart(metric["title"], metric["unit"], bars,
                                         "more" if metric["higher"] else "less"))
            pictures.append(f"![{metric['title']}](charts/{picture.name})")
    if notes:
        lines += ["", "Failed or skipped:", "", *notes]
    if budget:
        lines += ["", "## The budget of a container start", "", "```", budget.rstrip(), "```"]
    lines += ["", "## Charts", "", *pictures, ""]
    (output / "report.md").write_text("\n".join(lines))
    (output / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    return output / "report.md"


def versions_of(daemons):
    found = {}
    for daemon in daemons:
        found[daemon.name] = daemon.version()
    runc = subprocess.run(["runc", "--version"], capture_output=True, text=True, check=False).stdout
    found["runc"] = " ".join(runc.split("\n")[0:1])
    return found
