#!/usr/bin/env python3
"""Takes a directory tree through gantryd and back: a snapshot of it is compared to a layer, the layer is listed and
extracted by GNU tar, imported as an image and unpacked, and compared again. Each time all metadata must be the same.

usage: round_trip_test.py GANTRYD [--tree DIRECTORY] [unittest arguments]
Without --tree the tree is a small one with everything in it that is awkward; debian_root.sh gives a whole Debian.
"""
import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
import tree  # noqa: E402
from gantryd import Gantryd  # noqa: E402

BINARY = ""
TREE = None
LAYER = "application/vnd.oci.image.layer.v1.tar"
# CAP_NET_RAW, as setcap(8) writes it.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def make_awkward(root):
    """What images have seldom and a layer must carry all the same."""
    for name in ("dir", "dir/empty", "dir/sticky", "dir/set-group", "replaced", "gone"):
        (root / name).mkdir(parents=True)
    (root / "dir/sticky").chmod(0o1777)
    (root / "dir/set-group").chmod(0o2750)
    os.chown(root / "dir/set-group", 4_000_000_000, 3_999_999_999)
    (root / "dir/set-user").write_text("x")
    os.chown(root / "dir/set-user", 33, 44)
    (root / "dir/set-user").chmod(0o6711)
    (root / "capable").write_text("x")
    os.chown(root / "capable", 5, 6)
    os.setxattr(root / "capable", "security.capability", CAPABILITY)
    (root / "attributed").write_text("x")
    os.setxattr(root / "attributed", "user.text", b"text")
    os.setxattr(root / "attributed", "user.binary", bytes(range(256)))
    os.setxattr(root / "dir", "trusted.mark", b"=\n=")
    (root / "unreadable").write_text("x")
    (root / "unreadable").chmod(0)
    (root / ("n" * 255)).write_text("the longest name")
    deep = root / "/".join(["d" * 200] * 3)
    deep.mkdir(parents=True)
    (deep / "f").write_text("below a path that ustar cannot hold")
    for name in (b"new\nline", b"not utf-8 \xff\xfe", b"\\back slash", b" blank ", "ünïcode".encode()):
        pathlib.Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("x")
    os.symlink("d" * 300, root / "long-link")
    os.symlink("capable", root / "link")
    os.link(root / "capable", root / "dir/hard")
    os.link(root / "link", root / "dir/hard-of-a-link", follow_symlinks=False)
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "char", 0o20660, os.makedev(5, 1))
    os.mknod(root / "block", 0o60660, os.makedev(259, 1048575))
    os.link(root / "fifo", root / "dir/fifo-again")
    (root / "empty").write_text("")
    with open(root / "sparse", "wb") as sparse:
        for offset in (0, 3 << 20, 9_999_999):
            sparse.seek(offset)
            sparse.write(b"island")
        sparse.truncate(64 << 20)
    (root / "large").write_bytes(os.urandom(3 << 20))
    for path, when in (("empty", 1), ("large", 951_782_400_123_456_789), ("fifo", -86_400_000_000_001),
                       ("link", 4_102_444_800_000_000_001), ("dir/empty", 1_000_000_000_999_999_999)):
        os.utime(root / path, ns=(when, when), follow_symlinks=False)


# Run in the upper tree: every way in which a container changes what it was given.
CHANGES = r"""
rm -rf gone replaced && echo file >replaced && rm -rf dir/empty && echo file >dir/empty
chmod 0700 dir && chown 7:8 unreadable && touch -d 2003-04-05T06:07:08.9 attributed && echo more >>large
ln attributed dir/linked-later && rm link && mkdir link && echo x >link/x
mkdir -p made/anew && echo x >made/anew/x && mknod made/device c 1 3 && cp --sparse=always sparse made/sparse
for name in usr/share/doc usr/share/locale; do [ ! -d $name ] || { rm -r $name && mkdir $name && echo x >$name/x; }; done
[ ! -d etc ] || { mv etc old-etc && cp -a old-etc etc; }
"""


