#!/usr/bin/env python3
"""Holds what gantry-oci says of mistakes to what runc says: the exit status, and the last error of the JSON log.

usage: oci_errors_test.py GANTRY_OCI [--show]

Each case is a mistake that a user or an engine makes. Where engines look for words (podman, CRI-O, go-runc, dockerd),
both have to say them; where nobody does, the statuses have to agree and the message has to name what is wrong.
--show prints both sides of each case.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from bundle import Bundle, Runtime, config  # noqa: E402

CASES = []


def case(name, *words):
    """`words` are in the message of both; a pair is (runc's, ours) where the sentences differ for a reason."""
    def add(function):
        CASES.append((name, words, function))
        return function
    return add


class Side:
    """One runtime with a container of its own in the state that a case asks for."""

    def __init__(self, name, program, work):
        self.work = work / name
        self.work.mkdir()
        self.log = self.work / "log.json"
        self.bundle = Bundle(self.work / "bundle")
        self.oci = Runtime(program, self.work / "state", "--log", str(self.log), "--log-format", "json")
        self.id = f"errors-{os.getpid()}-{name}"

    def config(self, *args, change=None):
        document = config(*args)
        document["linux"]["cgroupsPath"] = f"/{self.id}"
        if change:
            change(document)
        self.bundle.write(document)

    def create(self, *args, change=None, options=()):
        self.config(*args, change=change)
        return self.call("create", "--bundle", self.bundle.path, *options, self.id)

    def running(self):
        self.config("sleep", "1000")
        assert self.oci.quietly("run", "-d", "--bundle", self.bundle.path, self.id) == 0, self.log.read_text()

    def stopped(self):
        self.config("true")
        assert self.oci.quietly("run", "--keep", "--bundle", self.bundle.path, self.id) == 0, self.log.read_text()

    def paused(self):
        self.running()
        self.oci("pause", self.id, check=True)

    def created(self):
        self.config("sleep", "1000")
        assert self.oci.quietly("create", "--bundle", self.bundle.path, self.id) == 0, self.log.read_text()

    def call(self, *arguments, env=None):
        """The status and the message, of the log or, where there is none, of standard error."""
        if self.log.exists():
            self.log.unlink()
        with open(self.work / "stderr", "w+") as stderr:
            status = subprocess.run([*self.oci.command, *map(str, arguments)], stdin=subprocess.DEVNULL, timeout=120,
                                    stdout=subprocess.DEVNULL, stderr=stderr, env=env).returncode
            stderr.seek(0)
            said = stderr.read()
        errors = []
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"level": "error", "msg": line}
            if entry["level"] == "error":
                errors.append(entry["msg"])
        message = errors[-1] if errors else f"(no log) {said}"
        for own, common in ((str(self.work), "WORK"), (self.id, "ID")):
            message = message.replace(own, common)
        return status, message

    def clean(self):
        self.oci("delete", "--force", self.id)
        shutil.rmtree(self.work, ignore_errors=True)


def spec_case(name, *words):
    """A config.json that cannot be met: `function` spoils it."""
    def add(function):
        CASES.append((name, words, lambda side: side.create("true", change=function)))
        return function
    return add


# --- names of containers

for verb, more in (("start", ()), ("state", ()), ("kill", ("KILL",)), ("delete", ()), ("exec", ("true",)),
                   ("pause", ()), ("resume", ()), ("ps", ()), ("events", ()), ("update", ())):
    CASES.append((f"{verb} of a container that is not there", ("container does not exist",),
                  lambda side, verb=verb, more=more: side.call(verb, side.id, *more)))
CASES.append(("delete --force of one that is not there", (), lambda side: side.call("delete", "--force", side.id)))
CASES.append(("an id that is no name", ("invalid container ID format",),
              lambda side: (side.config("true"), side.call("create", "--bundle", side.bundle.path, "a/b"))[1]))
CASES.append(("an empty id", ("container id cannot be empty",), lambda side: side.call("state", "")))


@case("an id that exists", "container with given ID already exists")
def _(side):
    side.created()
    return side.call("create", "--bundle", side.bundle.path, side.id)


# --- bundles

CASES.append(("a bundle that is not there", ("no such file or directory",),
              lambda side: side.call("create", "--bundle", side.work / "nowhere", side.id)))


