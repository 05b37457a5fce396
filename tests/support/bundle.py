"""Bundles for OCI runtimes: a busybox root and a config.json to change."""
import copy
import json
import os
import pathlib
import shutil
import subprocess

APPLETS = ("sh echo cat ls id mount grep sleep true false readlink touch stat tty hostname mkdir sort wc pwd env dd "
           "test head tr ps kill sed awk ulimit umask cut stty chmod chown ln rm nc setpriv timeout seq uniq "
           "find mknod printenv").split()

CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin:/sbin:/usr/bin"],
        "cwd": "/",
        "capabilities": {
            kind: ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_DAC_OVERRIDE"]
            for kind in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


def config(*args):
    """A config of its own that runs `args`."""
    made = copy.deepcopy(CONFIG)
    if args:
        made["process"]["args"] = list(args)
    return made


class Bundle:
    """A directory with a root of busybox; write() puts a config into it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.rootfs = self.path / "rootfs"
        for directory in ("bin", "etc", "tmp", "root", "dev", "proc", "sys", "home"):
            (self.rootfs / directory).mkdir(parents=True, exist_ok=True)
        os.chmod(self.path, 0o755)
        os.chmod(self.rootfs / "tmp", 0o1777)
        shutil.copy("/bin/busybox", self.rootfs / "bin" / "busybox")
        for applet in APPLETS:
            link = self.rootfs / "bin" / applet
            if not link.is_symlink():
                link.symlink_to("busybox")
        (self.rootfs / "etc" / "passwd").write_text(
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        (self.rootfs / "etc" / "group").write_text("root:x:0:\nuser:x:1000:\n")

    def write(self, document):
        (self.path / "config.json").write_text(json.dumps(document))


class Runtime:
    """A runc-like program with a state directory of its own."""

    def __init__(self, program, root, *options):
        self.command = [program, "--root", str(root), *options]
        self.root = pathlib.Path(root)

    def __call__(self, *arguments, stdin=subprocess.DEVNULL, check=False, **keywords):
        done = subprocess.run([*self.command, *map(str, arguments)], stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, **keywords)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def quietly(self, *arguments, **keywords):
        """For commands that leave a process behind which would keep a pipe open."""
        return subprocess.run([*self.command, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, **keywords).returncode

    def state(self, name):
        done = self("state", name)
        return json.loads(done.stdout) if done.returncode == 0 else None
