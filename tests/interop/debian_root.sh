#!/bin/sh
# Takes a whole Debian through gantryd and back: as root, debian_root.sh [GANTRYD] [unittest arguments]. The tree is made
# by debootstrap(8) on the first run, which needs a mirror ($MIRROR), and kept in build/debootstrap/root.
set -eu
cd "$(dirname "$0")/../.."
gantryd=${1:-build/release/daemon/gantryd}
[ $# = 0 ] || shift
root=build/debootstrap/root
if [ ! -d $root ]; then
  mkdir -p build/debootstrap
  rm -rf $root.part
  debootstrap --variant=minbase bookworm $root.part "${MIRROR:-http://deb.debian.org/debian}"
  mv $root.part $root
fi
exec python3 tests/interop/round_trip_test.py "$gantryd" --tree "$PWD/$root" "$@"
