#!/usr/bin/env python3
"""Runs each bundle of oci_cases.py on two OCI runtimes and compares what came of it.

usage: oci_compare.py RUNTIME [REFERENCE] [--only REGEX] [--verbose] [--table FILE]

Compared are the exit status, what the process inside sees of itself (ids, capabilities, limits, mounts, cgroup,
namespaces, devices, descriptors, environment), the limits in its cgroup, what hooks wrote, and what is left behind.
Every difference must be explained in oci_differences.json; explanations that are not needed any more are told. Run
as root, with runc as the reference unless another is named.
"""
import argparse
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
sys.path.insert(0, str(HERE))
from bundle import Bundle, config  # noqa: E402
from oci_cases import CASES  # noqa: E402

# Of this run alone: another may go on beside it.
PARENT = f"/oci-compare-{os.getpid()}"

PROBE = r"""
echo '[ids]'; id
echo '[status]'; grep -E '^(Uid|Gid|Groups|Umask|Cap|NoNewPrivs|Seccomp:)' /proc/self/status
echo '[limits]'; cat /proc/self/limits
echo '[mounts]'; cat /proc/self/mountinfo
echo '[cgroup]'; cat /proc/self/cgroup
echo '[namespaces]'; for n in mnt pid net ipc uts user cgroup time; do readlink /proc/self/ns/$n; done
echo '[devices]'; ls -lnA /dev; ls -lnA /dev/pts 2>/dev/null
echo '[environment]'; env | sort
echo '[directory]'; pwd
echo '[name]'; hostname
echo '[descriptors]'; ls -l /proc/$$/fd
echo '[process]'; echo $$; cut -d' ' -f1,4-8 /proc/$$/stat; cat /proc/self/oom_score_adj /proc/self/attr/current 2>/dev/null
echo '[files]'; ls -lnd / /bin /etc /proc /sys /tmp 2>&1
"""

# Read on the host while the process waits, since the container may not see its own cgroup.
LIMITS = {
    "memory": ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swappiness",
               "memory.oom_control"],
    "cpu": ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"],
    "cpuset": ["cpuset.cpus", "cpuset.mems"],
    "pids": ["pids.max"],
    "blkio": ["blkio.weight", "blkio.bfq.weight"],
    "devices": ["devices.list"],
}


class Tree:
    """A root that each run gets a fresh copy of, by hard links."""

    def __init__(self, work):
        self.template = Bundle(work / "template")

    def copy(self, path):
        path.mkdir()
        subprocess.run(["cp", "-al", self.template.rootfs, path / "rootfs"], check=True)
        # Not linked: a case may change it.
        for name in ("passwd", "group"):
            target = path / "rootfs/etc" / name
            text = target.read_text()
            target.unlink()
            target.write_text(text)
        return path


def normalize(text, path, name):
    """Leaves out what must differ: numbers of mounts and namespaces, dates, places."""
    text = text.replace(str(path), "BUNDLE").replace(name, "NAME")
    lines = []
    section = ""
    mounts = []
    for line in text.splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            lines += sorted(mounts)
            mounts = []
            section = line
            lines.append(line)
            continue
        if section == "[mounts]":
            fields = line.split(" ")
            if len(fields) > 8 and "-" in fields:
                optional = [re.sub(r"\d+", "N", f) for f in fields[6:fields.index("-")]]
                tail = fields[fields.index("-"):]
                place = re.sub(r"^/.*?BUNDLE|^/.*?template", "BUNDLE", fields[3])
                place = re.sub(r".*/(rootfs|data|other)(?=/|$)", r"BUNDLE/\1", place)
                # Whether one may write is told by the mount's own flags; the file system's may differ.
                options = ",".join(sorted(o for o in tail[3].split(",") if o not in ("ro", "rw")))
                mounts.append(" ".join([place, fields[4], fields[5], *optional, tail[1], tail[2], options]))
                continue
        if section == "[namespaces]":
            line = re.sub(r"^(\w+):\[(\d+)\]$", lambda m: f"{m[1]} {'host' if HOST.get(m[1]) == m[2] else 'own'}", line)
        if section in ("[descriptors]", "[devices]", "[files]"):
            line = re.sub(r"\s+[A-Z][a-z]{2}\s+\d+\s+[\d:]+\s", " ", line)
            # A directory of procfs has as many links as the machine has processes.
            line = re.sub(r"^(d\S+)\s+\d+", r"\1 N", line)
            line = re.sub(r"(pipe|socket):\[\d+\]", r"\1", line)
        if section == "[process]":
            line = re.sub(r"^(\d+) (\d+) (\d+) (\d+) (-?\d+) (-?\d+)$",
                          lambda m: " ".join("0" if v in ("0", "-1") else v if int(v) < 40 else "N" for v in m.groups()), line)
            line = re.sub(r"^\d{3,}$", "N", line)
        lines.append(line.rstrip())
    return "\n".join(lines + sorted(mounts))


