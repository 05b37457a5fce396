#!/usr/bin/env python3
"""Walks gantryd with Debian's own `ctr`: what a person at a shell sees.

usage: ctr_test.py GANTRYD [unittest arguments]
"""
import os
import pathlib
import pty
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/interop:latest"
BINARY = ""


class CtrTest(unittest.TestCase):
    daemon = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Gantryd(BINARY)
        cls.addClassCleanup(cls.end)
        cls.daemon.import_image(IMAGE)

    @classmethod
    def end(cls):
        left = cls.daemon.close()
        assert not left, f"left behind: {left}"

    def ctr(self, *arguments, stdin=b""):
        return self.daemon.ctr(*arguments, stdin=stdin)

    def run_in(self, name, *command, options=(), stdin=b""):
        return self.ctr("run", "--rm", *options, IMAGE, name, *command, stdin=stdin)

    def until(self, what, wanted, *arguments):
        give_up = time.monotonic() + 20
        while wanted not in (said := self.ctr(*arguments).stdout):
            self.assertLess(time.monotonic(), give_up, f"{what}: {said}")

    def detach(self, name, *command, options=()):
        started = self.ctr("run", "-d", *options, IMAGE, name, *command)
        self.assertEqual(started.returncode, 0, started.stderr)
        self.addCleanup(self.remove, name)

    def remove(self, name):
        self.ctr("tasks", "rm", "--force", name)
        self.assertEqual(self.ctr("containers", "rm", name).returncode, 0)

    def test_both_outputs_and_the_status_come_back_apart(self):
        done = self.run_in("apart", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))

    def test_standard_input_reaches_the_program_and_ends(self):
        done = self.run_in("input", "wc", "-c", stdin=b"x" * 1000000)
        self.assertEqual(done.stdout.strip(), "1000000")

    def test_no_byte_of_a_large_output_is_lost_when_the_program_ends_at_once(self):
        done = self.run_in("large", "head", "-c", "5000000", "/dev/zero")
        self.assertEqual(len(done.stdout), 5000000)

    def test_a_terminal_is_one_and_has_the_size_that_was_asked_for(self):
        pid, master = pty.fork()
        if pid == 0:
            command = self.daemon.command("run", "--rm", "-t", IMAGE, "terminal", "tty")
            os.execvp(command[0], command)
        said = b""
        try:
            while piece := os.read(master, 4096):
                said += piece
        except OSError:  # EIO: the other end is closed
            pass
        os.close(master)
        self.assertEqual(os.waitpid(pid, 0)[1], 0, said)
        self.assertIn(b"/dev/pts/0", said)

    def test_a_program_that_is_missing_is_named_and_nothing_is_left(self):
        done = self.run_in("missing", "/no/such/program")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('exec: "/no/such/program"', done.stderr)
        self.assertNotIn("missing", self.ctr("tasks", "ls").stdout)

    def test_the_process_is_alone_in_namespaces_of_its_own(self):
        done = self.run_in("alone", "sh", "-c", "echo $$; for n in mnt pid net ipc uts; do readlink /proc/self/ns/$n; done")
        pid, *namespaces = done.stdout.split()
        self.assertEqual(pid, "1")
        self.assertEqual(len(namespaces), 5)
        for name, inside in zip(("mnt", "pid", "net", "ipc", "uts"), namespaces):
            self.assertNotEqual(inside, os.readlink(f"/proc/self/ns/{name}"))

    def test_an_exec_shares_the_container_and_has_its_own_status(self):
        self.detach("execs", "sleep", "1000")
        done = self.ctr("tasks", "exec", "--exec-id", "e1", "execs", "sh", "-c", "cat /proc/1/comm; exit 3")
        self.assertEqual((done.returncode, done.stdout), (3, "sleep\n"))
        done = self.ctr("tasks", "exec", "--exec-id", "e2", "--user", "1000", "execs", "id", "-u")
        self.assertEqual(done.stdout, "1000\n")
        done = self.ctr("tasks", "exec", "--exec-id", "e3", "execs", "cat", stdin=b"through")
        self.assertEqual(done.stdout, "through")

    def test_a_paused_task_stands_still_until_it_is_resumed(self):
        self.detach("paused", "sh", "-c", "while true; do echo x >>/ticks; done")
        self.assertEqual(self.ctr("tasks", "pause", "paused").returncode, 0)
        self.assertIn("PAUSED", self.ctr("tasks", "ls").stdout)
        self.assertNotEqual(self.ctr("tasks", "exec", "--exec-id", "e", "paused", "true").returncode, 0)
        self.assertEqual(self.ctr("tasks", "resume", "paused").returncode, 0)
        self.assertEqual(self.ctr("tasks", "exec", "--exec-id", "e", "paused", "true").returncode, 0)

    def test_a_memory_limit_ends_the_program_and_an_event_tells_why(self):
        watcher = subprocess.Popen(self.daemon.command("events"), stdout=subprocess.PIPE, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(watcher.stdout))
        reader.start()
        try:
            # The subscription is known to be there when an event of a label change has come through.
            give_up = time.monotonic() + 20
            while not any("/images/update" in line for line in lines):
                self.assertLess(time.monotonic(), give_up)
                self.ctr("images", "label", IMAGE, "seen=yes")
            done = self.run_in("memory", "sh", "-c", "x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo ${#x}",
                               options=("--memory-limit", "8000000"))
            self.assertEqual(done.returncode, 137)
            while not any("/tasks/delete" in line for line in lines):
                self.assertLess(time.monotonic(), give_up)
                time.sleep(0.01)
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait()
            reader.join()
            watcher.stdout.close()
        topics = [word for line in lines for word in line.split() if word.startswith("/tasks/")]
        self.assertLess(topics.index("/tasks/oom"), topics.index("/tasks/exit"))
        self.assertLess(topics.index("/tasks/exit"), topics.index("/tasks/delete"))

    def test_an_image_is_shown_with_the_ids_of_a_user_namespace_and_not_copied(self):
        ranges = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--remap-labels")
        self.detach("mapped", "sleep", "1000", options=ranges)
        done = self.ctr("tasks", "exec", "--exec-id", "e", "mapped", "sh", "-c",
                        "echo x >/new && stat -c %u:%g / /bin/busybox /new")
        self.assertEqual((done.returncode, done.stdout), (0, "0:0\n" * 3), done.stderr)
        bytes_used = int(self.ctr("snapshots", "usage", "-b", "mapped").stdout.split()[-2])
        self.assertLess(bytes_used, os.path.getsize("/bin/busybox"))

    def test_a_log_file_has_both_outputs(self):
        log = self.daemon.work / "task.log"
        self.detach("logged", "sh", "-c", "echo out; echo err >&2", options=("--log-uri", f"file://{log}"))
        self.until("the task ends", "STOPPED", "tasks", "ls")
        self.assertEqual(sorted(log.read_text().split()), ["err", "out"])

    def test_what_is_committed_under_one_name_is_seen_by_the_next_snapshot(self):
        ctr = self.ctr
        self.assertEqual(ctr("snapshots", "prepare", "active").returncode, 0)
        self.assertEqual(ctr("snapshots", "commit", "base", "active").returncode, 0)
        # Not a view, which ctr lets a collection take as soon as it is made.
        self.assertEqual(ctr("snapshots", "prepare", "seen", "base").returncode, 0)
        self.assertNotEqual(ctr("snapshots", "rm", "base").returncode, 0, "a parent was removed")
        # `ctr snapshots view` sets no gc.root label: a collection may come first.
        for key in ("seen", "base"):
            removed = ctr("snapshots", "rm", key)
            if removed.returncode != 0:
                self.assertIn("not found", removed.stderr)

    def test_content_is_verified_on_its_way_in(self):
        wrong = "sha256:" + "1" * 64
        done = self.ctr("content", "ingest", "--expected-digest", wrong, "bad", stdin=b"other")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(wrong, self.ctr("content", "ls", "-q").stdout)

    def test_twenty_containers_at_once_do_not_mix_their_output(self):
        runs = [subprocess.Popen(self.daemon.command("run", "--rm", IMAGE, f"many{n}", "echo", f"out-{n}"),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for n in range(20)]
        for n, run in enumerate(runs):
            out, err = run.communicate(timeout=60)
            self.assertEqual((run.returncode, out), (0, f"out-{n}\n"), err)

    def test_containers_live_through_a_crash_of_the_daemon(self):
        self.detach("lives", "sleep", "1000")
        self.detach("ends", "sh", "-c", "sleep 0.2; exit 9")
        self.daemon.restart()
        self.until("the exit that nobody heard is known", "STOPPED", "tasks", "ls")
        self.assertIn("exit code 9", self.ctr("tasks", "rm", "ends").stderr)
        done = self.ctr("tasks", "exec", "--exec-id", "e", "lives", "echo", "alive")
        self.assertEqual(done.stdout, "alive\n")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
