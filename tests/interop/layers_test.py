#!/usr/bin/env python3
"""Holds gantryd to what clients do with layers: images too deep for a page of mount options run, and what
`ctr snapshots diff` makes of a tree is read by GNU tar and gives the tree back.

usage: layers_test.py GANTRYD [unittest arguments]
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

BINARY = ""


class LayersTest(unittest.TestCase):
    daemon = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Gantryd(BINARY)
        cls.addClassCleanup(cls.end)

    @classmethod
    def end(cls):
        left = cls.daemon.close()
        assert not left, f"left behind: {left}"

    def ctr(self, *arguments):
        done = self.daemon.ctr(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_deep(self, layers):
        image = f"docker.io/library/deep:{layers}"
        self.daemon.import_image(image, "--layers", str(layers))
        said = self.ctr("run", "--rm", image, f"deep-{layers}", "sh", "-c",
                        f"cat /etc/layer-1 /etc/layer-{layers - 1}; ls /etc/layer-* | wc -l")
        self.assertEqual(said.split(), ["1", str(layers - 1), str(layers - 1)])

    def test_an_image_of_127_layers_runs(self):
        self.run_deep(127)

    def test_an_image_of_300_layers_runs(self):
        self.run_deep(300)

    def test_gnu_tar_reads_the_layer_that_a_container_has_made(self):
        image = "docker.io/library/layers:latest"
        self.daemon.import_image(image)
        self.ctr("run", image, "maker", "sh", "-c",
                 "mkdir /new && echo data >/new/f && ln /new/f /new/g && ln -s f /new/l && "
                 "mkfifo /new/p && chmod 4751 /new/f && rm /etc/group && "
                 "touch -d 2001-02-03 /new/f && dd if=/dev/zero of=/new/hole bs=1 count=1 seek=9000000")
        with tempfile.TemporaryDirectory() as directory:
            layer = pathlib.Path(directory, "layer.tar.gz")
            with layer.open("wb") as out:
                subprocess.run(self.daemon.command("snapshots", "diff", "maker"), stdout=out, check=True)
            listed = subprocess.run(["tar", "-tf", layer], check=True, capture_output=True, text=True)
            self.assertIn("etc/.wh.group", listed.stdout.split())
            subprocess.run(["tar", "-C", directory, "-xpf", layer], check=True)
            made = pathlib.Path(directory, "new")
            self.assertEqual((made / "f").read_text(), "data\n")
            self.assertEqual((made / "f").stat().st_ino, (made / "g").stat().st_ino)
            self.assertEqual((made / "f").stat().st_mode & 0o7777, 0o4751)
            self.assertEqual((made / "l").readlink(), pathlib.Path("f"))
            self.assertTrue((made / "p").is_fifo())
            self.assertEqual((made / "hole").stat().st_size, 9000001)
            self.assertLess((made / "hole").stat().st_blocks, 1000)
        self.ctr("containers", "rm", "maker")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