HOST = {}
for _kind in ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"):
    _name, _number = re.match(r"(\w+):\[(\d+)\]", os.readlink(f"/proc/self/ns/{_kind}")).groups()
    HOST[_name] = _number


def cgroup_directories(path):
    return [d for d in pathlib.Path("/sys/fs/cgroup").glob(f"*{path}") if d.is_dir()]


def read_limits(path):
    found = []
    for directory in cgroup_directories(path):
        for names in LIMITS.values():
            for name in names:
                file = directory / name
                if file.exists():
                    text = file.read_text().strip()
                    if name == "memory.oom_control":
                        text = text.splitlines()[0]
                    if name == "devices.list":
                        text = " / ".join(sorted(text.splitlines()))
                    found.append(f"{name}: {text}")
    return sorted(set(found))


def left_in(rootfs):
    """What the runtime made in the root, with its modes."""
    found = []
    for at in sorted(rootfs.rglob("*")):
        status = at.lstat()
        if at.parent.name == "bin" and at.is_symlink():
            continue
        found.append(f"{at.relative_to(rootfs)} {oct(status.st_mode)} {status.st_uid}:{status.st_gid}")
    return found


def run_case(runtime, case, tree, work, name):
    """The sections of one run, as a text."""
    path = tree.copy(work / f"{pathlib.Path(runtime).name}-{name}")
    try:
        document = config()
        # The process tells what it sees, and then waits until its limits were read.
        own = f"echo '[case]'; {{ {case.script} ; }} 2>&1\n" if case.script else ""
        document["process"]["args"] = ["sh", "-c", PROBE + own + "read go\nexit 0"]
        document["linux"]["cgroupsPath"] = f"{PARENT}/{name}"
        document["annotations"] = {"bundle": str(path)}
        case.change(document)
        (path / "config.json").write_text(json.dumps(document))
        if case.prepare:
            case.prepare(path)
        root = work / f"state-{pathlib.Path(runtime).name}"
        log = path / "log"
        command = [runtime, "--root", str(root), "--log", str(log), "run", "--bundle", str(path), name]
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        cgroups_path = document.get("linux", {}).get("cgroupsPath", "")
        limits = []
        output = b""
        os.set_blocking(run.stdout.fileno(), False)
        give_up = time.monotonic() + 30
        seen_end = False
        while time.monotonic() < give_up:
            piece = run.stdout.read()
            if piece == b"":
                break
            if piece:
                output += piece
            elif seen_end or run.poll() is not None:
                pass
            # The probe is through when the last section's shell sleeps in `read`.
            if not seen_end and cgroups_path and b"[files]" in output:
                limits = limits or read_limits(cgroups_path)
                seen_end = True
                run.stdin.close()
            time.sleep(0.004)
            if run.poll() is not None and piece is None:
                break
        if run.stdin and not run.stdin.closed:
            run.stdin.close()
        try:
            status = run.wait(timeout=30)
        except subprocess.TimeoutExpired:
            run.kill()
            status = f"killed: it did not end, {run.wait()}"
        output += run.stdout.read() or b""
        run.stdout.close()
        error = log.read_text() if log.exists() else ""
        # Words differ between runtimes; whether there is a process that said something does not.
        inside = normalize(output.decode(errors="replace"), path, name) if b"[ids]" in output or not error else ""
        parts = [f"status {status}", inside, "[limits of the cgroup]", *limits]
        if case.after:
            file = path / case.after
            text = file.read_text() if file.exists() else "absent\n"
            text = re.sub(r'"pid":\d+', '"pid":1', text.replace(str(path), "BUNDLE").replace(name, "NAME"))
            try:
                text = json.dumps(json.loads(text), sort_keys=True, indent=1)
            except ValueError:
                pass
            parts += [f"[{case.after}]", text]
        listed = subprocess.run([runtime, "--root", str(root), "list", "-q"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True).stdout
        parts += ["[left]", "container" if name in listed.split() else "", *(str(d) for d in cgroup_directories(f"{PARENT}/{name}"))]
        if "rootfs" in os.listdir(path):
            parts += left_in(path / "rootfs")
        return "\n".join(parts), error
    finally:
        subprocess.run([runtime, "--root", str(work / f"state-{pathlib.Path(runtime).name}"), "delete", "--force", name],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(path, ignore_errors=True)


def compare(case, number, arguments, tree, work):
    name = f"cmp{os.getpid()}n{number}"
    texts, errors = [], []
    for runtime in (arguments.reference, arguments.runtime):
        text, error = run_case(runtime, case, tree, work, name)
        texts.append(text)
        errors.append(error.strip().splitlines()[-1][:300] if error.strip() else "")
    lines = [line for line in difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), lineterm="", n=0)
             if line[:3] not in ("---", "+++") and not line.startswith("@@")]
    return case, texts, errors, lines


