"""Everything that a directory tree is, so that two can be compared.

usage: tree.py DIRECTORY    (writes the tree as JSON)
"""
import hashlib
import json
import os
import stat
import sys


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(
            file.read()).hexdigest()


def _describe(path, first_names):
    status = os.lstat(path)
    said = {"mode": oct(status.st_mode), "uid": status.st_uid, "gid": status.st_gid, "mtime": status.st_mtime_ns}
    said["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False).hex()
                      for name in sorted(os.listxattr(path, follow_symlinks=False))
                      if not name.startswith(("trusted.overlay.", "security.selinux"))}
    if stat.S_ISLNK(status.st_mode):
        said["target"] = os.fsdecode(os.readlink(path))
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        said["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    if stat.S_ISREG(status.st_mode):
        said["size"] = status.st_size
        said["sha256"] = _digest(path)
    if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
        said["same_as"] = first_names.setdefault((status.st_dev, status.st_ino), os.fsdecode(path))
    return said


def read(root):
    """Path below `root` -> type, mode, owner, time in ns, xattrs, content, and what it is a hard link of."""
    root = os.fsencode(root)
    here = os.getcwd()
    os.chdir(root)
    try:
        first_names = {}
        tree = {".": _describe(b".", first_names)}
        for at, directories, files in os.walk(b".", onerror=_raise):
            directories.sort()
            for name in sorted(directories + files):
                path = os.path.join(at, name)
                tree[os.fsdecode(path)] = _describe(path, first_names)
        return tree
    finally:
        os.chdir(here)


def _raise(error):
    raise error


def differences(left, right):
    """What is not the same, a line each."""
    lines = []
    for path in sorted(left.keys() | right.keys()):
        if path not in left or path not in right:
            lines.append(f"{path!r}: only in the {'second' if path in right else 'first'}")
            continue
        for key in sorted(left[path].keys() | right[path].keys()):
            if left[path].get(key) != right[path].get(key):
                lines.append(f"{path!r}: {key} {left[path].get(key)!r} and {right[path].get(key)!r}")
    return lines


if __name__ == "__main__":
    json.dump(read(sys.argv[1]), sys.stdout)
