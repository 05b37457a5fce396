#!/bin/bash
# From a bare Debian 12 to a running container, as root:
#   quickstart.sh
# Installs packages, builds, starts gantryd on a private root below a temporary directory, makes a busybox
# image (no registry needed), runs it with Debian's own ctr, shows what it printed, and cleans up.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "quickstart.sh: run as root" >&2; exit 1; }

echo "== 1/4 packages"
deploy/install-deps.sh
echo "== 2/4 build"
deploy/build.sh release gantryd containerd-shim-gantry-v1

work=$(mktemp -d /tmp/gantry-quickstart.XXXXXX)
daemon=""
finish() {
  if [ -n "$daemon" ]; then
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

echo "== 3/4 gantryd"
build/release/daemon/gantryd --root "$work/root" --state "$work/state" --address "$work/gantry.sock" \
  --log-level warn &
daemon=$!
export CONTAINERD_ADDRESS=$work/gantry.sock
for _ in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  kill -0 "$daemon" 2>/dev/null || { echo "quickstart.sh: gantryd ended" >&2; exit 1; }
  sleep 0.1
done
ctr version

echo "== 4/4 a container"
python3 tests/support/make_image.py docker.io/library/busybox:quickstart "$work/busybox.tar"
ctr images import "$work/busybox.tar"
ctr run --rm docker.io/library/busybox:quickstart hello \
  sh -c 'echo "Hello from pid $$ on $(uname -s), as $(id -un), in a container run by gantry"'
echo
echo "gantry works. Start it for good with: build/release/daemon/gantryd"
