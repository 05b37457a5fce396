#!/bin/sh
# Configures and builds a preset (release, asan, tsan or fuzz): build.sh [PRESET] [TARGET...]
set -eu
cd "$(dirname "$0")/.."
preset=${1:-release}
[ $# = 0 ] || shift
cmake --preset "$preset" >/tmp/gantry-configure-$$.log 2>&1 || { cat /tmp/gantry-configure-$$.log; exit 1; }
rm -f /tmp/gantry-configure-$$.log
exec cmake --build "build/$preset" -- "$@"
