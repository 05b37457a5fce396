"""The contestants: daemons that are started on roots and sockets of their own."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "release"
NAMESPACE = "bench"


class Failed(Exception):
    """A contestant did not do what it was asked to; the text says what."""


def call(*command, timeout=300, env=None):
    """Runs a command to its end and gives its standard output."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                              env=env)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command[:4])}...: no end within {timeout} s") from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:6])}: {done.stderr.strip()[-300:]}")
    return done.stdout


class Daemon:
    """A daemon that speaks containerd's API, with everything of its own below two directories."""

    def __init__(self, name, disk, tmpfs):
        self.name = name
        self.root = disk / name
        self.state = tmpfs / name
        self.root.mkdir()
        self.state.mkdir()
        self.address = str(self.state / "api.sock")
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            start_new_session=True)
        deadline = time.monotonic() + 30
        while subprocess.run(["ctr", "-a", self.address, "version"], capture_output=True,
                             timeout=30, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name} does not answer; its log: {self.root / 'log'}")
            time.sleep(0.02)

    def stop(self, signum=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(signum)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def version(self):
        return call(*self.command()[:1], "--version").strip()

    def ctr(self, *arguments, timeout=300):
        return call("ctr", "-a", self.address, "-n", NAMESPACE, *arguments, timeout=timeout)


class Gantry(Daemon):
    def command(self):
        return [str(BUILD / "daemon" / "gantryd"), "--root", str(self.root / "root"), "--state",
                str(self.state / "state"), "--address", self.address, "--log-level", "warn"]


class Containerd(Daemon):
    def command(self):
        config = self.root / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{self.root}/root"\nstate = "{self.state}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.address}"\n'
            f'[ttrpc]\naddress = "{self.address}.ttrpc"\n')
        return ["containerd", "--config", str(config), "--log-level", "error"]


class Arena:
    """The directories and daemons of one run, and their end."""

    def __init__(self, kinds=((Gantry, "gantry"), (Containerd, "containerd"))):
        self.kinds = kinds
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.tmpfs = pathlib.Path(tempfile.mkdtemp(prefix="gb-", dir="/run"))
        self.daemons = []

    def __enter__(self):
        for kind, name in self.kinds:
            daemon = kind(name, self.disk, self.tmpfs)
            self.daemons.append(daemon)
            daemon.start()
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.stop()
        self._end_leftovers()
        self._unmount_leftovers()
        remove_cgroups(f"/{NAMESPACE}")
        shutil.rmtree(self.disk, ignore_errors=True)
        shutil.rmtree(self.tmpfs, ignore_errors=True)

    def _end_leftovers(self):
        """Shims and their containers, when a run was broken off: known by our directories' names."""
        marks = (str(self.tmpfs).encode(), str(self.disk).encode())
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if b"shim" in command.split(b"\0")[0] and any(mark in command for mark in marks):
                for child in children_of(int(entry)):
                    end(child)
                end(int(entry))

    def _unmount_leftovers(self):
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            point = line.split()[4]
            if point.startswith((str(self.disk), str(self.tmpfs))):
                subprocess.run(["umount", "-l", point], check=False)


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def children_of(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def remove_cgroups(name):
    """What daemons leave of the parents of their containers' cgroups, if it is empty."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup" not in line:
            continue
        top = line.split()[4] + name
        for directory, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass
