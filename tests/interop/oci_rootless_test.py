#!/usr/bin/env python3
"""Runs gantry-oci as a user who is not root, and as root of a user namespace.

usage: oci_rootless_test.py GANTRY_OCI [unittest arguments]

Run as root: the ordinary user is one that exists in a mount namespace of the test's own, with subordinate ids for
newuidmap(1) and newgidmap(1).
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from bundle import Bundle, config  # noqa: E402

BINARY = ""
USER = 61234
SUBORDINATE = 700000


def enter_namespace_with_user():
    """This process's own view of the user database."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    directory = tempfile.mkdtemp(prefix="gantry-rootless-etc-")
    for name, line in (("passwd", f"walker:x:{USER}:{USER}::/nonexistent:/bin/sh"), ("group", f"walker:x:{USER}:"),
                       ("subuid", f"walker:{SUBORDINATE}:65536"), ("subgid", f"walker:{SUBORDINATE}:65536")):
        own = pathlib.Path(directory) / name
        there = pathlib.Path("/etc") / name
        own.write_text((there.read_text() if there.exists() else "") + line + "\n")
        there.touch()
        subprocess.run(["mount", "--bind", own, there], check=True)
    shutil.rmtree(directory)  # the mounts hold the files


class RootlessTest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory(prefix="gantry-rootless-")
        self.addCleanup(work.cleanup)
        self.work = pathlib.Path(work.name)
        os.chmod(self.work, 0o755)
        self.bundle = Bundle(self.work / "bundle")
        self.run_dir = self.work / "run"
        self.run_dir.mkdir()
        for path in (self.run_dir, self.bundle.path, *self.bundle.path.rglob("*")):
            os.lchown(path, USER, USER)
        self.id = f"rootless-{os.getpid()}"
        self.prefix = []
        self.addCleanup(lambda: self.oci("delete", "--force", self.id))

    def oci(self, *arguments, check=False, quiet=False):
        """As the user; with `prefix` in between."""
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *self.prefix, BINARY,
                   *map(str, arguments)]
        pipe = subprocess.DEVNULL if quiet else subprocess.PIPE
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, timeout=60,
                              cwd=self.work, env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.run_dir)})
        if check:
            self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout} {done.stderr}")
        return done

    def rootless_config(self, *args, ids=1):
        (self.bundle.path / "config.json").unlink(missing_ok=True)
        self.oci("spec", "--rootless", "--bundle", self.bundle.path, check=True)
        document = json.loads((self.bundle.path / "config.json").read_text())
        self.assertEqual(document["linux"]["uidMappings"], [{"containerID": 0, "hostID": USER, "size": 1}])
        document["process"].update(args=list(args), terminal=False)
        if ids > 1:
            for kind in ("uidMappings", "gidMappings"):
                document["linux"][kind].append({"containerID": 1, "hostID": SUBORDINATE, "size": ids - 1})
        return document

    def test_the_example_for_the_rootless_runs(self):
        self.bundle.write(self.rootless_config("sh", "-c", "id -u; id -g; cat /proc/self/uid_map; echo $$"))
        done = self.oci("run", "-b", self.bundle.path, self.id, check=True)
        self.assertEqual(done.stdout.split(), ["0", "0", "0", str(USER), "1", "1"])
        self.assertEqual([], list((self.run_dir / "gantry-oci").glob("rootless-*")))

    def test_subordinate_ids_are_mapped_by_newuidmap(self):
        document = self.rootless_config("sh", "-c", "id -u; id -g; touch /tmp/made", ids=60000)
        document["root"]["readonly"] = False
        document["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5]}
        self.bundle.write(document)
        done = self.oci("run", "-b", self.bundle.path, self.id, check=True)
        self.assertEqual(done.stdout, "1000\n1001\n")
        made = (self.bundle.rootfs / "tmp/made").stat()
        self.assertEqual((made.st_uid, made.st_gid), (SUBORDINATE + 999, SUBORDINATE + 1000))

    def test_ids_of_others_are_refused(self):
        document = self.rootless_config("true")
        document["linux"]["uidMappings"].append({"containerID": 1, "hostID": 0, "size": 1})
        self.bundle.write(document)
        done = self.oci("run", "-b", self.bundle.path, self.id)
        self.assertEqual(done.returncode, 1)
        self.assertIn("newuidmap", done.stderr)

    def test_limits_without_a_cgroup_are_refused(self):
        document = self.rootless_config("true")
        document["linux"]["resources"] = {"memory": {"limit": 1 << 26}}
        self.bundle.write(document)
        done = self.oci("run", "-b", self.bundle.path, self.id)
        self.assertEqual(done.returncode, 1)
        self.assertIn("limits need a cgroup", done.stderr)

    def whole_life(self, document):
        self.bundle.write(document)
        self.assertEqual(self.oci("create", "-b", self.bundle.path, self.id, quiet=True).returncode, 0)
        self.assertEqual(json.loads(self.oci("state", self.id).stdout)["status"], "created")
        self.oci("start", self.id, check=True)
        done = self.oci("exec", self.id, "sh", "-c", "id -u; cat /proc/1/comm; exit 3")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "0\nsleep\n", ""))
        self.assertIn(self.id, self.oci("list", "-q").stdout)
        self.oci("kill", self.id, "KILL", check=True)
        self.oci("delete", "--force", self.id, check=True)
        self.assertEqual(self.oci("state", self.id).returncode, 1)

    def test_a_whole_life_as_a_user(self):
        self.whole_life(self.rootless_config("sleep", "1000", ids=60000))

    def test_a_whole_life_within_a_user_namespace(self):
        # One that stays, so that each command is in the same.
        holder = subprocess.Popen(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "unshare", "-Ur",
                                   "--mount", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.addCleanup(holder.stdout.close)
        self.assertEqual(holder.stdout.readline(), b"up\n")
        self.prefix = ["nsenter", "-U", "-m", "--preserve-credentials", "-t", str(holder.pid)]
        document = config("sleep", "1000")
        for mount in document["mounts"]:
            # Group 5 is not mapped, and a sysfs needs a network namespace's owner, which this one is.
            if mount["destination"] == "/dev/pts":
                mount["options"] = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
        del document["linux"]["resources"]
        self.whole_life(document)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    if os.environ.get("GANTRY_ROOTLESS_INSIDE") != "yes":
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, __file__, BINARY, *sys.argv[1:]],
                   {**os.environ, "GANTRY_ROOTLESS_INSIDE": "yes"})
    enter_namespace_with_user()
    unittest.main(verbosity=2)