class RoundTrip(unittest.TestCase):
    daemon = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Gantryd(BINARY)
        cls.addClassCleanup(cls.end)
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="gantry-round-trip-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.source = cls.prepare("source", "")
        if TREE is not None:
            subprocess.run(["cp", "-a", f"{TREE}/.", cls.source], check=True)
        cls.awkward = cls.source / "awkward" if TREE is not None else cls.source
        cls.awkward.mkdir(exist_ok=True)
        make_awkward(cls.awkward)
        cls.tree = tree.read(cls.source)
        # Last, as it is in no layer.
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(cls.awkward)
            listener.bind("socket")
            os.chdir("/")
        os.utime(cls.awkward, ns=(0, 0))
        if TREE is not None:
            cls.tree["./awkward"]["mtime"] = 0

    @classmethod
    def end(cls):
        left = cls.daemon.close()
        assert not left, f"left behind: {left}"

    @classmethod
    def ctr(cls, *arguments):
        done = cls.daemon.ctr(*arguments, timeout=600)
        if done.returncode != 0:
            raise AssertionError(f"ctr {arguments}: {done.stderr}")
        return done.stdout

    @classmethod
    def mount_of(cls, key):
        """The words of the command that mounts it on /target."""
        return cls.ctr("snapshots", "mounts", "/target", key).split()

    @classmethod
    def prepare(cls, key, parent):
        """An active snapshot, as the directory that what is written into it lands in."""
        cls.ctr("snapshots", "prepare", key, *([parent] if parent else []))
        words = cls.mount_of(key)
        if not parent:
            return pathlib.Path(words[3])
        return pathlib.Path(next(word[9:] for word in words[-1].split(",") if word.startswith("upperdir=")))

    def diff(self, key, media_type):
        path = self.work / f"{key.replace(':', '-')}{len(list(self.work.iterdir()))}"
        with path.open("wb") as out:
            subprocess.run(self.daemon.command("snapshots", "diff", "--media-type", media_type, key), stdout=out,
                           check=True)
        return path

    def import_image(self, name, layers):
        """Imports an image of [(layer, media type, its tar)] and gives the name of its topmost snapshot."""
        blobs = {}

        def put(data, media_type):
            digest = hashlib.sha256(data).hexdigest()
            blobs[digest] = data
            return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

        described = [put(layer.read_bytes(), media_type) for layer, media_type, _ in layers]
        ids = ["sha256:" + hashlib.sha256(tar.read_bytes()).hexdigest() for _, _, tar in layers]
        config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                                 "rootfs": {"type": "layers", "diff_ids": ids}}).encode(),
                     "application/vnd.oci.image.config.v1+json")
        manifest = put(json.dumps({"schemaVersion": 2, "config": config, "layers": described}).encode(),
                       "application/vnd.oci.image.manifest.v1+json")
        manifest["annotations"] = {"io.containerd.image.name": name}
        archive = self.work / "image.tar"
        with tarfile.open(archive, "w") as out:
            def add(path, data):
                header = tarfile.TarInfo(path)
                header.size = len(data)
                out.addfile(header, io.BytesIO(data))
            add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
            for digest, data in blobs.items():
                add(f"blobs/sha256/{digest}", data)
        self.ctr("images", "import", archive)
        archive.unlink()
        chain = ids[0]
        for diff_id in ids[1:]:
            chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
        return chain

    def within(self, key, script):
        """Runs a script in the mounted snapshot, in a mount namespace that ends with it; gives its output."""
        with tempfile.TemporaryDirectory() as target:
            words = [target if word == "/target" else word for word in self.mount_of(key)]
            done = subprocess.run(["unshare", "-m", "sh", "-ec", f'"$@" && cd {target} && {script}', "sh", *words],
                                  capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done.stdout

    def tree_within(self, key):
        return json.loads(self.within(key, f"{sys.executable} {SUPPORT}/tree.py ."))

    def check(self, left, right, what):
        # As with containerd, the root itself is in no layer.
        found = tree.differences({k: v for k, v in left.items() if k != "."},
                                 {k: v for k, v in right.items() if k != "."})
        self.assertEqual(found[:20], [], f"{what}: {len(found)} differences")

    def check_layer(self, suffix):
        began = time.monotonic()
        layer = self.diff("source", LAYER + suffix)
        name = f"docker.io/library/round:trip{suffix.replace('+', '-')}"
        # The same tree gives the same tar whatever it is compressed with: Apply holds it to this one's digest.
        chain = self.import_image(name, [(layer, LAYER + suffix, self.diff("source", LAYER))])
        self.prepare(f"look{suffix}", chain)
        self.check(self.tree, self.tree_within(f"look{suffix}"), "the tree, compared and applied")
        again = self.diff(chain, LAYER + suffix)
        self.assertEqual(layer.read_bytes(), again.read_bytes(), "what was applied gives another layer")
        print(f"{len(self.tree)} entries, {layer.stat().st_size} bytes of {LAYER}{suffix}, "
              f"{time.monotonic() - began:.1f} s", file=sys.stderr)
        return layer

    def test_a_gzip_layer_gives_the_tree_back(self):
        self.check_layer("+gzip")

    def test_a_zstd_layer_gives_the_tree_back(self):
        self.check_layer("+zstd")

    def test_a_plain_layer_gives_the_tree_back(self):
        self.check_layer("")

    @staticmethod
    def complaints(done):
        """What tar said, but for the times that it wonders at and pax's word for names that are no UTF-8."""
        known = ("'hdrcharset'", "implausibly old time stamp", " in the future")
        return [line for line in done.stderr.decode().splitlines() if not any(words in line for words in known)]

    def test_gnu_tar_lists_and_extracts_the_layer(self):
        layer = self.diff("source", LAYER + "+gzip")
        listed = subprocess.run(["tar", "--quoting-style=escape", "-tf", layer], capture_output=True, check=True)
        self.assertEqual(self.complaints(listed), [])
        self.assertEqual(len(listed.stdout.splitlines()), len(self.tree) - 1)
        extracted = self.work / "extracted"
        extracted.mkdir()
        done = subprocess.run(["tar", "-C", extracted, "--xattrs", "--xattrs-include=*", "--same-owner", "--numeric-owner",
                               "-xpf", layer], capture_output=True, check=True)
        self.assertEqual(self.complaints(done), [])
        self.check(self.tree, tree.read(extracted), "the tree, compared and extracted by tar")
        shutil.rmtree(extracted)

    def test_what_is_changed_in_a_container_is_a_layer_too(self):
        base = self.diff("source", LAYER + "+gzip")
        first = (base, LAYER + "+gzip", self.diff("source", LAYER))
        chain = self.import_image("docker.io/library/round:base", [first])
        self.prepare("top", chain)
        inside = "./awkward" if TREE is not None else "."
        self.within("top", f"cd {inside}\n{CHANGES}\n{'cd .. ' if TREE is not None else 'true'}\n")
        if TREE is not None:
            self.within("top", CHANGES[CHANGES.index("for name"):])
        changed = self.tree_within("top")
        self.assertNotEqual(tree.differences(self.tree, changed), [])
        top = self.diff("top", LAYER + "+zstd")
        second = (top, LAYER + "+zstd", self.diff("top", LAYER))
        both = self.import_image("docker.io/library/round:top", [first, second])
        self.prepare("look-top", both)
        self.check(changed, self.tree_within("look-top"), "the tree of two layers")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    if "--tree" in sys.argv:
        at = sys.argv.index("--tree")
        TREE = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
