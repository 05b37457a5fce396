#!/usr/bin/env python3
"""gantryd as the content store and snapshotter of another daemon: of Debian's containerd, and of a second gantryd.

usage: proxy_test.py GANTRYD [unittest arguments]
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd, HERE  # noqa: E402

IMAGE = "docker.io/library/proxied:latest"
BINARY = ""


class Containerd:
    """Debian's containerd on a root, a state directory and a socket of its own, with gantryd behind it."""

    def __init__(self, backend):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gantry-containerd-"))
        self.socket = self.work / "c.sock"
        # 1.6 uses a content proxy if it is the only content store.
        (self.work / "config.toml").write_text(f"""
version = 2
root = "{self.work}/root"
state = "{self.work}/state"
disabled_plugins = ["io.containerd.content.v1.content", "io.containerd.grpc.v1.cri"]
[grpc]
  address = "{self.socket}"
[proxy_plugins.gantry]
  type = "snapshot"
  address = "{backend}"
[proxy_plugins.gantry-content]
  type = "content"
  address = "{backend}"
""")
        self._log = open(self.work / "log", "ab")
        self._process = subprocess.Popen(["containerd", "--config", self.work / "config.toml"],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        give_up = time.monotonic() + 30
        while self.ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError((self.work / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def ctr(self, *arguments, namespace="default"):
        return subprocess.run(["ctr", "--address", self.socket, "--namespace", namespace, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()
        shutil.rmtree(self.work)


class ProxyTest(unittest.TestCase):
    def backend(self, services="content,snapshots"):
        daemon = Gantryd(BINARY, ["--services", services, "--config", "/dev/null"])
        self.addCleanup(lambda: self.assertEqual(daemon.close(), []))
        return daemon

    def archive(self, *options):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="gantry-image-"))
        self.addCleanup(shutil.rmtree, directory)
        subprocess.run([sys.executable, HERE / "make_image.py", IMAGE, directory / "i.tar", *options], check=True)
        return directory / "i.tar"

    def succeeds(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def rows(self, text):
        return sorted(line.split()[0] for line in text.splitlines()[1:])

    def until(self, what, reached):
        give_up = time.monotonic() + 20
        while not reached():
            self.assertLess(time.monotonic(), give_up, what)
            time.sleep(0.02)


class ContainerdTest(ProxyTest):
    def setUp(self):
        self.gantry = self.backend()
        self.containerd = Containerd(self.gantry.socket)
        self.addCleanup(self.containerd.close)
        self.ctr = self.containerd.ctr

    def test_an_image_is_imported_run_and_removed_with_all_of_it_in_gantryd(self):
        self.succeeds(self.ctr("images", "import", "--snapshotter", "gantry", self.archive("--layers", "3")))
        def blobs_listed():
            return self.rows(self.succeeds(self.ctr("content", "ls")))
        # Three layers, the config, the manifest: containerd collects the archive's index when it gets round to it.
        self.until("the index is collected", lambda: len(blobs_listed()) == 5)
        blobs = blobs_listed()
        kept = self.rows(self.succeeds(self.gantry.ctr("content", "ls")))
        self.assertTrue(set(blobs) <= set(kept))
        self.assertEqual(list((self.containerd.work / "root").glob("**/blobs/sha256/*")), [])

        run = self.ctr("run", "--rm", "--snapshotter", "gantry", IMAGE, "one", "cat", "/etc/passwd")
        self.assertEqual(self.succeeds(run), "root:x:0:0:root:/root:/bin/sh\n")

        usage = self.succeeds(self.ctr("snapshots", "--snapshotter", "gantry", "usage"))
        self.assertEqual(len(self.rows(usage)), 3)
        self.assertIn("MiB", usage)
        tree = self.succeeds(self.ctr("snapshots", "--snapshotter", "gantry", "ls"))
        self.assertEqual(tree.count("Committed"), 3)
        base = self.rows(tree)[0]
        self.succeeds(self.ctr("snapshots", "--snapshotter", "gantry", "label", base, "colour=blue"))
        self.assertIn("blue", self.succeeds(self.ctr("snapshots", "--snapshotter", "gantry", "info", base)))

        # containerd's collection walks over all namespaces and names none.
        self.succeeds(self.ctr("images", "rm", "--sync", IMAGE))
        self.until("snapshots are collected", lambda: not list((self.gantry.work / "root/snapshots").iterdir()))
        self.until("content is collected",
                   lambda: not set(blobs) & set(self.rows(self.gantry.ctr("content", "ls").stdout)))

    def test_a_change_of_the_root_is_compared_and_exported(self):
        self.succeeds(self.ctr("images", "import", "--snapshotter", "gantry", self.archive()))
        self.succeeds(self.ctr("run", "--snapshotter", "gantry", IMAGE, "writer", "sh", "-c", "echo 1 > /new"))
        diff = self.succeeds(self.ctr("snapshots", "--snapshotter", "gantry", "diff", "--media-type",
                                      "application/vnd.oci.image.layer.v1.tar", "writer"))
        self.assertIn("new", diff)
        self.succeeds(self.ctr("containers", "rm", "writer"))
        out = self.containerd.work / "out.tar"
        self.succeeds(self.ctr("images", "export", out, IMAGE))
        self.assertGreater(out.stat().st_size, 500000)

    def test_two_namespaces_of_containerd_do_not_disturb_each_other(self):
        archive = self.archive()
        for namespace in ("red", "green"):
            self.succeeds(self.ctr("images", "import", "--snapshotter", "gantry", archive, namespace=namespace))
        self.succeeds(self.ctr("images", "rm", "--sync", IMAGE, namespace="red"))
        run = self.ctr("run", "--rm", "--snapshotter", "gantry", IMAGE, "one", "echo", "there", namespace="green")
        self.assertEqual(self.succeeds(run), "there\n")
        self.succeeds(self.ctr("images", "rm", "--sync", IMAGE, namespace="green"))
        for namespace in ("red", "green"):
            self.succeeds(self.ctr("namespaces", "rm", namespace))


class GantrydTest(ProxyTest):
    def front(self, *plugins):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="gantry-front-"))
        self.addCleanup(shutil.rmtree, directory)
        config = "version = 3\n" + "".join(
            f'[proxy_plugins.{name}]\n  type = "{kind}"\n  address = "{address}"\n' for name, kind, address in plugins)
        (directory / "config.toml").write_text(config)
        daemon = Gantryd(BINARY, ["--config", directory / "config.toml"])
        self.addCleanup(lambda: self.assertEqual(daemon.close(), []))
        return daemon

    def test_content_and_snapshots_of_other_gantryds_serve_an_image_and_its_container(self):
        content, snapshots = self.backend("content"), self.backend("snapshots")
        front = self.front(("far", "content", content.socket), ("remote", "snapshot", snapshots.socket))
        plugins = self.succeeds(front.ctr("plugins", "ls"))
        for wanted in (r"io.containerd.snapshotter.v1\s+remote", r"io.containerd.content.v1\s+far"):
            self.assertRegex(plugins, wanted)
        self.succeeds(front.ctr("images", "import", "--snapshotter", "remote", self.archive("--layers", "2")))
        blobs = self.rows(self.succeeds(front.ctr("content", "ls")))
        self.assertEqual(len(blobs), 5)  # two layers, the config, the manifest, the archive's index
        self.assertEqual(blobs, self.rows(content.ctr("content", "ls").stdout))
        self.assertFalse((front.work / "root/content").exists())
        self.assertEqual(list((front.work / "root/snapshots").iterdir()), [])
        run = front.ctr("run", "--rm", "--snapshotter", "remote", IMAGE, "one", "cat", "/etc/passwd")
        self.assertEqual(self.succeeds(run), "root:x:0:0:root:/root:/bin/sh\n")
        self.succeeds(front.ctr("run", "-d", "--snapshotter", "remote", IMAGE, "two", "sleep", "60"))
        # Compare reads two snapshots of the one and makes a blob in the other.
        self.succeeds(front.ctr("snapshots", "--snapshotter", "remote", "diff", "two"))
        self.assertEqual(len(self.rows(content.ctr("content", "ls").stdout)), 6)
        listed = self.succeeds(front.ctr("snapshots", "--snapshotter", "remote", "ls"))
        self.assertIn("two", listed)
        self.assertNotIn(front.namespace + "/", listed)

    def test_a_backend_that_is_away_is_named_and_found_again(self):
        content = self.backend("content")
        front = self.front(("far", "content", content.socket))
        content.kill()
        away = front.ctr("content", "ls")
        self.assertNotEqual(away.returncode, 0)
        self.assertIn(str(content.socket), away.stderr)
        content.start()
        self.until("the content is there again", lambda: front.ctr("content", "ls").returncode == 0)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
