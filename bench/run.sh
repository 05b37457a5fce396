#!/bin/bash
# Measures gantry and its peers in one run and writes a report: as root,
#   run.sh [--quick] [--output DIR] [--docs] [--no-build] [NAME...]
# NAMEs are groups of metrics (run.sh --list); without any, all are measured. Everything that is started has
# its own root and sockets below a temporary directory and is removed at the end; the machine's own
# containerd is left alone. `docs/benchmarks.md` tells the method.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "run.sh: run as root" >&2; exit 1; }

build=1
for argument in "$@"; do
  case $argument in
    --no-build | --list | --help | -h) build=0 ;;
  esac
done
if [ $build = 1 ]; then
  missing=()
  for pair in containerd:containerd ctr:containerd runc:runc zstd:zstd python3:python3 busybox:busybox-static; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    # Debian starts its containerd when it installs it; the benchmark does not use that one.
    apt-get install -y --no-install-recommends "${missing[@]}"
  fi
  targets=(gantryd containerd-shim-gantry-v1 gantry-driver gantry-floor)
  if ninja -C build/release -t query gantry-oci >/dev/null 2>&1; then targets+=(gantry-oci); fi
  deploy/build.sh release "${targets[@]}"
fi
exec python3 bench/harness/main.py "$@"