def explained(case, lines, reasons):
    """The reasons that cover all of the lines, or None."""
    used = []
    for line in lines:
        for index, reason in enumerate(reasons):
            if re.search(reason["case"], case.name) and re.search(reason["line"], line):
                used.append(index)
                break
        else:
            return None
    return set(used)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runtime")
    parser.add_argument("reference", nargs="?", default="runc")
    parser.add_argument("--only", default=".")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--table")
    arguments = parser.parse_args()
    arguments.reference = shutil.which(arguments.reference) or sys.exit(f"{arguments.reference} is not installed")
    reasons = json.loads((HERE / "oci_differences.json").read_text())
    cases = [case for case in CASES.values() if re.search(arguments.only, case.name)]
    same = differ = unexplained = 0
    used, table = set(), []
    with tempfile.TemporaryDirectory(prefix="oci-compare-") as directory:
        work = pathlib.Path(directory)
        os.chmod(work, 0o755)
        tree = Tree(work)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(compare, case, number, arguments, tree, work) for number, case in enumerate(cases)]
            for job in jobs:
                case, texts, errors, lines = job.result()
                covered = explained(case, lines, reasons)
                if not lines:
                    verdict, same = "same", same + 1
                elif covered is not None:
                    verdict, differ = "explained", differ + 1
                    used |= covered
                else:
                    verdict, unexplained = "DIFFERENT", unexplained + 1
                status = texts[0].splitlines()[0][7:]
                table.append((case.name, status, verdict))
                if verdict == "DIFFERENT" or arguments.verbose:
                    print(f"{verdict}: {case.name} (reference: status {status})")
                    for line in lines:
                        print("   ", line)
                    for who, error in zip(("reference", "runtime"), errors):
                        if error:
                            print(f"    {who} says: {error}")
    if arguments.table:
        pathlib.Path(arguments.table).write_text("".join("\t".join(row) + "\n" for row in table))
    stale = [reason for index, reason in enumerate(reasons)
             if index not in used and any(re.search(reason["case"], case.name) for case in cases)]
    for reason in stale if arguments.only == "." else []:
        print(f"NOT NEEDED any more: {reason}")
    for directory in cgroup_directories(PARENT):
        directory.rmdir()
    print(f"{len(cases)} bundles: {same} the same, {differ} with explained differences, {unexplained} different")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
