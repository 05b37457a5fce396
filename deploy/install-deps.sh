#!/bin/sh
# Installs what gantry needs to be built, run and tested on Debian 12, from Debian's own packages.
# Run as root; running it again changes nothing.
#   install-deps.sh [--runtime-only | --with-fuzzing | --vm]
# With --vm also what the test machine needs (tests/vm/run.sh): an emulator, and systemd to boot there.
set -eu

build="ca-certificates g++ cmake ninja-build ccache mold pkg-config clang-format
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libprotoc-dev libgrpc++-dev libabsl-dev
  libspdlog-dev libfmt-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libre2-dev
  libseccomp-dev libssl-dev liblmdb-dev libarchive-dev libisal-dev libzstd-dev zlib1g-dev libcap-dev
  prometheus-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev"
# Clients and tools that the tests and the quickstart run: ctr comes with containerd, which is not started.
tools="busybox-static containerd runc python3 iproute2 uidmap util-linux procps binutils"

[ "$(id -u)" = 0 ] || { echo "install-deps.sh: run as root" >&2; exit 1; }
[ "${1:-}" = --runtime-only ] && build=""
[ "${1:-}" = --with-fuzzing ] && tools="$tools clang-14 libclang-rt-14-dev"
[ "${1:-}" = --vm ] && tools="$tools qemu-system-x86 systemd systemd-sysv dbus"

missing=""
for package in $build $tools; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || { echo "install-deps.sh: everything is installed"; exit 0; }

echo "install-deps.sh: installing$missing"
# Packages that start a service when they are installed shall not: gantry only borrows the client.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  made=yes
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing
