#!/bin/bash
# Installs, builds and runs every test, as root on Debian 12:
#   tests/run.sh [--no-sanitizers]
# The unit tests under the address and undefined-behaviour sanitizers, those with threads of our own under the
# thread sanitizer, then everything as it is released (unit, integration, interop). Ends with ctest's summary.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "tests/run.sh: run as root" >&2; exit 1; }
sanitizers=yes
[ "${1:-}" = --no-sanitizers ] && sanitizers=""

deploy/install-deps.sh
deploy/build.sh release

if [ -n "$sanitizers" ]; then
  deploy/build.sh asan gantry_sanitized_tests
  # The leak checker needs ptrace, which a container init made by clone3 may not have.
  ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/asan -j 4 --output-on-failure -L sanitized
  deploy/build.sh tsan gantry_threaded_tests
  TSAN_OPTIONS="suppressions=$PWD/tests/thread-sanitizer.supp" \
    ctest --test-dir build/tsan -j 4 --output-on-failure -L threaded
fi
exec ctest --test-dir build/release -j 4 --output-on-failure