@case("a bundle without config.json", "JSON specification file config.json not found")
def _(side):
    (side.bundle.path / "config.json").unlink(missing_ok=True)
    return side.call("create", "--bundle", side.bundle.path, side.id)


@case("a config.json that is no JSON", ("invalid character", "parse error"))
def _(side):
    (side.bundle.path / "config.json").write_text("{nonsense")
    return side.call("create", "--bundle", side.bundle.path, side.id)


@spec_case("no process", "process")
def _(document):
    del document["process"]


@spec_case("no arguments", "args")
def _(document):
    document["process"]["args"] = []


@spec_case("a working directory that is relative", ("must be an absolute path", "process.cwd"))
def _(document):
    document["process"]["cwd"] = "tmp"


@spec_case("a root that is not there", "no such file or directory")
def _(document):
    document["root"]["path"] = "nothing"


@spec_case("a user namespace without mappings", "ser namespaces enabled, but no uid mapping")
def _(document):
    document["linux"]["namespaces"].append({"type": "user"})


@spec_case("a namespace file that is not there", "no such file or directory")
def _(document):
    document["linux"]["namespaces"][1]["path"] = "/nowhere/net"


@spec_case("a sysctl of the host", "kernel.panic")
def _(document):
    document["linux"]["sysctl"] = {"kernel.panic": "1"}


@spec_case("a bind of what is not there", "no such file or directory")
def _(document):
    document["mounts"].append({"destination": "/x", "type": "bind", "source": "/nowhere", "options": ["bind"]})


@spec_case("a file system that is not there", "no such device")
def _(document):
    document["mounts"].append({"destination": "/x", "type": "nonsensefs", "source": "x"})


@spec_case("a memory limit that is too low to start", "")
def _(document):
    document["linux"]["resources"]["memory"] = {"limit": 1}


# --- programs

@case("a program that is not in PATH",
      'unable to start container process: exec: "nothing": executable file not found in $PATH')
def _(side):
    return side.create("nothing")


@case("a program that is not there",
      'unable to start container process: exec: "/bin/nothing": stat /bin/nothing: no such file or directory')
def _(side):
    return side.create("/bin/nothing")


@case("a program that may not be executed", 'unable to start container process: exec: "/etc/passwd": permission denied')
def _(side):
    return side.create("/etc/passwd")


@case("a program that is a directory", 'unable to start container process: exec: "/etc": ', "permission denied")
def _(side):
    return side.create("/etc")


