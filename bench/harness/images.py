"""The images and the bundle that the contestants are given."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

from daemons import Failed, call

SMALL = "bench.example/busybox:1"
MAKER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "support" / "make_image.py"


def make_small(directory):
    archive = directory / "busybox.tar"
    call(sys.executable, str(MAKER), SMALL, str(archive))
    return archive


def make_bundle(directory):
    """An OCI bundle of busybox that runs /bin/true; for runc, its likes and the floor."""
    bundle = directory / "bundle"
    if bundle.exists():
        return bundle
    root = bundle / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    os.symlink("busybox", root / "bin" / "true")
    call("runc", "spec", "--bundle", str(bundle))
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"]["args"] = ["/bin/true"]
    spec["process"]["terminal"] = False
    spec["root"]["readonly"] = False
    (bundle / "config.json").write_text(json.dumps(spec))
    return bundle


def layer_tar(number, megabytes, source):
    """Files as images have them: many small ones and some large, half of the bytes compressible."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        left, index = megabytes << 20, 0
        while left > 0:
            size = min(left, source.choice([600, 3000, 9000, 40_000, 40_000, 300_000, 2_000_000]))
            header = tarfile.TarInfo(f"usr/layer{number}/dir{index // 50}/file{index}")
            header.size, header.mode = size, 0o644
            noise = source.randbytes(size // 2)
            text = (f"a line of text like many others {index}\n".encode() * (size // 60 + 2))[:size - len(noise)]
            tar.addfile(header, io.BytesIO(noise + text))
            left, index = left - size, index + 1
    return out.getvalue()


def compress(data, kind):
    if kind == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    if shutil.which("zstd") is None:
        raise Failed("zstd is not installed")
    return subprocess.run(["zstd", "-3", "-c"], input=data, capture_output=True, check=True).stdout


def make_layered(directory, kind, megabytes):
    """Writes an OCI archive KIND.tar of five layers and gives the image's name."""
    name = f"bench.example/{kind}:1"
    blobs = {}

    def add(data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}
    source = random.Random(7)
    layers, diff_ids = [], []
    for number in range(5):
        tar = layer_tar(number, megabytes // 5, source)
        diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        layers.append({"mediaType": f"application/vnd.oci.image.layer.v1.tar+{kind}", **add(compress(tar, kind))})
    config = add(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode())
    manifest = add(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
        "layers": layers}).encode())
    index = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest,
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}}]})
    with tarfile.open(directory / f"{kind}.tar", "w") as tar:
        files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index.encode()}
        files.update({f"blobs/sha256/{digest}": data for digest, data in blobs.items()})
        for path, data in files.items():
            header = tarfile.TarInfo(path)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return name
