#!/usr/bin/env python3
"""Writes an OCI image archive with a busybox root file system; needs /bin/busybox (busybox-static).

usage: make_image.py NAME OUT.tar [--layers N]
Layers after the first add one file each, so that an image of any depth can be made.
"""
import argparse
import gzip
import hashlib
import io
import json
import subprocess
import tarfile


def tar_of(entries):
    """A tar of (TarInfo, bytes or None) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for header, data in entries:
            tar.addfile(header, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def file_entry(name, data, mode=0o644):
    header = tarfile.TarInfo(name)
    header.mode, header.size = mode, len(data)
    return header, data


def directory_entry(name, mode=0o755):
    header = tarfile.TarInfo(name)
    header.type, header.mode = tarfile.DIRTYPE, mode
    return header, None


def symlink_entry(name, target):
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.linkname = tarfile.SYMTYPE, 0o777, target
    return header, None


def busybox_root():
    with open("/bin/busybox", "rb") as binary:
        busybox = binary.read()
    entries = [directory_entry(d, 0o1777 if d == "tmp" else 0o755)
               for d in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")]
    entries.append(file_entry("bin/busybox", busybox, 0o755))
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True)
    entries += [symlink_entry("bin/" + a, "busybox") for a in applets.stdout.split() if a != "busybox"]
    entries.append(file_entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"))
    entries.append(file_entry("etc/group", b"root:x:0:\n"))
    return tar_of(entries)


class Archive:
    """Blobs of an OCI image layout."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs["blobs/sha256/" + digest] = data
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def add_json(self, media_type, value):
        return self.add(media_type, json.dumps(value).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=1)
    args = parser.parse_args()

    archive = Archive()
    layers, diff_ids = [], []
    for number in range(args.layers):
        if number == 0:
            raw = busybox_root()
        else:
            raw = tar_of([file_entry("etc/layer-%d" % number, b"%d\n" % number)])
        diff_ids.append("sha256:" + hashlib.sha256(raw).hexdigest())
        layers.append(archive.add("application/vnd.oci.image.layer.v1.tar+gzip",
                                  gzip.compress(raw, 6, mtime=0)))
    config = archive.add_json("application/vnd.oci.image.config.v1+json", {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    manifest = archive.add_json("application/vnd.oci.image.manifest.v1+json", {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    })
    manifest["annotations"] = {"io.containerd.image.name": args.name,
                               "org.opencontainers.image.ref.name": args.name.rsplit(":", 1)[-1]}
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    index = {"schemaVersion": 2, "manifests": [manifest]}

    files = [file_entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
             file_entry("index.json", json.dumps(index).encode())]
    files += [file_entry(name, data) for name, data in archive.blobs.items()]
    with open(args.out, "wb") as out:
        out.write(tar_of(files))


if __name__ == "__main__":
    main()