for program, words in (("nothing", 'exec: "nothing": executable file not found in $PATH'),
                       ("/bin/nothing", 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory'),
                       ("/etc/passwd", 'exec: "/etc/passwd": permission denied')):
    def _exec(side, program=program):
        side.running()
        return side.call("exec", side.id, program)
    CASES.append((f"exec of {program}", ("exec failed: unable to start container process: " + words,), _exec))


@case("exec in a directory that is not there", "no such file or directory")
def _(side):
    side.running()
    return side.call("exec", "--cwd", "/nowhere/at/all", side.id, "true")


@case("exec without a program", "process args cannot be empty")
def _(side):
    side.running()
    return side.call("exec", side.id)


@case("exec as a user that is no number", 'as int for uid failed')
def _(side):
    side.running()
    return side.call("exec", "--user", "somebody", side.id, "true")


@case("exec of a process file that is not there", "no such file or directory")
def _(side):
    side.running()
    return side.call("exec", "--process", side.work / "nowhere.json", side.id)


# --- states

@case("exec in a container that has stopped", "cannot exec in a stopped container")
def _(side):
    side.stopped()
    return side.call("exec", side.id, "true")


@case("exec in a paused container", "cannot exec in a paused container (use --ignore-paused to override)")
def _(side):
    side.paused()
    return side.call("exec", side.id, "true")


@case("start of a running container", "cannot start an already running container")
def _(side):
    side.running()
    return side.call("start", side.id)


@case("start of a stopped container", "cannot start a container that has stopped")
def _(side):
    side.stopped()
    return side.call("start", side.id)


@case("start of a paused container", "cannot start a container in the paused state")
def _(side):
    side.paused()
    return side.call("start", side.id)


@case("delete of a running container", "cannot delete container ID that is not stopped: running")
def _(side):
    side.running()
    return side.call("delete", side.id)


@case("delete of a paused container", "cannot delete container ID that is not stopped: paused")
def _(side):
    side.paused()
    return side.call("delete", side.id)


@case("kill of a stopped container", "container not running")
def _(side):
    side.stopped()
    return side.call("kill", side.id, "TERM")


@case("kill with a signal that is none", 'unknown signal "NOPE"')
def _(side):
    side.running()
    return side.call("kill", side.id, "NOPE")


@case("pause of a stopped container", "container not running")
def _(side):
    side.stopped()
    return side.call("pause", side.id)


@case("resume of a running container", "container not paused")
def _(side):
    side.running()
    return side.call("resume", side.id)


@case("events of a stopped container", "container with id ID is not running")
def _(side):
    side.stopped()
    return side.call("events", "--stats", side.id)


@case("update of a stopped container", "container not running")
def _(side):
    side.stopped()
    return side.call("update", "--memory", "64M", side.id)


@case("update with a size that is none", "memory")
def _(side):
    side.running()
    return side.call("update", "--memory", "much", side.id)


# --- terminals, files, flags

def terminal(document):
    document["process"]["terminal"] = True


CASES.append(("a terminal and nobody to hand it to",
              ("cannot allocate tty if runc will detach without setting console socket",),
              lambda side: side.create("true", change=terminal)))
CASES.append(("a console socket and no terminal",
              ("cannot use console socket if runc will not detach or allocate tty",),
              lambda side: side.create("true", options=("--console-socket", side.work / "socket"))))
CASES.append(("a console socket that is not there", ("no such file or directory",),
              lambda side: side.create("true", change=terminal, options=("--console-socket", side.work / "socket"))))
CASES.append(("a pid file that cannot be written", ("no such file or directory",),
              lambda side: side.create("true", options=("--pid-file", side.work / "nowhere" / "pid"))))
CASES.append(("descriptors that are not open", ("preserved-fd",),
              lambda side: side.create("true", options=("--preserve-fds", "40"))))
CASES.append(("a command without its argument", ('"state" requires exactly 1 argument(s)',),
              lambda side: side.call("state")))
CASES.append(("a command that is none", (), lambda side: side.call("nonsense")))
CASES.append(("a flag that is none", ("flag provided but not defined: -nonsense",),
              lambda side: side.call("state", "--nonsense", side.id)))
CASES.append(("a log format that is none", (), lambda side: side.call("--log-format", "xml", "state", side.id)))
CASES.append(("cgroups by a systemd that does not rule them", ("systemd",), lambda side: (
    side.config("true", change=lambda document: document["linux"].update(cgroupsPath="system.slice:errors:x")),
    side.call("--systemd-cgroup", "create", "--bundle", side.bundle.path, side.id))[1]
    if not os.path.exists("/run/systemd/system") else (1, "systemd is here")))
CASES.append(("checkpoint without criu", ("criu",), lambda side: (side.running(), side.call(
    "--criu", "/no/criu", "checkpoint", "--image-path", side.work / "image", side.id))[1]))


# --- the comparison

def run(name, words, function, program, work):
    side = Side(name, program, work)
    try:
        return function(side)
    finally:
        side.clean()


def main():
    ours = os.path.abspath(sys.argv[1])
    show = "--show" in sys.argv
    if shutil.which("runc") is None:
        print("0 passed, 0 failed, 1 skipped")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gantry-errors-") as directory:
        work = pathlib.Path(directory)
        work.chmod(0o755)
        for number, (name, words, function) in enumerate(CASES):
            theirs = run(f"{number}-runc", words, function, "runc", work)
            own = run(f"{number}-ours", words, function, ours, work)
            problems = []
            if theirs[0] != own[0]:
                problems.append(f"status {own[0]}, runc's is {theirs[0]}")
            for word in words:
                runcs, expected = word if isinstance(word, tuple) else (word, word)
                if runcs not in theirs[1]:
                    problems.append(f"runc does not say {runcs!r}: the table is wrong")
                if expected not in own[1]:
                    problems.append(f"does not say {expected!r}")
            if problems or show:
                print(f"{'FAILED' if problems else 'ok'}: {name}: {'; '.join(problems)}\n"
                      f"    runc: {theirs[0]} {theirs[1]}\n    ours: {own[0]} {own[1]}")
            failed += bool(problems)
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
