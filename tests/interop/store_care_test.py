#!/usr/bin/env python3
"""`gantryd check` and `gantryd backup` on the root of a daemon that Debian's `ctr` has filled.

usage: store_care_test.py GANTRYD [unittest arguments]
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/cared:latest"
BINARY = ""


class StoreCareTest(unittest.TestCase):
    def setUp(self):
        self.daemon = Gantryd(BINARY)
        self.addCleanup(self.close)
        self.daemon.import_image(IMAGE, "--layers", "3")
        self.root = self.daemon.work / "root"

    def close(self):
        self.assertEqual(self.daemon.close(), [])

    def gantryd(self, *arguments, root=None):
        return subprocess.run([BINARY, "--config", "/dev/null", "--root", root or self.root, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def layer(self):
        """The largest blob: the layer with the programs."""
        return max((self.root / "content/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)

    def flip(self, path):
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(1000)
            byte = file.read(1)
            file.seek(1000)
            file.write(bytes([byte[0] ^ 1]))

    def test_a_store_that_is_whole_is_clean_and_one_in_use_is_not_touched(self):
        busy = self.gantryd("check")
        self.assertEqual(busy.returncode, 2)
        self.assertIn("in use by another gantryd (pid ", busy.stderr)
        self.daemon.kill()
        clean = self.gantryd("check")
        self.assertEqual((clean.returncode, clean.stdout), (0, ""), clean.stderr)
        self.assertIn("3 snapshots: 0 differences", clean.stderr)
        nothing = self.gantryd("check", root=self.daemon.work / "elsewhere")
        self.assertEqual(nothing.returncode, 2)
        self.assertFalse((self.daemon.work / "elsewhere").exists())
        self.daemon.start()

    def test_a_flipped_byte_is_found_and_after_the_repair_the_image_is_fetched_again(self):
        self.daemon.kill()
        layer = self.layer()
        digest = "sha256:" + layer.name
        self.flip(layer)
        found = self.gantryd("check", "--json")
        self.assertEqual(found.returncode, 1, found.stderr)
        finding = json.loads(found.stdout)
        self.assertEqual((finding["kind"], finding["subject"], finding["lost"]), ("content.damaged", digest, True))
        mended = self.gantryd("check", "--repair")
        self.assertEqual(mended.returncode, 1)
        self.assertIn(f"content.damaged {digest}", mended.stdout)
        self.assertEqual(self.gantryd("check").returncode, 0)
        self.daemon.start()
        self.assertNotIn(digest, self.daemon.ctr("content", "ls", "-q").stdout.split())
        self.daemon.import_image(IMAGE, "--layers", "3")
        self.assertIn(digest, self.daemon.ctr("content", "ls", "-q").stdout.split())

    def test_the_target_of_an_image_and_a_layer_that_are_gone_are_named(self):
        target = self.daemon.ctr("images", "ls").stdout.splitlines()[1].split()[2]
        self.daemon.stop()  # a manifest that a crash has taken would be put back from the store
        (self.root / "content/blobs/sha256" / target.split(":")[1]).unlink()
        first = min((self.root / "snapshots").iterdir(), key=lambda path: int(path.name))
        shutil.rmtree(first)
        mended = self.gantryd("check", "--repair")
        for wanted in (f"content.missing {target}", "snapshot.missing sha256:", f"image.reference {IMAGE}"):
            self.assertIn(wanted, mended.stdout)
        self.daemon.start()
        self.daemon.import_image(IMAGE, "--layers", "3")
        run = self.daemon.ctr("run", "--rm", IMAGE, "again", "echo", "there")
        self.assertEqual(run.stdout, "there\n", run.stderr)
        self.daemon.kill()
        again = self.gantryd("check")
        self.assertEqual((again.returncode, again.stdout), (0, ""))
        self.daemon.start()

    def test_a_database_that_is_damaged_is_said_and_stops_check_and_daemon(self):
        os.kill(self.daemon.pid, signal.SIGTERM)
        self.assertTrue(self.daemon.wait())
        for name in ("meta.mdb", "journal"):
            damaged = self.root / "metadata" / name
            kept = damaged.read_bytes()
            damaged.write_bytes(kept[:6000])
            if name == "journal":
                damaged.write_bytes(bytes(len(kept)))
            checked = self.gantryd("check", "--repair")
            self.assertEqual(checked.returncode, 2)
            self.assertIn(str(damaged), checked.stderr)
            started = self.gantryd("--state", self.daemon.work / "s2", "--address", self.daemon.work / "s2.sock")
            self.assertEqual(started.returncode, 1)
            self.assertIn(str(damaged), started.stdout + started.stderr)
            damaged.write_bytes(kept)
        self.daemon.start()

    def test_pages_that_a_crash_left_behind_the_journal_are_not_missed(self):
        self.daemon.kill()
        database = self.root / "metadata/meta.mdb"
        database.write_bytes(database.read_bytes()[:8192])  # as a disk has it that lost what was not synced
        self.daemon.start()
        self.assertIn(IMAGE, self.daemon.ctr("images", "ls", "-q").stdout)
        self.daemon.kill()
        self.assertEqual(self.gantryd("check").returncode, 0)
        self.daemon.start()

    def test_a_backup_under_a_running_daemon_is_a_root_that_serves_everything(self):
        self.daemon.ctr("run", "-d", IMAGE, "runs", "sleep", "60")
        backup = self.daemon.work / "backup"
        done = self.gantryd("backup", backup)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 snapshots, 1 active ones or views left out", done.stdout)
        self.assertEqual(self.gantryd("backup", backup).returncode, 1)
        # The daemon goes on, and what it removes stays in the backup.
        images = self.daemon.ctr("images", "ls").stdout
        content = self.daemon.ctr("content", "ls", "-q").stdout
        self.daemon.ctr("tasks", "rm", "--force", "runs")
        self.daemon.ctr("containers", "rm", "runs")
        self.daemon.ctr("images", "rm", "--sync", IMAGE)
        self.assertEqual(len(self.daemon.ctr("images", "ls").stdout.splitlines()), 1)

        self.daemon.kill()
        self.root.rename(self.daemon.work / "former")
        backup.rename(self.root)
        checked = self.gantryd("check")
        self.assertEqual([line.split()[0] for line in checked.stdout.splitlines()], ["container.reference"])
        self.daemon.start()
        self.assertEqual(self.daemon.ctr("images", "ls").stdout, images)
        self.assertEqual(self.daemon.ctr("content", "ls", "-q").stdout, content)
        self.assertIn("runs", self.daemon.ctr("containers", "ls").stdout)
        run = self.daemon.ctr("run", "--rm", IMAGE, "restored", "cat", "/etc/passwd")
        self.assertEqual(run.stdout, "root:x:0:0:root:/root:/bin/sh\n", run.stderr)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
