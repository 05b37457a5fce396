#!/usr/bin/env python3
"""Debian's containerd and its own runc shim, with gantry-oci in the place of runc.

usage: oci_containerd_test.py GANTRY_OCI [unittest arguments]
"""
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/interop:latest"
BINARY = ""


class Containerd(Gantryd):
    """Debian's containerd on private directories."""

    def start(self):
        config = self.work / "config.toml"
        config.write_text(f'version = 2\nroot = "{self.work}/root"\nstate = "{self.work}/state"\n'
                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{self.socket}"\n')
        self._process = subprocess.Popen(["containerd", "--config", config], stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=self._log)
        give_up = time.monotonic() + 30
        while self.ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"containerd does not answer:\n{self.log()}")
            time.sleep(0.02)


class OciContainerdTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Containerd("containerd")
        cls.addClassCleanup(cls.end)
        cls.daemon.import_image(IMAGE)

    @classmethod
    def end(cls):
        left = cls.daemon.close()
        assert not left, f"left behind: {left}"

    def run_it(self, name, *command, options=(), stdin=b""):
        return self.daemon.ctr("run", "--runc-binary", BINARY, *options, IMAGE, name, *command, stdin=stdin)

    def detach(self, name, *command):
        started = self.run_it(name, *command, options=("-d",))
        self.assertEqual(started.returncode, 0, started.stderr)
        self.addCleanup(lambda: self.daemon.ctr("containers", "rm", name))
        self.addCleanup(lambda: self.daemon.ctr("tasks", "rm", "--force", name))

    def test_it_is_gantry_oci_that_runs(self):
        self.detach("which", "sleep", "1000")
        state = pathlib.Path("/run/containerd/runc") / self.daemon.namespace / "which"
        self.assertTrue((state / "start.sock").is_socket())

    def test_output_input_and_status_come_back(self):
        # One line: with this shim the end of ctr's input never comes.
        done = self.run_it("io", "sh", "-c", "read x; echo $x; echo err >&2; exit 7", options=("--rm",),
                           stdin=b"through\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "through\n", "err\n"))

    def test_a_missing_program_is_named_and_nothing_is_left(self):
        done = self.run_it("missing", "/no/such", options=("--rm",))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('exec: "/no/such": stat /no/such: no such file or directory', done.stderr)
        self.assertNotIn("missing", self.daemon.ctr("tasks", "ls").stdout)

    def test_exec_pause_ps_metrics_update_and_kill(self):
        ctr = self.daemon.ctr
        self.detach("life", "sleep", "1000")
        done = ctr("tasks", "exec", "--exec-id", "e", "--user", "1000", "life", "sh", "-c", "id -u; exit 3")
        self.assertEqual((done.returncode, done.stdout), (3, "1000\n"), done.stderr)
        done = ctr("tasks", "exec", "--exec-id", "m", "life", "/no/such")
        self.assertIn("no such file or directory", done.stderr)
        self.assertEqual(ctr("tasks", "pause", "life").returncode, 0)
        self.assertIn("PAUSED", ctr("tasks", "ls").stdout)
        self.assertEqual(ctr("tasks", "resume", "life").returncode, 0)
        self.assertEqual(len(ctr("tasks", "ps", "life").stdout.splitlines()), 2)
        self.assertIn("memory", ctr("tasks", "metrics", "life").stdout)
        self.assertEqual(ctr("tasks", "kill", "-s", "KILL", "life").returncode, 0)
        give_up = time.monotonic() + 20
        while "STOPPED" not in ctr("tasks", "ls").stdout:
            self.assertLess(time.monotonic(), give_up)
        self.assertIn("137", ctr("tasks", "rm", "life").stderr)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
