#!/usr/bin/env python3
"""The shim start protocol with the real peers, both ways: gantryd runs Debian's containerd-shim-runc-v2,
and Debian's containerd runs gantry's shim.

usage: shims_test.py GANTRYD SHIM [unittest arguments]
"""
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/interop:latest"
BINARY = ""
SHIM = ""
GROUP = "io.containerd.runc.v2.group"


class StockContainerd(Gantryd):
    """Debian's containerd on private directories, which finds gantry's shim in its PATH."""

    def start(self, **_):
        programs = self.work / "bin"
        if not programs.exists():
            programs.mkdir()
            (programs / "containerd-shim-gantry-v1").symlink_to(SHIM)
        config = self.work / "config.toml"
        config.write_text(f"""version = 2
root = "{self.work}/root"
state = "{self.work}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{self.socket}"
""")
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
        self._process = subprocess.Popen(["containerd", "--config", config], stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=self._log, env=environment)
        give_up = time.monotonic() + 30
        while self.ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"containerd does not answer:\n{self.log()}")
            time.sleep(0.05)

    def shims(self):
        return [left for left in self.leftovers() if "containerd-shim-gantry-v1" in left]


class Walk:
    """What has to hold whoever runs whose shim."""

    RUN = ()
    SHIM_NAME = ""

    @classmethod
    def tearDownClass(cls):
        left = cls.daemon.close()
        assert not left, f"left behind: {left}"

    def ctr(self, *arguments, **more):
        return self.daemon.ctr(*arguments, **more)

    def until(self, wanted, *arguments):
        give_up = time.monotonic() + 20
        while wanted not in " ".join((said := self.ctr(*arguments).stdout).split()):
            self.assertLess(time.monotonic(), give_up, said)
            time.sleep(0.02)

    def detach(self, name, *command, options=()):
        started = self.ctr("run", "-d", *self.RUN, *options, IMAGE, name, *command)
        self.assertEqual(started.returncode, 0, started.stderr)
        self.addCleanup(self.remove, name)

    def remove(self, name):
        self.ctr("tasks", "rm", "--force", name)
        removed = self.ctr("containers", "rm", name)
        self.assertEqual(removed.returncode, 0, removed.stderr)

    def shim_pids(self):
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = entry.read_bytes().replace(b"\0", b" ").split()
            except OSError:
                continue
            if arguments and self.SHIM_NAME.encode() in arguments[0] and self.daemon.namespace.encode() in arguments:
                found.append(int(entry.parent.name))
        return found

    def test_output_input_and_status_come_back(self):
        done = self.ctr("run", "--rm", *self.RUN, IMAGE, "io", "sh", "-c", "read x; echo $x; echo e >&2; exit 7",
                        stdin=b"line\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "line\n", "e\n"))

    def test_a_missing_program_is_named(self):
        done = self.ctr("run", "--rm", *self.RUN, IMAGE, "missing", "/no/such")
        self.assertIn("no such file or directory", done.stderr)

    def test_exec_pause_metrics_and_kill(self):
        self.detach("calls", "sleep", "1000")
        done = self.ctr("tasks", "exec", "--exec-id", "e", "calls", "sh", "-c", "echo in; exit 3")
        self.assertEqual((done.returncode, done.stdout), (3, "in\n"))
        self.assertEqual(self.ctr("tasks", "pause", "calls").returncode, 0)
        self.until("PAUSED", "tasks", "ls")
        self.assertEqual(self.ctr("tasks", "resume", "calls").returncode, 0)
        self.assertIn("memory", self.ctr("tasks", "metrics", "calls").stdout)
        self.assertGreaterEqual(len(self.ctr("tasks", "ps", "calls").stdout.splitlines()), 2)
        self.assertEqual(self.ctr("tasks", "kill", "-s", "KILL", "calls").returncode, 0)
        self.until("STOPPED", "tasks", "ls")
        self.assertIn("exit code 137", self.ctr("tasks", "rm", "calls").stderr)

    def test_the_containers_of_a_group_share_a_shim(self):
        for name in ("pod-a", "pod-b", "pod-c"):
            self.detach(name, "sleep", "1000", options=("--annotation", f"{GROUP}=pod"))
        self.assertEqual(len(self.shim_pids()), 1)
        self.ctr("tasks", "rm", "--force", "pod-a")
        done = self.ctr("tasks", "exec", "--exec-id", "e", "pod-b", "echo", "alive")
        self.assertEqual(done.stdout, "alive\n", done.stderr)

    def test_a_shim_that_was_killed_leaves_a_stopped_task_and_nothing_else(self):
        self.detach("orphan", "sleep", "1000")
        for pid in self.shim_pids():
            os.kill(pid, signal.SIGKILL)
        give_up = time.monotonic() + 20
        while "RUNNING" in (said := self.ctr("tasks", "ls").stdout):
            self.assertLess(time.monotonic(), give_up, said)
            time.sleep(0.02)
        # containerd cleans up after it has told that the task stopped, and forgets the task by itself.
        while (again := self.ctr("tasks", "start", "-d", "orphan")).returncode != 0:
            self.assertLess(time.monotonic(), give_up, again.stderr)
            self.ctr("tasks", "rm", "orphan")

    def test_a_task_lives_through_the_daemons_death(self):
        self.detach("lives", "sleep", "1000")
        self.detach("ends", "sh", "-c", "sleep 1; exit 9")
        self.daemon.restart()
        done = self.ctr("tasks", "exec", "--exec-id", "e", "lives", "echo", "alive")
        self.assertEqual(done.stdout, "alive\n", done.stderr)
        self.until("STOPPED", "tasks", "ls")
        self.assertIn("exit code 9", self.ctr("tasks", "rm", "ends").stderr)


class GantrydRunsTheStockShim(Walk, unittest.TestCase):
    SHIM_NAME = "containerd-shim-runc-v2"

    @classmethod
    def setUpClass(cls):
        cls.config = pathlib.Path(f"/tmp/gantry-shims-{os.getpid()}.toml")
        cls.addClassCleanup(cls.config.unlink)
        cls.config.write_text('version = 3\n[plugins."io.containerd.runtime.v2.task"]\n'
                              '  own_runtimes = ["io.containerd.gantry.v1"]\n')
        cls.daemon = Gantryd(BINARY, ["--config", cls.config])
        cls.daemon.import_image(IMAGE)

    def test_an_unknown_runtime_is_named(self):
        done = self.ctr("run", "--rm", "--runtime", "io.containerd.nope.v1", IMAGE, "nope", "true")
        self.assertIn('binary not installed "containerd-shim-nope-v1"', done.stderr)

    def test_a_runtime_is_named_by_its_path(self):
        done = self.ctr("run", "--rm", "--runtime", "/usr/bin/containerd-shim-runc-v2", IMAGE, "path", "echo", "hi")
        self.assertEqual(done.stdout, "hi\n", done.stderr)

    def test_gantrys_own_shim_is_there_beside_it(self):
        done = self.ctr("run", "--rm", "--runtime", "io.containerd.gantry.v1", IMAGE, "own", "echo", "hi")
        self.assertEqual(done.stdout, "hi\n", done.stderr)


class StockContainerdRunsGantrysShim(Walk, unittest.TestCase):
    RUN = ("--runtime", "io.containerd.gantry.v1")
    SHIM_NAME = "containerd-shim-gantry-v1"

    @classmethod
    def setUpClass(cls):
        cls.daemon = StockContainerd("")
        cls.daemon.namespace += "stock"
        cls.daemon.import_image(IMAGE)


if __name__ == "__main__":
    BINARY, SHIM = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
    unittest.main()
