#!/usr/bin/env python3
"""Holds every include of the tree against the direction of dependencies.

usage: check_layering.py SOURCE_ROOT
Linking alone does not stop an upward include, since the repository root is an include path. Also checked:
domain files of services know neither gRPC nor protobuf, and no file is longer than 600 lines.
"""
import pathlib
import re
import sys

# Folder (longest prefix wins): the folders that it may include, besides its own.
ALLOWED = {
    "base": [],
    "ttrpc": ["base"],
    "runtime": ["base"],
    "shim": ["runtime", "ttrpc", "proto", "base"],
    "cli": ["runtime", "proto", "base"],
    "services/metadata": ["base"],
    "services/rpc": ["proto", "base"],
    # Siblings meet through the header that carries the service's name, and the adapters of all through rpc.
    "services": ["services/metadata", "services/rpc", "runtime", "ttrpc", "proto", "base"],
    "daemon": ["services", "runtime", "ttrpc", "proto", "base"],
}
OURS = {folder.split("/")[0] for folder in ALLOWED} | {"proto", "tests", "bench"}
# What a sibling offers to the others: services/<name>/<name>.h.
SIBLING = re.compile(r"services/(\w+)/\1\.h$")
INCLUDE = re.compile(r'^\s*#include\s+(["<])([^">]+)[">]')
MAX_LINES = 600
# Of a service folder, the files that speak gRPC or protobuf: adapters, reactors, clients of shims.
ADAPTER = re.compile(r"(_service|_reactor|_publisher|_convert|_client|_launcher|_interceptor)\.(h|cc)$")


def folder_of(path):
    best = ""
    for folder in ALLOWED:
        if path.startswith(folder + "/") and len(folder) > len(best):
            best = folder
    return best


def problems_of(path, text):
    folder = folder_of(path)
    own = "/".join(path.split("/")[:2]) if folder == "services" else folder
    domain = path.startswith("services/") and not path.startswith("services/rpc/") and not ADAPTER.search(path)
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield f"{path}: {len(lines)} lines, at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, target = match.groups()
        if domain and (target.startswith(("grpc", "google/protobuf")) or target.endswith(".pb.h")):
            yield f"{path}:{number}: a domain file includes {target}"
        if kind == "<" or target.split("/")[0] not in OURS:
            continue
        if target.startswith(own + "/") or SIBLING.match(target):
            continue
        if not any(target.startswith(allowed + "/") for allowed in ALLOWED[folder]):
            yield f"{path}:{number}: {folder}/ may not include {target}"


def main():
    root = pathlib.Path(sys.argv[1])
    problems, files = [], 0
    for top in sorted({folder.split("/")[0] for folder in ALLOWED}):
        for file in sorted((root / top).rglob("*")):
            if file.suffix in (".h", ".cc"):
                files += 1
                problems += problems_of(str(file.relative_to(root)), file.read_text())
    print("\n".join(problems))
    if files < 50:
        sys.exit(f"only {files} files were found below {root}: nothing was checked")
    print(f"{files} files, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
