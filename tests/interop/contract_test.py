#!/usr/bin/env python3
"""The same calls on gantryd and on Debian's containerd: code and answer of each are the same.

usage: contract_test.py GANTRYD GANTRY-CALLS [--print]

With --print all differences are printed with both messages, those of errors' words too, and nothing is asserted.
"""
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from gantryd import Gantryd  # noqa: E402

CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]


# Nothing is collected but when a call waits for it, so that a call finds what the one before has made.
NO_COLLECTION = """
[plugins."io.containerd.gc.v1.scheduler"]
  mutation_threshold = 0
  deletion_threshold = 0
  startup_delay = "1h"
"""


class Containerd:
    """Debian's containerd on a root, a state directory and a socket of its own."""

    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gantry-contract-"))
        self.socket = self.work / "c.sock"
        (self.work / "config.toml").write_text(
            f'version = 2\nroot = "{self.work}/root"\nstate = "{self.work}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.socket}"\n[ttrpc]\naddress = "{self.work}/t.sock"\n'
            + NO_COLLECTION)
        self._log = open(self.work / "log", "ab")
        self._process = subprocess.Popen(["containerd", "--config", self.work / "config.toml"],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        give_up = time.monotonic() + 60
        while subprocess.run(["ctr", "--address", self.socket, "version"], capture_output=True).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError((self.work / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()
        shutil.rmtree(self.work)


class Line:
    """One call of the table."""

    def __init__(self, number, case, namespace, text):
        self.number = number
        self.case = case
        text, _, self.reason = (part.strip() for part in text.partition(" ##"))
        self.code_only = text.startswith("code:")
        method, _, rest = text.removeprefix("code:").strip().partition(" ")
        self.text = text
        lease = ""
        rest = rest.strip()
        while match := re.match(r"(ns|lease)=(\S*)\s*", rest):
            if match[1] == "ns":
                namespace = match[2].replace("$NS", namespace)
            else:
                lease = match[2]
            rest = rest[match.end():]
        rest = rest.replace("$NS", namespace).replace("$LONG", "x" * 4096)
        rest = re.sub(r"\$\(([^)]*)\)", lambda m: "sha256:" + hashlib.sha256(m[1].encode()).hexdigest(), rest)
        service, _, name = method.partition("/")
        requests = [request.strip() for request in rest.split(";;")]
        self.call = "\t".join([f"{service.lower()}.v1.{service}/{name}", namespace, lease, *requests])


class Answer:
    def __init__(self, call, line):
        code, self.message, *responses = line.split("\t")
        self.code = CODES[int(code)]
        if call.startswith("content.v1.Content/Write"):
            # containerd sends its last answer twice, and tells the total in answers to STAT alone.
            responses = [re.sub(r" total: \d+", "", response) for response in responses]
            if len(responses) > 1 and responses[-1] == responses[-2]:
                responses.pop()
        self.responses = responses

    def same(self, other, code_only):
        return self.code == other.code and (code_only or self.responses == other.responses)

    def __str__(self):
        return f"{self.code} {self.message} {self.responses}"


def read_table(path):
    lines = []
    case = namespace = None
    cases = 0
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        if text.startswith("["):
            cases += 1
            case, namespace = text.strip("[]"), f"case-{cases}"
        else:
            lines.append(Line(number, case, namespace, text))
    return lines


def answers(tool, daemon, lines):
    script = "".join(line.call + "\n" for line in lines)
    done = subprocess.run([tool, daemon.socket], input=script, capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [Answer(line.call, text) for line, text in zip(lines, done.stdout.splitlines())]


def main(gantryd, tool, printing):
    lines = read_table(HERE / "contract_calls.txt")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write("version = 2\n" + NO_COLLECTION)
        config.flush()
        stock, ours = Containerd(), Gantryd(gantryd, ["--config", config.name])
    try:
        wanted, got = answers(tool, stock, lines), answers(tool, ours, lines)
    finally:
        stock.close()
        left = ours.close()
    assert len(wanted) == len(got) == len(lines), (len(wanted), len(got), len(lines))
    problems = left
    for line, theirs, own in zip(lines, wanted, got):
        same = theirs.same(own, line.code_only)
        if printing and (not same or theirs.message != own.message):
            print(f"{'      ' if same else 'DIFFER'} {line.number} {line.text}\n    containerd: {theirs}\n    gantryd:    {own}")
        if same == bool(line.reason):
            what = "they agree, though a reason says that they do not" if same else f"\n  containerd: {theirs}\n  gantryd:    {own}"
            problems.append(f"contract_calls.txt:{line.number} [{line.case}] {line.text}: {what}")
    print(f"{len(lines)} calls, {len(problems)} unexpected, {sum(bool(line.reason) for line in lines)} known to differ")
    if problems and not printing:
        print("\n".join(problems))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "--print" in sys.argv))
