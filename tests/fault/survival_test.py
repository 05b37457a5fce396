#!/usr/bin/env python3
"""gantryd is killed at every step of a task's life, its shims and its zygote at any time: what runs goes on, what
was half done is gone or can be undone, and who waits gets the true exit.

usage: survival_test.py GANTRYD SHIM [unittest arguments]
"""
import os
import pathlib
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd, cgroups_named  # noqa: E402

IMAGE = "docker.io/library/survival:latest"
BINARY = ""
SHIM = ""
# Where the daemon dies (services/tasks), and the command that brings it there.
STEPS = {
    "tasks.create.bundle": "start", "tasks.create.launched": "start", "tasks.create.created": "start",
    "tasks.start.asked": "start", "tasks.start.answered": "start",
    "tasks.exec.recorded": "exec", "tasks.exec.added": "exec",
    "tasks.delete.in_shim": "delete", "tasks.delete.bundle": "delete",
}


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.parent.name))
        except OSError:
            pass
    return found


class SurvivalTest(unittest.TestCase):
    def setUp(self):
        self.daemon = Gantryd(BINARY)
        self.daemon.namespace += "survival"
        self.daemon.import_image(IMAGE)

    def tearDown(self):
        left = self.daemon.close()
        self.assertFalse(left, f"left behind: {left}")

    def ctr(self, *arguments):
        return self.daemon.ctr(*arguments)

    def good(self, *arguments):
        done = self.ctr(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def status(self, name):
        for line in self.good("tasks", "ls").splitlines()[1:]:
            if line.split()[0] == name:
                return line.split()[2]
        return "NONE"

    def until(self, name, *wanted):
        give_up = time.monotonic() + 20
        while (status := self.status(name)) not in wanted:
            self.assertLess(time.monotonic(), give_up, f"{name} is {status}, not {wanted}")
            time.sleep(0.02)

    def shims(self):
        return [int(entry.parent.name) for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                if self.daemon.namespace.encode() in self.arguments(entry)]

    @staticmethod
    def arguments(entry):
        try:
            found = entry.read_bytes().replace(b"\0", b" ").split()
        except OSError:
            return []
        return found if b"-namespace" in found else []

    @staticmethod
    def runs(pid):
        """Whether the process is there, and not just its entry for a parent that has not asked yet."""
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def test_a_crash_at_each_step_leaves_a_task_that_can_be_removed_and_made_again(self):
        self.good("containers", "create", IMAGE, "c", "sleep", "1000")
        for step, command in STEPS.items():
            with self.subTest(step):
                if command != "start":
                    self.good("tasks", "start", "-d", "c")
                if command == "delete":
                    self.good("tasks", "kill", "-s", "KILL", "c")
                    self.until("c", "STOPPED")
                self.daemon.restart(GANTRY_FAULT=f"{step}=crash")
                command = {"start": ("tasks", "start", "-d", "c"), "delete": ("tasks", "rm", "c"),
                           "exec": ("tasks", "exec", "--exec-id", "e", "c", "true")}[command]
                self.assertNotEqual(self.ctr(*command).returncode, 0, "the daemon did not die")
                self.assertTrue(self.daemon.wait(), "the daemon did not die")
                self.daemon.start()
                status = self.status("c")
                if command[1] == "exec":
                    self.assertEqual(status, "RUNNING")
                    self.assertEqual(self.good("tasks", "exec", "--exec-id", "f", "c", "echo", "x"), "x\n")
                self.assertIn(status, ("NONE", "CREATED", "RUNNING", "STOPPED"))
                if status != "NONE":
                    self.ctr("tasks", "rm", "--force", "c")
                self.until("c", "NONE")
                # Nothing of it stands in the way of the next.
                self.good("tasks", "start", "-d", "c")
                self.assertEqual(self.status("c"), "RUNNING")
                self.ctr("tasks", "rm", "--force", "c")
                self.until("c", "NONE")

    def test_an_exit_while_the_daemon_is_away_is_told_with_its_status_and_its_time(self):
        self.good("run", "-d", IMAGE, "c", "sh", "-c", "sleep 0.5; exit 7")
        self.daemon.kill()
        time.sleep(1.2)
        self.daemon.start()
        self.until("c", "STOPPED")
        removed = self.ctr("tasks", "rm", "c")
        self.assertIn("exit code 7", removed.stderr)

    def test_output_goes_on_over_a_crash(self):
        log = self.daemon.work / "out"
        self.good("run", "-d", "--log-uri", f"file://{log}", IMAGE, "c", "sh", "-c",
                  "i=0; while true; do echo $i; i=$((i+1)); sleep 0.02; done")
        self.daemon.restart()
        self.assertEqual(self.good("tasks", "exec", "--exec-id", "e", "c", "echo", "in"), "in\n")
        before = len(log.read_text().splitlines())
        give_up = time.monotonic() + 10
        while len(log.read_text().splitlines()) < before + 10:
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.05)
        lines = log.read_text().splitlines()
        self.assertEqual(lines, [str(i) for i in range(len(lines))])

    def test_a_shim_that_was_killed_takes_its_container_along_at_once(self):
        self.good("run", "-d", IMAGE, "c", "sh", "-c", "sleep 1000 & sleep 1000")
        pid = int(self.good("tasks", "ls").splitlines()[1].split()[1])
        for shim in self.shims():
            os.kill(shim, signal.SIGKILL)
        self.until("c", "STOPPED")
        self.assertFalse(self.runs(pid))
        self.assertIn("exit code 137", self.ctr("tasks", "rm", "c").stderr)
        self.good("tasks", "start", "-d", "c")
        self.assertEqual(self.status("c"), "RUNNING")

    def test_the_zygote_is_not_missed(self):
        self.good("run", "-d", IMAGE, "c", "sleep", "1000")
        for _ in range(3):
            zygotes = children(self.daemon.pid)
            self.assertEqual(len(zygotes), 1)
            os.kill(zygotes[0], signal.SIGKILL)
            self.assertEqual(self.good("run", "--rm", IMAGE, "short", "echo", "hi"), "hi\n")
        self.assertEqual(self.status("c"), "RUNNING")

    def test_after_a_reboot_containers_are_stopped_and_not_lost(self):
        self.good("run", "-d", IMAGE, "c", "sleep", "1000")
        self.daemon.kill()
        for shim in self.shims():  # as the power would
            os.kill(shim, signal.SIGKILL)
        cgroups = [path for parent in cgroups_named(self.daemon.namespace) for path in parent.iterdir() if path.is_dir()]
        for path in cgroups:
            for pid in (path / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        for path in cgroups:  # nor do cgroups outlive one
            while (path / "cgroup.procs").read_text():
                time.sleep(0.01)
            path.rmdir()
        shutil.rmtree(self.daemon.work / "state")
        self.daemon.start()
        self.assertEqual(self.status("c"), "NONE")
        self.assertIn("c", self.good("containers", "ls", "-q").split())
        self.good("tasks", "start", "-d", "c")
        self.assertEqual(self.status("c"), "RUNNING")

    def test_an_upgrade_keeps_what_runs(self):
        programs = self.daemon.work / "bin"
        programs.mkdir()
        for source, name in ((BINARY, "gantryd"), (SHIM, "containerd-shim-gantry-v1")):
            shutil.copy2(source, programs / name)
        self.daemon.kill()
        self.daemon._binary = str(programs / "gantryd")
        self.daemon.start()
        self.good("run", "-d", IMAGE, "c", "sleep", "1000")
        # New files at the old places, as a package does it.
        for source, name in ((BINARY, "gantryd"), (SHIM, "containerd-shim-gantry-v1")):
            shutil.copy2(source, programs / f"{name}.new")
            (programs / f"{name}.new").rename(programs / name)
        self.daemon.restart()
        self.assertEqual(self.status("c"), "RUNNING")
        self.assertEqual(self.good("tasks", "exec", "--exec-id", "e", "c", "echo", "x"), "x\n")
        self.assertEqual(self.good("run", "--rm", IMAGE, "new", "echo", "hi"), "hi\n")

    def test_hung_shims_hold_up_nobody_else(self):
        names = [f"c{i}" for i in range(10)]
        for name in names:
            self.good("run", "-d", IMAGE, name, "sleep", "1000")
        hung = self.shims()[:3]
        for shim in hung:
            os.kill(shim, signal.SIGSTOP)
        try:
            self.good("version")  # ctr's own start is in each figure below
            bare = min(self.timed("version") for _ in range(5))
            self.assertEqual(self.good("tasks", "ls").count("RUNNING"), 10)
            for name in names:
                self.assertIn("memory", self.good("tasks", "metrics", name))
                self.assertGreaterEqual(len(self.good("tasks", "ps", name).splitlines()), 2)
            for command in (("tasks", "ls"), ("tasks", "metrics", "c0"), ("tasks", "ps", "c0")):
                took = min(self.timed(*command) for _ in range(5))
                self.assertLess(took - bare, 0.1, f"{command}")
        finally:
            for shim in hung:
                os.kill(shim, signal.SIGCONT)

    def timed(self, *command):
        start = time.monotonic()
        self.good(*command)
        return time.monotonic() - start


if __name__ == "__main__":
    BINARY, SHIM = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
    unittest.main()
